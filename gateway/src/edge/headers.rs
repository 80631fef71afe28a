//! What a proxy does to headers: hop-by-hop ones end here, and the app is told whom it serves.

mod answer;
mod hops;
mod trailers;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use activator::resource::ForwardingHeaders;
use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, Entry, FORWARDED, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderMap, HeaderName, HeaderValue, Version};

use super::EdgeOptions;
use super::per_address::OfAddress;
use super::stall::ClientWait;
use super::via::{element, passes};
use crate::config::settings::Forwarding;
use crate::listening::Placed;
use crate::shutdown::Connected;
pub use answer::clean_response;
pub use hops::{count_hop, may_be_passed_on, reflection};
pub use trailers::clean_trailers;

/// For clients of proxies from before RFC 7239.
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// How long the app keeps an idle connection, if it says so.
pub const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Always for one hop only; so is what `Connection` names, and `TE` but for one value.
const HOP_BY_HOP: [HeaderName; 7] =
    [KEEP_ALIVE, PROXY_CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TRANSFER_ENCODING, UPGRADE, HTTP2_SETTINGS];

/// What of a request's headers means something to a proxy. One look at each header that there is costs less than a lookup of
/// each that could be: hashing names is most of what headers cost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// Some are meant for this hop only.
    pub hop_by_hop: bool,
    /// The client waits with its body until it is told that it is wanted (`100-continue`).
    pub expects_continue: bool,
    expect: bool,
    /// Some tell of clients of the client.
    forwarding: bool,
    /// `Host` is there once and says what the request is for.
    host: bool,
    via: bool,
    /// How often the request was here already.
    pub passes: usize,
}

/// How a connection's peer is written in the headers that tell of it; made once per connection.
#[derive(Debug)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// Whether what it says of its own client is believed.
    pub trusted: bool,
    /// Whether it speaks TLS, and the name that it has asked for, in lower case, if any.
    tls: Option<Option<Box<str>>>,
    plain: HeaderValue,
    /// As `Forwarded` wants it: IPv6 in quotes and brackets.
    node: Box<str>,
    /// The first host that was asked for, and the element of `Forwarded` for it: a connection is seldom used for another.
    first: OnceLock<(HeaderValue, Option<HeaderValue>)>,
    /// It counts as a connection, one of its thread's and one of its address's, as long as somebody knows it.
    _counted: Option<(Connected, Placed, Option<OfAddress>)>,
    /// What the response waits for that is on the connection, if there is one at a time.
    wait: Arc<ClientWait>,
}

// === impl Seen ===

impl Seen {
    /// What there is in `headers` of a request to `host`.
    pub fn of(headers: &HeaderMap, host: &HeaderValue) -> Self {
        let mut seen = Self::default();
        let mut hosts = 0;
        for (name, value) in headers {
            if *name == HOST {
                hosts += 1;
                seen.host = hosts == 1 && value == host;
            } else if *name == EXPECT {
                seen.expect = true;
                seen.expects_continue = value.as_bytes().eq_ignore_ascii_case(b"100-continue");
            } else if *name == VIA {
                seen.via = true;
                seen.passes += passes(value);
            } else if is_hop_by_hop(name) {
                seen.hop_by_hop = true;
            } else if *name == FORWARDED || tells_of_clients(name) {
                seen.forwarding = true;
            }
        }
        seen
    }
}

// === impl Peer ===

impl Peer {
    /// The peer at `address`.
    pub fn new(address: IpAddr, trusted: bool) -> Self {
        let plain = HeaderValue::from_str(&address.to_string()).unwrap_or_else(|_| HeaderValue::from_static("unknown"));
        let node = match address {
            IpAddr::V4(v4) => v4.to_string().into(),
            IpAddr::V6(v6) => format!("\"[{v6}]\"").into(),
        };
        Self { address, trusted, tls: None, plain, node, first: OnceLock::new(), _counted: None, wait: Arc::default() }
    }

    /// What the response waits for that is on the connection, if it carries one at a time.
    pub fn wait(&self) -> &Arc<ClientWait> {
        &self.wait
    }

    /// The same with TLS, and the name that it has asked for.
    pub fn with_tls(self, server_name: Option<&str>) -> Self {
        Self { tls: Some(server_name.map(Box::from)), ..self }
    }

    /// Whether it speaks TLS.
    pub fn speaks_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// The name that it has asked for with TLS, in lower case.
    pub fn server_name(&self) -> Option<&str> {
        self.tls.as_ref()?.as_deref()
    }

