//! The slow side of an app: what its platform reports, what the scaler decides, what becomes of a wake.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::App;
use crate::admission::Endpoint;
use crate::admission::slots::UNLIMITED;
use crate::autoscaler::Decision;
use crate::clock::Timestamp;
use crate::hold::{Refusal, WaitState};
use crate::platform::StartFailure;
use crate::settings::AppSettings;
use crate::wake::{Phase, Wake};

/// Decisions kept for people to read.
const DECISIONS_KEPT: usize = 16;

/// State behind the app's lock; never touched by a request that finds a free slot.
#[derive(Debug, Default)]
pub(super) struct Control {
    wanted: u32,
    wake: Option<Wake>,
    /// The wake is over, or its companions are not waited for any more.
    wake_settled: bool,
    /// How long wakes take, as an exponentially weighted mean (weight 1/4 for the latest).
    usual_wake: Option<Duration>,
    failure: Option<Failure>,
    decisions: VecDeque<RecordedDecision>,
    closing: Option<Refusal>,
}

/// The last start that failed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What happened.
    pub failure: Arc<StartFailure>,
    /// When.
    pub at: Timestamp,
}

/// A decision and when it was made.
#[derive(Debug, Clone)]
pub struct RecordedDecision {
    /// When it was last made. The same decision for the same kind of reason, made again, only moves this.
    pub at: Timestamp,
    /// What was decided.
    pub decision: Decision,
}

/// What an app is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppState {
    /// No replica, none wanted.
    Asleep,
    /// Replicas are on their way, none is usable yet.
    Waking,
    /// At least one replica takes requests.
    Awake,
    /// The last start failed and it is too early for another.
    Failing,
}

// === impl Failure ===

impl Failure {
    /// When it is worth another try.
    pub fn retry_at(&self) -> Timestamp {
        self.at + self.failure.retry_after
    }
}

// === impl AppState ===

impl AppState {
    /// As one word.
    pub fn label(self) -> &'static str {
        match self {
            Self::Asleep => "asleep",
            Self::Waking => "waking",
            Self::Awake => "awake",
            Self::Failing => "failing",
        }
    }
}

// === impl App: reports of the platform ===

impl App {
    /// `count` replicas are on their way and not usable yet.
    pub fn set_starting(self: &Arc<Self>, count: u32) {
        let control = self.control.lock();
        let before = self.starting.swap(count, Ordering::AcqRel);
        drop(control);
        if before > 0 && count == 0 && !self.line.is_empty() {
            // They have not asked for more, since something was on its way.
            self.poke();
        }
    }

    /// The first replica of the wake runs, though it may not listen yet.
    pub fn replica_started(&self) {
        self.pass(Phase::Started);
    }

    /// The endpoint passed its readiness check: it gets requests from now on, those first in line at once.
    pub fn endpoint_ready(self: &Arc<Self>, endpoint: Arc<Endpoint>) {
        self.pass(Phase::Listening);
        let mut control = self.control.lock();
        control.failure = None;
        self.change_endpoints(|endpoints| endpoints.push(endpoint));
        self.settle_wake(&mut control, self.clock().now());
        drop(control);
        self.serve_line();
    }

    /// The endpoint is closed for new requests, or dead: out of rotation.
    pub fn endpoint_gone(&self, endpoint: &Arc<Endpoint>) {
        let mut control = self.control.lock();
        // Under the lock, or a try to sleep that has closed it a moment ago would open it again.
        endpoint.close();
        let was_in_rotation = self.endpoints.load().iter().any(|e| Arc::ptr_eq(e, endpoint));
        self.change_endpoints(|endpoints| endpoints.retain(|e| !Arc::ptr_eq(e, endpoint)));
        if was_in_rotation && self.endpoints.load().is_empty() && control.wanted > 0 {
            // The last one crashed: what is held now is not to go to the first one that is back, all at once.
            control.wake = Some(Wake::new(self.clock().now(), control.wanted));
            control.wake_settled = false;
            self.update_slot_limit(&control);
        }
        drop(control);
    }

    /// A replica did not become usable. Those who wait are told at once if nothing else is on its way.
    pub fn start_failed(self: &Arc<Self>, failure: StartFailure) {
        let now = self.clock().now();
        let label = failure.cause.label();
        metrics::counter!("zerogate_start_failures_total", "app" => self.id.to_string(), "cause" => label).increment(1);
        tracing::warn!(app = %self.id, cause = %failure.cause, retry_after = ?failure.retry_after, "start failed");
        self.control.lock().failure = Some(Failure { failure: Arc::new(failure), at: now });
        self.tell_if_hopeless(now);
        self.poke();
    }

