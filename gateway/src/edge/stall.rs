//! Clients that take nothing of what they are sent. hyper waits for them without asking the body, so the body's own bounds
//! never get their turn: the wait has bounds of its own. With HTTP/1 it is seen where the socket is written to; an HTTP/2 stream
//! waits for its window, which only the task that sends it knows of.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::Executor;
use parking_lot::Mutex;
use pin_project_lite::pin_project;
use tokio::time::{Instant, sleep};

use super::timer::LazyTimer;
use crate::shutdown::Drain;

/// How long a client may take nothing of what it is sent.
pub const WRITE_STALL: Duration = Duration::from_secs(60);

/// What a client has sent of its requests: none, all of the last one, or not all.
const NOTHING: u8 = 0;
const SENT: u8 = 1;
const SENDING: u8 = 2;

/// What one response waits for. Its body tells; whoever sends it asks.
#[derive(Debug, Default)]
pub struct ClientWait {
    /// Odd while the app is waited for; counts up with each change.
    turns: AtomicU64,
    deadline: Mutex<Option<Instant>>,
    /// Whether there has been a request, and whether all of it has come, as far as is known.
    asked: AtomicU8,
    /// Reads from the client that got something.
    reads: AtomicU32,
    /// Whether what is given up of a request's body is read all the same.
    reads_on: AtomicBool,
    /// It is for the one answer of an HTTP/2 stream.
    is_streams: bool,
    /// What ends all that is only a courtesy.
    drain: Option<Arc<Drain>>,
}

/// Runs an HTTP/2 connection's streams, and ends those whose client takes nothing.
#[derive(Debug, Clone, Default)]
pub struct StreamExecutor {
    /// Of the request whose stream comes next: hyper calls the service and executes what comes of it, one after the other.
    next: Arc<Mutex<Option<Arc<ClientWait>>>>,
    drain: Option<Arc<Drain>>,
    /// How many there are.
    open: Arc<AtomicUsize>,
}

/// A stream that is there until this is dropped.
struct Open(Arc<AtomicUsize>);

pin_project! {
    /// A stream, as long as its client takes what it is sent.
    struct Bounded<F> {
        #[pin]
        stream: F,
        wait: Option<Arc<ClientWait>>,
        open: Option<Open>,
        // The turn that the stall counts from, and when it is over.
        stall: Option<(u64, Instant)>,
        timer: LazyTimer,
    }
}

// === impl ClientWait ===

impl ClientWait {
    /// The one of an HTTP/2 stream, which a drain ends.
    fn of_stream(drain: Option<Arc<Drain>>) -> Self {
        Self { reads_on: true.into(), is_streams: true, drain, ..Self::default() }
    }

    /// Has courtesies end with a drain.
    pub fn set_drain(&mut self, drain: Arc<Drain>) {
        self.drain = Some(drain);
    }

    /// What ends courtesies.
    pub fn drain(&self) -> Option<&Arc<Drain>> {
        self.drain.as_ref()
    }

    /// What is given up of the request's body is to be read all the same, so that the connection can go on; or it is not, and the
    /// connection ends with the answer.
    pub fn set_reads_on(&self, reads_on: bool) {
        self.reads_on.store(reads_on, Ordering::Relaxed);
    }

    /// Whether what is given up of the request's body is to be read all the same.
    pub fn reads_on(&self) -> bool {
        self.reads_on.load(Ordering::Relaxed)
    }

    /// Whether it is for one answer of an HTTP/2 stream.
    pub fn is_streams(&self) -> bool {
        self.is_streams
    }

    /// Whether nobody but the caller waits for the answer any more: it has been handed over, or given up. That of an HTTP/1
    /// connection is not told from the next one's, and does not matter.
    pub fn is_answered(self: &Arc<Self>) -> bool {
        !self.is_streams || Arc::strong_count(self) == 1
    }

    /// The body has nothing to give: the app is waited for, which has its own bounds.
    pub fn for_app(&self) {
        let turns = self.turns.load(Ordering::Relaxed);
        self.turns.store((turns + 1) | 1, Ordering::Release);
    }

    /// The body has given something: the client is waited for, until somebody asks for more.
    pub fn for_client(&self) {
        let turns = self.turns.load(Ordering::Relaxed);
        self.turns.store((turns + 2) & !1, Ordering::Release);
    }

    /// Sets when the whole request has to be over, or that there is no such time any more.
    pub fn set_deadline(&self, deadline: Option<Instant>) {
        *self.deadline.lock() = deadline;
    }

    /// When the whole request has to be over.
    pub fn deadline(&self) -> Option<Instant> {
        *self.deadline.lock()
    }

    /// A request has come, of which more is to come or not; or all of it has been read.
    pub fn set_sending(&self, sending: bool) {
        self.asked.store(if sending { SENDING } else { SENT }, Ordering::Relaxed);
    }

    /// Whether the client may still be sending.
    pub fn is_sending(&self) -> bool {
        self.asked.load(Ordering::Relaxed) == SENDING
    }

    /// Whether there has been a request.
    pub fn has_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed) != NOTHING
    }

    /// Something was read from the client. For the one who reads.
    pub fn has_read(&self) {
        self.reads.store(self.reads().wrapping_add(1), Ordering::Relaxed);
    }

    /// How often something was read from the client; begins anew when there is no higher number.
    pub fn reads(&self) -> u32 {
        self.reads.load(Ordering::Relaxed)
    }

    /// The turn, if it is the client's.
    fn clients_turn(&self) -> Option<u64> {
        Some(self.turns.load(Ordering::Acquire)).filter(|turns| turns % 2 == 0)
    }
}

// === impl StreamExecutor ===

impl StreamExecutor {
    /// For a connection whose courtesies `drain` ends.
    pub fn new(drain: Arc<Drain>) -> Self {
        Self { drain: Some(drain), ..Self::default() }
    }

    /// How many streams there are.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// The wait of the stream that is executed next. Until there is an answer, the app is waited for.
    pub fn expect(&self) -> Arc<ClientWait> {
        let wait = Arc::new(ClientWait::of_stream(self.drain.clone()));
        wait.for_app();
        *self.next.lock() = Some(wait.clone());
        wait
    }
}

impl<F> Executor<F> for StreamExecutor
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        let wait = self.next.lock().take();
        let open = Some(Open::new(&self.open));
        tokio::spawn(Bounded { stream, wait, open, stall: None, timer: LazyTimer::default() });
    }
}

// === impl Open ===

impl Open {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl Bounded ===

impl<F: Future> Future for Bounded<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.stream.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let Some(wait) = this.wait else { return Poll::Pending };
        let Some(turn) = wait.clients_turn() else { return Poll::Pending };
        let over = match *this.stall {
            Some((since, over)) if since == turn => over,
            _ => {
                let over = sleep(WRITE_STALL).deadline();
                *this.stall = Some((turn, over));
                over
            }
        };
        // Dropped with the task, the stream is reset, and what it held is free.
        this.timer.poll_until(cx, wait.deadline().map_or(over, |deadline| deadline.min(over)))
    }
}

#[cfg(test)]
mod tests;
