//! A client's request made the app's: headers, target and version.

use std::sync::Arc;

use http::header::{CONNECTION, HOST, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Uri, Version};
use hyper::body::{Body, Incoming};
use hyper::upgrade::OnUpgrade;

use super::backend::Backend;
use super::body::{RequestBody, UploadProgress};
use super::headers::{Peer, prepare_request, upgrade};
use super::problem::Problem;
use crate::config::settings::Protocol;

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
    /// `request` from `peer` to `host`, for `backend`.
    pub fn new(
        mut request: Request<Incoming>,
        peer: &Peer,
        host: &HeaderValue,
        backend: &Backend,
    ) -> Result<Self, Problem> {
        let protocol = if backend.protocol == Protocol::Http1 && request.version() == Version::HTTP_11 {
            upgrade(request.headers())
        } else {
            None
        };
        let client = protocol.is_some().then(|| hyper::upgrade::on(&mut request));
        let (mut parts, body) = request.into_parts();
        prepare_request(&mut parts.headers, peer, host, "http");
        if let Some(protocol) = protocol {
            parts.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            parts.headers.insert(UPGRADE, protocol);
        }
        match backend.protocol {
            Protocol::Http1 => {
                parts.version = Version::HTTP_11;
                if parts.uri.authority().is_some() {
                    parts.uri = origin_form(&parts.uri);
                }
            }
            Protocol::H2c => {
                parts.version = Version::HTTP_2;
                parts.headers.remove(HOST);
                parts.uri = absolute_form(host, &parts.uri).ok_or(Problem::BadHost)?;
            }
        }
        let progress = (!body.is_end_stream()).then(|| Arc::new(UploadProgress::new(backend.app.clock().clone())));
        let body = RequestBody::new(body, backend.timeouts.idle, progress.clone());
        Ok(Self { request: Some(Request::from_parts(parts, body)), progress, upgrade: client })
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
