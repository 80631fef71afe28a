//! Keeps as many replicas of one app running as are wanted: an actor that is there as long as there is one, and no longer.

mod fleet;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{self, JoinSet};

use super::backoff::{Backoff, GOOD_RUN};
use super::group::Exit;
use super::replica::{Event, Order, Replica};
use super::report::Report;
use super::{Lifecycle, Shared};
use crate::admission::Ending;
use crate::clock::Timestamp;
use crate::platform::{AppKey, FailureCause, StartFailure};
use crate::settings::{PortChoice, ProcessSpec};
use fleet::{Fleet, Member, Phase};

/// Events of replicas that wait to be looked at; a replica with more to say waits.
const EVENTS: usize = 64;
/// From so many failures in a row on, those who wait are told that a ready replica has ended: before that, they get the next.
const CRASH_LOOP: u32 = 2;

/// The supervisor of one app.
pub(super) struct Supervisor {
    key: AppKey,
    report: Arc<Report>,
    shared: Arc<Shared>,
    scale: watch::Receiver<Scale>,
    /// Times that zero was wanted, as far as they have been dealt with.
    zeros: u64,
    spec: Arc<ProcessSpec>,
    fleet: Fleet,
    tasks: JoinSet<()>,
    events: mpsc::Receiver<(task::Id, Event)>,
    reports: mpsc::Sender<(task::Id, Event)>,
    backoff: Backoff,
    /// The last one that ended by itself had given one answer, and ended well.
    ends_after_answer: bool,
    /// Has told the platform that it goes.
    retired: bool,
}

/// What is wanted of an app.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Scale {
    pub(super) replicas: u32,
    /// Times that zero was wanted. Not to be missed when more is wanted right after: the endpoints have been closed for it.
    pub(super) zeros: u64,
}

/// What is remembered of an app that fails, or ends after each answer, while nothing runs.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) backoff: Backoff,
    pub(super) ends_after_answer: bool,
    /// The settings that it is about: others are not to pay for it.
    pub(super) spec: Arc<ProcessSpec>,
}

// === impl Scale ===

impl Scale {
    pub(super) fn set(&mut self, replicas: u32) {
        self.replicas = replicas;
        self.zeros += u64::from(replicas == 0);
    }
}

// === impl Supervisor ===

impl Supervisor {
    pub(super) fn new(
        key: AppKey,
        report: Arc<Report>,
        shared: Arc<Shared>,
        scale: watch::Receiver<Scale>,
        memory: Option<Memory>,
    ) -> Self {
        let (reports, events) = mpsc::channel(EVENTS);
        let spec = report.spec();
        let (backoff, ends_after_answer) = memory
            .filter(|memory| memory.spec == spec)
            .map(|memory| (memory.backoff, memory.ends_after_answer))
            .unwrap_or_default();
        let zeros = scale.borrow().zeros;
        let (fleet, tasks) = (Fleet::default(), JoinSet::new());
        Self {
            key,
            report,
            shared,
            scale,
            zeros,
            spec,
            fleet,
            tasks,
            events,
            reports,
            backoff,
            ends_after_answer,
            retired: false,
        }
    }

