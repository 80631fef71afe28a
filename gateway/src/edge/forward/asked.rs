//! What a request asks for, and whether it asks as it should.

use http::header::{EXPECT, HOST, TRANSFER_ENCODING};
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Method, Request, Version};
use hyper::body::Body;

/// Whether the body has a coding besides chunks: it would be passed on without word of it. Chunks in chunks are one, on two lines
/// as on one.
pub(super) fn is_coded(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let first = codings.next();
    first.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) || codings.next().is_some()
}

/// Bytes of a body that are read though nobody wants them, so that its connection can go on.
const SMALL: u64 = 8 << 10;

/// Whether the connection of an HTTP/1 request ends if nobody reads its body: it is large, or the client waits to be told that it is
/// wanted and may not send it at all.
pub(crate) fn is_large<B: Body>(request: &Request<B>) -> bool {
    let body = request.body();
    !body.is_end_stream()
        && request.version() != Version::HTTP_2
        && (body.size_hint().upper().is_none_or(|most| most > SMALL) || request.headers().contains_key(EXPECT))
}

/// Whether the target is a path, or a URL that is served here. What has neither scheme nor path is for `CONNECT` only, and `*` for
/// `OPTIONS` (RFC 9112, 3.2).
pub(super) fn is_target<B>(request: &Request<B>) -> bool {
    let uri = request.uri();
    let is_served = match (uri.scheme(), uri.authority()) {
        (None, None) => true,
        (Some(scheme), Some(_)) => *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS,
        _ => false,
    };
    is_served && (uri.path() != "*" || request.method() == Method::OPTIONS)
}

/// The host a request is for: `:authority` or the absolute form's, or else the only `Host` header.
pub(super) fn host<B>(request: &Request<B>) -> Option<HeaderValue> {
    if let Some(authority) = request.uri().authority() {
        return is_host(authority.as_str().as_bytes()).then(|| HeaderValue::from_str(authority.as_str()).ok())?;
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if is_host(host.as_bytes()) => Some(host.clone()),
        // From before there were hosts: for an app that takes any.
        (None, None) if request.version() == Version::HTTP_10 => Some(HeaderValue::from_static("")),
        _ => None,
    }
}

/// What RFC 3986 lets names have, without the comma, which stands between two of them.
const IN_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 256 {
        table[b] = (b as u8).is_ascii_alphanumeric()
            || matches!(b as u8, b'-' | b'.' | b'_' | b'~' | b'%' | b'!' | b'$' | b'&'..=b'+' | b';' | b'=');
        b += 1;
    }
    table
};

/// Whether `text` is a host name or an address, with a port or without (RFC 9110, 7.2).
pub(super) fn is_host(text: &[u8]) -> bool {
    let rest = match text.strip_prefix(b"[") {
        None => &text[text.iter().take_while(|b| IN_NAME[usize::from(**b)]).count()..],
        Some(address) => {
            let end = address.iter().take_while(|b| b.is_ascii_hexdigit() || b":.".contains(b)).count();
            match address[end..].strip_prefix(b"]") {
                Some(rest) => rest,
                None => return false,
            }
        }
    };
    rest.len() < text.len() && (rest.is_empty() || (rest[0] == b':' && rest[1..].iter().all(u8::is_ascii_digit)))
}
