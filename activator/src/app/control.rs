//! The slow side of an app: what its platform reports, what the scaler decides, what becomes of a wake.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::App;
use super::gateways::Closings;
use super::shares::SharedSlots;
use crate::admission::Endpoint;
use crate::admission::slots::UNLIMITED;
use crate::autoscaler::{Begin, Decision};
use crate::clock::Timestamp;
use crate::failure::StartFailure;
use crate::hold::{Refusal, WaitState};
use crate::platform::{NotAccepted, Observation, SpecReplicas};
use crate::settings::AppSettings;
use crate::wake::{Phase, Wake};

/// Decisions kept for people to read.
pub(super) const DECISIONS_KEPT: usize = 16;

/// How long nothing is written over what another writer has written, once it has done so again after a write of ours.
const YIELDS_FOR: Duration = Duration::from_secs(600);
/// How long after a wake somebody may not know of it: KEDA's calls wait for their turn where it has many apps.
const UNDOES_FOR: Duration = Duration::from_secs(30);
/// How long what it has written then may be put right.
const UNDONE_FOR: Duration = Duration::from_secs(5);
/// The field manager of HorizontalPodAutoscalers.
const HPA: &str = "kube-controller-manager";
/// How soon after a write of ours another one is against it.
const QUARREL: Duration = Duration::from_secs(120);

/// Pauses before an order is given again that has had no effect.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// State behind the app's lock; never touched by a request that finds a free slot. What a sleeping app most often has nothing
/// of is boxed: there are thousands of them.
#[derive(Debug, Default)]
pub(super) struct Control {
    /// Which of its targets this is about; what is said of an earlier one does not count.
    pub(super) target_number: u64,
    /// What the platform has said last.
    pub(super) observation: Observation,
    /// What the target asks for: the latest of what was observed and what was accepted. `None` until the first observation.
    pub(super) spec: Option<SpecReplicas>,
    /// What the target asked for when that was first known.
    pub(super) found: Option<u32>,
    /// What the last decision wants.
    pub(super) wanted: u32,
    /// Replicas asked for by an order that has not been answered.
    pub(super) expected: u32,
    pub(super) under_way: Option<Box<UnderWay>>,
    /// The number in the last order, if nobody knows what became of it.
    pub(super) in_doubt: Option<u32>,
    /// Why the last order was not accepted, if it was not.
    pub(super) refused: Option<Box<NotAccepted>>,
    pub(super) last_order: Option<Timestamp>,
    /// The last order that was accepted and was to bring it up from zero.
    pub(super) woken: Option<Box<Woken>>,
    /// Closed to go when empty, and not ordered away yet.
    pub(super) retiring: Vec<Arc<Endpoint>>,
    pub(super) other_writer: Option<Box<OtherWriter>>,
    /// Times in a row that somebody has taken away what requests wait for.
    pub(super) overwritten: u32,
    /// Decisions begin anew, from this.
    pub(super) begin: Option<Begin>,
    pub(super) wake: Option<Box<Wake>>,
    /// The wake is over, or its companions are not waited for any more.
    pub(super) wake_settled: bool,
    /// How long wakes take, as an exponentially weighted mean (weight 1/4 for the latest).
    pub(super) usual_wake: Option<Duration>,
    pub(super) failure: Option<Failure>,
    pub(super) decisions: VecDeque<RecordedDecision>,
    pub(super) closing: Option<Box<Refusal>>,
    /// What is closed at all gateways together.
    pub(super) closings: Option<Box<Closings>>,
    /// Slots that are shared with other gateways.
    pub(super) slots: Option<Box<SharedSlots>>,
}

/// An order that was to bring an app up from zero.
#[derive(Debug)]
pub(super) struct Woken {
    /// When it was accepted.
    pub(super) at: Timestamp,
    pub(super) replicas: u32,
    /// Somebody who did not know of it has written less over it, which may be put right until then. That is so once.
    pub(super) undone_until: Option<Timestamp>,
}

