//! A client's request made the app's: headers, target and version.

use std::sync::Arc;

use http::header::{CONNECTION, COOKIE, HOST, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Request, Uri, Version};
use hyper::body::{Body, Incoming};
use hyper::upgrade::OnUpgrade;

use super::backend::Backend;
use super::body::{RequestBody, UploadProgress};
use super::headers::{Peer, Seen, prepare_request, upgrade};
use super::problem::Problem;
use super::via::MOST_PASSES;

/// A request as its app gets it.
pub struct Outgoing {
    /// To be sent; gone when it was.
    pub request: Option<Request<RequestBody>>,
    /// The client's side of an upgrade, if it wants one.
    pub upgrade: Option<(OnUpgrade, Arc<Peer>)>,
}

// === impl Outgoing ===

impl Outgoing {
    /// `request` from `peer` to `host`, for `backend`, whose endpoint speaks HTTP/2 or HTTP/1.1; and how its body is doing, if
    /// it has one.
    pub fn new(
        mut request: Request<Incoming>,
        peer: &Arc<Peer>,
        host: &HeaderValue,
        backend: &Backend,
        http2: bool,
    ) -> Result<(Self, Option<Arc<UploadProgress>>), Problem> {
        let seen = Seen::of(request.headers(), host);
        if seen.passes > MOST_PASSES {
            return Err(Problem::Loop);
        }
        let may_upgrade = seen.hop_by_hop && !http2 && request.version() == Version::HTTP_11;
        let protocol = if may_upgrade { upgrade(request.headers()) } else { None };
        let client = protocol.is_some().then(|| (hyper::upgrade::on(&mut request), peer.clone()));
        let version = request.version();
        prepare_request(request.headers_mut(), seen, peer, host, version);
        if let Some(protocol) = protocol {
            request.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
            request.headers_mut().insert(UPGRADE, protocol);
        }
        if http2 {
            *request.version_mut() = Version::HTTP_2;
            request.headers_mut().remove(HOST);
            *request.uri_mut() = absolute_form(host, request.uri()).ok_or(Problem::BadHost)?;
        } else {
            if request.version() == Version::HTTP_2 {
                join_cookies(request.headers_mut());
            }
            if !request.body().is_end_stream() && request.body().size_hint().exact().is_none() {
                // hyper takes it for granted with methods that usually have a body only.
                request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
            *request.version_mut() = Version::HTTP_11;
            if request.uri().authority().is_some() {
                *request.uri_mut() = origin_form(request.uri());
            }
        }
        let upload =
            (!request.body().is_end_stream()).then(|| Arc::new(UploadProgress::new(backend.app.clock().clone())));
        let request = request.map(|body| RequestBody::new(body, backend.timeouts.idle, upload.clone()));
        Ok((Self { request: Some(request), upgrade: client }, upload))
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
