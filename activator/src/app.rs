//! A live app: its settings, its endpoints, its counts, and who waits for it.

mod control;
mod gateways;
mod observed;
mod orders;
mod outside;
mod permit;
pub(crate) mod poked;
pub(crate) mod shares;
mod suspect;
mod victims;

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::admission::affinity::{Affinity, pick_for};
use crate::admission::slots::UNLIMITED;
use crate::admission::{Endpoint, pick};
use crate::clock::{Clock, Timestamp};
use crate::demand::{Load, Reading};
use crate::fleet::{Fleet, Others};
use crate::hold::line::{Line, Place};
use crate::hold::{HoldBudget, HoldShare, Refusal};
use crate::platform::{AppKey, Observer, Subject};
use crate::settings::{AppId, AppSettings, ScaledBy};
use crate::sync;
use control::Control;
pub(crate) use control::backoff;
pub use control::{AppState, Failure, OtherWriter, RecordedDecision};
use outside::Looks;
use permit::Slot;
pub use permit::{Permit, Ticket, Wait};
use poked::Poked;

/// What is routed to and scaled as one unit.
pub struct App {
    key: AppKey,
    id: AppId,
    this: Weak<Self>,
    shared: Arc<Shared>,
    settings: ArcSwap<AppSettings>,
    /// In rotation.
    endpoints: ArcSwap<Vec<Arc<Endpoint>>>,
    /// Most requests at one endpoint, now. SeqCst, as the slots are: raising it frees slots, see [`Line::serve`].
    slot_limit: AtomicU32,
    load: Load,
    /// What other gateways count. Apps of which they have told nothing have none.
    others: parking_lot::Mutex<Option<Box<Others>>>,
    /// When it was declared: nothing is known of requests before.
    declared: Timestamp,
    looks: parking_lot::Mutex<Looks>,
    /// Made for the first one who wants to know.
    changes: OnceLock<Box<Notify>>,
    line: Line<Waiter>,
    /// Set while somebody waits until endpoints that are being filled may have more.
    filling: Poked,
    share: HoldShare,
    /// Replicas on their way; written under the lock of `control`, read without.
    starting: AtomicU32,
    poked: Poked,
    /// Set until its platform is told that what is used early has failed.
    distrusts_early: Poked,
    has_news: Poked,
    /// Set until somebody looks what there is to tell other gateways.
    noted: Poked,
    control: parking_lot::Mutex<Control>,
}

/// What all apps of a gateway share.
#[derive(Debug)]
pub struct Shared {
    /// What time it is.
    pub clock: Clock,
    /// What all held requests may take together.
    pub budget: Arc<HoldBudget>,
    /// Where apps that need a decision at once go. Each app is in it once at most, so it is bounded by the number of apps.
    pub pokes: mpsc::UnboundedSender<Arc<App>>,
    /// Where apps go of which something is to be told: in their status, in events. As with `pokes`, each is in it once at most.
    /// `None` if nobody tells.
    pub news: Option<mpsc::UnboundedSender<Arc<App>>>,
    /// Set when this gateway goes: another one may count by now what this one does not see, so nothing is lowered any more.
    pub leaving: AtomicBool,
    /// The other gateways.
    pub fleet: Fleet,
}

/// Who waits in line.
struct Waiter {
    answer: oneshot::Sender<Result<Slot, Refusal>>,
    affinity: Option<Affinity>,
}

/// No endpoints, which all sleeping apps have in common.
fn none() -> Arc<Vec<Arc<Endpoint>>> {
    static NONE: LazyLock<Arc<Vec<Arc<Endpoint>>>> = LazyLock::new(Arc::default);
    NONE.clone()
}

/// A place in an app's line, left on drop.
struct InLine<'a> {
    app: &'a App,
    place: Place,
}

// === impl App ===

impl App {
    /// An app with no endpoints, asleep.
    pub fn new(id: AppId, settings: impl Into<Arc<AppSettings>>, shared: Arc<Shared>) -> Arc<Self> {
        static KEYS: AtomicU64 = AtomicU64::new(0);
        let app = Arc::new_cyclic(|this| Self {
            key: AppKey(KEYS.fetch_add(1, Ordering::Relaxed)),
            this: this.clone(),
            id,
            share: HoldShare::new(shared.budget.clone()),
            declared: shared.clock.now(),
            others: parking_lot::Mutex::default(),
            looks: parking_lot::Mutex::default(),
            changes: OnceLock::new(),
            shared,
            slot_limit: AtomicU32::new(UNLIMITED),
            settings: ArcSwap::new(settings.into()),
            endpoints: ArcSwap::new(none()),
            load: Load::new(),
            line: Line::new(),
            filling: Poked::new(),
            starting: AtomicU32::new(0),
            poked: Poked::new(),
            distrusts_early: Poked::new(),
            has_news: Poked::new(),
            noted: Poked::new(),
            control: parking_lot::Mutex::default(),
        });
        app.update_slot_limit(&app.control.lock());
        app
    }

