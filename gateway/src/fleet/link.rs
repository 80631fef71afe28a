//! A link to one other gateway: dials it, tells it what is counted here, and dials again when the connection breaks.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use activator::app::Shared;
use activator::fleet::{Message, Outbox};
use activator::{Clock, Timestamp};
use futures_util::future::BoxFuture;
use futures_util::{Stream, stream};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, sleep_until, timeout};
use tonic::body::Body;
use tonic::codegen::Service;

use super::protocol::Message as Wire;
use super::protocol::fleet_client::FleetClient;
use super::tls::Tls;
use super::wire::{MOST_MESSAGE, encode};
use super::{PING, PONG, WINDOW, counted};

/// How long a connection may take, TLS included.
const CONNECT: Duration = Duration::from_secs(2);
/// Pauses between tries, from the shorter to the longer, each spread.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(1);
/// A connection that has lasted so long was a good one.
const STEADY: Duration = Duration::from_secs(2);
/// How long a gateway may not be reached before that is logged: one that is just coming is listed before it listens.
const TELL: Duration = Duration::from_secs(5);
/// What the URLs of calls begin with. Nobody looks at it.
const ORIGIN: &str = "http://gateway";

/// To one other gateway.
pub(super) struct Link {
    /// Its pod.
    pub(super) name: Arc<str>,
    pub(super) address: SocketAddr,
    pub(super) shared: Arc<Shared>,
    pub(super) tls: Option<Arc<Tls>>,
    /// Set when this gateway is about to end, and has nothing in flight any more.
    pub(super) ending: watch::Receiver<bool>,
    /// Whether the connection stands.
    pub(super) stands: Arc<AtomicBool>,
}

/// What there is to tell on one connection.
struct Speech {
    shared: Arc<Shared>,
    outbox: Outbox,
    ending: watch::Receiver<bool>,
    over: bool,
}

/// Sends calls on one connection.
struct Sender(http2::SendRequest<Body>);

/// Not true any more when it is dropped.
struct Stands<'a>(&'a AtomicBool);

// === impl Link ===

impl Link {
    /// Keeps it up until this gateway has said farewell, or could not.
    pub(super) async fn keep(mut self) {
        let clock = self.shared.clock.clone();
        let mut pause = SHORTEST;
        let mut trouble: Option<Timestamp> = None;
        let mut logged = false;
        loop {
            let begun = clock.now();
            let ended = self.once(&mut trouble, &mut logged).await;
            if *self.ending.borrow() {
                return;
            }
            let now = clock.now();
            if now.since(begun) >= STEADY {
                pause = SHORTEST;
            }
            let why = ended.err().unwrap_or_else(|| "it has ended the connection".to_owned());
            let since = *trouble.get_or_insert(now);
            if !logged && now.since(since) >= TELL {
                logged = true;
                tracing::warn!(gateway = &*self.name, address = %self.address, why, "another gateway is not reached");
            } else {
                tracing::debug!(gateway = &*self.name, address = %self.address, why, "no link to another gateway");
            }
            tokio::select! {
                () = sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)) => {}
                () = is_set(&mut self.ending) => return,
            }
            pause = (pause * 2).min(LONGEST);
        }
    }

    /// One connection, to its end.
    async fn once(&mut self, trouble: &mut Option<Timestamp>, logged: &mut bool) -> Result<(), String> {
        let connect = async {
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            io::Result::Ok(stream)
        };
        match &self.tls {
            None => {
                let stream = in_time(connect).await?;
                self.speak(stream, trouble, logged).await
            }
            Some(tls) => {
                let stream = in_time(async { tls.connect(connect.await?).await }).await?;
                self.speak(stream, trouble, logged).await
            }
        }
    }

    async fn speak(
        &mut self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        trouble: &mut Option<Timestamp>,
        logged: &mut bool,
    ) -> Result<(), String> {
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new())
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(2 * WINDOW)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PONG)
            .keep_alive_while_idle(true);
        let handshake = http.handshake::<_, Body>(TokioIo::new(stream));
        let (sender, connection) = timeout(CONNECT, handshake).await.map_err(|_| late())?.map_err(|e| e.to_string())?;
        let mut client = FleetClient::with_origin(Sender(sender), Uri::from_static(ORIGIN));
        client = client.max_encoding_message_size(MOST_MESSAGE);
        let speech = Speech {
            shared: self.shared.clone(),
            outbox: Outbox::to(self.name.clone()),
            ending: self.ending.clone(),
            over: false,
        };
        self.stands.store(true, Ordering::Release);
        let _stands = Stands(&self.stands);
        if std::mem::take(logged) {
            tracing::info!(gateway = &*self.name, address = %self.address, "another gateway is reached again");
        }
        *trouble = None;
        let mut connection = pin!(connection);
        tokio::select! {
            // Before the connection: its answer says why that has ended.
            biased;
            answer = client.share(messages(speech)) => match answer {
                Ok(_) => Ok(()),
                Err(status) => Err(format!("{}: {}", status.code(), status.message())),
            },
            ended = connection.as_mut() => match ended {
                Ok(()) => Err("it has closed the connection".to_owned()),
                Err(e) => Err(e.to_string()),
            },
        }
    }
}

async fn in_time<T>(connect: impl Future<Output = io::Result<T>>) -> Result<T, String> {
    timeout(CONNECT, connect).await.map_err(|_| late())?.map_err(|e| e.to_string())
}

fn late() -> String {
    format!("no connection within {} s", CONNECT.as_secs())
}

/// Waits until it is; for ever if nobody can set it any more.
async fn is_set(flag: &mut watch::Receiver<bool>) {
    if flag.wait_for(|set| *set).await.is_err() {
        pending().await
    }
}

// === impl Speech ===

/// Each is made when the one before it is on its way: who takes them slowly gets the latest, and nothing is queued.
fn messages(speech: Speech) -> impl Stream<Item = Wire> {
    stream::unfold(speech, |mut speech| async move {
        let message = encode(speech.next().await?);
        counted("sent", message.encoded_len());
        Some((message, speech))
    })
}

impl Speech {
    async fn next(&mut self) -> Option<Message> {
        if self.over {
            return None;
        }
        let shared = self.shared.clone();
        let (fleet, clock): (_, &Clock) = (&shared.fleet, &shared.clock);
        let changes = fleet.changes()?;
        loop {
            if *self.ending.borrow() {
                self.over = true;
                return fleet.farewell();
            }
            let (mut any, mut urgent) = (pin!(changes.any.notified()), pin!(changes.urgent.notified()));
            any.as_mut().enable();
            urgent.as_mut().enable();
            let now = clock.now();
            if let Some(message) = fleet.next_message(&mut self.outbox, now) {
                return Some(message);
            }
            let (next, calm) = (self.outbox.next_at(), self.outbox.calm_at());
            let (too_soon, is_calm) = (now < next, now >= calm);
            let at = match () {
                () if too_soon => next,
                () if is_calm => self.outbox.whole_at(),
                () => calm,
            };
            tokio::select! {
                () = urgent, if !too_soon => {}
                () = any, if is_calm => {}
                () = sleep_until(clock.instant(at)) => {}
                () = is_set(&mut self.ending) => {}
            }
        }
    }
}

// === impl Sender ===

impl Service<Request<Body>> for Sender {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = BoxFuture<'static, hyper::Result<Response<Incoming>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

// === impl Stands ===

impl Drop for Stands<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