/// An order that has not been answered.
#[derive(Debug)]
pub(super) struct UnderWay {
    /// Which of the app's targets it is for.
    pub(super) target_number: u64,
    pub(super) replicas: u32,
    pub(super) victims: Vec<Arc<Endpoint>>,
    /// It is for fewer: what appears until it is answered may be what it takes.
    pub(super) lowers: bool,
    /// It is to bring the app up from zero.
    pub(super) wakes: bool,
}

/// Somebody else who writes the number of replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherWriter {
    /// Its field manager, if that is known.
    pub name: Option<Arc<str>>,
    /// What it wrote.
    pub replicas: u32,
    /// When that was seen.
    pub at: Timestamp,
    /// Whether that was soon after a write of ours.
    pub over_ours: bool,
    /// Until when nothing is written over it, but for a wake.
    pub yields_until: Timestamp,
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

/// The pause after so many orders in a row that had no effect: 100 ms, doubled each time, 5 s at most.
pub(crate) fn backoff(in_vain: u32) -> Duration {
    (FIRST_RETRY * 2u32.saturating_pow(in_vain)).min(LAST_RETRY)
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

// === impl Control ===

impl Control {
    /// Another writer has the target ask for `replicas` since about `now`. It is not fought: what it wrote is where decisions
    /// begin anew; and if it writes over a write of ours again, it has the last word for a while. Who writes 0 puts the app to
    /// sleep, which is no quarrel about a number unless there are to be `least` at all times.
    pub(super) fn written_by_other(&mut self, replicas: u32, name: Option<Arc<str>>, least: u32, now: Timestamp) {
        let since = |at: Timestamp| now.since(at);
        let before = self.other_writer.take();
        let quarrel = replicas > 0 || least > 0;
        let over_ours = quarrel && self.last_order.is_some_and(|at| since(at) < QUARREL);
        let again = before.as_ref().is_some_and(|before| before.over_ours && since(before.at) < YIELDS_FOR);
        // KEDA brings up from zero what was at zero when it looked, and looks at what it remembers. Its HorizontalPodAutoscaler
        // knows what it does.
        if let Some(woken) = &mut self.woken
            && (1..=least.max(1)).contains(&replicas)
            && replicas < woken.replicas
            && since(woken.at) < UNDOES_FOR
            && woken.undone_until.is_none()
            && name.as_deref() != Some(HPA)
        {
            woken.undone_until = Some(now + UNDONE_FOR);
        }
        let yields_until = match before {
            _ if over_ours && again => now + YIELDS_FOR,
            Some(before) => before.yields_until,
            None => now,
        };
        self.other_writer = Some(Box::new(OtherWriter { name, replicas, at: now, over_ours, yields_until }));
        self.wanted = replicas;
        self.begin = Some(Begin::Written(replicas));
        self.overwritten = if replicas == 0 { self.overwritten.saturating_add(1) } else { 0 };
    }

    /// The last failure, while it is too early for another try, or as long as it lasts where the platform goes on trying.
    fn lasting_failure(&self, now: Timestamp) -> Option<&Failure> {
        let failure = self.failure.as_ref()?;
        // What is not known, such as the replicas of a target that is missing, nobody tries to change.
        let lasts = self.spec.as_ref().is_none_or(|spec| spec.replicas > 0)
            && self.observation.failure.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, &failure.failure));
        (lasts || now < failure.retry_at()).then_some(failure)
    }
}

// === impl App: what is told to those who wait ===

impl App {
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