    /// How its requests come.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Whether its client sends a request with these headers by TLS, as far as is known: here, or to the trusted proxy before.
    pub fn is_secure(&self, headers: &HeaderMap) -> bool {
        // Of several proxies the first one knows how its client came.
        let first = |value: &HeaderValue| {
            value.as_bytes().split(|b| *b == b',').next().map(<[u8]>::trim_ascii) == Some(b"https")
        };
        self.speaks_tls() || (self.trusted && headers.get(X_FORWARDED_PROTO).is_some_and(first))
    }

    /// The same, counted as a connection on its thread, and as one of its address's.
    pub fn counted(mut self, connected: Connected, placed: Placed, share: Option<OfAddress>) -> Self {
        if let Some(wait) = Arc::get_mut(&mut self.wait) {
            wait.set_drain(connected.drain().clone());
        }
        Self { _counted: Some((connected, placed, share)), ..self }
    }

    /// Its element of `Forwarded` for a request to `host`.
    fn forwarded(&self, host: &HeaderValue, scheme: &str) -> Option<HeaderValue> {
        // A copy of its own: the host as it came keeps the buffer that it came in.
        let first = self.first.get_or_init(|| {
            let own = HeaderValue::from_bytes(host.as_bytes()).unwrap_or_else(|_| host.clone());
            (own, forwarded_element(self, host, scheme))
        });
        if first.0 == *host { first.1.clone() } else { forwarded_element(self, host, scheme) }
    }

    /// The client's address: the peer's own, or, behind trusted proxies, the last one in `X-Forwarded-For` that is no
    /// trusted proxy's.
    pub fn client(&self, headers: &HeaderMap, options: &EdgeOptions) -> IpAddr {
        if !self.trusted {
            return self.address;
        }
        let mut client = self.address;
        for value in headers.get_all(X_FORWARDED_FOR).iter().rev() {
            for entry in value.to_str().unwrap_or_default().rsplit(',') {
                let Some(address) = address(entry.trim()) else { return client };
                client = address;
                if !options.trusts(address) {
                    return client;
                }
            }
        }
        client
    }
}

/// An address as proxies write it: IPv4 also as IPv6 (Node.js), either with a port (Azure), IPv6 also in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse().ok().map(|with_port: SocketAddr| with_port.ip()))?;
    Some(address.to_canonical())
}

/// Takes out what is meant for this hop only (RFC 9110, 7.6.1): what `Connection` names and the usual ones. `TE` stays if it
/// says `trailers`, as gRPC wants it; `Trailer` stays, since trailers pass.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    // One look at each name there is costs less than a lookup of each that could be.
    if headers.keys().any(is_hop_by_hop) {
        strip_those_seen(headers);
    }
}

fn strip_those_seen(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            // Nobody may have the proxy forget what frames the message or where it goes.
            .filter(|name| !matches!(*name, TE | HOST | CONTENT_LENGTH | TRANSFER_ENCODING))
            .collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        // RFC 9112, 6.3: the length beside it counts nothing and must not be passed on.
        headers.remove(CONTENT_LENGTH);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    if let Some(te) = headers.get(TE) {
        let trailers = te.to_str().is_ok_and(|te| te.split(',').any(|t| t.trim().eq_ignore_ascii_case("trailers")));
        if trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        } else {
            headers.remove(TE);
        }
    }
}

/// Whether a header of this name is meant for one hop only.
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    *name == CONNECTION || *name == TE || HOP_BY_HOP.contains(name)
}

/// The protocol that a request wants to change to, if any.
pub fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let protocol = headers.get(UPGRADE)?;
    // Not to HTTP itself: that would be a way past routes, limits and counts.
    let is_http = |protocol: &str| {
        let protocol = protocol.trim();
        protocol.eq_ignore_ascii_case("h2c") || protocol.get(..4).is_some_and(|p| p.eq_ignore_ascii_case("http"))
    };
    if protocol.to_str().map_or(true, |all| all.split(',').any(is_http)) {
        return None;
    }
    let asks = headers.get_all(CONNECTION).iter().any(|value| {
        value.to_str().is_ok_and(|value| value.split(',').any(|name| name.trim().eq_ignore_ascii_case("upgrade")))
    });
    asks.then(|| protocol.clone())
}

