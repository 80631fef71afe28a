//! Endpoints that speak TLS: HTTP/2 or HTTP/1.1, as they choose in the handshake. A request comes in the form of either, and gets the
//! one that its connection wants.

use std::io;
use std::sync::Arc;

use activator::{Endpoint, Timestamp};
use http::header::{EXPECT, HOST, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Uri, Version};
use hyper::body::Body;
use tokio::time::timeout_at;

use super::connection::Connection;
use super::http2::{self, Http2, Tries};
use super::pool::Pool;
use super::{Answer, SendError, Tried, Way, on_idle, tcp};
use crate::edge::body::RequestBody;
use crate::edge::files::OpenFile;
use crate::edge::patience::Patience;
use crate::tls::app::{Alpn, TlsFault, is_http2};

/// A new connection, as the app has chosen.
pub(super) enum Made {
    Http1(Box<Connection>),
    Http2(Http2),
}

/// Sends `request` to an endpoint that speaks TLS.
pub(super) async fn send(
    endpoint: &Arc<Endpoint>,
    request: &mut Option<Request<RequestBody>>,
    patience: &mut Patience,
    way: &Way,
    now: Timestamp,
) -> Result<Answer, SendError> {
    let pool = endpoint.attachment(Pool::new);
    // Only HTTP/1.1 can change to another protocol.
    let alpn = match request {
        Some(request) if request.headers().contains_key(UPGRADE) => Alpn::Http1,
        _ => Alpn::Any,
    };
    let mut tries = Tries::new();
    loop {
        let shared = pool.shared().filter(|_| alpn == Alpn::Any);
        let (connection, is_new) = match shared {
            Some(connection) => (connection, false),
            None => {
                to_http1(request);
                match on_idle(endpoint, request, patience, way, now).await? {
                    Tried::Answered(answer) => return Ok(answer),
                    Tried::Not(Some(lost)) => tries.was_lost(lost),
                    Tried::Not(None) => {}
                }
                let made = connect(endpoint, pool, patience, way, alpn).await;
                match made.map_err(|error| error.unless_lost(tries.take_lost()))? {
                    Made::Http2(connection) => (connection, true),
                    Made::Http1(mut connection) => {
                        let sent = connection.exchange(request, patience).await;
                        let response = sent.map_err(|error| error.unless_lost(tries.take_lost()))?;
                        return Ok(Answer::on(*connection, &way.files, response));
                    }
                }
            }
        };
        to_http2(request, patience);
        let sent = tries.send(connection, is_new, request, patience, way).await;
        if let Some(response) = sent.map_err(|error| error.unless_lost(tries.take_lost()))? {
            return Ok(Answer { response, lease: None });
        }
    }
}

async fn connect(
    endpoint: &Arc<Endpoint>,
    pool: &Pool,
    patience: &Patience,
    way: &Way,
    alpn: Alpn,
) -> Result<Made, SendError> {
    let file = patience.before_deadline(way.files.take_within(way.connect)).await?.map_err(SendError::NoFile)?;
    let open = open(endpoint, way, alpn, file);
    match alpn {
        // As many as are released by a wake share one, as long as it is not known that they cannot.
        Alpn::Any if pool.may_share() => patience.before_deadline(pool.share_or_keep(open)).await?,
        _ => patience.before_deadline(open).await?,
    }
}

async fn open(endpoint: &Endpoint, way: &Way, alpn: Alpn, file: OpenFile) -> Result<Made, SendError> {
    let clock = way.app.clock();
    let until = clock.instant(clock.now() + way.connect);
    let late = |_| SendError::NotSent(io::ErrorKind::TimedOut.into());
    let socket = timeout_at(until, tcp(endpoint.address())).await.map_err(late)?.map_err(SendError::NotSent)?;
    let made = timeout_at(until, way.known_by(endpoint).handshake(socket, alpn)).await;
    let stream = made.unwrap_or(Err(TlsFault::Late)).map_err(SendError::Tls)?;
    if is_http2(&stream) {
        http2::open(stream, file).await.map(Made::Http2).map_err(SendError::NotSent)
    } else {
        let connection = Connection::open(stream, file).await.map_err(SendError::NotSent)?;
        Ok(Made::Http1(Box::new(connection)))
    }
}

/// Makes of a request for HTTP/1.1 one for HTTP/2.
fn to_http2(request: &mut Option<Request<RequestBody>>, patience: &Patience) {
    let Some(request) = request.as_mut().filter(|request| request.version() != Version::HTTP_2) else { return };
    let host = request.headers_mut().remove(HOST);
    let authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTPS);
    // One without a name (HTTP/1.0) has to have some.
    parts.authority = Some(authority.unwrap_or_else(|| Authority::from_static("localhost")));
    parts.path_and_query = Some(path_and_query(request.uri()));
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    *request.version_mut() = Version::HTTP_2;
    request.headers_mut().remove(TRANSFER_ENCODING);
    if request.headers_mut().remove(EXPECT).is_some()
        && let Some(upload) = patience.upload()
    {
        // hyper passes such word on in HTTP/1.1 only.
        upload.open();
    }
}

/// Makes of a request for HTTP/2 one for HTTP/1.1.
fn to_http1(request: &mut Option<Request<RequestBody>>) {
    let Some(request) = request.as_mut().filter(|request| request.version() == Version::HTTP_2) else { return };
    if let Some(host) = request.uri().authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok()) {
        request.headers_mut().insert(HOST, host);
    }
    *request.uri_mut() = path_and_query(request.uri()).into();
    *request.version_mut() = Version::HTTP_11;
    if !request.body().is_end_stream() && request.body().size_hint().exact().is_none() {
        request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

fn path_and_query(uri: &Uri) -> PathAndQuery {
    uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"))
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::config::settings::Timeouts;

    #[test]
    fn a_request_changes_its_form_and_back() {
        let mut request = Request::new(RequestBody::empty());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = Uri::from_static("/a?b=c");
        request.headers_mut().insert(HOST, HeaderValue::from_static("a.example:8443"));
        request.headers_mut().insert("x-odd", HeaderValue::from_static("1"));
        let second = std::time::Duration::from_secs(1);
        let timeouts = Timeouts { connect: second, response_header: second, idle: second, request: None };
        let now = activator::Clock::manual().instant(Timestamp::ZERO);
        let patience = Patience::new(&timeouts, None, now);
        let mut request = Some(request);
        to_http2(&mut request, &patience);
        let it = request.as_ref().unwrap();
        assert_eq!((it.version(), it.uri().to_string().as_str()), (Version::HTTP_2, "https://a.example:8443/a?b=c"));
        assert_eq!((it.headers().get(HOST), &it.headers()["x-odd"]), (None, &HeaderValue::from_static("1")));
        to_http1(&mut request);
        let it = request.as_ref().unwrap();
        assert_eq!((it.version(), it.uri().to_string().as_str()), (Version::HTTP_11, "/a?b=c"));
        assert_eq!(it.headers()[HOST], "a.example:8443");
    }
}
