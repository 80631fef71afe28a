//! Connections to endpoints. Each endpoint owns its pool, so a connection never outlives what it was made to: a process
//! started later on the same port is another endpoint with another pool.
//!
//! One shard per worker thread, so that the locks are not contended; a thread whose shard is empty takes from another
//! before it connects, so that an app with few slots sees few connections.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use activator::{Clock, Endpoint, Timestamp};
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::net::TcpStream;

use super::body::RequestBody;

/// How long a connection may be idle if the app says nothing else: less than the 2 s of gunicorn, the shortest in common use
/// (Node.js 5 s, uvicorn 5 s, Tomcat 20 s). A request that meets a close is lost if it was sent; a new connection is cheap.
const IDLE: Duration = Duration::from_millis(1500);
/// How long it may be idle at most, even if the app would keep it longer.
const MOST_IDLE: Duration = Duration::from_secs(60);
/// Idle connections kept per shard.
const MOST_IDLE_PER_SHARD: usize = 1024;
const SHARDS: usize = 16;
/// Bytes of one stream's body, and of all on one connection, that an HTTP/2 app may send before a client takes them.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

type Http1 = http1::SendRequest<RequestBody>;
type Http2 = http2::SendRequest<RequestBody>;

/// The connections of one endpoint.
struct Pool {
    shards: [Mutex<Shard>; SHARDS],
    sweeping: AtomicBool,
    /// Held while a connection that is to be shared is made, so that the many released by a wake make one.
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Shard {
    /// The one used last is at the back.
    idle: VecDeque<Idle>,
    shared: Option<Http2>,
}

struct Idle {
    connection: Http1,
    until: Timestamp,
}

/// A connection that a request is on; [`Lease::give_back`] makes it another's.
pub struct Lease {
    connection: Http1,
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
}

/// A response, and the connection it came on (none with HTTP/2, where it is shared).
pub struct Answer {
    /// The response.
    pub response: Response<Incoming>,
    /// What to give back when its body has ended.
    pub lease: Option<Lease>,
}

// === sending ===

/// Sends `request` to `endpoint`: on an idle connection, or on a new one made within `connect`. A connection that the app
/// had closed meanwhile is noticed before anything is sent, and the next one is tried. The request is taken out only to be
/// sent, and is back if nothing of it was.
pub async fn send(
    endpoint: Arc<Endpoint>,
    request: &mut Option<Request<RequestBody>>,
    connect: Duration,
    now: Timestamp,
) -> Result<Answer, SendError> {
    let address = endpoint.address();
    loop {
        let (is_new, unsent) = match endpoint.speaks_http2() {
            false => {
                let pooled = endpoint.attachment(Pool::new).take(now);
                let is_new = pooled.is_none();
                let mut connection = match pooled {
                    Some(connection) => connection,
                    // Boxed: what a new connection takes is not to weigh on every request.
                    None => Box::pin(within(connect, connect_http1(address))).await.map_err(SendError::NotSent)?,
                };
                match connection.ready().await {
                    Ok(()) => {}
                    Err(_) if !is_new => continue,
                    Err(e) => return Err(SendError::NotSent(io::Error::other(e))),
                }
                match connection.try_send_request(request.take().expect(THERE)).await {
                    Ok(response) => return Ok(Answer::on(connection, endpoint, response)),
                    Err(e) => (is_new, e),
                }
            }
            true => {
                let shared = endpoint.attachment(Pool::new).shared();
                let is_new = shared.is_none();
                let mut connection = match shared {
                    Some(connection) => connection,
                    None => Box::pin(share_http2(&endpoint, connect)).await.map_err(SendError::NotSent)?,
                };
                match connection.ready().await {
                    Ok(()) => {}
                    Err(_) if !is_new => continue,
                    Err(e) => return Err(SendError::NotSent(io::Error::other(e))),
                }
                match connection.try_send_request(request.take().expect(THERE)).await {
                    Ok(response) => return Ok(Answer { response, lease: None }),
                    Err(e) => (is_new, e),
                }
            }
        };
        take_back(unsent, is_new, request)?;
    }
}

/// Why [`send`] may take the request: it is called with one, and goes on only after it got it back.
const THERE: &str = "a request that was sent is not sent again";

/// Puts the request back, if nothing of it was sent; on a connection just made that is the end of the try all the same.
fn take_back(
    mut error: TrySendError<Request<RequestBody>>,
    is_new: bool,
    request: &mut Option<Request<RequestBody>>,
) -> Result<(), SendError> {
    match error.take_message() {
        None => Err(SendError::Sent(error.into_error())),
        Some(unsent) => {
            *request = Some(unsent);
            if is_new { Err(SendError::NotSent(io::Error::other(error.into_error()))) } else { Ok(()) }
        }
    }
}

async fn within<T>(timeout: Duration, connect: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(timeout, connect).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn connect_http1(address: SocketAddr) -> io::Result<Http1> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (connection, driver) = http1::Builder::new().handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(driver.with_upgrades());
    Ok(connection)
}

/// A new shared connection, or the one that another request has made meanwhile.
async fn share_http2(endpoint: &Endpoint, connect: Duration) -> io::Result<Http2> {
    let pool = endpoint.attachment(Pool::new);
    within(connect, async {
        let _alone = pool.connecting.lock().await;
        match pool.shared() {
            Some(connection) => Ok(connection),
            None => Ok(pool.share(connect_http2(endpoint.address()).await?)),
        }
    })
    .await
}

async fn connect_http2(address: SocketAddr) -> io::Result<Http2> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (connection, driver) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(driver);
    Ok(connection)
}

