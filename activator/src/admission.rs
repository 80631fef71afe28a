//! Where a request may go: endpoints, their slots, and the pick among them. No lock on this path.

pub mod affinity;
mod early;
pub(crate) mod filling;
mod probation;
pub mod removal;
pub(crate) mod slots;
mod suspicion;

use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::Timestamp;
use crate::settings::{Protocol, Readiness};
use crate::sync;
use early::Early;
use filling::Filling;
pub use probation::Ending;
use probation::Probation;
use removal::Removal;
use slots::{Released, Slots};
pub use suspicion::Fault;
use suspicion::Suspicion;

/// One address that serves an app: a local process's port, later a pod's.
///
/// An identity, not an address: a process started later on the same port is another endpoint, and never meets
/// what belonged to the first one.
pub struct Endpoint {
    name: Box<str>,
    token: u64,
    address: SocketAddr,
    protocol: Protocol,
    slots: Slots,
    filling: Filling,
    early: Early,
    suspicion: Suspicion,
    drained: Notify,
    /// Set while somebody waits until it is closed and empty, however often it is closed and opened again until then.
    drain_watched: AtomicBool,
    attachment: OnceLock<Box<dyn Any + Send + Sync>>,
    removal: Removal,
    readiness: Option<Readiness>,
    probation: Option<Probation>,
    /// Answers it has given: none, one, or more.
    answers: AtomicU8,
}

// === impl Endpoint ===

impl Endpoint {
    /// An endpoint called `name` (a pid, a pod's UID) at `address`, not yet in rotation.
    pub fn new(name: impl Into<Box<str>>, address: SocketAddr) -> Self {
        let name = name.into();
        Self {
            token: affinity::hash(name.as_bytes()),
            name,
            address,
            protocol: Protocol::Http1,
            slots: Slots::new(),
            filling: Filling::new(),
            early: Early::default(),
            suspicion: Suspicion::new(),
            drained: Notify::new(),
            drain_watched: AtomicBool::new(false),
            attachment: OnceLock::new(),
            removal: Removal::default(),
            readiness: None,
            probation: None,
            answers: AtomicU8::new(0),
        }
    }

    /// The same, that speaks `protocol`. It belongs to the endpoint and not to the app, since replicas of before and after a
    /// change serve side by side.
    pub fn speaking(self, protocol: Protocol) -> Self {
        Self { protocol, ..self }
    }

    /// What it speaks.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The same, taken away by its platform like this.
    pub fn removed(self, removal: Removal) -> Self {
        Self { removal, ..self }
    }

    /// How its platform takes it away.
    pub fn removal(&self) -> Removal {
        self.removal
    }

    /// The same, asked like this whether it can take requests again before it is used as before, once it has failed some. Without
    /// it that is for its platform to find out, and time alone makes it as good as others.
    pub fn asked_again(self, readiness: Readiness) -> Self {
        Self { readiness: Some(readiness), ..self }
    }

    /// The same, that may end after its first answer.
    pub fn on_probation(self, ending: Ending) -> Self {
        Self { probation: Some(Probation::new(ending)), ..self }
    }

    /// What to ask it before it is used as before.
    pub(crate) fn readiness(&self) -> Option<&Readiness> {
        self.readiness.as_ref()
    }

