//! A client's request made the app's: headers, target and version.

use std::sync::Arc;

use http::header::{CONNECTION, COOKIE, HOST, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Request, Uri, Version};
use hyper::body::{Body, Incoming};
use hyper::upgrade::OnUpgrade;

use super::backend::Backend;
use super::body::{RequestBody, UploadProgress};
use super::headers::{Peer, prepare_request, upgrade};
use super::problem::Problem;

/// A request as its app gets it.
pub struct Outgoing {
    /// To be sent; gone when it was.
    pub request: Option<Request<RequestBody>>,
    /// How its body is doing, if it has one.
    pub progress: Option<Arc<UploadProgress>>,
    /// The client's side of an upgrade, if it wants one.
    pub upgrade: Option<OnUpgrade>,
}

// === impl Outgoing ===

impl Outgoing {
    /// `request` from `peer` to `host`, for `backend`, whose endpoint speaks HTTP/2 or HTTP/1.1.
    pub fn new(
        mut request: Request<Incoming>,
        peer: &Peer,
        host: &HeaderValue,
        backend: &Backend,
        http2: bool,
    ) -> Result<Self, Problem> {
        let protocol = if !http2 && request.version() == Version::HTTP_11 { upgrade(request.headers()) } else { None };
        let client = protocol.is_some().then(|| hyper::upgrade::on(&mut request));
        let (mut parts, body) = request.into_parts();
        prepare_request(&mut parts.headers, peer, host, "http");
        if let Some(protocol) = protocol {
            parts.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            parts.headers.insert(UPGRADE, protocol);
        }
        if http2 {
            parts.version = Version::HTTP_2;
            parts.headers.remove(HOST);
            parts.uri = absolute_form(host, &parts.uri).ok_or(Problem::BadHost)?;
        } else {
            if parts.version == Version::HTTP_2 {
                join_cookies(&mut parts.headers);
            }
            if !body.is_end_stream() && body.size_hint().exact().is_none() {
                // hyper takes it for granted with methods that usually have a body only.
                parts.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
            parts.version = Version::HTTP_11;
            if parts.uri.authority().is_some() {
                parts.uri = origin_form(&parts.uri);
            }
        }
        let progress = (!body.is_end_stream()).then(|| Arc::new(UploadProgress::new(backend.app.clock().clone())));
        let body = RequestBody::new(body, backend.timeouts.idle, progress.clone());
        Ok(Self { request: Some(Request::from_parts(parts, body)), progress, upgrade: client })
    }
}

/// HTTP/2 clients may send each cookie on its own; before HTTP/1.1 they have to be one header (RFC 9113, 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let all: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if all.len() > 1
        && let Ok(one) = HeaderValue::from_bytes(&all.join(&b"; "[..]))
    {
        headers.insert(COOKIE, one);
    }
}

fn origin_form(uri: &Uri) -> Uri {
    path_and_query(uri).into()
}

fn absolute_form(host: &HeaderValue, uri: &Uri) -> Option<Uri> {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(Authority::try_from(host.as_bytes()).ok()?);
    parts.path_and_query = Some(path_and_query(uri));
    Uri::from_parts(parts).ok()
}

fn path_and_query(uri: &Uri) -> PathAndQuery {
    uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"))
}

#[cfg(test)]
mod tests;
