//! A body that is not read before its app wants it: the client waits for word of that (`Expect: 100-continue`), and reading is what
//! has it sent.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Sleep, sleep};

/// How long an app has to say that it wants the body, or does not. Then it is read all the same: there are apps that say nothing, and
/// clients wait no longer either.
const PATIENCE: Duration = Duration::from_secs(1);

/// Closed at first; once open it stays so.
#[derive(Debug, Default)]
pub(super) struct Gate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    open: bool,
    waker: Option<Waker>,
    /// Begins when somebody first waits.
    timer: Option<Pin<Box<Sleep>>>,
}

// === impl Gate ===

impl Gate {
    /// Lets whoever waits read.
    pub(super) fn open(&self) {
        let waker = {
            let mut state = self.0.lock();
            state.open = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Ready once it is open, or has been waited for long enough.
    pub(super) fn poll_open(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock();
        if !state.open {
            let timer = state.timer.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
            if timer.as_mut().poll(cx).is_pending() {
                state.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            state.open = true;
        }
        state.timer = None;
        Poll::Ready(())
    }
}