    /// What a platform has to know to observe it.
    pub fn subject(&self) -> Subject {
        let observer: Weak<dyn Observer> = self.this.clone();
        let control = self.control.lock();
        let (settings, target_number) = (self.settings(), control.target_number);
        Subject { key: self.key, id: self.id.clone(), settings, target_number, observer }
    }

    pub(crate) fn key(&self) -> AppKey {
        self.key
    }

    /// Its name.
    pub fn id(&self) -> &AppId {
        &self.id
    }

    /// The clock it goes by.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Its settings as they are now.
    pub fn settings(&self) -> Arc<AppSettings> {
        self.settings.load_full()
    }

    /// The endpoints in rotation now.
    pub fn endpoints(&self) -> Arc<Vec<Arc<Endpoint>>> {
        self.endpoints.load_full()
    }

    /// Requests admitted or held, not yet finished.
    pub fn in_flight(&self) -> u32 {
        self.load.in_flight()
    }

    /// Requests held.
    pub fn held(&self) -> usize {
        self.line.len()
    }

    /// Replicas asked for that are not ready yet.
    pub fn starting(&self) -> u32 {
        self.starting.load(Ordering::Acquire)
    }

    /// Count, integral and arrivals, as of `now`.
    pub fn read(&self, now: Timestamp) -> Reading {
        self.load.read(now)
    }

    /// How long nothing has been in flight at `now`; zero if something is.
    pub fn idle_for(&self, now: Timestamp) -> Duration {
        if self.in_flight() > 0 { Duration::ZERO } else { now.since(self.load.last_end()) }
    }

    /// Whether somebody else puts it to sleep, who does not ask before whether anything is in flight.
    pub fn is_put_to_sleep_by_others(&self) -> bool {
        self.settings.load().scaling.by == ScaledBy::Keda
    }

    /// Counts a request that arrives now.
    pub fn enter(self: &Arc<Self>) -> Ticket {
        self.counted().0
    }

    /// Counts a request that arrives now, unless that makes more than `most` that are in flight.
    pub fn enter_within(self: &Arc<Self>, most: u32) -> Option<Ticket> {
        let (ticket, in_flight) = self.counted();
        (in_flight <= most).then_some(ticket)
    }

    /// A ticket, and how many there are with it.
    fn counted(self: &Arc<Self>) -> (Ticket, u32) {
        let now = self.clock().now();
        let in_flight = self.load.enter(now);
        self.note_request();
        (Ticket::new(self.clone(), now), in_flight)
    }

    /// Asks the scaler for a decision at once.
    pub fn poke(self: &Arc<Self>) {
        if self.poked.set() {
            tracing::trace!(app = %self.id, "a decision is asked for");
            // No scaler is left only when the gateway stops, and then nothing is decided any more.
            let _ = self.shared.pokes.send(self.clone());
        }
    }

    pub(crate) fn take_poke(&self) {
        self.poked.take();
    }

    /// A request has come too early to `endpoint`, if that is still so: all that are early get nothing more until their platform
    /// calls them ready, and it is told. What they have they may finish.
    pub fn distrust_early(self: &Arc<Self>, endpoint: &Endpoint) {
        if self.put_early_aside(endpoint) {
            tracing::warn!(
                app = %self.id, endpoint = endpoint.name(), "failed a request before it was called ready; the app is not used so early for a while"
            );
            self.distrusts_early.set();
            self.poke();
        }
    }

    /// Whether its platform is to be told, once.
    pub(crate) fn take_distrust(&self) -> bool {
        self.distrusts_early.take()
    }

    /// Whether replicas may become fewer at `now`.
    pub(crate) fn may_lower(&self, now: Timestamp) -> bool {
        !self.shared.leaving.load(Ordering::Acquire) && self.shared.fleet.may_lower(now) && !self.is_unclaimed()
    }

    /// The gateways that share what they count of it.
    pub(crate) fn fleet(&self) -> &Fleet {
        &self.shared.fleet
    }

    /// Something has changed that is told of an app.
    pub(crate) fn tell_news(&self) {
        if let Some(changes) = self.changes.get() {
            changes.notify_waiters();
        }
        if let Some(news) = &self.shared.news
            && self.has_news.set()
            && let Some(app) = self.this.upgrade()
        {
            // Nobody tells any more when the gateway stops.
            let _ = news.send(app);
        }
    }

