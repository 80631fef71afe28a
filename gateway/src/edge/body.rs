//! Bodies on their way through: never buffered, guarded by what has to end with them.

mod gate;
mod home;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use activator::{Clock, Timestamp};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use thiserror::Error;
use tokio::time::{Instant, Sleep};

use super::client_body::ClientBody;
use super::flight::Flight;
use super::headers::clean_trailers;
use super::stall::ClientWait;
use gate::Gate;
use home::Home;
pub use home::Lent;

/// Why a body broke off.
#[derive(Debug, Error)]
pub enum BodyError {
    /// The other side broke it off, or sent it wrongly.
    #[error(transparent)]
    Broken(#[from] hyper::Error),
    /// Nothing came for too long.
    #[error("nothing came for {} s", .0.as_secs_f64())]
    Idle(Duration),
    /// The whole request took too long.
    #[error("the request took longer than it may")]
    Overdue,
}

/// A body that breaks off when nothing comes for `idle`, nor goes the other way. The timer is made when there is first something
/// to wait for.
struct Watched<B> {
    inner: B,
    idle: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    /// If there is another way: how the request's body is doing.
    progress: Option<Arc<UploadProgress>>,
    /// Where it goes back to as long as nothing was taken of it, if anywhere.
    home: Option<Arc<Home>>,
}

/// A request's body on its way to the app. Most requests have none, and all are moved about.
pub struct RequestBody(Option<Box<Watched<ClientBody>>>);

/// What the timeouts have to know of a request with a body: the one for the response's head starts to count when the request has
/// been sent whole, and neither body is idle while the other moves.
#[derive(Debug)]
pub struct UploadProgress {
    clock: Clock,
    /// When a part of it, or of the response, last went through.
    moved: AtomicU64,
    /// When the last part of it did, or nobody wanted more; zero before.
    ended: AtomicU64,
    whole: AtomicBool,
    broken: AtomicBool,
    /// What keeps the body from being read until its app wants it.
    gate: Option<Box<Gate>>,
    /// Who has to know that the client has sent all of it, if anybody.
    client: Option<Arc<ClientWait>>,
}

/// A response's body on its way to the client.
pub struct EdgeBody(Kind);

enum Kind {
    Empty,
    Full(Option<Bytes>),
    /// Boxed: the future of every held request is as large as this could become.
    Upstream(Box<Upstream>),
}

struct Upstream {
    watched: Watched<Incoming>,
    deadline: Option<Pin<Box<Sleep>>>,
    flight: Flight,
    /// Who has to know what is waited for, if anybody.
    wait: Option<Arc<ClientWait>>,
}

// === impl Watched ===

impl<B: Body<Data = Bytes, Error = hyper::Error> + Unpin> Watched<B> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(frame) => {
                self.timer = None;
                if let Some(progress) = &self.progress {
                    progress.moves();
                }
                Poll::Ready(frame.and_then(|frame| frame.map_err(BodyError::Broken).map(cleaned).transpose()))
            }
            Poll::Pending => {
                let idle = self.idle;
                let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(idle)));
                loop {
                    ready!(timer.as_mut().poll(cx));
                    let still = self.progress.as_ref().map_or(idle, |progress| progress.still_for());
                    if still >= idle {
                        return Poll::Ready(Some(Err(BodyError::Idle(idle))));
                    }
                    let next = timer.deadline() + (idle - still);
                    timer.as_mut().reset(next);
                }
            }
        }
    }
}

/// A frame as it may be passed on; nothing if there is nothing left of it, which is the end.
fn cleaned(mut frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
    if let Some(trailers) = frame.trailers_mut() {
        clean_trailers(trailers);
        if trailers.is_empty() {
            return None;
        }
    }
    Some(frame)
}

// === impl Upstream ===

impl Drop for Upstream {
    fn drop(&mut self) {
        if let Some(wait) = &self.wait {
            wait.set_deadline(None);
        }
    }
}

// === impl RequestBody ===

impl RequestBody {
    /// A body from the client that may be silent for `idle`; `progress` is told of its end.
    pub fn new(inner: ClientBody, idle: Duration, progress: Option<Arc<UploadProgress>>) -> Self {
        Self((!inner.is_end_stream()).then(|| Box::new(Watched { inner, idle, timer: None, progress, home: None })))
    }

    /// It comes back if whoever gets it lets go of it untouched; nothing if there is none.
    pub fn lend(&mut self) -> Option<Lent> {
        let home = Arc::<Home>::default();
        self.0.as_mut()?.home = Some(home.clone());
        Some(Lent(home))
    }