// === impl Answer ===

impl Answer {
    fn on(connection: Http1, endpoint: Arc<Endpoint>, response: Response<Incoming>) -> Self {
        let keep = keep_alive(response.headers());
        Self { response, lease: Some(Lease { connection, endpoint, keep }) }
    }
}

/// How long the app keeps an idle connection, less a second (`Keep-Alive: timeout=5`).
fn keep_alive(headers: &HeaderMap) -> Duration {
    let Some(value) = headers.get("keep-alive").and_then(|value| value.to_str().ok()) else { return IDLE };
    value
        .split(',')
        .find_map(|part| part.trim().strip_prefix("timeout=")?.parse().ok())
        .map_or(IDLE, |seconds: u64| Duration::from_secs(seconds.saturating_sub(1)).min(MOST_IDLE))
}

// === impl Lease ===

impl Lease {
    /// The response's body has ended: the connection is free for the next request.
    pub fn give_back(self, clock: &Clock) {
        if self.connection.is_closed() || self.endpoint.is_closed() || self.keep.is_zero() {
            return;
        }
        let pool = self.endpoint.attachment(Pool::new);
        pool.put(Idle { connection: self.connection, until: clock.now() + self.keep });
        if !pool.sweeping.swap(true, Ordering::AcqRel) {
            tokio::spawn(sweep(Arc::downgrade(&self.endpoint), clock.clone()));
        }
    }
}

/// Closes what has been idle too long; ends when nothing is idle any more.
async fn sweep(endpoint: Weak<Endpoint>, clock: Clock) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let Some(endpoint) = endpoint.upgrade() else { return };
        let pool = endpoint.attachment(Pool::new);
        if pool.sweep(clock.now(), endpoint.is_closed()) == 0 {
            pool.sweeping.store(false, Ordering::Release);
            // One may have been given back between the look and the store; whoever does so next begins again, and what is
            // too old is never handed out.
            return;
        }
    }
}

// === impl Pool ===

impl Pool {
    fn new() -> Self {
        Self { shards: Default::default(), sweeping: AtomicBool::new(false), connecting: tokio::sync::Mutex::new(()) }
    }

    fn home(&self) -> usize {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static HOME: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
        HOME.with(|home| *home)
    }

    /// The connection used last on this thread, or else on another.
    fn take(&self, now: Timestamp) -> Option<Http1> {
        let home = self.home();
        (0..SHARDS).find_map(|i| self.shards[(home + i) % SHARDS].lock().take(now))
    }

    fn put(&self, idle: Idle) {
        let mut shard = self.shards[self.home()].lock();
        if shard.idle.len() < MOST_IDLE_PER_SHARD {
            shard.idle.push_back(idle);
        }
    }

    fn shared(&self) -> Option<Http2> {
        self.shards[self.home()].lock().shared.clone().filter(|connection| !connection.is_closed())
    }

    fn share(&self, connection: Http2) -> Http2 {
        self.shards[self.home()].lock().shared = Some(connection.clone());
        connection
    }

    /// Closes idle connections that are too old, or all. Returns how many are left.
    fn sweep(&self, now: Timestamp, all: bool) -> usize {
        self.shards
            .iter()
            .map(|shard| {
                let mut shard = shard.lock();
                shard.idle.retain(|idle| !all && idle.until > now && !idle.connection.is_closed());
                shard.idle.len()
            })
            .sum()
    }
}

impl Shard {
    fn take(&mut self, now: Timestamp) -> Option<Http1> {
        while let Some(idle) = self.idle.pop_back() {
            if idle.until > now && !idle.connection.is_closed() {
                return Some(idle.connection);
            }
        }
        None
    }
}
