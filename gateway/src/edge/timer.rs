//! Timers for deadlines that are seldom met: most requests are answered long before. A timer that is set and taken back for
//! each of them is put into tokio's wheel and out again; one that is left where it is until it rings costs a look.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::rt::Timer;
use hyper_util::rt::TokioTimer;
use parking_lot::Mutex;
use tokio::time::{Instant, Sleep, sleep_until};

/// A timer used for one deadline after the other. It may ring for an earlier one, and is then set for the present one.
#[derive(Debug, Default)]
pub struct LazyTimer(Option<Pin<Box<Sleep>>>);

/// hyper's timer for one client connection, which never waits for two things at once.
#[derive(Debug, Default, Clone)]
pub struct ConnectionTimer(Arc<Mutex<LazyTimer>>);

/// A deadline of a [`ConnectionTimer`].
struct Until {
    deadline: Instant,
    timer: ConnectionTimer,
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

impl Timer for ConnectionTimer {
    fn sleep(&self, duration: std::time::Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(Until { deadline: deadline.into(), timer: self.clone() })
    }

    fn now(&self) -> std::time::Instant {
        TokioTimer::new().now()
    }
}

impl Future for Until {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.timer.0.lock().poll_until(cx, self.deadline)
    }
}

impl hyper::rt::Sleep for Until {}

#[cfg(test)]
mod tests;