    fn change_endpoints(&self, change: impl FnOnce(&mut Vec<Arc<Endpoint>>)) {
        let mut endpoints = Vec::clone(&self.endpoints.load());
        change(&mut endpoints);
        self.endpoints.store(Arc::new(endpoints));
    }

    fn pass(&self, phase: Phase) {
        let now = self.clock().now();
        let mut control = self.control.lock();
        let Some(took) = control.wake.as_mut().and_then(|wake| wake.pass(phase, now)) else { return };
        if phase == Phase::Listening
            && let Some(whole) = control.wake.and_then(|wake| wake.duration())
        {
            control.usual_wake = Some(control.usual_wake.map_or(whole, |usual| (usual * 3 + whole) / 4));
        }
        drop(control);
        metrics::histogram!("zerogate_wake_seconds", "app" => self.id.to_string(), "phase" => phase.label())
            .record(took.as_secs_f64());
    }
}

// === impl App: orders of the scaler ===

impl App {
    /// Replicas wanted by the last decision that was carried out.
    pub fn wanted(&self) -> u32 {
        self.control.lock().wanted
    }

    pub(crate) fn set_wanted(&self, wanted: u32, now: Timestamp) {
        let mut control = self.control.lock();
        if control.wanted == 0 && wanted > 0 && self.endpoints.load().is_empty() {
            control.wake = Some(Wake::new(now, wanted));
            control.wake_settled = false;
            // So that requests which come from here on do not ask again; the platform tells the true number.
            self.starting.store(wanted, Ordering::Release);
        } else if let Some(wake) = &mut control.wake
            && wake.ready.is_none()
        {
            wake.wanted = wanted;
        }
        control.wanted = wanted;
        self.update_slot_limit(&control);
    }

    pub(crate) fn scale_call_done(&self) {
        self.pass(Phase::ScaleCall);
    }

    /// The platform has not accepted the order. What earlier orders have started goes on.
    pub(crate) fn scale_call_failed(self: &Arc<Self>, failure: StartFailure) {
        let control = self.control.lock();
        if control.wake.is_some_and(|wake| wake.scaled.is_none()) {
            // Nothing was started by this wake but in the hope of `set_wanted`.
            self.starting.store(0, Ordering::Release);
        }
        drop(control);
        self.start_failed(failure);
    }

    /// Takes every endpoint out of rotation, if nothing at all is in flight. A request in between wins: then nothing has
    /// changed and the answer is false.
    pub(crate) fn try_sleep(self: &Arc<Self>) -> bool {
        let control = self.control.lock();
        let endpoints = self.endpoints.load_full();
        let closed = endpoints.iter().take_while(|e| e.close_if_idle()).count();
        let asleep = closed == endpoints.len() && self.in_flight() == 0;
        if asleep {
            self.endpoints.store(Arc::default());
        } else {
            endpoints[..closed].iter().for_each(|e| e.reopen());
        }
        drop(control);
        if !asleep {
            self.serve_line();
        }
        asleep
    }

    pub(crate) fn record_decision(&self, decision: Decision, at: Timestamp) {
        let mut control = self.control.lock();
        if let Some(last) = control.decisions.back_mut()
            && last.decision.replicas == decision.replicas
            && last.decision.reason.label() == decision.reason.label()
        {
            *last = RecordedDecision { at, decision };
            return;
        }
        let label = decision.reason.label();
        if control.decisions.len() == DECISIONS_KEPT {
            control.decisions.pop_front();
        }
        control.decisions.push_back(RecordedDecision { at, decision });
        drop(control);
        metrics::counter!("zerogate_decisions_total", "app" => self.id.to_string(), "reason" => label).increment(1);
    }

    /// What a tick does besides deciding: ends what is only for a time.
    pub(crate) fn tick(self: &Arc<Self>, now: Timestamp) {
        self.settle_wake(&mut self.control.lock(), now);
        self.tell_if_hopeless(now);
        self.serve_line();
    }

    /// Tells those who wait why they wait in vain: the last start failed, nothing else is there or on its way.
    pub(crate) fn tell_if_hopeless(&self, now: Timestamp) {
        if let Some(refusal) = self.refusal(now)
            && !self.line.is_empty()
            && (self.starting() == 0 || !matches!(refusal, Refusal::CannotStart(_)))
        {
            self.dismiss(&refusal);
        }
    }

    /// Whether the last start failed and it is too early for another, with no endpoint there and none on its way.
    pub(crate) fn is_failing(&self, now: Timestamp) -> bool {
        self.starting() == 0 && matches!(self.refusal(now), Some(Refusal::CannotStart(_)))
    }