    /// Runs until nothing is wanted and nothing is left.
    pub(super) async fn run(mut self) {
        let mut lifecycle = self.shared.lifecycle.subscribe();
        loop {
            let state = *lifecycle.borrow_and_update();
            match state {
                Lifecycle::Running => self.reconcile(),
                Lifecycle::Stopping => self.end_all(Order::Stop),
                Lifecycle::Killed => self.end_all(Order::Kill),
            }
            if self.tasks.is_empty() && self.retire() {
                return;
            }
            let retry_at = self.retry_at();
            let retry = self.shared.clock.instant(retry_at.unwrap_or_default());
            tokio::select! {
                biased;
                Some((id, event)) = self.events.recv() => self.happened(id, event),
                Some(ended) = self.tasks.join_next_with_id() => {
                    let id = ended.map_or_else(|panicked| panicked.id(), |(id, ())| id);
                    self.gone(id);
                }
                _ = lifecycle.changed() => {}
                _ = self.scale.changed() => {}
                () = tokio::time::sleep_until(retry), if retry_at.is_some() => {}
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// When to look again although nothing has happened.
    fn retry_at(&self) -> Option<Timestamp> {
        let lacking = self.wanted() > self.fleet.current(&self.spec);
        let paused = self.backoff.waits_until(self.now()).filter(|_| lacking);
        [paused, self.fleet.leaving_until()].into_iter().flatten().min()
    }

    fn wanted(&self) -> usize {
        if *self.shared.lifecycle.borrow() != Lifecycle::Running {
            return 0;
        }
        let replicas = self.scale.borrow().replicas as usize;
        // Two cannot listen on one port.
        if matches!(self.spec.port, PortChoice::Fixed(_)) { replicas.min(1) } else { replicas }
    }

    /// Whether one that was started with the present settings serves.
    fn has_ready(&self) -> bool {
        self.fleet.ready(|member| member.spec == self.spec).next().is_some()
    }

    /// Does what is needed for what runs to be what is wanted, as far as that can be done now.
    fn reconcile(&mut self) {
        let scale = *self.scale.borrow_and_update();
        if self.zeros != scale.zeros {
            self.zeros = scale.zeros;
            if self.has_ready() {
                // It ends healthy: that more of its kind failed to start beside it is no reason to keep the next waiting.
                self.backoff = Backoff::default();
            }
            self.drain(usize::MAX, |_| true);
        }
        self.take_settings();
        let (wanted, spec) = (self.wanted(), self.spec.clone());

        // What was started with other settings and is not ready will never be of use.
        self.stop_starting(usize::MAX, |member| member.spec != spec);
        let current = self.fleet.current(&spec);
        if current > wanted {
            let surplus = current - wanted;
            let stopped = self.stop_starting(surplus, |member| member.spec == spec);
            self.drain(surplus - stopped, |member| member.spec == spec);
        }
        let lacking = wanted.saturating_sub(current);
        let lacking = lacking - self.take_back(lacking);
        let expected = if lacking > 0 { self.start(lacking) } else { 0 };

        // An outdated one goes for each new one that is ready.
        let outdated = self.fleet.ready(|member| member.spec != spec).count();
        let to_keep = wanted.saturating_sub(self.fleet.ready(|member| member.spec == spec).count());
        self.drain(outdated.saturating_sub(to_keep), |member| member.spec != spec);
        self.report_starting(expected);
    }

    /// Starts `count` replicas. Returns how many of them are still to come without more ado.
    fn start(&mut self, count: usize) -> usize {
        if self.backoff.waits_until(self.now()).is_some() {
            return 0;
        }
        if self.fleet.occupies(self.spec.port) {
            // The port is needed: here the outdated one has to go first, and one long request is not to keep all others waiting.
            let (spec, now) = (self.spec.clone(), self.now());
            self.drain(usize::MAX, |member| member.spec != spec);
            self.fleet.all().filter(|member| member.spec.port == spec.port).for_each(|member| member.leave(now));
            return count;
        }
        for _ in 0..count {
            let (order, orders) = watch::channel(Order::Run);
            let replica = Replica {
                report: self.report.clone(),
                spec: self.spec.clone(),
                spawner: self.shared.spawner.clone(),
                clock: self.shared.clock.clone(),
                orders,
                events: self.reports.clone(),
                ending: self.ending(),
            };
            let task = self.tasks.spawn(replica.run());
            self.fleet.add(task.id(), Member::new(self.spec.clone(), order, self.now()));
        }
        0
    }

    /// Whether the next replica is to be taken for one that ends after its first answer.
    fn ending(&self) -> Option<Ending> {
        let possible = || self.report.one_at_a_time().then_some(Ending::Possible);
        if self.ends_after_answer { Some(Ending::Likely) } else { possible() }
    }

    /// Stops up to `count` of those that are not ready yet, the latest first. Returns how many.
    fn stop_starting(&mut self, count: usize, which: impl Fn(&Member) -> bool) -> usize {
        let stopping = self.fleet.latest_starting(which).take(count);
        stopping.map(|member| member.stop(Order::Stop)).count()
    }

    /// Takes up to `count` endpoints out of rotation, those with the least in flight first; their replicas stop when empty.
    fn drain(&mut self, count: usize, which: impl Fn(&Member) -> bool) {
        for member in self.fleet.least_loaded(which).take(count) {
            if let Some(endpoint) = member.endpoint() {
                self.report.endpoint_gone(endpoint);
            }
            member.drain();
        }
    }

    /// Puts up to `count` draining endpoints back in rotation. Returns how many.
    fn take_back(&mut self, count: usize) -> usize {
        let spec = &self.spec;
        let mut taken = 0;
        for member in self.fleet.draining(|member| member.spec == *spec).take(count) {
            member.take_back();
            if let Some(endpoint) = member.endpoint() {
                self.report.endpoint_ready(endpoint.clone());
                taken += 1;
            }
        }
        taken
    }

    /// Stops everything, whatever is in flight.
    fn end_all(&mut self, order: Order) {
        for member in self.fleet.all() {
            if let Some(endpoint) = member.endpoint() {
                self.report.endpoint_gone(endpoint);
            }
            member.stop(order);
        }
        self.report_starting(0);
    }

    fn take_settings(&mut self) {
        let spec = self.report.spec();
        if self.spec != spec {
            self.spec = spec;
            self.backoff = Backoff::default();
            self.ends_after_answer = false;
        }
    }

    /// Tells how many are on their way: those starting, and `expected` more that will be started.
    fn report_starting(&self, expected: usize) {
        self.report.set_starting(self.starting(expected));
    }

    fn starting(&self, expected: usize) -> u32 {
        u32::try_from(self.fleet.starting() + expected).unwrap_or(u32::MAX)
    }
}

// === impl Supervisor: what happens ===

impl Supervisor {
    fn happened(&mut self, id: task::Id, event: Event) {
        let now = self.now();
        let Some(member) = self.fleet.get(id) else { return };
        match event {
            Event::Spawned => self.report.replica_started(),
            Event::Ready(endpoint) => {
                // Unless it was told to stop in the same moment.
                if matches!(member.phase, Phase::Starting) {
                    member.phase = Phase::Ready { endpoint: endpoint.clone(), since: now };
                    if member.spec == self.spec {
                        self.backoff.ready(now);
                    }
                    // Before it stops counting as on its way: the app never looks as if nothing were.
                    self.report.endpoint_ready(endpoint);
                }
            }
            Event::Drained => {
                // It may have been taken back, and even drained again, since.
                if let Phase::Draining { endpoint, .. } = &member.phase
                    && endpoint.is_closed()
                    && endpoint.in_flight() == 0
                {
                    member.stop(Order::Stop);
                }
            }
            Event::Failed { cause, output } => {
                let unexpected = matches!(member.phase, Phase::Starting);
                let (spec, started) = (member.spec.clone(), member.started);
                member.stop(Order::Stop);
                if unexpected && spec == self.spec {
                    let pause = self.backoff.failed(started, now);
                    // While one serves, only those beyond it are paused: when it has gone to sleep, it is worth a try at once.
                    let retry_after = if self.has_ready() { Duration::ZERO } else { pause };
                    self.report.start_failed(StartFailure { cause, output, retry_after }, self.starting(0));
                }
            }
            Event::Ended { exit, output } => self.ended(id, exit, output, now),
        }
    }

    /// A replica that had been ready has ended by itself.
    fn ended(&mut self, id: task::Id, exit: Exit, output: Vec<String>, now: Timestamp) {
        let Some(member) = self.fleet.get(id) else { return };
        let (spec, started) = (member.spec.clone(), member.started);
        let Some(endpoint) = member.endpoint() else { return };
        self.report.endpoint_gone(endpoint);
        // Like CGI: it was started for what it has answered.
        let is_done = exit == Exit::SUCCESS && endpoint.has_answered();
        let ends_after_answer = is_done && endpoint.has_answered_once();
        if is_done {
            tracing::info!(app = %self.report.id(), pid = endpoint.name(), "replica ended by itself after it had answered");
        } else {
            tracing::warn!(app = %self.report.id(), pid = endpoint.name(), %exit, "replica ended by itself");
        }
        let ready = std::mem::replace(&mut member.phase, Phase::Stopping);
        let Phase::Ready { since, .. } = ready else { return };
        if spec != self.spec {
            return;
        }
        self.ends_after_answer = ends_after_answer;
        let ran = now.since(since);
        if is_done || ran >= GOOD_RUN {
            self.backoff = Backoff::default();
            return;
        }
        let retry_after = self.backoff.failed(started, now);
        if self.backoff.failures() >= CRASH_LOOP {
            let cause = FailureCause::Crashed { how: exit.to_string(), ran };
            self.report.start_failed(StartFailure { cause, output, retry_after }, self.starting(0));
        }
    }

    /// Nothing is left of a replica.
    fn gone(&mut self, id: task::Id) {
        let Some(member) = self.fleet.remove(id) else { return };
        // Its task has not said so: it panicked.
        if let Some(endpoint) = member.endpoint() {
            self.report.endpoint_gone(endpoint);
        }
    }

    /// Takes itself off the platform's list, unless something is wanted meanwhile. Returns whether it did.
    fn retire(&mut self) -> bool {
        let shared = self.shared.clone();
        let mut apps = shared.apps.lock();
        if self.wanted() > 0 || self.scale.has_changed().unwrap_or(false) {
            return false;
        }
        let Self { backoff, ends_after_answer, .. } = *self;
        let to_remember = ends_after_answer || !backoff.is_settled(self.now());
        let memory = to_remember.then(|| Memory { backoff, ends_after_answer, spec: self.spec.clone() });
        shared.retire(&mut apps, self.key, memory);
        self.retired = true;
        true
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // Not by its own decision: with its runtime, or a panic. Its tasks go with it, and with them all processes.
        if !self.retired {
            self.shared.retire(&mut self.shared.apps.lock(), self.key, None);
            self.report.set_starting(0);
        }
    }
}
