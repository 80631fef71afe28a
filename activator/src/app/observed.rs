//! The one place where what a platform observes becomes the app's state.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::App;
use super::control::{Control, Failure};
use crate::admission::Endpoint;
use crate::autoscaler::Begin;
use crate::clock::Timestamp;
use crate::failure::StartFailure;
use crate::fleet::Ordered;
use crate::platform::{Observation, Observer, SpecReplicas};
use crate::settings::Target;
use crate::wake::{Phase, Wake};

/// What an observation calls for besides.
#[derive(Debug, Clone, Copy, Default)]
struct Consequences {
    serve: bool,
    poke: bool,
}

impl Observer for App {
    fn observed(&self, observation: Observation) {
        // An app that nobody holds any more has nothing to learn.
        if let Some(app) = self.this.upgrade() {
            app.fold(observation);
        }
    }
}

impl App {
    fn fold(self: &Arc<Self>, observation: Observation) {
        let now = self.clock().now();
        let mut control = self.control.lock();
        if observation.target_number != control.target_number {
            return;
        }
        let mut then = self.fold_spec(&mut control, observation.spec.clone(), now);
        let known = control.spec.is_some();
        let starting_before = self.starting.load(Ordering::Acquire);

        let platform_is_cluster = matches!(self.settings.load().target, Target::Scale(_));
        if observation.reached.scheduled {
            self.pass(&mut control, Phase::Scheduled, now);
        }
        if observation.reached.started {
            self.pass(&mut control, if platform_is_cluster { Phase::PodIp } else { Phase::Started }, now);
        }
        let appeared = self.fold_endpoints(&mut control, &observation.endpoints, now);
        if observation.reached.ready_by_platform {
            self.pass(&mut control, Phase::ReadyByKubelet, now);
        }
        then.serve |= appeared;
        // One that has come up by itself wants to be looked after.
        then.poke |= known && appeared && control.wanted == 0;

        let failure = observation.failure.clone();
        let is_new = |failure: &&Arc<StartFailure>| {
            control.observation.failure.as_ref().is_none_or(|last| !Arc::ptr_eq(last, failure))
        };
        let new_failure = failure.as_ref().filter(is_new).cloned();
        if failure.is_none()
            && let (Some(seen), Some(told)) = (&control.observation.failure, &control.failure)
            && Arc::ptr_eq(seen, &told.failure)
            && seen.cause.is_of_declaration()
        {
            control.failure = None;
            then.poke = true;
        }
        control.observation = observation;
        let starting = self.update_starting(&control);
        then.poke |= starting_before > 0 && starting == 0 && !self.line.is_empty();
        if let Some(failure) = &new_failure {
            control.failure = Some(Failure { failure: failure.clone(), at: now });
            then.poke = true;
        }
        self.settle_wake(&mut control, now);
        drop(control);

        if let Some(failure) = new_failure {
            self.tell_of(&failure);
        }
        self.tell_if_hopeless(now);
        if appeared {
            self.share_slots(now);
        }
        self.tell_gateways();
        if then.serve {
            self.serve_line();
        }
        if then.poke {
            self.poke();
        }
        self.tell_news();
    }

    /// Takes over how many replicas the target asks for. What is older than what is known does not count; a number that
    /// nobody here has asked for is somebody else's.
    fn fold_spec(&self, control: &mut Control, seen: Option<SpecReplicas>, now: Timestamp) -> Consequences {
        let Some(seen) = seen else { return Consequences::default() };
        let Some(known) = &control.spec else {
            control.wanted = seen.replicas;
            control.begin = Some(Begin::Found(seen.replicas));
            control.found.get_or_insert(seen.replicas);
            let poke = seen.replicas > 0
                || self.in_flight() > 0
                || self.settings.load().scaling.min_replicas > 0
                || control.closing.is_some();
            control.spec = Some(seen);
            return Consequences { poke, serve: false };
        };
        if seen.version < known.version {
            return Consequences::default();
        }
        let changed = seen.replicas != known.replicas;
        let awake_again = known.replicas == 0 && seen.replicas > 0;
        // The answer is lost, or still on its way.
        let was_in_doubt = control.in_doubt.take_if(|in_doubt| *in_doubt == seen.replicas).is_some();
        let is_under_way = control.under_way.as_ref().is_some_and(|order| order.replicas == seen.replicas);
        if awake_again {
            Self::not_zero_any_more(control, now);
        }
        let known = control.spec.insert(seen);
        if !changed || was_in_doubt || is_under_way {
            return Consequences { poke: was_in_doubt, serve: false };
        }
        let (replicas, writer) = (known.replicas, known.writer.clone());
        let seen = Ordered { replicas, version: known.version };
        if self.is_of_fleet(control, seen, writer.as_deref(), now) {
            self.written_by_gateway(control, replicas);
            return Consequences { poke: true, serve: false };
        }
        control.written_by_other(replicas, writer, self.settings.load().scaling.min_replicas, now);
        Consequences { poke: true, serve: false }
    }

