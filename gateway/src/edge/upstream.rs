//! Sending a request to an endpoint, on a connection of its pool or on a new one.

mod connection;
mod last_words;
mod pool;
mod websocket;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use activator::{Clock, Endpoint, Timestamp};
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;

use super::body::RequestBody;
use super::files::{FileShare, Lack, OpenFile};
use super::headers::KEEP_ALIVE;
use super::patience::Patience;
use super::problem::Timeout;
use super::timer::LazyTimer;
use super::websocket::asks_by_connect;
use connection::Connection;
use pool::{Idle, Pool};

/// How long a connection may be idle if the app says nothing else: less than the 2 s of gunicorn, the shortest in common use
/// (Node.js 5 s, uvicorn 5 s, Tomcat 20 s). A request that meets a close is lost if it was sent; a new connection is cheap.
const IDLE: Duration = Duration::from_millis(1500);
/// How long it may be idle at most, even if the app would keep it longer.
const MOST_IDLE: Duration = Duration::from_secs(60);
/// Bytes of one response's body that an HTTP/2 app may send before a client takes them.
const STREAM_WINDOW: u32 = 64 << 10;
/// Bytes of one request's body that may wait to be sent to an HTTP/2 app, but for the last piece.
const MOST_TO_SEND: usize = 16 << 10;
/// The connection is many clients': as large as can be, or the slow ones use it up and nobody gets anything.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
/// Most bytes of a response's header list.
const MAX_HEADERS: u32 = 256 << 10;

type Http2 = http2::SendRequest<RequestBody>;

/// A connection that a request is on; [`Lease::give_back`] makes it another's.
pub struct Lease {
    connection: Connection,
    endpoint: Arc<Endpoint>,
    keep: Duration,
}

/// Why a request got no response.
pub enum SendError {
    /// No connection could be made. Nothing was sent: the request is where it was, to be sent elsewhere. What the system says
    /// is for the log.
    NotSent(io::Error),
    /// It was sent, at least in part.
    Sent(hyper::Error),
    /// There was no answer in time.
    TimedOut(Timeout),
    /// There is no open file for a connection. Nothing was sent.
    NoFile(Lack),
    /// The app does not let HTTP/2 carry WebSockets. Nothing was sent.
    NoWebSocket,
}

/// A response, and the connection it came on (none with HTTP/2, where it is shared).
pub struct Answer {
    /// The response.
    pub response: Response<Incoming>,
    /// What to give back when its body has ended.
    pub lease: Option<Lease>,
}

// === sending ===

/// How a new connection is made.
pub struct Way {
    /// Within this time; so long an open file is waited for at most, too.
    pub connect: Duration,
    /// What it takes of the open files.
    pub files: Arc<FileShare>,
}

/// Sends `request` to `endpoint`: on an idle connection, or on a new one made within `way.connect`, which is also how long it
/// waits for an idle one that is not done yet with the request before. A connection that the app had closed
/// meanwhile is noticed before anything is sent, and the next one is tried. The request is taken out only to be sent, and is
/// back if nothing of it was.
#[allow(clippy::manual_async_fn)]
pub fn send(
    endpoint: &Arc<Endpoint>,
    request: &mut Option<Request<RequestBody>>,
    patience: &mut Patience,
    way: &Way,
    now: Timestamp,
) -> impl Future<Output = Result<Answer, SendError>> + Send {
    async move {
        // What is boxed here is not to weigh on every request: HTTP/2, and a new connection.
        if endpoint.speaks_http2() {
            if request.as_ref().is_some_and(asks_by_connect) {
                return Box::pin(websocket::send(endpoint, request, patience, way)).await;
            }
            return Box::pin(send_http2(endpoint, request, patience, way)).await;
        }
        while let Some(mut connection) = endpoint.attachment(Pool::new).take(now) {
            if !connection.is_ready() {
                match Box::pin(patience.before_deadline(within(way.connect, connection.ready()))).await? {
                    Ok(()) => {}
                    Err(e) if e.kind() == io::ErrorKind::TimedOut => break,
                    Err(_) => continue,
                }
            }
            match connection.exchange(request, patience).await {
                Ok(response) => return Ok(Answer::on(connection, endpoint.clone(), &way.files, response)),
                Err(SendError::NotSent(_)) => {}
                Err(e) => return Err(e),
            }
        }
        Box::pin(send_on_new(endpoint, request, patience, way)).await
    }
}

async fn send_on_new(
    endpoint: &Arc<Endpoint>,
    request: &mut Option<Request<RequestBody>>,
    patience: &mut Patience,
    way: &Way,
) -> Result<Answer, SendError> {
    let file = patience.before_deadline(way.files.take_within(way.connect)).await?.map_err(SendError::NoFile)?;
    let connecting = within(way.connect, Connection::open(endpoint.address(), file));
    let mut connection = patience.before_deadline(connecting).await?.map_err(SendError::NotSent)?;
    let response = connection.exchange(request, patience).await?;
    Ok(Answer::on(connection, endpoint.clone(), &way.files, response))
}

