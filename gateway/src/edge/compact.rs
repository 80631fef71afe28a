//! A request that has to wait, in as little memory as it takes. hyper parses in place: a request keeps the 8 KiB buffer that
//! it was read into, so that the connection takes a second one to notice the client's leaving. A copy sets the first one free.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};

/// Copies target and headers of `request` into one buffer of just their size.
pub fn compact<B>(request: &mut Request<B>) {
    let target = request.uri().to_string();
    let values: usize = request.headers().values().map(HeaderValue::len).sum();
    let mut buffer = BytesMut::with_capacity(target.len() + values);
    let mut copy = |bytes: &[u8]| -> Bytes {
        buffer.extend_from_slice(bytes);
        buffer.split().freeze()
    };
    if let Ok(target) = Uri::from_maybe_shared(copy(target.as_bytes())) {
        *request.uri_mut() = target;
    }
    let mut headers = HeaderMap::with_capacity(request.headers().len());
    for (name, value) in request.headers() {
        // Both were valid before and are the same bytes.
        let Ok(name) = HeaderName::from_bytes(name.as_str().as_bytes()) else { continue };
        let Ok(mut copied) = HeaderValue::from_maybe_shared(copy(value.as_bytes())) else { continue };
        copied.set_sensitive(value.is_sensitive());
        headers.append(name, copied);
    }
    *request.headers_mut() = headers;
}

#[cfg(test)]
mod tests;