    /// Takes new settings. Those who wait are served by the new limits. Returns whether they are others than before.
    pub fn configure(self: &Arc<Self>, settings: impl Into<Arc<AppSettings>>) -> bool {
        let settings = settings.into();
        let same = |known: &Arc<AppSettings>| Arc::ptr_eq(known, &settings) || **known == *settings;
        if same(&self.settings.load()) {
            return false;
        }
        let mut control = self.control.lock();
        let before = self.settings.load_full();
        if before.target != settings.target {
            // What failed before may have been what was changed.
            control.failure = None;
        }
        if !before.target.is_same_object(&settings.target) {
            // Of another object nothing is known yet.
            control.target_number += 1;
            control.spec = None;
            control.in_doubt = None;
            control.refused = None;
            control.other_writer = None;
        }
        self.settings.store(settings);
        self.update_slot_limit(&control);
        self.limit_changed(&mut control);
        drop(control);
        self.share_slots(self.clock().now());
        self.serve_line();
        self.poke();
        self.tell_news();
        self.tell_gateways();
        true
    }

    /// Takes back that it was closed: it is declared again, and has been there all along.
    pub(crate) fn reopen(&self) {
        self.control.lock().closing = None;
    }

    /// Lets no request wait any more, with this reason. Requests already admitted go on.
    pub fn close(self: &Arc<Self>, why: Refusal) {
        self.control.lock().closing = Some(Box::new(why.clone()));
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
            return Some(Refusal::clone(why));
        }
        let failure = control.lasting_failure(now)?;
        // What is closed to go may still come back.
        let going = control.retiring.len() + control.under_way.as_ref().map_or(0, |order| order.victims.len());
        (self.endpoints.load().is_empty() && going == 0 && self.starting() == 0)
            .then(|| Refusal::CannotStart(failure.failure.clone()))
    }

    pub(super) fn settle_wake(&self, control: &mut Control, now: Timestamp) {
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
        self.control.lock().wake.as_deref().copied()
    }

    /// The last failed start, if none has succeeded since.
    pub fn failure(&self) -> Option<Failure> {
        self.control.lock().failure.clone()
    }

    /// The first byte of an answer to a held request is there.
    pub fn first_byte(&self) {
        let now = self.clock().now();
        self.pass(&mut self.control.lock(), Phase::FirstByte, now);
    }

    /// What its platform has said last.
    #[cfg(test)]
    pub(crate) fn last_observation(&self) -> Observation {
        self.control.lock().observation.clone()
    }

    /// Somebody else who has written the number of replicas.
    pub fn other_writer(&self) -> Option<OtherWriter> {
        self.control.lock().other_writer.as_deref().cloned()
    }

    /// Whether nothing is to be written at `now` over what somebody else has written.
    pub(crate) fn yields(&self, now: Timestamp) -> bool {
        self.control.lock().other_writer.as_ref().is_some_and(|other| now < other.yields_until)
    }

    /// Whether somebody has written less over the last wake who did not know of it, and it is not put right yet.
    pub(crate) fn is_wake_undone(&self, now: Timestamp) -> bool {
        let control = self.control.lock();
        control.woken.as_ref().and_then(|woken| woken.undone_until).is_some_and(|until| now < until)
    }

    /// Before when no order is to be given: somebody keeps taking away what requests wait for.
    pub(crate) fn no_order_before(&self) -> Option<Timestamp> {
        let control = self.control.lock();
        (control.overwritten > 0).then_some(())?;
        Some(control.last_order? + backoff(control.overwritten - 1))
    }

    /// Why the last order was not accepted, if it was not.
    pub fn refused_order(&self) -> Option<NotAccepted> {
        self.control.lock().refused.as_deref().cloned()
    }

    /// From what decisions are to begin anew, once.
    pub(crate) fn take_begin(&self) -> Option<Begin> {
        self.control.lock().begin.take()
    }

    /// What a held request whose time is up was waiting for.
    pub(super) fn wait_state(&self) -> WaitState {
        if !self.endpoints.load().is_empty() {
            return WaitState::Busy;
        }
        match &self.control.lock().refused {
            Some(refused) => WaitState::NotOrdered(refused.cause.to_string().into()),
            None => WaitState::Starting,
        }
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
            let wake = control.wake.as_deref().filter(|wake| wake.ready.is_none())?;
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