/// The same with HTTP/2: on the connection that all requests of this thread share.
async fn send_http2(
    endpoint: &Arc<Endpoint>,
    request: &mut Option<Request<RequestBody>>,
    patience: &mut Patience,
    way: &Way,
) -> Result<Answer, SendError> {
    let pool = endpoint.attachment(Pool::new);
    loop {
        let shared = pool.shared();
        let is_new = shared.is_none();
        let mut connection = match shared {
            Some(connection) => connection,
            None => {
                let file = way.files.take_within(way.connect);
                let file = patience.before_deadline(file).await?.map_err(SendError::NoFile)?;
                let connecting = within(way.connect, pool.share(connect_http2(endpoint.address(), file)));
                patience.before_deadline(connecting).await?.map_err(SendError::NotSent)?
            }
        };
        let sent = match connection.ready().await {
            Ok(()) => exchange_http2(&mut connection, request, patience).await,
            Err(e) => Err(SendError::NotSent(io::Error::other(e))),
        };
        match sent {
            Ok(response) => return Ok(Answer { response, lease: None }),
            // A connection that has ended is no reason to give up, unless it was only just made.
            Err(SendError::NotSent(_)) if !is_new => {}
            Err(e) => return Err(e),
        }
    }
}

async fn exchange_http2(
    connection: &mut Http2,
    request: &mut Option<Request<RequestBody>>,
    patience: &mut Patience,
) -> Result<Response<Incoming>, SendError> {
    let mut timer = LazyTimer::default();
    let mut answer = pin!(connection.try_send_request(request.take().expect(THERE)));
    std::future::poll_fn(|cx| match answer.as_mut().poll(cx) {
        Poll::Ready(Ok(response)) => Poll::Ready(Ok(response)),
        Poll::Ready(Err(e)) => Poll::Ready(Err(take_back(e, request))),
        Poll::Pending => patience.poll_over(&mut timer, cx).map(|timeout| Err(timeout.into())),
    })
    .await
}

/// Why [`send`] may take the request: it is called with one, and goes on only after it got it back.
const THERE: &str = "a request that was sent is not sent again";

/// Puts the request back, if nothing of it was sent.
fn take_back(mut error: TrySendError<Request<RequestBody>>, request: &mut Option<Request<RequestBody>>) -> SendError {
    *request = error.take_message();
    match request {
        None => SendError::Sent(error.into_error()),
        Some(_) => SendError::NotSent(io::Error::other(error.into_error())),
    }
}

async fn within<T>(timeout: Duration, connect: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(timeout, connect).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn connect_http2(address: SocketAddr, file: OpenFile) -> io::Result<Http2> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (connection, driver) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MAX_HEADERS)
        .max_send_buf_size(MOST_TO_SEND)
        // Until the app has said how many streams it takes; it would refuse what is beyond, and that could not be sent again.
        .initial_max_send_streams(1)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(async move {
        let _ = driver.await;
        drop(file);
    });
    Ok(connection)
}

impl From<Timeout> for SendError {
    fn from(timeout: Timeout) -> Self {
        Self::TimedOut(timeout)
    }
}

// === impl Answer ===

impl Answer {
    fn on(connection: Connection, endpoint: Arc<Endpoint>, files: &FileShare, response: Response<Incoming>) -> Self {
        // Where open files are short none is kept for later.
        let keep = if files.is_tight() { Duration::ZERO } else { keep_alive(response.headers()) };
        Self { response, lease: Some(Lease { connection, endpoint, keep }) }
    }
}

/// How long the app keeps an idle connection, less a second (`Keep-Alive: timeout=5`).
fn keep_alive(headers: &HeaderMap) -> Duration {
    // A look at each name there is costs less than a lookup.
    let Some((_, value)) = headers.iter().find(|(name, _)| **name == KEEP_ALIVE) else { return IDLE };
    let Ok(value) = value.to_str() else { return IDLE };
    value
        .split(',')
        .find_map(|part| part.trim().strip_prefix("timeout=")?.parse().ok())
        .map_or(IDLE, |seconds: u64| Duration::from_secs(seconds.saturating_sub(1)).min(MOST_IDLE))
}

// === impl Lease ===

impl Lease {
    /// The response's body has ended: the connection is free for the next request.
    pub fn give_back(self, clock: &Clock, now: Timestamp) {
        if !self.connection.is_closed() && !self.endpoint.is_closed() && !self.keep.is_zero() {
            Pool::put(&self.endpoint, Idle { connection: self.connection, until: now + self.keep }, clock);
        }
    }
}

#[cfg(test)]
mod tests;
