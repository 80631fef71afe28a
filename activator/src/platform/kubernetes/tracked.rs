//! From what there is of an app in the cluster to what is reported of it. Time is an argument.

mod known;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::failing::Failing;
use super::state::{Candidate, Crash, Identity, Troubled, View};
use crate::admission::Endpoint;
use crate::admission::removal::Removal;
use crate::clock::Timestamp;
use crate::failure::FailureCause;
use crate::platform::contract::Observation;
use known::Known;
pub(super) use known::{Checking, ToCheck};

/// How long after an order a pod that the order was to take away is known to stay, if nothing asks for fewer by then.
const SETTLED: Duration = Duration::from_secs(1);
/// How long a container cannot be started until that is told: Kubernetes tries again, at first after about a second.
const PASSING: Duration = Duration::from_secs(1);
/// The same where nobody knows whether the order was accepted. By then an order on its way has been answered or given up, too.
const SETTLED_IN_DOUBT: Duration = Duration::from_secs(10);

/// From so many endpoints in use on an app has many.
const MANY: usize = 64;

/// One app as it was last reported, and what has to be remembered for the next time. For a sleeping app that is little, and is
/// to take little room.
#[derive(Debug, Default)]
pub(super) struct Tracked {
    /// What serves it or may come to.
    candidates: BTreeMap<Identity, Known>,
    /// Pods without address that are waited for, by UID.
    pending: BTreeMap<Box<str>, Waited>,
    /// Since when a container of a pod cannot be started, by UID.
    troubled: BTreeMap<Box<str>, Timestamp>,
    /// Since when pods are asked for and there are none at all.
    none_since: Option<Timestamp>,
    failing: Failing,
    /// What the last container that kept ending printed before it did.
    output: Option<Box<(Crash, Option<Vec<String>>)>>,
    /// Since when the target has asked for at least as many pods as there are.
    enough_since: Option<Timestamp>,
    /// No pod is tried before Kubernetes calls it ready until then.
    distrusted_until: Timestamp,
    /// An order for fewer is on its way, until then at the latest: what is not in use was chosen to go.
    chosen_until: Timestamp,
    last: Option<Observation>,
}

/// A pod without address.
#[derive(Debug, Clone, Copy)]
struct Waited {
    since: Timestamp,
    /// As with [`Known::leaving`]: it was to go by an order before it had an address.
    leaving: Option<Timestamp>,
}

/// What an update calls for.
#[derive(Debug, Default)]
pub(super) struct Update {
    /// What is to be reported, if it is other than before.
    pub(super) observation: Option<Observation>,
    /// Checks that are to be made from now on.
    pub(super) check: Vec<ToCheck>,
    /// What a container has printed is to be found out.
    pub(super) read_output: Option<Crash>,
    /// When to update again, even if nothing is heard until then.
    pub(super) again: Option<Timestamp>,
}

// === impl Tracked ===

impl Tracked {
    /// The view is this now.
    pub(super) fn update(&mut self, view: View, start_timeout: Duration, now: Timestamp) -> Update {
        let mut update = Update::default();
        self.take_candidates(&view.candidates, now);
        self.settle(&view, now, &mut update);

        let mut endpoints = Vec::new();
        let mut late: Option<String> = None;
        let (mut leaving, mut too_late, mut usable) = (0, 0, 0_u32);
        let asleep = view.spec.as_ref().is_some_and(|spec| spec.replicas == 0);
        let chosen = !update.is_due(self.chosen_until, now);
        let used: Vec<_> =
            self.last.iter().filter(|_| chosen).flat_map(|last| last.endpoints.iter().cloned()).collect();
        for candidate in &view.candidates {
            let Some(known) = self.candidates.get_mut(&candidate.identity) else { continue };
            let own = candidate.removal != Removal::Never;
            if asleep && !own {
                // It stays, but is of no use until somebody wakes the target.
                known.rest();
                continue;
            }
            if asleep {
                // Also what nobody here has heard of before goes.
                known.leaving.get_or_insert(now + SETTLED);
            }
            update.check.extend(known.start_checks(candidate, now));
            if known.leaving.is_some() {
                leaving += u32::from(own);
            } else if known.usable(candidate) {
                known.unusable_since = None;
                if chosen && own && !known.is_among(&used) {
                    continue;
                }
                let endpoint = known.endpoint(candidate);
                if !candidate.ready {
                    endpoint.begin_early();
                } else if endpoint.end_early() {
                    // Whoever has put it aside takes it again only if told.
                    self.last = None;
                }
                usable += u32::from(own);
                endpoints.push(endpoint);
            } else if own {
                let since = *known.unusable_since.get_or_insert(now);
                if update.is_due(since + start_timeout, now) {
                    too_late += 1;
                    late.get_or_insert_with(|| known.words(candidate));
                }
            }
        }
        let mut pending = BTreeMap::new();
        for pod in view.pending {
            let waited = self.pending.get(&pod.uid).copied().unwrap_or(Waited { since: now, leaving: None });
            pending.insert(pod.uid, waited);
            if update.is_due(waited.since + start_timeout, now) {
                too_late += 1;
                late.get_or_insert(pod.why);
            }
        }
        self.pending = pending;
        let asked_for = view.spec.as_ref().map_or(0, |spec| spec.replicas);
        self.none_since = (view.counted && asked_for > 0 && view.pods == 0).then(|| self.none_since.unwrap_or(now));
        if let Some(since) = self.none_since
            && update.is_due(since + start_timeout, now)
        {
            too_late = asked_for;
            late.get_or_insert_with(|| "there is no pod of it that its Service chooses".to_owned());
        }

        let (lasting, troubled) = self.lasting(view.troubled, now, &mut update);
        let mut failing = view.failing + too_late + lasting;
        let mut cause = view.failure.or(troubled);
        let mut output = Vec::new();
        if let Some(crash) = view.crash {
            match self.output_of(crash, &mut update) {
                Some(lines) => output = lines,
                // Soon it will be known what it has to say about it.
                None => (cause, failing) = (None, 0),
            }
        }
        let cause = cause.or_else(|| late.map(|last| FailureCause::NeverReady { after: start_timeout, last }));
        let failure = self.failing.update(cause, output, now);
        if let Some(at) = self.failing.next() {
            update.look_again(at);
        }

        let pods = view.pods.saturating_sub(leaving);
        let wanted = view.spec.as_ref().map(|spec| spec.replicas);
        let coming = match wanted {
            _ if view.hopeless => 0,
            Some(0) => 0,
            _ if !view.counted && usable > 0 => 0,
            Some(_) if view.refused => pods,
            Some(replicas) => replicas.max(pods),
            None => pods,
        };
        let starting = coming.saturating_sub(usable).saturating_sub(failing);
        let observation = Observation {
            spec: view.spec,
            endpoints,
            starting,
            failure,
            reached: view.reached,
            ..Observation::default()
        };
        if self.last.as_ref().is_none_or(|last| !same(last, &observation)) {
            self.last = Some(observation.clone());
            update.observation = Some(observation);
        }
        update
    }