    /// Takes new settings. Those who wait are served by the new limits.
    pub fn configure(self: &Arc<Self>, settings: AppSettings) {
        if **self.settings.load() == settings {
            return;
        }
        let mut control = self.control.lock();
        if self.settings.load().target != settings.target {
            // What failed before may have been what was changed.
            control.failure = None;
        }
        self.settings.store(Arc::new(settings));
        self.update_slot_limit(&control);
        drop(control);
        self.serve_line();
        self.poke();
    }

    /// Lets no request wait any more, with this reason. Requests already admitted go on.
    pub fn close(self: &Arc<Self>, why: Refusal) {
        self.control.lock().closing = Some(why.clone());
        self.dismiss(&why);
        self.poke();
    }

    /// Whether [`App::close`] was called.
    pub fn is_closing(&self) -> bool {
        self.control.lock().closing.is_some()
    }

    /// Why nobody may wait at `now`, if so.
    pub(super) fn refusal(&self, now: Timestamp) -> Option<Refusal> {
        let control = self.control.lock();
        if let Some(why) = &control.closing {
            return Some(why.clone());
        }
        let failure = control.failure.as_ref().filter(|f| now < f.retry_at())?;
        (self.endpoints.load().is_empty() && self.starting() == 0)
            .then(|| Refusal::CannotStart(failure.failure.clone()))
    }

    fn settle_wake(&self, control: &mut Control, now: Timestamp) {
        if control.wake_settled {
            return;
        }
        control.wake_settled = match &control.wake {
            None => true,
            Some(wake) => {
                let there = u32::try_from(self.endpoints.load().len()).unwrap_or(u32::MAX);
                let alone = there > 0 && self.starting() == 0;
                alone || there >= wake.wanted || wake.companions_until().is_some_and(|until| now >= until)
            }
        };
        self.update_slot_limit(control);
    }

    /// The hard limit if there is one. Without one, what is held at a wake goes out up to `target` each until the replicas
    /// asked for together are there: the first one is not to get it all.
    pub(super) fn update_slot_limit(&self, control: &Control) {
        let scaling = &self.settings.load().scaling;
        let waking = control.wake.is_some() && !control.wake_settled;
        let limit = match scaling.concurrency_limit {
            Some(limit) => limit,
            None if waking => (scaling.target.ceil() as u32).clamp(1, UNLIMITED),
            None => UNLIMITED,
        };
        self.slot_limit.store(limit, Ordering::SeqCst);
    }
}

// === impl App: what there is to know ===

impl App {
    /// What it is doing at `now`.
    pub fn state(&self, now: Timestamp) -> AppState {
        if !self.endpoints.load().is_empty() {
            AppState::Awake
        } else if self.is_failing(now) {
            AppState::Failing
        } else if self.starting() > 0 || self.wanted() > 0 {
            AppState::Waking
        } else {
            AppState::Asleep
        }
    }

    /// Its last decisions, oldest first.
    pub fn decisions(&self) -> Vec<RecordedDecision> {
        self.control.lock().decisions.iter().cloned().collect()
    }

    /// Its current or last wake.
    pub fn wake(&self) -> Option<Wake> {
        self.control.lock().wake
    }

    /// The last failed start, if none has succeeded since.
    pub fn failure(&self) -> Option<Failure> {
        self.control.lock().failure.clone()
    }

    /// The first byte of an answer to a held request is there.
    pub fn first_byte(&self) {
        self.pass(Phase::FirstByte);
    }

    /// How long the wake took that ended after `arrived`; `None` if the app was awake by then.
    pub fn wake_duration_since(&self, arrived: Timestamp) -> Option<Duration> {
        self.wake().filter(|wake| wake.ready.is_some_and(|ready| ready >= arrived))?.duration()
    }

    /// How long a client that was refused had better wait: what is left of a start that is under way, going by earlier
    /// ones, or of the pause after a failed start; at least a second.
    pub fn retry_after(&self, refusal: &Refusal, now: Timestamp) -> Duration {
        let control = self.control.lock();
        let start_under_way = || {
            let wake = control.wake.filter(|wake| wake.ready.is_none())?;
            let usual = control.usual_wake?;
            Some(usual.saturating_sub(now.since(wake.asked)))
        };
        let wait = match refusal {
            Refusal::CannotStart(_) => control.failure.as_ref().map_or(Duration::ZERO, |f| f.retry_at().since(now)),
            Refusal::LineFull { .. } | Refusal::Deadline { state: WaitState::Starting, .. } => {
                start_under_way().unwrap_or_default()
            }
            Refusal::Deadline { .. } | Refusal::GatewayFull | Refusal::ShareFull => Duration::from_secs(1),
            Refusal::Stopping | Refusal::Removed => Duration::from_secs(5),
        };
        wait.max(Duration::from_secs(1))
    }
}