/// Makes a client's headers the app's: without hop-by-hop ones and `Expect` (which is for who reads the body to say), with the client's address,
/// host and protocol set or, behind a trusted proxy, added to what that said. The request came by `version`, and our name
/// is added to `Via`. `seen` is what there is of `headers`; `forwarding` is
/// what the app is told, if that is not the usual.
pub fn prepare_request(
    headers: &mut HeaderMap,
    seen: Seen,
    peer: &Peer,
    host: &HeaderValue,
    version: Version,
    forwarding: Option<&Forwarding>,
) {
    let scheme = peer.scheme();
    if seen.via {
        extend(headers, VIA, element(version));
    } else {
        headers.insert(VIA, element(version));
    }
    if seen.hop_by_hop {
        strip_those_seen(headers);
    }
    if seen.expect {
        headers.remove(EXPECT);
    }
    let told = forwarding.map_or(ForwardingHeaders::All, |forwarding| forwarding.headers);
    let element = if told == ForwardingHeaders::All { peer.forwarded(host, scheme) } else { None };
    if told == ForwardingHeaders::XForwarded {
        headers.remove(FORWARDED);
    }
    if told == ForwardingHeaders::None {
        forget_forwarding(headers);
    } else if seen.forwarding && peer.trusted {
        let mut told = extend(headers, X_FORWARDED_FOR, peer.plain.clone());
        if !host.is_empty() {
            told |= fill(headers, X_FORWARDED_HOST, host);
        }
        told |= fill(headers, X_FORWARDED_PROTO, &HeaderValue::from_static(scheme));
        // A proxy that speaks only the older headers has said what there is to say: an element of ours alone would contradict it.
        if let Some(element) = element
            && (!told || headers.contains_key(FORWARDED))
        {
            extend(headers, FORWARDED, element);
        }
    } else {
        if seen.forwarding {
            forget_forwarding(headers);
        }
        headers.insert(X_FORWARDED_FOR, peer.plain.clone());
        if let Some(element) = element {
            headers.insert(FORWARDED, element);
        }
        if !host.is_empty() {
            headers.insert(X_FORWARDED_HOST, host.clone());
        }
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(scheme));
    }
    // RFC 9112, 3.2.2: what came with an absolute target is not the host that the request is for.
    if let Some(other) = forwarding.and_then(|forwarding| forwarding.host.as_ref()) {
        headers.insert(HOST, other.clone());
    } else if !seen.host {
        headers.insert(HOST, host.clone());
    }
}

/// One element of `Forwarded` (RFC 7239, 4).
fn forwarded_element(peer: &Peer, host: &HeaderValue, scheme: &str) -> Option<HeaderValue> {
    let host = host.to_str().ok()?;
    let token = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    let quote = if token { "" } else { "\"" };
    if host.contains(['"', '\\']) {
        return None;
    }
    let element = match host {
        "" => ["for=", &peer.node, ";proto=", scheme].concat(),
        host => ["for=", &peer.node, ";host=", quote, host, quote, ";proto=", scheme].concat(),
    };
    HeaderValue::from_maybe_shared(bytes::Bytes::from(element)).ok()
}

/// Adds our name to `Via` of a response that came by `version`.
pub fn add_via(headers: &mut HeaderMap, version: Version) {
    match headers.entry(VIA) {
        Entry::Vacant(none) => drop(none.insert(element(version))),
        Entry::Occupied(mut some) => some.append(element(version)),
    }
}

/// Takes out what a client that is not believed says of its own clients.
fn forget_forwarding(headers: &mut HeaderMap) {
    headers.remove(FORWARDED);
    let names: Vec<HeaderName> = headers.keys().filter(|name| tells_of_clients(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Whether a header of this name tells of clients of the client, in any of the older ways that proxies use and apps read. CGI and
/// its kin take `_` for `-`.
fn tells_of_clients(name: &HeaderName) -> bool {
    let name = name.as_str().as_bytes();
    let same = |a: &u8, b: &u8| a == b || (*a == b'_' && *b == b'-');
    let begins = |with: &[u8]| name.len() >= with.len() && name.iter().zip(with).all(|(a, b)| same(a, b));
    begins(b"x-forwarded-") || (begins(b"x-real-ip") && name.len() == b"x-real-ip".len())
}

/// Adds `value` at the end of the list that `name` holds. Whether there was one.
fn extend(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) -> bool {
    match headers.entry(name) {
        Entry::Vacant(none) => {
            none.insert(value);
            false
        }
        Entry::Occupied(mut list) => {
            let all: Vec<&[u8]> = list.iter().chain([&value]).map(HeaderValue::as_bytes).collect();
            if let Ok(joined) = HeaderValue::from_bytes(&all.join(&b", "[..])) {
                list.insert(joined);
            }
            true
        }
    }
}

/// Sets `name` if there is none. Whether there was one.
fn fill(headers: &mut HeaderMap, name: HeaderName, value: &HeaderValue) -> bool {
    match headers.entry(name) {
        Entry::Vacant(none) => {
            none.insert(value.clone());
            false
        }
        Entry::Occupied(_) => true,
    }
}

#[cfg(test)]
mod tests;
