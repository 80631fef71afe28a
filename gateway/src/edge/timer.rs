//! Timers for deadlines that are seldom met: most requests are answered long before. A timer that is set and taken back for
//! each of them is put into tokio's wheel and out again; one that is left where it is until it rings costs a look.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::Timer;
use hyper_util::rt::TokioTimer;
use parking_lot::Mutex;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::stall::ClientWait;

/// A timer used for one deadline after the other. It may ring for an earlier one, and is then set for the present one.
#[derive(Debug, Default)]
pub struct LazyTimer(Option<Pin<Box<Sleep>>>);

/// hyper's timer for one client connection, which never waits for anything but the next request's header: longer for its first byte
/// than for the rest.
#[derive(Debug, Clone)]
pub struct ConnectionTimer {
    timer: Arc<Mutex<LazyTimer>>,
    /// Knows whether something has come.
    wait: Arc<ClientWait>,
    /// How long a header may take from its first byte on.
    header: Duration,
}

/// A deadline of a [`ConnectionTimer`].
struct Until {
    deadline: Instant,
    timer: ConnectionTimer,
    /// The reads before; none once something has come since.
    reads: Option<u32>,
}

// === impl LazyTimer ===

impl LazyTimer {
    /// Ready once `deadline` has passed.
    pub fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

// === impl ConnectionTimer ===

impl ConnectionTimer {
    /// For headers that may take `header` from the first byte on, which `wait` knows of.
    pub fn new(wait: Arc<ClientWait>, header: Duration) -> Self {
        Self { timer: Arc::default(), wait, header }
    }
}

impl Timer for ConnectionTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(Until { deadline: deadline.into(), timer: self.clone(), reads: Some(self.wait.reads()) })
    }

    fn now(&self) -> std::time::Instant {
        TokioTimer::new().now()
    }
}

impl Future for Until {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // hyper looks at it only if what has come is no whole header.
        if self.reads.is_some_and(|reads| reads != self.timer.wait.reads()) {
            self.reads = None;
            let begun = sleep(self.timer.header).deadline();
            self.deadline = self.deadline.min(begun);
        }
        self.timer.timer.lock().poll_until(cx, self.deadline)
    }
}

impl hyper::rt::Sleep for Until {}

#[cfg(test)]
mod tests;
