//! HTTP clients, one connection each.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsConnector, rustls};

use crate::authority::Authority;
use crate::wait::soon;

/// The body of a request.
pub type Sending = UnsyncBoxBody<Bytes, io::Error>;
/// What feeds a body; dropping it ends the body.
pub type Feed = mpsc::Sender<io::Result<Frame<Bytes>>>;

/// One connection. Dropping it closes it.
pub struct Client {
    sender: Sender,
    connection: JoinHandle<()>,
}

enum Sender {
    Http1(http1::SendRequest<Sending>),
    Http2(http2::SendRequest<Sending>),
}

/// A whole response.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: Option<HeaderMap>,
}

/// `GET http://HOST/PATH`.
pub fn get(host: &str, path: &str) -> Request<Sending> {
    request(Method::GET, host, path).body(empty()).unwrap()
}

/// `POST http://HOST/PATH`.
pub fn post(host: &str, path: &str, body: Sending) -> Request<Sending> {
    request(Method::POST, host, path).body(body).unwrap()
}

/// A gRPC call with one message.
pub fn grpc(host: &str, method: &str, message: &[u8]) -> Request<Sending> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let frame = [&[0], &length[..], message].concat();
    let request = request(Method::POST, host, method).header(CONTENT_TYPE, "application/grpc").header("te", "trailers");
    request.body(full(frame)).unwrap()
}

/// A TLS connection to the server of this name, which has to be of one of these authorities. Without a name it is an address.
///
/// # Errors
/// There is none, and why.
pub async fn tls(to: SocketAddr, name: &str, trust: &[&Authority], alpn: &[&str]) -> io::Result<TlsStream<TcpStream>> {
    tls_on(TcpStream::connect(to).await?, name, trust, alpn).await
}

