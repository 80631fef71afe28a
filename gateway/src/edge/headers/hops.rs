//! `Max-Forwards`: how many proxies a request may still pass.

use http::header::MAX_FORWARDS;
use http::{HeaderValue, Method, Request};

/// How many proxies a request may still pass, if it says so and its method lets it (RFC 9110, 7.6.2).
fn max_forwards<B>(request: &Request<B>) -> Option<u64> {
    let counts = matches!(*request.method(), Method::OPTIONS | Method::TRACE);
    counts.then(|| request.headers().get(MAX_FORWARDS)?.to_str().ok()?.parse().ok())?
}

/// Whether a request may be passed on to another. `TRACE` is: who is to answer it is not us, who show nobody's headers.
pub fn may_be_passed_on<B>(request: &Request<B>) -> bool {
    max_forwards(request) != Some(0) || request.method() == Method::TRACE
}

/// Counts this proxy among those that the request may pass.
pub fn count_hop<B>(request: &mut Request<B>) {
    if let Some(count) = max_forwards(request) {
        request.headers_mut().insert(MAX_FORWARDS, HeaderValue::from(count.saturating_sub(1)));
    }
}