    /// What has changed up to now is about to be told; what changes from now on is news again.
    pub fn take_news(&self) {
        self.has_news.take();
    }

    pub(crate) fn leave(&self, now: Timestamp) {
        self.load.leave(now);
        self.note_request();
    }

    pub(crate) fn try_slot_unless_held(&self, now: Timestamp, affinity: Option<Affinity>) -> Option<Arc<Endpoint>> {
        if self.line.is_empty() { self.try_slot(now, affinity) } else { None }
    }

    fn try_slot(&self, now: Timestamp, affinity: Option<Affinity>) -> Option<Arc<Endpoint>> {
        let endpoints = self.endpoints.load();
        let limit = self.slot_limit.load(Ordering::SeqCst);
        match affinity {
            None => pick(&endpoints, limit, now),
            Some(affinity) => pick_for(&endpoints, limit, now, affinity),
        }
        .cloned()
    }

    /// Gives free slots to those first in line. Called whenever a slot may have come free.
    pub(crate) fn serve_line(self: &Arc<Self>) {
        while !self.line.is_empty() {
            let now = self.clock().now();
            let Some((waiter, endpoint)) = self.line.serve(|waiter| self.try_slot(now, waiter.affinity)) else {
                return self.serve_line_when_more_are_allowed(now);
            };
            // If the waiter is just leaving, the slot comes back in the error and its drop serves the next one. That recurses
            // as deep as threads are leaving at this very moment, since whoever has left is not in line any more.
            let _ = waiter.answer.send(Ok(Slot::new(self.clone(), endpoint)));
        }
    }

    /// If those in line wait for endpoints that are being filled, has them served as time goes by; answers do so by themselves.
    fn serve_line_when_more_are_allowed(self: &Arc<Self>, now: Timestamp) {
        if self.line.is_empty() {
            return;
        }
        let Some(wait) = self.endpoints.load().iter().filter_map(|endpoint| endpoint.may_have_more_in(now)).min()
        else {
            return;
        };
        // A slot may come back when the runtime is gone already; then nobody is served any more.
        if let Ok(runtime) = tokio::runtime::Handle::try_current()
            && self.filling.set()
        {
            let app = Arc::downgrade(self);
            runtime.spawn(async move {
                tokio::time::sleep(wait).await;
                if let Some(app) = app.upgrade() {
                    // Whoever finds somebody waiting up to now is served here.
                    app.filling.take();
                    app.serve_line();
                }
            });
        }
    }

    /// Ends the wait of everybody in line.
    fn dismiss(&self, refusal: &Refusal) {
        for waiter in self.line.dismiss() {
            let _ = waiter.answer.send(Err(refusal.clone()));
        }
    }

    /// Waits for `pause`, or until `deadline` if that is sooner, among those that are held but not in line: no slot is of use.
    pub(crate) async fn pause(&self, deadline: Timestamp, pause: Duration, header_bytes: usize) -> Result<(), Refusal> {
        let now = self.clock().now();
        if let Some(refusal) = self.refusal(now) {
            return Err(refusal);
        }
        let _reservation = self.share.reserve(header_bytes)?;
        tokio::time::sleep(pause.min(deadline.since(now))).await;
        Ok(())
    }

    pub(crate) async fn wait_in_line(
        self: &Arc<Self>,
        arrived: Timestamp,
        header_bytes: usize,
        affinity: Option<Affinity>,
    ) -> Result<Slot, Refusal> {
        let hold = self.settings.load().hold;
        let _reservation = self.share.reserve(header_bytes)?;
        let (answer, mut served) = oneshot::channel();
        let waiter = Waiter { answer, affinity };
        let place =
            self.line.join(waiter, hold.max_requests).map_err(|_| Refusal::LineFull { limit: hold.max_requests })?;
        let in_line = InLine { app: self, place };
        self.tell_gateways();
        // Looked at once in line: whoever sends all away who wait either finds this one there or has said why before.
        if let Some(refusal) = self.refusal(self.clock().now()) {
            return Err(refusal);
        }
        self.serve_line();
        if let Ok(answer) = served.try_recv() {
            return answer;
        }
        if self.starting() == 0 {
            self.poke();
        }
        let deadline = self.clock().instant(arrived + hold.timeout);
        match tokio::time::timeout_at(deadline, served).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Refusal::Stopping),
            Err(_) => {
                drop(in_line);
                Err(Refusal::Deadline { held: self.clock().now().since(arrived), state: self.wait_state() })
            }
        }
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        if self.app.line.leave(self.place) {
            self.app.note_request();
        }
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("id", &self.id).field("in_flight", &self.in_flight()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