/// The same on a connection that is there.
pub async fn tls_on(
    socket: TcpStream,
    name: &str,
    trust: &[&Authority],
    alpn: &[&str],
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    for authority in trust {
        roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    soon("a handshake", TlsConnector::from(Arc::new(config)).connect(name, socket)).await
}

/// The absolute form serves both versions; [`Client`] makes of it what the wire wants.
pub fn request(method: Method, host: &str, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(format!("http://{host}{path}"))
}

pub fn empty() -> Sending {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

pub fn full(bytes: impl Into<Bytes>) -> Sending {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body that is sent as it is fed.
pub fn fed() -> (Feed, Sending) {
    let (feed, receiver) = mpsc::channel(1);
    let frames = futures_util::stream::unfold(receiver, |mut receiver: mpsc::Receiver<_>| async move {
        receiver.recv().await.map(|frame| (frame, receiver))
    });
    (feed, StreamBody::new(frames).boxed_unsync())
}

/// Feeds a piece of data.
pub async fn feed(feed: &Feed, data: impl Into<Bytes>) {
    soon("the body is taken", feed.send(Ok(Frame::data(data.into())))).await.expect("the body is wanted");
}

/// The next data of a response's body as text; panics if it ends or breaks.
pub async fn next(response: &mut Response<Incoming>) -> String {
    let frame = soon("the next piece of a body", response.body_mut().frame()).await.expect("the body goes on");
    let data = frame.expect("the body is whole").into_data().expect("no trailers yet");
    String::from_utf8(data.to_vec()).unwrap()
}

/// The rest of a response.
pub async fn whole(response: Response<Incoming>) -> hyper::Result<Reply> {
    let (head, body) = response.into_parts();
    let body = soon("the whole body", body.collect()).await?;
    let trailers = body.trailers().cloned();
    Ok(Reply { status: head.status, headers: head.headers, body: body.to_bytes(), trailers })
}

// === impl Client ===

impl Client {
    /// Speaks HTTP/1.1.
    pub async fn http1(to: SocketAddr) -> Self {
        Self::try_http1(to).await.unwrap()
    }

    /// The same, if there is somebody to connect to.
    pub async fn try_http1(to: SocketAddr) -> io::Result<Self> {
        let io = TokioIo::new(TcpStream::connect(to).await?);
        let (sender, connection) = http1::handshake(io).await.unwrap();
        let connection = tokio::spawn(async { drop(connection.with_upgrades().await) });
        Ok(Self { sender: Sender::Http1(sender), connection })
    }

    /// Speaks HTTP/2 with prior knowledge.
    pub async fn http2(to: SocketAddr) -> Self {
        let io = TokioIo::new(TcpStream::connect(to).await.unwrap());
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        let connection = tokio::spawn(async { drop(connection.await) });
        Self { sender: Sender::Http2(sender), connection }
    }

    /// Speaks TLS with the server of this name, which has to be of one of these authorities, and HTTP/2 if `http2`.
    ///
    /// # Errors
    /// There is no connection, and why.
    pub async fn tls(to: SocketAddr, name: &str, trust: &[&Authority], http2: bool) -> io::Result<Self> {
        Ok(Self::on_tls(tls(to, name, trust, &[if http2 { "h2" } else { "http/1.1" }]).await?).await)
    }

    /// Speaks what was agreed upon on a TLS connection.
    pub async fn on_tls(stream: TlsStream<TcpStream>) -> Self {
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let io = TokioIo::new(stream);
        if http2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
            Self { sender: Sender::Http2(sender), connection: tokio::spawn(async { drop(connection.await) }) }
        } else {
            let (sender, connection) = http1::handshake(io).await.unwrap();
            let connection = tokio::spawn(async { drop(connection.with_upgrades().await) });
            Self { sender: Sender::Http1(sender), connection }
        }
    }

    /// Both, one after the other.
    pub async fn both(to: SocketAddr) -> [Self; 2] {
        [Self::http1(to).await, Self::http2(to).await]
    }

    /// Sends a request and gives the response as soon as its header is there.
    pub async fn start(&mut self, mut request: Request<Sending>) -> hyper::Result<Response<Incoming>> {
        match &mut self.sender {
            Sender::Http2(sender) => sender.send_request(request).await,
            Sender::Http1(sender) => {
                if let Some(authority) = request.uri().authority().cloned() {
                    let path = request.uri().path_and_query().unwrap().clone();
                    *request.uri_mut() = Uri::from(path);
                    let host = authority.as_str().parse().unwrap();
                    request.headers_mut().entry(HOST).or_insert(host);
                }
                *request.version_mut() = Version::HTTP_11;
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }

    /// One more request on the same connection, beside others: of HTTP/2 only.
    pub fn spawn(&self, request: Request<Sending>) -> JoinHandle<Reply> {
        let Sender::Http2(sender) = &self.sender else { panic!("one request at a time") };
        let mut sender = sender.clone();
        tokio::spawn(async move { whole(sender.send_request(request).await.unwrap()).await.unwrap() })
    }

    /// Sends a request and gives the whole response.
    pub async fn try_send(&mut self, request: Request<Sending>) -> hyper::Result<Reply> {
        whole(soon("the header of a response", self.start(request)).await?).await
    }

    /// The same, when there must be one.
    pub async fn send(&mut self, request: Request<Sending>) -> Reply {
        self.try_send(request).await.expect("a whole response")
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

// === impl Reply ===

impl Reply {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// The body as a problem with this status.
    #[track_caller]
    pub fn problem(&self, status: u16) -> serde_json::Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.headers[CONTENT_TYPE], "application/problem+json", "{self:?}");
        let json = self.json();
        assert_eq!(json["status"], status, "{json}");
        json
    }

    /// A header's value, or an empty text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// `Retry-After` in seconds; there must be one, of at least one second.
    #[track_caller]
    pub fn retry_after(&self) -> u64 {
        let seconds = self.header("retry-after").parse().unwrap_or_else(|_| panic!("no Retry-After: {self:?}"));
        assert!(seconds >= 1, "{self:?}");
        seconds
    }

    /// The gRPC status, in the header block or in the trailers.
    #[track_caller]
    pub fn grpc_status(&self) -> &str {
        let status = self.headers.get("grpc-status").or_else(|| self.trailers.as_ref()?.get("grpc-status"));
        status.unwrap_or_else(|| panic!("no grpc-status: {self:?}")).to_str().unwrap()
    }
}
