//! Going in good order: not ready, a lame-duck time, what is in flight finishes, what is held is told, processes stop.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use activator::platform::Platform;
use activator::registry::Registry;
use async_trait::async_trait;
use pingora_core::server::{ShutdownSignal, ShutdownSignalWatch};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use crate::external_scaler::bounds::Bound;
use crate::fleet::Handle;

/// How long answers to the dismissed may take to go out.
const FAREWELL: Duration = Duration::from_secs(1);
/// How often the drain looks whether everything has ended.
const LOOK: Duration = Duration::from_millis(10);

/// Whether the gateway is ready, and whether it is going.
#[derive(Debug, Default)]
pub struct Drain {
    ready: AtomicBool,
    leaving: AtomicBool,
    begun: AtomicBool,
    notify: Arc<Notify>,
    changes: Notify,
    connections: AtomicUsize,
}

/// One of the connections of clients; dropping it is the only way down.
#[derive(Debug)]
pub struct Connected(Arc<Drain>);

/// What happens on SIGTERM and SIGINT.
pub struct Shutdown {
    /// Tells everybody.
    pub drain: Arc<Drain>,
    /// Who is still in flight or held.
    pub registry: Arc<Registry>,
    /// Connections of those who ask how much there is to do: told to end when the drain begins, and given a moment for it.
    pub askers: Option<Arc<Bound>>,
    /// The other gateways, who are told when nothing is in flight here any more.
    pub fleet: Option<Arc<Handle>>,
    /// What is to stop at the end.
    pub platform: Arc<dyn Platform>,
    /// How long to go on as before, not ready.
    pub lame_duck: Duration,
    /// How long what is in flight may take to finish.
    pub deadline: Duration,
}

// === impl Drain ===

impl Drain {
    /// The configuration is loaded, the edge listens.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
        self.changes.notify_waiters();
    }

    /// Whether new traffic should be sent here.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire) && !self.leaving.load(Ordering::Acquire)
    }

    /// Whether it is known what there is to serve, and served: from ready on, and for the lame-duck time too.
    pub fn is_serving(&self) -> bool {
        self.ready.load(Ordering::Acquire) && !self.has_begun()
    }

    /// Notified whenever one of these answers has changed.
    pub fn changes(&self) -> &Notify {
        &self.changes
    }

    /// Whether connections are to end after what they have.
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// Resolves when the drain begins, if it is polled before; otherwise [`Drain::has_begun`] tells.
    pub fn begun(&self) -> OwnedNotified {
        self.notify.clone().notified_owned()
    }

    /// Resolves when the drain begins, or at once if it has.
    pub async fn until_begun(&self) {
        let mut begun = pin!(self.begun());
        begun.as_mut().enable();
        if !self.has_begun() {
            begun.await;
        }
    }

    /// One more connection, if there are fewer than `most`.
    pub fn connect(self: &Arc<Self>, most: usize) -> Option<Connected> {
        let connected = Connected(self.clone());
        (self.connections.fetch_add(1, Ordering::AcqRel) < most).then_some(connected)
    }

    /// Connections of clients now.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Resolves when the gateway begins to go; at once if it does already.
    pub async fn left(&self) {
        self.until(|| self.leaving.load(Ordering::Acquire)).await;
    }

    /// Resolves when new traffic may be sent here; at once if it may.
    pub async fn until_ready(&self) {
        self.until(|| self.is_ready()).await;
    }

    async fn until(&self, holds: impl Fn() -> bool) {
        loop {
            let mut changed = pin!(self.changes.notified());
            changed.as_mut().enable();
            if holds() {
                return;
            }
            changed.await;
        }
    }

    fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
        self.changes.notify_waiters();
    }

    pub(crate) fn begin(&self) {
        self.begun.store(true, Ordering::Release);
        self.notify.notify_waiters();
        self.changes.notify_waiters();
    }
}

// === impl Connected ===

impl Connected {
    /// Who counts it.
    pub fn drain(&self) -> &Arc<Drain> {
        &self.0
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::AcqRel);
    }
}

// === impl Shutdown ===

#[async_trait]
impl ShutdownSignalWatch for Shutdown {
    async fn recv(&self) -> ShutdownSignal {
        let mut terminate = listen(SignalKind::terminate());
        let mut interrupt = listen(SignalKind::interrupt());
        let lame_duck = tokio::select! {
            () = next(&mut terminate) => self.lame_duck,
            // Somebody at a terminal: nobody is to be told to send elsewhere first.
            () = next(&mut interrupt) => Duration::ZERO,
        };
        tokio::select! {
            () = self.go(lame_duck) => {}
            () = next(&mut terminate) => self.at_once(),
            () = next(&mut interrupt) => self.at_once(),
        }
        // Not the fast one, which leaves accept loops to spin on sockets whose runtime has gone. There is no grace period.
        ShutdownSignal::GracefulTerminate
    }
}

impl Shutdown {
    async fn go(&self, lame_duck: Duration) {
        tracing::info!(lame_duck = ?lame_duck, deadline = ?self.deadline, "stopping: not ready any more");
        self.drain.leave();
        self.registry.leave();
        tokio::time::sleep(lame_duck).await;
        self.drain.begin();
        let mut deadline = pin!(tokio::time::sleep(self.deadline));
        let finished = tokio::select! {
            () = self.nothing_in_flight() => true,
            () = &mut deadline => false,
        };
        let held = self.registry.held();
        self.registry.close();
        if !finished {
            tracing::warn!(held, in_flight = self.registry.in_flight(), "deadline: the held are sent away");
            let _ = tokio::time::timeout(FAREWELL, self.nothing_in_flight()).await;
        } else {
            // What the apps have answered may still be on its way to clients that take it slowly.
            tokio::select! {
                () = self.all_have_left() => {}
                () = deadline => tracing::warn!("deadline: connections are cut off"),
            }
        }
        if let Some(askers) = &self.askers {
            let _ = tokio::time::timeout(FAREWELL, none_is_open(askers)).await;
        }
        if let Some(fleet) = &self.fleet {
            fleet.farewell().await;
        }
        self.platform.stop().await;
        tracing::info!("stopped");
    }

    async fn all_have_left(&self) {
        while self.drain.connections.load(Ordering::Acquire) > 0 {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Returns once nothing has been in flight for two looks.
    async fn nothing_in_flight(&self) {
        let mut quiet = 0;
        while quiet < 2 {
            tokio::time::sleep(LOOK).await;
            quiet = if self.registry.in_flight() == 0 { quiet + 1 } else { 0 };
        }
    }

    fn at_once(&self) {
        tracing::warn!("second signal: stopping at once");
        self.platform.kill_now();
    }
}

async fn none_is_open(bound: &Bound) {
    while bound.count() > 0 {
        tokio::time::sleep(LOOK).await;
    }
}

fn listen(kind: SignalKind) -> Option<Signal> {
    signal(kind).inspect_err(|e| tracing::error!(error = %e, "cannot listen for a signal")).ok()
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn who_waits_for_its_going_is_told_and_who_comes_later_too() {
        let drain = Drain::default();
        let mut before = pin!(drain.left());
        assert_eq!(before.as_mut().now_or_never(), None);
        drain.leave();
        assert_eq!(before.now_or_never(), Some(()));
        assert_eq!(drain.left().now_or_never(), Some(()));
    }
}