    /// What its platform calls it; unique among the app's endpoints.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A hash of its name: the same in every gateway, and tells nothing of where it is.
    pub fn token(&self) -> u64 {
        self.token
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it is used though its platform does not call it ready: a check of ours has passed, that is all.
    pub fn is_early(&self) -> bool {
        self.early.is_early()
    }

    /// It is used from now on though its platform does not call it ready. For platforms.
    pub fn begin_early(&self) {
        self.early.begin();
    }

    /// Its platform calls it ready, or has taken it out of use. Whether it had failed until now: then nobody uses it, and its
    /// platform has to report it anew. For platforms.
    pub fn end_early(&self) -> bool {
        self.early.end()
    }

    /// Whether it is early; if so, it is not used any more until its platform calls it ready.
    pub(crate) fn fail_early(&self) -> bool {
        self.early.fail()
    }

    /// Whether it was used too early, and is to wait until its platform calls it ready.
    pub(crate) fn has_failed_early(&self) -> bool {
        self.early.has_failed()
    }

    /// Requests admitted to it and not yet finished.
    pub fn in_flight(&self) -> u32 {
        self.slots.in_use()
    }

    /// Whether it lets no further request in.
    pub fn is_closed(&self) -> bool {
        self.slots.is_closed()
    }

    /// Until when others are to be preferred after this fault at `now`, if it calls for that: 2 s at first, twice as long each
    /// time, a minute at most.
    pub(crate) fn blame(&self, fault: Fault, now: Timestamp) -> Option<Timestamp> {
        self.suspicion.blame(fault, now)
    }

    /// Prefers others until `until` at least: it has failed a request. The last endpoint of an app is used all the same.
    /// Whether somebody has to wait for the end of that, since nobody does yet.
    pub(crate) fn suspect(&self, until: Timestamp) -> bool {
        self.suspicion.extend(until)
    }

    /// It has answered. Whether others were preferred until now.
    pub(crate) fn trust(&self) -> bool {
        if self.answers.load(Ordering::Relaxed) < 2 {
            self.answers.fetch_add(1, Ordering::Relaxed);
        }
        self.suspicion.end()
    }

    /// Whether it has given any answer.
    pub(crate) fn has_answered(&self) -> bool {
        self.answers.load(Ordering::Relaxed) > 0
    }

    /// Whether it has given one answer and no more.
    pub(crate) fn has_answered_once(&self) -> bool {
        self.answers.load(Ordering::Relaxed) == 1
    }

    /// Whether others are preferred at `now`.
    pub fn is_suspect(&self, now: Timestamp) -> bool {
        self.suspicion.left(now).is_some()
    }

    /// How long others are still preferred at `now`; nothing if whoever waits for the end of that is to wait no longer.
    pub(crate) fn still_suspect(&self, now: Timestamp) -> Option<Duration> {
        loop {
            let left = self.suspicion.left(now);
            if left.is_some() || self.suspicion.unwatch(now) {
                return left;
            }
        }
    }

    /// What the proxy keeps with an endpoint (its connections), made on first use and gone with the endpoint.
    /// One type per program: asking for another one later panics.
    pub fn attachment<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> &T {
        self.attachment.get_or_init(|| Box::new(make())).downcast_ref().expect("one kind of attachment per program")
    }

    /// Lets no further request in; those inside go on. Returns how many are inside.
    pub fn close(&self) -> u32 {
        let inside = self.slots.close();
        if inside == 0 {
            self.drained.notify_waiters();
        }
        inside
    }

    /// Closes it only if no request is inside; a request that came first wins and the answer is false.
    pub fn close_if_idle(&self) -> bool {
        let closed = self.slots.close_if_idle();
        if closed {
            self.drained.notify_waiters();
        }
        closed
    }

    /// Lets requests in again after a close.
    pub(crate) fn reopen(&self) {
        self.slots.reopen();
    }

    /// Waits until it is closed and empty. May wait for ever if nobody closes it: the caller sets the deadline.
    pub async fn drained(&self) {
        loop {
            let notified = self.drained.notified();
            if self.is_closed() && self.in_flight() == 0 {
                return;
            }
            notified.await;
        }
    }

    /// Whether somebody has to wait until it is drained, since nobody does.
    pub(crate) fn watch_drain(&self) -> bool {
        !self.drain_watched.swap(true, Ordering::AcqRel)
    }

    /// It is drained, and nobody waits for that any more.
    pub(crate) fn unwatch_drain(&self) {
        self.drain_watched.store(false, Ordering::Release);
    }

    /// It has come into rotation at `now`, and is to be filled step by step.
    pub(crate) fn fill(&self, now: Timestamp) {
        self.filling.begin(now);
        self.slots.fill();
    }

    /// How long it is at `now` until it may have more requests, even if it answers none; nothing if it is not being filled.
    pub(crate) fn may_have_more_in(&self, now: Timestamp) -> Option<Duration> {
        if self.slots.is_filling() { self.filling.next_step(now) } else { None }
    }

    pub(crate) fn try_acquire(&self, limit: u32, now: Timestamp) -> bool {
        let limit = self.probation.as_ref().map_or(limit, |probation| probation.limit(limit));
        self.slots.try_acquire(limit, || self.filling.allowed(now))
    }

    /// From now on this gateway may have so many slots in use here; what is in use beyond that ends by itself. Whoever raises it
    /// then has those served who wait.
    pub(crate) fn set_share(&self, slots: u32) {
        self.slots.set_share(slots);
    }

    /// How many slots this gateway may have in use here, and how many are.
    pub(crate) fn share_and_in_use(&self) -> (u32, u32) {
        self.slots.share_and_in_use()
    }

    /// A request is over. Whoever calls this then has those served who wait; and if a pause comes back, calls
    /// [`Endpoint::resume`] after it.
    pub(crate) fn release(&self) -> Option<Duration> {
        let pause = self.probation.as_ref().and_then(Probation::end);
        let released = if pause.is_some() { self.slots.release_and_pause() } else { self.slots.release() };
        match released {
            Released::Drained => self.drained.notify_waiters(),
            Released::Filling => self.filling.answered(),
            Released::Open | Released::Draining => {}
        }
        pause
    }

    /// The pause after its first request is over.
    pub(crate) fn resume(&self) {
        self.slots.resume();
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("name", &self.name)
            .field("address", &self.address)
            .field("in_flight", &self.in_flight())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

// === pick ===

/// Takes a slot at the less loaded of two random endpoints that have one (power of two choices, Mitzenmacher 2001), or at
/// any other that has one if neither does: an idle endpoint is never passed over when the limit is 1.
/// Suspect endpoints are used only when there is no other in rotation.
pub(crate) fn pick(endpoints: &[Arc<Endpoint>], limit: u32, now: Timestamp) -> Option<&Arc<Endpoint>> {
    match endpoints {
        [] => None,
        [only] => only.try_acquire(limit, now).then_some(only),
        many => {
            let first = fastrand::usize(..many.len());
            let second = (first + fastrand::usize(1..many.len())) % many.len();
            let (a, b) = (&many[first], &many[second]);
            let (better, other) = if b.in_flight() < a.in_flight() { (b, a) } else { (a, b) };
            [better, other]
                .into_iter()
                .find(|e| !e.is_suspect(now) && e.try_acquire(limit, now))
                .or_else(|| scan(many, first, limit, now))
        }
    }
}

/// Looks at every endpoint, from `start` on.
fn scan(endpoints: &[Arc<Endpoint>], start: usize, limit: u32, now: Timestamp) -> Option<&Arc<Endpoint>> {
    let (before, after) = endpoints.split_at(start);
    let mut trusted = false;
    let found = after.iter().chain(before).find(|e| {
        let usable = !e.is_suspect(now);
        trusted |= usable && !e.is_closed();
        usable && e.try_acquire(limit, now)
    });
    if found.is_some() || trusted {
        return found;
    }
    after.iter().chain(before).find(|e| e.try_acquire(limit, now))
}

#[cfg(test)]
mod tests;