    /// An order was answered: what has appeared meanwhile, and is none of `going`, is used from now on. Whether there is such.
    pub(super) fn take_in_late(&self, control: &mut Control, going: &[Arc<Endpoint>], now: Timestamp) -> bool {
        let mut there = control.observation.endpoints.clone();
        there.retain(|endpoint| !going.iter().any(|goes| Arc::ptr_eq(goes, endpoint)));
        self.fold_endpoints(control, &there, now)
    }

    /// Makes `there` the endpoints. Returns whether there is one that was not in rotation before.
    fn fold_endpoints(&self, control: &mut Control, there: &[Arc<Endpoint>], now: Timestamp) -> bool {
        let before = self.endpoints.load_full();
        let same = before.len() == there.len() && before.iter().zip(there).all(|(a, b)| Arc::ptr_eq(a, b));
        if same && control.retiring.is_empty() {
            return false;
        }
        let identity = |endpoint: &Arc<Endpoint>| Arc::as_ptr(endpoint) as usize;
        let present: HashSet<_> = there.iter().map(identity).collect();
        control.retiring.retain(|endpoint| present.contains(&identity(endpoint)));
        self.share_endpoints(control, there);
        let retiring: HashSet<_> = control.retiring.iter().map(identity).collect();
        let leaving: HashSet<_> = control.under_way.iter().flat_map(|order| &order.victims).map(identity).collect();
        let in_rotation: HashSet<_> = before.iter().map(identity).collect();
        let lowers = control.under_way.as_ref().is_some_and(|order| order.lowers);

        let mut appeared = false;
        let mut rotation = Vec::with_capacity(there.len());
        for endpoint in there {
            let id = identity(endpoint);
            if Self::is_asked_away(control, endpoint) && !retiring.contains(&id) && !leaving.contains(&id) {
                endpoint.close();
                control.retiring.push(endpoint.clone());
                continue;
            }
            let keeps_out = retiring.contains(&id) || leaving.contains(&id) || endpoint.has_failed_early();
            if keeps_out || (lowers && !in_rotation.contains(&id)) {
                continue;
            }
            if !in_rotation.contains(&id) {
                endpoint.fill(now);
                // Its platform had closed it, and has it back.
                endpoint.reopen();
                appeared = true;
            }
            rotation.push(endpoint.clone());
        }
        // Under the lock, or a try to sleep that has closed one a moment ago would open it again.
        before.iter().filter(|endpoint| !present.contains(&identity(endpoint))).for_each(|gone| {
            gone.close();
        });
        let crashed = !before.is_empty() && rotation.is_empty() && control.wanted > 0;
        self.endpoints.store(Arc::new(rotation));
        if appeared {
            self.pass(control, Phase::Listening, now);
            control.failure = None;
            control.overwritten = 0;
        }
        if crashed {
            // What is held now is not to go to the first one that is back, all at once.
            control.wake = Some(Box::new(Wake::new(now, control.wanted)));
            control.wake_settled = false;
        }
        self.update_slot_limit(control);
        appeared
    }

    /// Takes out of rotation what is early, since `endpoint` has failed. Whether there was anything to do.
    pub(super) fn put_early_aside(&self, endpoint: &Endpoint) -> bool {
        // Under the lock, or an observation that is just being taken would not close what it finds failed.
        let mut control = self.control.lock();
        if !endpoint.fail_early() {
            return false;
        }
        let (early, rotation): (Vec<_>, Vec<_>) =
            self.endpoints.load().iter().cloned().partition(|one| one.fail_early() || one.has_failed_early());
        self.endpoints.store(Arc::new(rotation));
        early.iter().for_each(|one| {
            one.close();
        });
        // So they are until their platform says otherwise.
        control.observation.starting += u32::try_from(early.len()).unwrap_or(u32::MAX);
        self.update_starting(&control);
        true
    }

    /// Replicas on their way: those that are seen, or those that were asked for a moment ago. Returns how many.
    pub(super) fn update_starting(&self, control: &Control) -> u32 {
        let starting = control.observation.starting.max(control.expected);
        self.starting.store(starting, Ordering::Release);
        starting
    }

    /// Notes that a phase of the wake is over, and how long it took.
    pub(super) fn pass(&self, control: &mut Control, phase: Phase, now: Timestamp) {
        let Some(took) = control.wake.as_mut().and_then(|wake| wake.pass(phase, now)) else { return };
        if phase == Phase::Listening
            && let Some(whole) = control.wake.as_ref().and_then(|wake| wake.duration())
        {
            control.usual_wake = Some(control.usual_wake.map_or(whole, |usual| (usual * 3 + whole) / 4));
        }
        metrics::histogram!("zerogate_wake_seconds", "app" => self.id.to_string(), "phase" => phase.label())
            .record(took.as_secs_f64());
    }

    pub(super) fn tell_of(&self, failure: &StartFailure) {
        let label = failure.cause.label();
        metrics::counter!("zerogate_start_failures_total", "app" => self.id.to_string(), "cause" => label).increment(1);
        tracing::warn!(app = %self.id, cause = %failure.cause, retry_after = ?failure.retry_after, "start failed");
    }
}