    /// The next update reports whatever is the case, even if it is the same as before.
    pub(super) fn report_anew(&mut self) {
        self.last = None;
    }

    /// An order for `replicas` was accepted, or may have been: what it takes away is not used any more, `victims` and what is
    /// not used yet.
    pub(super) fn ordered(&mut self, replicas: u32, victims: &[Arc<Endpoint>], in_doubt: bool, now: Timestamp) {
        let back = now + if in_doubt { SETTLED_IN_DOUBT } else { SETTLED };
        let own = self.candidates.values().filter(|known| known.removal != Removal::Never).count() + self.pending.len();
        let fewer = own > replicas as usize;
        let used = self.last.as_ref().map_or(&[][..], |last| &last.endpoints);
        let goes = |known: &Known| match known.removal {
            // Which of those go that are not used yet, nobody has said.
            Removal::AsTold => replicas == 0 || known.is_among(victims) || (fewer && !known.is_among(used)),
            Removal::Ranked(rank) => rank >= replicas,
            // It stays; but whether anything is to be used, nobody knows.
            Removal::Never => replicas == 0 && in_doubt,
        };
        for known in self.candidates.values_mut().filter(|known| goes(known)) {
            if in_doubt {
                // Tried over and over, it would keep out for good what is there.
                known.leaving.get_or_insert(back);
            } else {
                known.leaving = Some(back);
            }
        }
        for waited in self.pending.values_mut().filter(|_| fewer) {
            waited.leaving.get_or_insert(back);
        }
        self.enough_since = None;
        self.chosen_until = Timestamp::ZERO;
    }

    /// An order for `replicas` is about to be given, and which pods go was chosen. If they become fewer, nothing comes into use
    /// until it is answered.
    pub(super) fn choosing(&mut self, replicas: u32, now: Timestamp) {
        let asked_for = self.last.as_ref().and_then(|last| last.spec.as_ref()).map_or(0, |spec| spec.replicas);
        self.chosen_until = if replicas < asked_for { now + SETTLED_IN_DOUBT } else { Timestamp::ZERO };
    }

    /// The order was not given after all, or not accepted.
    pub(super) fn not_ordered(&mut self) {
        self.chosen_until = Timestamp::ZERO;
    }

    /// All checks of an incarnation of a candidate have passed.
    pub(super) fn passed(&mut self, identity: &Identity, incarnation: u32) {
        if let Some(known) = self.candidates.get_mut(identity).filter(|known| known.incarnation == incarnation) {
            known.passed = true;
            known.checking = None;
        }
    }

    /// These checks are under way.
    pub(super) fn checking(&mut self, identity: &Identity, checking: Checking) {
        if let Some(known) = self.candidates.get_mut(identity) {
            known.checking = Some(checking);
        }
    }

    /// This is what a container has printed.
    pub(super) fn output_read(&mut self, crash: &Crash, lines: Vec<String>) {
        if let Some(last) = &mut self.output
            && last.0 == *crash
        {
            last.1 = Some(lines);
        }
    }

