//! Sending a request to an endpoint, on a connection of its pool or on a new one.

mod connection;
mod http2;
mod last_words;
mod pool;
mod sent;
mod shards;
mod tls;
mod websocket;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use activator::settings::{Protocol, Target};
use activator::{App, Clock, Endpoint, Timestamp};
use http::{HeaderMap, Method, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::ServerName;

use super::body::RequestBody;
use super::files::{FileShare, Lack};
use super::headers::KEEP_ALIVE;
use super::patience::Patience;
use super::problem::Timeout;
use super::websocket::asks_by_connect;
use crate::config::settings::{AuthoritySource, Trust};
use crate::tls::Authorities;
use crate::tls::app::{Known, TlsFault};
use connection::Connection;
pub use http2::copy;
use pool::{Idle, Pool};

/// How long a connection may be idle if the app says nothing else: less than the 2 s of gunicorn, the shortest in common use
/// (Node.js 5 s, uvicorn 5 s, Tomcat 20 s). A request that meets a close is lost if it was sent; a new connection is cheap.
const IDLE: Duration = Duration::from_millis(1500);
/// How long it may be idle at most, even if the app would keep it longer.
const MOST_IDLE: Duration = Duration::from_secs(60);
/// An app of which a replica takes this many requests at most may take as few connections.
const FEW: u32 = 16;

/// A connection that a request is on; [`Lease::give_back`] makes it another's.
pub struct Lease {
    connection: Connection,
    keep: Duration,
}

/// Why a request got no response.
pub enum SendError {
    /// No connection could be made. Nothing was sent: the request is where it was, to be sent elsewhere. What the system says
    /// is for the log.
    NotSent(io::Error),
    /// It was sent, at least in part.
    Sent(hyper::Error),
    /// The app has refused it again and again, and done nothing with it.
    Refused,
    /// No TLS could be spoken. Nothing was sent.
    Tls(TlsFault),
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
    /// To this app.
    pub app: Arc<App>,
    /// Within this time; so long an open file is waited for at most, too.
    pub connect: Duration,
    /// What it takes of the open files.
    pub files: Arc<FileShare>,
    /// What it is known by where it speaks TLS.
    pub trust: Trusted,
}

/// What an app is known by; looked for when it first speaks TLS.
#[derive(Default)]
pub struct Trusted {
    known: OnceLock<Known>,
    said: Option<Arc<Trust>>,
    authorities: Arc<Authorities>,
}

/// Sends `request` to `endpoint`: on an idle connection, or on a new one made within `way.connect`, which is also how long it
/// waits for an idle one that is not done yet with the request before. A connection that the app had closed
/// meanwhile is noticed before anything is sent, and the next one is tried; if it is noticed only after that, a request that may be
/// sent twice goes out once more, on a new one (RFC 9110, 9.2.2). The request is taken out only to be sent, and is back if nothing
/// of it was.
#[allow(clippy::manual_async_fn)]
pub fn send(
    endpoint: &Arc<Endpoint>,
    request: &mut Option<Request<RequestBody>>,
    patience: &mut Patience,
    way: &Way,
    now: Timestamp,
) -> impl Future<Output = Result<Answer, SendError>> + Send {
    async move {
        // What is boxed here is not to weigh on every request: HTTP/2, TLS, and a new connection.
        match endpoint.protocol() {
            Protocol::Http1 => {}
            Protocol::H2c if request.as_ref().is_some_and(asks_by_connect) => {
                return Box::pin(websocket::send(endpoint, request, patience, way)).await;
            }
            Protocol::H2c => return Box::pin(http2::send(endpoint, request, patience, way)).await,
            Protocol::Https => return Box::pin(tls::send(endpoint, request, patience, way, now)).await,
        }
        match on_idle(endpoint, request, patience, way, now).await? {
            Tried::Answered(answer) => Ok(answer),
            Tried::Not(lost) => {
                let sent = Box::pin(send_on_new(endpoint, request, patience, way)).await;
                sent.map_err(|error| error.unless_lost(lost))
            }
        }
    }
}

/// What came of the connections that were there.
// A box would be an allocation for every request.
#[allow(clippy::large_enum_variant)]
enum Tried {
    Answered(Answer),
    /// The request is there to be sent on a new one. If it was sent already, on one that ended, this is how.
    Not(Option<hyper::Error>),
}

/// Sends the request on an idle connection, if there is one. Not `async` by itself: that would
/// keep its arguments a second time.
#[allow(clippy::manual_async_fn)]
fn on_idle(
    endpoint: &Arc<Endpoint>,
    request: &mut Option<Request<RequestBody>>,
    patience: &mut Patience,
    way: &Way,
    now: Timestamp,
) -> impl Future<Output = Result<Tried, SendError>> + Send {
    async move {
        while let Some(mut connection) = endpoint.attachment(Pool::new).take(now, || way.is_narrow()) {
            if !connection.is_ready() {
                match Box::pin(patience.before_deadline(within(way.connect, connection.ready()))).await? {
                    Ok(()) => {}
                    Err(e) if e.kind() == io::ErrorKind::TimedOut => break,
                    Err(_) => continue,
                }
            }
            connection.keep_what_is_sent(may_go_again(request, patience));
            match connection.exchange(request, patience).await {
                Ok(response) => {
                    return Ok(Tried::Answered(Answer::on(connection, &way.files, response)));
                }
                Err(SendError::NotSent(_)) => {}
                Err(SendError::Sent(error)) => {
                    let Some(again) = connection.unanswered() else { return Err(SendError::Sent(error)) };
                    *request = Some(again);
                    way.count_closed();
                    return Ok(Tried::Not(Some(error)));
                }
                Err(e) => return Err(e),
            }
        }
        Ok(Tried::Not(None))
    }
}

/// Whether a request may be sent twice: it is safe, and has no body (RFC 9110, 9.2.1).
fn may_go_again(request: &Option<Request<RequestBody>>, patience: &Patience) -> bool {
    request.as_ref().is_some_and(|request| is_safe(request.method())) && patience.upload().is_none()
}

/// Whether nobody minds if such a request comes twice.
pub fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

async fn send_on_new(
    endpoint: &Arc<Endpoint>,
    request: &mut Option<Request<RequestBody>>,
    patience: &mut Patience,
    way: &Way,
) -> Result<Answer, SendError> {
    let file = patience.before_deadline(way.files.take_within(way.connect)).await?.map_err(SendError::NoFile)?;
    let connecting = within(way.connect, async { Connection::open(tcp(endpoint.address()).await?, file).await });
    let mut connection = patience.before_deadline(connecting).await?.map_err(SendError::NotSent)?;
    let response = connection.exchange(request, patience).await?;
    Ok(Answer::on(connection, &way.files, response))
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

async fn tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

// === impl Way ===

impl Way {
    /// Whether a replica may take few connections.
    fn is_narrow(&self) -> bool {
        self.app.settings().scaling.concurrency_limit.is_some_and(|limit| limit <= FEW)
    }

    /// What an endpoint of it is known by.
    fn known_by(&self, endpoint: &Endpoint) -> &Known {
        let Trusted { known, said, authorities } = &self.trust;
        known.get_or_init(|| {
            let by = authorities.of(said.as_ref().map_or(&AuthoritySource::System, |trust| &trust.authority));
            let said = said.as_ref().and_then(|trust| trust.server_name.clone());
            let usual = || ServerName::try_from(usual_name(&self.app.settings().target)).ok();
            Known { by, name: said.or_else(usual).unwrap_or_else(|| endpoint.address().ip().into()) }
        })
    }

    /// A request goes out again since the app has closed its connection.
    fn count_closed(&self) {
        metrics::counter!("zerogate_closed_retries_total", "app" => self.app.id().to_string()).increment(1);
    }

    /// A request goes out again since the app has refused it.
    fn count_refused(&self) {
        metrics::counter!("zerogate_refused_retries_total", "app" => self.app.id().to_string()).increment(1);
    }
}

/// What an app's certificate is for if nothing else is said: who asks for it inside of a cluster asks for its Service.
fn usual_name(target: &Target) -> String {
    match target {
        Target::Process(_) => "localhost".to_owned(),
        Target::Scale(target) => format!("{}.{}.svc", target.service, target.namespace),
    }
}

// === impl Trusted ===

impl Trusted {
    /// What is said of it, or the usual; the authorities are among `authorities`.
    pub fn new(said: Option<Arc<Trust>>, authorities: Arc<Authorities>) -> Self {
        Self { known: OnceLock::new(), said, authorities }
    }
}

// === impl SendError ===

impl SendError {
    /// Where no other connection can be made, it is the app that has gone, and perhaps by this very request: that is not taken to
    /// another replica, which it may end as well.
    fn unless_lost(self, lost: Option<hyper::Error>) -> Self {
        match (self, lost) {
            (Self::NotSent(_) | Self::Tls(TlsFault::Ended), Some(lost)) => Self::Sent(lost),
            (error, _) => error,
        }
    }
}

impl From<Timeout> for SendError {
    fn from(timeout: Timeout) -> Self {
        Self::TimedOut(timeout)
    }
}

// === impl Answer ===

impl Answer {
    fn on(connection: Connection, files: &FileShare, response: Response<Incoming>) -> Self {
        // Where open files are short none is kept for later.
        let keep = if files.is_tight() { Duration::ZERO } else { keep_alive(response.headers()) };
        Self { response, lease: Some(Lease { connection, keep }) }
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
    /// The response's body has ended: the connection is free for the next request to `endpoint`, to which it was made.
    pub fn give_back(self, endpoint: &Arc<Endpoint>, clock: &Clock, now: Timestamp) {
        if !self.connection.is_closed() && !endpoint.is_closed() && !self.keep.is_zero() {
            Pool::put(endpoint, Idle { connection: self.connection, until: now + self.keep }, clock);
        }
    }
}

#[cfg(test)]
mod tests;
