//! Connections, and which service a call is for.

use std::convert::Infallible;
use std::io::Cursor;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::NamedService;
use tonic::{Code, Status};
use tonic_health::pb::health_server::HealthServer;
use tonic_reflection::server::Builder as Reflection;

use super::bounds::{Bound, Open};
use super::health::Healthy;
use super::protocol::DESCRIPTORS;
use super::protocol::external_scaler_server::ExternalScalerServer;
use super::service::Scaler;
use super::tls::Tls;
use crate::listening::{Placed, Serve};
use crate::shutdown::Drain;

/// What an HTTP/2 client sends first (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long a client may take until it speaks HTTP/2.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a call may take from its header to its answer.
const CALL: Duration = Duration::from_secs(10);
/// How long what is under way on a connection may take to end when the gateway stops.
const FAREWELL: Duration = Duration::from_secs(1);
/// Most bytes of a call's message.
const MOST_MESSAGE: usize = 64 * 1024;
/// Most bytes of a call's header.
const MOST_HEADER: u32 = 16 * 1024;

/// Most connections at once. KEDA has one for each address and set of certificates.
const CONNECTIONS: usize = 64;
/// Most streams that stay open, on all connections together.
const STREAMS: usize = 8192;
/// Most calls of a connection that have no answer yet.
const CALLS: usize = 512;

type Answer = Result<Response<Body>, Infallible>;
type Handler = Box<dyn Fn(Request<Incoming>) -> BoxFuture<'static, Answer> + Send + Sync>;

/// Serves KEDA, and those who look what there is.
pub struct ScalerServer {
    services: Vec<(&'static str, Handler)>,
    tls: Option<Arc<Tls>>,
    drain: Arc<Drain>,
    connections: Arc<Bound>,
    streams: Arc<Bound>,
}

pin_project! {
    /// The body of an answer, and what it counts for as long as it is open.
    struct Counted {
        #[pin]
        body: Body,
        _open: Open,
    }
}

// === impl ScalerServer ===

impl ScalerServer {
    /// Serves `scaler`, with TLS if there are certificates.
    ///
    /// # Errors
    /// The protocol's own description cannot be read.
    pub fn new(scaler: Scaler, tls: Option<Arc<Tls>>, drain: Arc<Drain>) -> Result<Self, String> {
        let reflection = || {
            Reflection::configure()
                .register_encoded_file_descriptor_set(DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let unreadable = |e| format!("cannot describe the scaler's protocol: {e}");
        let services = vec![
            handler(ExternalScalerServer::new(scaler).max_decoding_message_size(MOST_MESSAGE)),
            handler(HealthServer::new(Healthy(drain.clone())).max_decoding_message_size(MOST_MESSAGE)),
            handler(reflection().build_v1().map_err(unreadable)?.max_decoding_message_size(MOST_MESSAGE)),
            handler(reflection().build_v1alpha().map_err(unreadable)?.max_decoding_message_size(MOST_MESSAGE)),
        ];
        let (connections, streams) = (Bound::new(CONNECTIONS), Bound::new(STREAMS));
        Ok(Self { services, tls, drain, connections, streams })
    }

    /// The connections that are open.
    pub fn connections(&self) -> Arc<Bound> {
        self.connections.clone()
    }

    async fn accept(self: &Arc<Self>, stream: TcpStream) -> Result<(), String> {
        match &self.tls {
            None => self.speak(stream).await,
            Some(tls) => match timeout(HANDSHAKE, tls.acceptor().accept(stream)).await {
                Ok(Ok(stream)) => self.speak(stream).await,
                Ok(Err(e)) => Err(format!("no TLS: {e}")),
                Err(_) => Err("no TLS within the time for it".to_owned()),
            },
        }
    }

    async fn speak(
        self: &Arc<Self>,
        mut stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<(), String> {
        // hyper would wait for it for ever.
        let mut preface = [0; PREFACE.len()];
        match timeout(HANDSHAKE, stream.read_exact(&mut preface)).await {
            Ok(Ok(_)) if preface == *PREFACE => {}
            Ok(Ok(_)) => return Err("not HTTP/2".to_owned()),
            Ok(Err(e)) => return Err(e.to_string()),
            Err(_) => return Err("nothing was sent within the time for it".to_owned()),
        }
        let (reader, writer) = tokio::io::split(stream);
        let io = tokio::io::join(Cursor::new(preface).chain(reader), writer);
        let (server, calls) = (self.clone(), Bound::new(CALLS));
        let requests = service_fn(move |request| server.clone().answer(calls.clone(), request));
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(u32::try_from(STREAMS + 2 * CALLS).unwrap_or(u32::MAX))
            .max_header_list_size(MOST_HEADER)
            .max_pending_accept_reset_streams(20)
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10))
            .serve_connection(TokioIo::new(io), requests);
        let mut connection = pin!(connection);
        tokio::select! {
            biased;
            ended = connection.as_mut() => return ended.map_err(|e| e.to_string()),
            () = self.drain.until_begun() => {}
        }
        connection.as_mut().graceful_shutdown();
        match timeout(FAREWELL, connection).await {
            Ok(ended) => ended.map_err(|e| e.to_string()),
            Err(_) => Err("cut off, since the gateway stops".to_owned()),
        }
    }

    async fn answer(self: Arc<Self>, calls: Arc<Bound>, request: Request<Incoming>) -> Answer {
        let path = request.uri().path();
        let (service, rpc) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
        let Some((_, handler)) = self.services.iter().find(|(name, _)| *name == service) else {
            let names: Vec<_> = self.services.iter().map(|(name, _)| *name).collect();
            return Ok(Status::unimplemented(format!("there is only {}", names.join(", "))).into_http());
        };
        let stream = match stays_open(rpc).then(|| self.streams.open()) {
            Some(None) => {
                refused("stream");
                return Ok(full("streams", self.streams.most()));
            }
            stream => stream.flatten(),
        };
        let Some(_call) = calls.open() else {
            refused("call");
            return Ok(full("calls without an answer", calls.most()));
        };
        match timeout(CALL, handler(request)).await {
            Ok(Ok(answer)) => Ok(match stream {
                None => answer,
                Some(open) => answer.map(|body| Body::new(Counted { body, _open: open })),
            }),
            Err(_) => Ok(Status::new(Code::DeadlineExceeded, "the call's message did not come in time").into_http()),
        }
    }
}

impl Serve for ScalerServer {
    async fn serve(self: Arc<Self>, socket: TcpStream, _client: IpAddr, _placed: Placed) {
        let Some(_connected) = self.connections.open() else {
            refused("connection");
            return;
        };
        if let Err(why) = self.accept(socket).await {
            tracing::debug!(why, "connection to the scaler ended");
        }
    }
}

fn handler<S>(service: S) -> (&'static str, Handler)
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + NamedService,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    // The services of tonic are always ready.
    (S::NAME, Box::new(move |request| Box::pin(service.clone().call(request))))
}

/// Whether the answer to a call goes on for as long as both sides like.
fn stays_open(rpc: &str) -> bool {
    matches!(rpc, "StreamIsActive" | "StreamMetricSpec" | "Watch" | "ServerReflectionInfo")
}

fn refused(what: &'static str) {
    metrics::counter!("zerogate_scaler_refused_total", "what" => what).increment(1);
}

fn full(what: &str, most: usize) -> Response<Body> {
    Status::resource_exhausted(format!("there are {most} {what}, which is the most there may be")).into_http()
}

// === impl Counted ===

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