    /// No pod is tried before Kubernetes calls it ready until then.
    pub(super) fn distrust(&mut self, until: Timestamp) {
        self.distrusted_until = until;
    }

    /// Whether pods are to wait for Kubernetes' word, and until when.
    pub(super) fn distrusted(&self, now: Timestamp) -> Option<Timestamp> {
        Some(self.distrusted_until).filter(|until| *until > now)
    }

    /// Whether so many endpoints are in use that a report is dear, and one more of them no hurry.
    pub(super) fn has_many(&self) -> bool {
        self.last.as_ref().is_some_and(|last| last.endpoints.len() >= MANY)
    }

    /// What was reported last as usable, and what that is.
    pub(super) fn in_use(&self) -> impl Iterator<Item = (&Arc<Endpoint>, &Identity)> {
        let used = |endpoint: &Arc<Endpoint>| {
            self.last.iter().flat_map(|last| &last.endpoints).any(|used| Arc::ptr_eq(used, endpoint))
        };
        let known = self.candidates.iter().filter_map(|(identity, known)| Some((known.endpoint.as_ref()?, identity)));
        known.filter(move |(endpoint, _)| used(endpoint))
    }

    /// Keeps those that are candidates still, each as it was unless its containers were started again, or it is another one in
    /// what never changes of an endpoint.
    fn take_candidates(&mut self, candidates: &[Candidate], now: Timestamp) {
        let mut before = std::mem::take(&mut self.candidates);
        self.candidates = candidates
            .iter()
            .map(|candidate| {
                let known = before.remove(&candidate.identity).filter(|known| known.is_of(candidate));
                let mut known = known.unwrap_or_else(|| {
                    let mut known = Known::new(candidate, now);
                    known.leaving = self.pending.get(&candidate.identity.uid).and_then(|waited| waited.leaving);
                    known
                });
                if known.incarnation != candidate.incarnation {
                    known.start_anew(candidate.incarnation);
                }
                (candidate.identity.clone(), known)
            })
            .collect();
    }

    /// What was to go by an order but is still there, and will be, is back.
    fn settle(&mut self, view: &View, now: Timestamp, update: &mut Update) {
        // Where there is not one for each replica, there may be more than are asked for, and all of them stay.
        let most = if view.counted { view.pods } else { 1 };
        let enough = view.spec.as_ref().is_some_and(|spec| spec.replicas >= most);
        self.enough_since = if enough { self.enough_since.or(Some(now)) } else { None };
        let Some(since) = self.enough_since else { return };
        for waited in self.pending.values_mut() {
            if waited.leaving.is_some_and(|back| update.is_due(back.max(since + SETTLED), now)) {
                waited.leaving = None;
            }
        }
        for known in self.candidates.values_mut() {
            if let Some(back) = known.leaving
                && update.is_due(back.max(since + SETTLED), now)
            {
                known.comes_back();
            }
        }
    }

    /// How many of these pods are so for longer than what passes by itself, and the cause of the first.
    fn lasting(&mut self, troubled: Vec<Troubled>, now: Timestamp, update: &mut Update) -> (u32, Option<FailureCause>) {
        let before = std::mem::take(&mut self.troubled);
        let (mut lasting, mut first) = (0, None);
        for Troubled { uid, cause } in troubled {
            let since = before.get(&uid).copied().unwrap_or(now);
            self.troubled.insert(uid, since);
            if update.is_due(since + PASSING, now) {
                lasting += 1;
                first.get_or_insert(cause);
            }
        }
        (lasting, first)
    }

    /// What the container printed, once that is known; has it found out if need be.
    fn output_of(&mut self, crash: Crash, update: &mut Update) -> Option<Vec<String>> {
        match &self.output {
            Some(last) if last.0 == crash => last.1.clone(),
            _ => {
                update.read_output = Some(crash.clone());
                self.output = Some(Box::new((crash, None)));
                None
            }
        }
    }
}

// === impl Update ===

impl Update {
    /// Whether `at` is there; if not, there is to be another update then.
    fn is_due(&mut self, at: Timestamp, now: Timestamp) -> bool {
        let due = at <= now;
        if !due {
            self.look_again(at);
        }
        due
    }

    /// There is to be another update at `at`, at the latest.
    pub(super) fn look_again(&mut self, at: Timestamp) {
        self.again = Some(self.again.map_or(at, |again| again.min(at)));
    }
}

fn same(a: &Observation, b: &Observation) -> bool {
    let same_failure = match (&a.failure, &b.failure) {
        (None, None) => true,
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        _ => false,
    };
    same_failure
        && a.spec == b.spec
        && a.starting == b.starting
        && a.reached == b.reached
        && a.endpoints.len() == b.endpoints.len()
        && a.endpoints.iter().zip(&b.endpoints).all(|(a, b)| Arc::ptr_eq(a, b))
}

#[cfg(test)]
mod tests;