    /// None.
    pub const fn empty() -> Self {
        Self(None)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        if let Some(gate) = body.progress.as_ref().and_then(|progress| progress.gate.as_ref()) {
            ready!(gate.poll_open(cx));
        }
        let frame = ready!(body.poll_frame(cx));
        body.home = None;
        if let Some(progress) = &body.progress {
            match &frame {
                Some(Err(_)) => progress.broken.store(true, Ordering::Release),
                // A body of known length is not polled again after its last byte.
                None => progress.end_whole(),
                Some(Ok(_)) if body.inner.is_end_stream() => progress.end_whole(),
                Some(Ok(_)) => {}
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|body| body.inner.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or(SizeHint::with_exact(0), |body| body.inner.size_hint())
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let Some(mut body) = self.0.take() else { return };
        if let Some(home) = body.home.take() {
            home.take_in(body);
        } else if let Some(progress) = &body.progress {
            progress.end();
        }
    }
}

// === impl UploadProgress ===

impl UploadProgress {
    /// Nothing sent yet.
    pub fn new(clock: Clock) -> Self {
        let moved = AtomicU64::new(clock.now().as_nanos());
        let (whole, broken) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { clock, moved, ended: AtomicU64::new(0), whole, broken, gate: None, client: None }
    }

    /// The same, with a body that is not read until [`UploadProgress::open`] is called, or nobody has done so for a second.
    pub fn gated(self) -> Self {
        Self { gate: Some(Box::default()), ..self }
    }

    /// The same, with `client` told once all of the body has been read.
    pub fn telling(self, client: Arc<ClientWait>) -> Self {
        Self { client: Some(client), ..self }
    }

    /// Whether a connection of HTTP/1 ends with the answer, as the client still sends.
    pub fn ends_connection(&self) -> bool {
        self.client.is_some() && !self.is_whole()
    }

    /// The answer is given while the client still sends: a connection of HTTP/1 ends with it, or goes on with what comes after.
    pub fn answered(&self, ends_connection: bool) {
        if let Some(client) = &self.client {
            client.set_reads_on(!ends_connection);
        }
    }

    /// The body may be read.
    pub fn open(&self) {
        if let Some(gate) = &self.gate {
            gate.open();
        }
    }

    /// How long ago the body had been sent, if it has.
    pub fn ended_for(&self) -> Option<Duration> {
        let ended = self.ended.load(Ordering::Acquire);
        (ended > 0).then(|| self.clock.now().since(Timestamp::from_nanos(ended)))
    }

    /// How long nothing has gone through, either way.
    pub fn still_for(&self) -> Duration {
        self.clock.now().since(Timestamp::from_nanos(self.moved.load(Ordering::Acquire)))
    }

    /// Whether all of it was sent.
    pub fn is_whole(&self) -> bool {
        self.whole.load(Ordering::Acquire)
    }

    /// Whether it was the client's side that broke off.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    fn end_whole(&self) {
        self.whole.store(true, Ordering::Release);
        if let Some(client) = &self.client {
            client.set_sending(false);
        }
        self.end();
    }

    /// A part of it, or of the response, went through.
    pub fn moves(&self) {
        self.moved.store(self.now(), Ordering::Release);
    }

    /// There is no more of it; the first end counts.
    pub fn end(&self) {
        let _ = self.ended.compare_exchange(0, self.now(), Ordering::AcqRel, Ordering::Acquire);
    }

    fn now(&self) -> u64 {
        self.clock.now().as_nanos().max(1)
    }
}

// === impl EdgeBody ===

impl EdgeBody {
    /// No body.
    pub fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// A body of ours.
    pub fn full(bytes: Bytes) -> Self {
        Self(Kind::Full(Some(bytes)))
    }

    /// The app's body, which may be silent for `idle` and has to end by `deadline`. `flight` ends with it.
    pub fn upstream(inner: Incoming, idle: Duration, deadline: Option<Instant>, mut flight: Flight) -> Self {
        if inner.is_end_stream() {
            flight.body_ended();
            return Self(Kind::Empty);
        }
        let deadline = deadline.map(|at| Box::pin(tokio::time::sleep_until(at)));
        let watched = Watched { inner, idle, timer: None, progress: flight.upload().cloned(), home: None };
        Self(Kind::Upstream(Box::new(Upstream { watched, deadline, flight, wait: None })))
    }

    /// Whether it has to have ended by some time.
    pub fn has_deadline(&self) -> bool {
        matches!(&self.0, Kind::Upstream(upstream) if upstream.deadline.is_some())
    }

    /// Tells `wait` what this body waits for, and when it has to have ended.
    pub fn tell(&mut self, wait: &Arc<ClientWait>) {
        if let Kind::Upstream(upstream) = &mut self.0 {
            wait.set_deadline(upstream.deadline.as_ref().map(|deadline| deadline.deadline()));
            wait.for_client();
            upstream.wait = Some(wait.clone());
        }
    }
}

impl Body for EdgeBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Upstream(upstream) => {
                if let Some(deadline) = &mut upstream.deadline
                    && deadline.as_mut().poll(cx).is_ready()
                {
                    return Poll::Ready(Some(Err(BodyError::Overdue)));
                }
                let frame = upstream.watched.poll_frame(cx);
                if let Some(wait) = &upstream.wait {
                    if frame.is_ready() { wait.for_client() } else { wait.for_app() }
                }
                let frame = ready!(frame);
                match &frame {
                    Some(Ok(frame)) => {
                        upstream.flight.sent(frame.data_ref().map_or(0, Bytes::len));
                        // A body of known length is not polled again after its last byte: the end is here.
                        if upstream.watched.inner.is_end_stream() {
                            upstream.flight.body_ended();
                        }
                    }
                    None => upstream.flight.body_ended(),
                    Some(Err(_)) => {}
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Full(bytes) => bytes.is_none(),
            Kind::Upstream(upstream) => upstream.watched.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Upstream(upstream) => upstream.watched.inner.size_hint(),
        }
    }
}
