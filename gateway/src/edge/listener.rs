//! Accepted connections: which HTTP a client speaks, and hyper's server on top of its socket.

use std::error::Error;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::rt::bounds::Http2ServerConnExec;
use hyper::rt::{Read, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use pin_project_lite::pin_project;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::body::EdgeBody;
use super::client_body::ClientBody;
use super::client_stream::ClientStream;
use super::forward::handle;
use super::hangup::{ClientSocket, HungUp};
use super::headers::Peer;
use super::linger::Linger;
use super::malformed::Worded;
use super::proxy_header;
use super::rewound::detect;
use super::stall::{ClientWait, StreamExecutor};
use super::timer::{ConnectionTimer, LazyTimer};
use super::{Edge, EdgeOfConnection, EdgeOptions};
use crate::listening::{Placed, Serve};
use crate::shutdown::Drain;
use crate::tls::Handshakes;

/// Streams per HTTP/2 connection.
const MAX_STREAMS: u32 = 256;
/// Bytes of one stream's body that may wait here unread: the body of a held request stays with the client beyond this.
pub(super) const STREAM_WINDOW: u32 = 64 * 1024;
/// Bytes of one stream's answer that may wait to be sent, but for the last piece.
const MOST_TO_SEND: usize = 16 << 10;
/// All of a connection's streams together: uploads that are held leave room for those that are not.
const CONNECTION_WINDOW: u32 = MAX_STREAMS * STREAM_WINDOW;

/// How long a handshake may take, if a request's header may take longer.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a client that comes while the gateway drains may take until its request begins: what it has sent already takes no
/// longer, and who is silent is not to hold up the end.
const LATE: Duration = Duration::from_millis(500);

/// The edge behind an address.
pub struct Listener {
    edge: Arc<Edge>,
    /// How TLS is begun, where it is spoken.
    tls: Option<Handshakes>,
}

// === impl Listener ===

impl Listener {
    /// Serves `edge`, with TLS if there are handshakes.
    pub fn new(edge: Arc<Edge>, tls: Option<Handshakes>) -> Self {
        Self { edge, tls }
    }
}

impl Serve for Listener {
    async fn serve(self: Arc<Self>, mut socket: TcpStream, mut client: IpAddr, placed: Placed) {
        let edge = self.edge.clone();
        let Some(connected) = edge.drain.connect(edge.options.max_connections) else {
            metrics::counter!("zerogate_refused_total", "app" => "", "cause" => "too_many_connections").increment(1);
            return;
        };
        let mut is_of_balancer = false;
        if edge.options.speaks_for_others(client) {
            match Box::pin(true_client(&mut socket, &edge)).await {
                Ok(Some(true_client)) => client = true_client,
                // Its own, to see whether somebody is there.
                Ok(None) => is_of_balancer = true,
                Err(e) => {
                    metrics::counter!("zerogate_refused_total", "app" => "", "cause" => "no_proxy_header").increment(1);
                    tracing::debug!(balancer = %client, error = %e, "connection ended");
                    return;
                }
            }
        }
        let trusted = edge.options.trusts(client);
        // A proxy's connections are many clients'.
        let mut share = None;
        if !trusted && !is_of_balancer {
            share = edge.per_address.count(client);
            if share.is_none() {
                let cause = "too_many_connections_of_address";
                metrics::counter!("zerogate_refused_total", "app" => "", "cause" => cause).increment(1);
                return;
            }
        }
        let peer = Peer::new(client, trusted).counted(connected, placed, share);
        let descriptor = ClientSocket::of(socket.as_raw_fd());
        let begun = match &self.tls {
            None => Ok((ClientStream::Plain(socket), peer)),
            // Boxed, since it is large and soon over.
            Some(handshakes) => Box::pin(begin_tls(handshakes, socket, peer, &edge)).await,
        };
        let served = match begun {
            Ok((stream, peer)) => serve(stream, descriptor, edge, Arc::new(peer)).await,
            Err(e) => Err(e),
        };
        if let Err(e) = served {
            tracing::debug!(%client, error = %e, "connection ended");
        }
    }
}

type Failure = Box<dyn Error + Send + Sync>;

/// Until when a client has to have sent something: whoever comes while the gateway drains is not told any more when that begins.
fn patience(edge: &Edge) -> Duration {
    let whole = edge.options.header_timeout;
    if edge.drain.has_begun() { whole.min(LATE) } else { whole }
}

/// Whose connection it is that a balancer has passed on, if it says so.
async fn true_client(socket: &mut TcpStream, edge: &Edge) -> Result<Option<IpAddr>, Failure> {
    let begun = edge.drain.begun();
    tokio::select! {
        biased;
        read = tokio::time::timeout(patience(edge), proxy_header::read(socket)) => match read {
            Ok(read) => Ok(read?),
            Err(_) => Err("no PROXY header within the header timeout".into()),
        },
        () = begun => Err("the gateway stops".into()),
    }
}

async fn begin_tls(
    handshakes: &Handshakes,
    socket: TcpStream,
    peer: Peer,
    edge: &Edge,
) -> Result<(ClientStream, Peer), Failure> {
    let begun = edge.drain.begun();
    let made = handshakes.make(socket, patience(edge).min(HANDSHAKE));
    let stream = tokio::select! {
        biased;
        made = made => ClientStream::Tls(made?),
        () = begun => return Err("the gateway stops".into()),
    };
    let peer = peer.with_tls(stream.server_name());
    Ok((stream, peer))
}

async fn serve(stream: ClientStream, socket: ClientSocket, edge: Arc<Edge>, peer: Arc<Peer>) -> Result<(), Failure> {
    let EdgeOptions { idle_timeout, max_header_bytes, .. } = edge.options;
    let drain = edge.drain.clone();
    let agreed = stream.agreed_on_http2();
    let begun = drain.begun();
    let patience = patience(&edge);
    let idle_timeout = if drain.has_begun() { patience } else { idle_timeout };
    let wait = peer.wait().clone();
    let stream = Worded::new(Linger::new(stream, wait.clone(), drain.clone()), wait.clone());
    let (stream, speaks_http2) = tokio::select! {
        biased;
        detected = tokio::time::timeout(patience, detect(stream, wait.clone())) => match detected {
            Ok(detected) => detected?,
            Err(_) => return Err("no request within the header timeout".into()),
        },
        () = begun => return Ok(()),
    };
    if agreed.is_some_and(|http2| http2 != speaks_http2) {
        return Err("it speaks another version of HTTP than was agreed upon".into());
    }
    // A client that leaves is seen by hyper, but for one that leaves its HTTP/1 request half sent.
    let socket = (!speaks_http2).then_some(socket);
    let executor = StreamExecutor::new(drain.clone());
    let counted = executor.clone();
    let streams = speaks_http2.then(|| executor.clone());
    let edge = Arc::new(EdgeOfConnection(edge));
    let requests = service_fn(move |request: Request<Incoming>| {
        let is_sending = !request.body().is_end_stream();
        if streams.is_none() {
            peer.wait().set_sending(is_sending);
        }
        let socket = socket.filter(|_| is_sending);
        let stream = streams.as_ref().map(StreamExecutor::expect);
        let request = request.map(|body| ClientBody::new(body, stream.as_ref().unwrap_or(peer.wait())));
        let answer = handle(edge.clone(), peer.clone(), request);
        match (stream, socket) {
            (Some(wait), _) => Answering::Stream { answer, wait },
            (None, None) => Answering::Whole { answer },
            (None, Some(socket)) => Answering::HalfSent { answer: Box::pin(socket.unless_gone(answer)) },
        }
    });
    let io = TokioIo::new(stream);
    // A box each: they differ much in size, and the compiler cannot see through both at once that they are `Send`.
    let served: Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>> = if speaks_http2 {
        let connection = http2::Builder::new(executor)
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(u32::try_from(max_header_bytes).unwrap_or(u32::MAX))
            .max_pending_accept_reset_streams(20)
            .max_send_buf_size(MOST_TO_SEND)
            // WebSockets (RFC 8441); what else is asked for so is refused.
            .enable_connect_protocol()
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10))
            .serve_connection(io, requests);
        let unused = Unused { streams: counted, after: idle_timeout, until: None, timer: LazyTimer::default() };
        Box::pin(drive(Box::pin(connection), drain, Some(unused)))
    } else {
        let connection = http1::Builder::new()
            .timer(ConnectionTimer::new(wait, patience))
            .header_read_timeout(idle_timeout)
            .max_buf_size(max_header_bytes.max(8192))
            .serve_connection(io, requests)
            .with_upgrades();
        Box::pin(drive(Box::pin(connection), drain, None))
    };
    Ok(served.await?)
}

