//! A client's request made the app's: headers, target and version.

use std::sync::Arc;

use http::header::{COOKIE, EXPECT, HOST, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, Version};
use hyper::body::Body;

use super::backend::Backend;
use super::body::{RequestBody, UploadProgress};
use super::client_body::ClientBody;
use super::headers::{Peer, Seen, count_hop, prepare_request};
use super::problem::Problem;
use super::via::MOST_PASSES;
use super::websocket::{Asked, Wish};

/// A request as its app gets it.
pub struct Outgoing {
    /// To be sent; gone when it was.
    pub request: Option<Request<RequestBody>>,
    /// The client's wish to leave HTTP, if it has that. Boxed, since most have none.
    pub wish: Option<Box<Wish>>,
}

// === impl Outgoing ===

impl Outgoing {
    /// `request` from `peer` to `host`, for `backend`, whose endpoint speaks HTTP/2 or HTTP/1.1; and how its body is doing, if
    /// it has one.
    pub fn new(
        mut request: Request<ClientBody>,
        peer: &Arc<Peer>,
        host: &HeaderValue,
        backend: &Backend,
        http2: bool,
    ) -> Result<(Self, Option<Arc<UploadProgress>>), Problem> {
        count_hop(&mut request);
        let from_http2 = request.version() == Version::HTTP_2;
        let seen = Seen::of(request.headers(), host);
        if seen.passes > MOST_PASSES {
            return Err(Problem::Loop);
        }
        // hyper passes such word on in HTTP/1.1 only.
        let waits = seen.expects_continue && !http2 && request.version() == Version::HTTP_11;
        let asked = Asked::of(&request, seen.hop_by_hop, http2);
        let version = request.version();
        let forwarding = backend.forwarding.as_deref();
        prepare_request(request.headers_mut(), seen, peer, host, version, forwarding);
        let wish = asked.map(|asked| Box::new(asked.ask(&mut request, peer, http2)));
        if http2 {
            *request.version_mut() = Version::HTTP_2;
            request.headers_mut().remove(HOST);
            let host = forwarding.and_then(|forwarding| forwarding.host.as_ref()).unwrap_or(host);
            *request.uri_mut() = absolute_form(host, request.uri()).ok_or(Problem::BadHost)?;
        } else {
            if from_http2 {
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
        let upload = (!request.body().is_end_stream()).then(|| {
            let progress = UploadProgress::new(backend.app.clock().clone());
            // A connection of HTTP/2 carries many.
            let progress = if from_http2 { progress } else { progress.telling(peer.wait().clone()) };
            Arc::new(if waits { progress.gated() } else { progress })
        });
        if waits && let Some(upload) = &upload {
            expect_continue(&mut request, upload.clone());
        }
        let request = request.map(|body| RequestBody::new(body, backend.timeouts.idle, upload.clone()));
        Ok((Self { request: Some(request), wish }, upload))
    }
}

/// Has the app say whether it wants the body, before it is read.
fn expect_continue(request: &mut Request<ClientBody>, upload: Arc<UploadProgress>) {
    request.headers_mut().insert(EXPECT, HeaderValue::from_static("100-continue"));
    hyper::ext::on_informational(request, move |answer| {
        if answer.status() == StatusCode::CONTINUE {
            upload.open();
        }
    });
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
