//! As much of gRPC as an echo needs: messages are passed on in their frames, unread.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::body::{self, AnyBody, BoxError};

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// `HealthCheckResponse { status: SERVING }` in its frame.
const SERVING: &[u8] = &[0, 0, 0, 0, 2, 0x08, 1];
/// `HealthCheckResponse { status: NOT_SERVING }` in its frame.
const NOT_SERVING: &[u8] = &[0, 0, 0, 0, 2, 0x08, 2];

/// Every message of the request, one or a stream of them, and status 0 (OK).
pub(super) fn say(request: Request<Incoming>) -> Response<AnyBody> {
    ok(request.into_body().map_err(Into::into).boxed_unsync())
}

/// Status 5 (NOT_FOUND), trailers only.
pub(super) fn fail() -> Response<AnyBody> {
    let mut response = Response::new(body::full(""));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, GRPC);
    headers.insert(STATUS, HeaderValue::from_static("5"));
    headers.insert(MESSAGE, HeaderValue::from_static("not found, as told"));
    response
}

/// The answer of `grpc.health.v1.Health/Check`, whatever the service asked about.
pub(super) fn health(ready: bool) -> Response<AnyBody> {
    ok(body::full(if ready { SERVING } else { NOT_SERVING }))
}

fn ok(body: AnyBody) -> Response<AnyBody> {
    let trailers = HeaderMap::from_iter([(STATUS, HeaderValue::from_static("0"))]);
    let body = body.with_trailers(std::future::ready(Some(Ok::<_, BoxError>(trailers))));
    let mut response = Response::new(body.boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}
