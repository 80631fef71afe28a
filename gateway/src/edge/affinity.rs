//! What leads a client's requests to the same endpoint: found in the request, or told to the client with its first answer.

use std::net::IpAddr;

use activator::Permit;
use activator::admission::affinity::Affinity as Key;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use super::EdgeOptions;
use super::headers::Peer;
use crate::config::settings::Affinity;

// === impl Affinity ===

impl Affinity {
    /// What leads a request with these headers from `peer`; nothing if it may go anywhere.
    pub fn of(&self, headers: &HeaderMap, peer: &Peer, options: &EdgeOptions) -> Option<Key> {
        match self {
            Self::Cookie(name) => token(headers, name).map(Key::Token),
            Self::Header(name) => headers.get(name).map(|value| Key::of(value.as_bytes())),
            Self::Address => Some(match peer.client(headers, options) {
                IpAddr::V4(address) => Key::of(&address.octets()),
                IpAddr::V6(address) => Key::of(&address.octets()),
            }),
        }
    }

    /// The cookie to give to a client whose request had `asked` for another endpoint than that of `permit`, or for none. None while
    /// the one it asked for lives: that was full.
    pub fn cookie(&self, permit: &Permit, asked: Option<Key>) -> Option<HeaderValue> {
        let Self::Cookie(name) = self else { return None };
        let token = permit.endpoint().token();
        if let Some(Key::Token(asked)) = asked
            && (asked == token || permit.app().endpoints().iter().any(|endpoint| endpoint.token() == asked))
        {
            return None;
        }
        HeaderValue::from_str(&format!("{name}={token:016x}; Path=/; HttpOnly; SameSite=Lax")).ok()
    }
}

/// The value of the cookie `name`.
fn token(headers: &HeaderMap, name: &str) -> Option<u64> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut values = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| {
        let (key, value) = cookie.trim().split_once('=')?;
        (key == name).then(|| u64::from_str_radix(value, 16).ok())?
    });
    values.next()
}

#[cfg(test)]
mod tests;
