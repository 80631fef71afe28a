//! `Max-Forwards`: how many proxies a request may still pass.

use std::fmt::Write;

use http::header::{HOST, MAX_FORWARDS, VIA};
use http::{HeaderValue, Method, Request, Version};

/// How many proxies a request may still pass, if it says so and its method lets it (RFC 9110, 7.6.2).
fn max_forwards<B>(request: &Request<B>) -> Option<u64> {
    let counts = matches!(*request.method(), Method::OPTIONS | Method::TRACE);
    counts.then(|| request.headers().get(MAX_FORWARDS)?.to_str().ok()?.parse().ok())?
}

/// Whether a request may be passed on to another.
pub fn may_be_passed_on<B>(request: &Request<B>) -> bool {
    max_forwards(request) != Some(0)
}

/// A `TRACE` as it came here, which is the answer to it (RFC 9110, 9.3.8): what tells of its way, and none of the headers that others
/// may have added for nobody else to see.
pub fn reflection<B>(request: &Request<B>) -> Option<String> {
    if request.method() != Method::TRACE {
        return None;
    }
    let version = if request.version() == Version::HTTP_2 { "HTTP/2" } else { "HTTP/1.1" };
    let mut seen = format!("TRACE {} {version}\r\n", request.uri());
    for name in [HOST, MAX_FORWARDS, VIA] {
        for value in request.headers().get_all(&name).iter().filter_map(|value| value.to_str().ok()) {
            // Writing to a text does not fail.
            let _ = write!(seen, "{name}: {value}\r\n");
        }
    }
    Some(seen + "\r\n")
}

/// Counts this proxy among those that the request may pass.
pub fn count_hop<B>(request: &mut Request<B>) {
    if let Some(count) = max_forwards(request) {
        request.headers_mut().insert(MAX_FORWARDS, HeaderValue::from(count.saturating_sub(1)));
    }
}
