//! What is the case with one app's replicas, and whom to tell.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::output::Allowance;
use crate::admission::Endpoint;
use crate::failure::StartFailure;
use crate::platform::{Observation, Observer, Reached, SpecReplicas, Subject};
use crate::settings::{AppId, ProcessSpec, Target};

/// One app as its platform sees it. Whatever changes is told at once, under the lock, so that nothing is told late.
pub(super) struct Report {
    id: AppId,
    observer: Weak<dyn Observer>,
    state: Mutex<State>,
    /// How much of what its replicas print is logged.
    allowance: Arc<Mutex<Allowance>>,
}

struct State {
    spec: Arc<ProcessSpec>,
    one_at_a_time: bool,
    observation: Observation,
}

// === impl Report ===

impl Report {
    /// Of an app of which nothing runs; `None` if it is none that runs as processes.
    pub(super) fn new(subject: Subject) -> Option<Arc<Self>> {
        let Target::Process(spec) = &subject.settings.target else { return None };
        let asleep = SpecReplicas { replicas: 0, version: 0, writer: None };
        let observation =
            Observation { target_number: subject.target_number, spec: Some(asleep), ..Observation::default() };
        let one_at_a_time = has_one_at_a_time(&subject);
        let state = State { spec: spec.clone(), one_at_a_time, observation };
        let (state, allowance) = (Mutex::new(state), Arc::default());
        let report = Self { id: subject.id, observer: subject.observer, state, allowance };
        report.tell(|_| {});
        Some(Arc::new(report))
    }

    pub(super) fn id(&self) -> &AppId {
        &self.id
    }

    /// How much of what its replicas print is logged.
    pub(super) fn allowance(&self) -> &Arc<Mutex<Allowance>> {
        &self.allowance
    }

    /// Whether anybody wants to know any more.
    pub(super) fn is_wanted(&self) -> bool {
        self.observer.strong_count() > 0
    }

    /// What replicas are started with from now on.
    pub(super) fn spec(&self) -> Arc<ProcessSpec> {
        self.state.lock().spec.clone()
    }

    /// Whether its replicas have one request at a time.
    pub(super) fn one_at_a_time(&self) -> bool {
        self.state.lock().one_at_a_time
    }

    pub(super) fn configure(&self, subject: &Subject) {
        if let Target::Process(spec) = &subject.settings.target {
            let mut state = self.state.lock();
            state.spec = spec.clone();
            state.one_at_a_time = has_one_at_a_time(subject);
        }
    }

    /// So many are wanted from now on, without the victims. Returns the order's version.
    pub(super) fn ordered(&self, replicas: u32, victims: &[Arc<Endpoint>]) -> u64 {
        let mut version = 0;
        self.tell(|now| {
            version = now.spec.as_ref().map_or(0, |spec| spec.version) + 1;
            now.spec = Some(SpecReplicas { replicas, version, writer: None });
            let goes =
                |endpoint: &Arc<Endpoint>| replicas == 0 || victims.iter().any(|victim| Arc::ptr_eq(victim, endpoint));
            now.endpoints.extract_if(.., |endpoint| goes(endpoint)).for_each(|endpoint| {
                endpoint.close();
            });
            let there = u32::try_from(now.endpoints.len()).unwrap_or(u32::MAX);
            // Until the supervisor tells the true number.
            now.starting = replicas.saturating_sub(there);
        });
        version
    }

    /// `count` replicas are on their way and not usable yet.
    pub(super) fn set_starting(&self, count: u32) {
        self.tell(|now| {
            now.starting = count;
            now.reached.started &= count > 0;
        });
    }

    /// One runs, though it may not listen yet.
    pub(super) fn replica_started(&self) {
        self.tell(|now| now.reached = Reached { started: true, ..Reached::default() });
    }

    /// The endpoint passed its readiness check, or is taken back.
    pub(super) fn endpoint_ready(&self, endpoint: Arc<Endpoint>) {
        self.tell(|now| {
            now.failure = None;
            now.endpoints.push(endpoint);
        });
    }

    /// The endpoint is dead, or to get nothing more.
    pub(super) fn endpoint_gone(&self, endpoint: &Arc<Endpoint>) {
        self.tell(|now| now.endpoints.retain(|there| !Arc::ptr_eq(there, endpoint)));
        endpoint.close();
    }

    /// A replica did not become usable; `starting` others are on their way.
    pub(super) fn start_failed(&self, failure: StartFailure, starting: u32) {
        self.tell(|now| {
            now.starting = starting;
            now.failure = Some(Arc::new(failure));
        });
    }

    fn tell(&self, change: impl FnOnce(&mut Observation)) {
        let mut state = self.state.lock();
        change(&mut state.observation);
        if let Some(observer) = self.observer.upgrade() {
            observer.observed(state.observation.clone());
        }
    }
}

fn has_one_at_a_time(subject: &Subject) -> bool {
    subject.settings.scaling.concurrency_limit == Some(1)
}