pin_project! {
    /// The answer to a request on its way.
    #[project = AnsweringProjection]
    enum Answering<F> {
        Whole { #[pin] answer: F },
        Stream { #[pin] answer: F, wait: Arc<ClientWait> },
        HalfSent { answer: Pin<Box<dyn Future<Output = Result<Response<EdgeBody>, HungUp>> + Send>> },
    }
}

impl<F: Future<Output = Response<EdgeBody>>> Future for Answering<F> {
    type Output = Result<Response<EdgeBody>, HungUp>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            AnsweringProjection::Whole { answer } => answer.poll(cx).map(Ok),
            AnsweringProjection::HalfSent { answer } => answer.as_mut().poll(cx),
            AnsweringProjection::Stream { answer, wait } => answer.poll(cx).map(|mut response| {
                wait.for_client();
                response.body_mut().tell(wait);
                Ok(response)
            }),
        }
    }
}

/// Drives a connection; once the gateway drains, tells it to finish what it has and take nothing more.
///
/// The wait for the drain is registered once and not polled again: on the way of a request it costs one load. The connection comes
/// in a box of its own: pinned in here, it would be kept twice.
async fn drive<C: Finish>(mut connection: Pin<Box<C>>, drain: Arc<Drain>, mut unused: Option<Unused>) -> C::Output {
    let mut begun = std::pin::pin!(drain.begun());
    let mut registered = false;
    let mut told = false;
    std::future::poll_fn(|cx| {
        if !registered {
            registered = true;
            let _ = begun.as_mut().poll(cx);
        }
        // First what the client has sent already: a request that is here gets its answer.
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            return Poll::Ready(ended);
        }
        let ends = |unused: &mut Unused| unused.poll_long_enough(cx).is_ready();
        if !told && (drain.has_begun() || unused.as_mut().is_some_and(ends)) {
            told = true;
            connection.as_mut().finish();
            return connection.as_mut().poll(cx);
        }
        Poll::Pending
    })
    .await
}

/// An HTTP/2 connection's times without a request: hyper asks such a client whether it is there, and keeps it as long as it says so.
struct Unused {
    streams: StreamExecutor,
    /// How long one may be.
    after: Duration,
    /// When the present one is over.
    until: Option<Instant>,
    timer: LazyTimer,
}

/// A connection that can be told to finish what it has and take nothing more.
trait Finish: Future {
    fn finish(self: Pin<&mut Self>);
}

impl<I, S, B> Finish for http1::UpgradeableConnection<I, S>
where
    I: Read + Write + Unpin + Send + 'static,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S, B, E> Finish for http2::Connection<I, S, E>
where
    I: Read + Write + Unpin,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    E: Http2ServerConnExec<S::Future, B>,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

// === impl Unused ===

impl Unused {
    /// Ready once there has been no stream for long enough. To be asked each time that the connection has been polled.
    fn poll_long_enough(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.streams.open() > 0 {
            self.until = None;
            return Poll::Pending;
        }
        let until = *self.until.get_or_insert_with(|| tokio::time::sleep(self.after).deadline());
        self.timer.poll_until(cx, until)
    }
}
