//! What the scaler decides, carried out in an order in which nothing is lost: an endpoint is closed, it is empty, its platform is
//! told, it is gone; or it is opened again, since the order was not accepted or a request came in between.

use std::sync::Arc;
use std::time::Duration;

use super::App;
use super::control::{DECISIONS_KEPT, Failure, RecordedDecision, UnderWay};
use crate::admission::Endpoint;
use crate::autoscaler::Decision;
use crate::clock::Timestamp;
use crate::failure::StartFailure;
use crate::platform::{Accepted, NotAccepted, Order, SpecReplicas};
use crate::wake::{Phase, Wake};

/// How long until an order is given again that its platform will not take as it is, if it does not say so itself.
const RETRY_REFUSED: Duration = Duration::from_secs(5);

impl App {
    /// Replicas wanted by the last decision that is being carried out, or those that its target asks for.
    pub fn wanted(&self) -> u32 {
        self.control.lock().wanted
    }

    /// Whether it is known how many replicas the target asks for. Nothing is decided before.
    pub fn is_known(&self) -> bool {
        self.control.lock().spec.is_some()
    }

    /// How many replicas the target asks for, as far as that is known.
    pub fn spec_replicas(&self) -> Option<u32> {
        self.control.lock().spec.as_ref().map(|spec| spec.replicas)
    }

    /// Takes `wanted` for what there are to be; [`App::next_order`] goes by it.
    pub(crate) fn set_wanted(&self, wanted: u32, now: Timestamp) {
        let mut control = self.control.lock();
        if control.wanted == 0 && wanted > 0 && self.endpoints.load().is_empty() && control.retiring.is_empty() {
            control.wake = Some(Box::new(Wake::new(now, wanted)));
            control.wake_settled = false;
            // So that requests which come from here on do not ask again; the platform tells the true number.
            control.expected = wanted;
            self.update_starting(&control);
        } else if let Some(wake) = &mut control.wake
            && wake.ready.is_none()
        {
            wake.wanted = wanted;
        }
        control.wanted = wanted;
        self.update_slot_limit(&control);
    }

    /// For fewer than the target asks for, closes those with the least in flight, so that they retire when they are empty; what
    /// is not usable goes before them, and the last one by [`App::try_sleep`] alone, but of an app that is removed. For more, opens again what retires.
    pub(crate) fn retire_or_reopen(self: &Arc<Self>) {
        let mut control = self.control.lock();
        let Some(known) = control.spec.as_ref().map(|spec| spec.replicas) else { return };
        let spec = control.under_way.as_ref().map_or(known, |order| order.replicas) as usize;
        let wanted = control.wanted as usize;
        let mut rotation = Vec::clone(&self.endpoints.load());
        let to_go = spec.saturating_sub(wanted);
        let excess = control.retiring.len().saturating_sub(to_go);
        if wanted > 0 && excess > 0 {
            let keep = control.retiring.len() - excess;
            let reopened = control.retiring.split_off(keep);
            reopened.iter().for_each(|endpoint| endpoint.reopen());
            rotation.extend(reopened);
            self.endpoints.store(Arc::new(rotation));
            drop(control);
            self.serve_line();
            return;
        }
        let not_usable = spec.saturating_sub(rotation.len() + control.retiring.len());
        let least = usize::from(control.closing.is_none());
        let to_close =
            to_go.saturating_sub(not_usable + control.retiring.len()).min(rotation.len().saturating_sub(least));
        if to_close == 0 {
            return;
        }
        rotation.sort_by_key(|endpoint| std::cmp::Reverse(endpoint.in_flight()));
        let victims = rotation.split_off(rotation.len() - to_close);
        self.endpoints.store(Arc::new(rotation));
        for victim in &victims {
            victim.close();
            self.poke_when_empty(victim);
        }
        control.retiring.extend(victims);
    }

    fn poke_when_empty(self: &Arc<Self>, endpoint: &Arc<Endpoint>) {
        if endpoint.in_flight() == 0 {
            return;
        }
        let (app, endpoint) = (Arc::downgrade(self), endpoint.clone());
        tokio::spawn(async move {
            endpoint.drained().await;
            if let Some(app) = app.upgrade() {
                app.poke();
            }
        });
    }

    /// Takes every endpoint out of rotation, if nothing at all is in flight. A request in between wins: then nothing has
    /// changed and the answer is false.
    pub(crate) fn try_sleep(self: &Arc<Self>) -> bool {
        let mut control = self.control.lock();
        let endpoints = self.endpoints.load_full();
        let closed = endpoints.iter().take_while(|e| e.close_if_idle()).count();
        let asleep = closed == endpoints.len() && self.in_flight() == 0;
        if asleep {
            self.endpoints.store(super::none());
            control.retiring.extend(endpoints.iter().cloned());
        } else {
            endpoints[..closed].iter().for_each(|e| e.reopen());
        }
        drop(control);
        if !asleep {
            self.serve_line();
        }
        asleep
    }

    /// The order that is due now, if any: at most one is under way. Fewer are ordered only as far as what goes is empty.
    pub(crate) fn next_order(self: &Arc<Self>) -> Option<Order> {
        let mut control = self.control.lock();
        if control.under_way.is_some() {
            return None;
        }
        let SpecReplicas { replicas: spec, version, .. } = *control.spec.as_ref()?;
        let wanted = control.wanted;
        let (replicas, victims) = if wanted >= spec {
            // Where nobody knows what became of the last one, also what seems to be the case already.
            if wanted == spec && control.in_doubt.is_none() {
                return None;
            }
            (wanted, Vec::new())
        } else {
            let in_use = self.endpoints.load().len() + control.retiring.len();
            let not_usable = spec.saturating_sub(u32::try_from(in_use).unwrap_or(u32::MAX));
            let (empty, busy): (Vec<_>, Vec<_>) = control.retiring.drain(..).partition(|e| e.in_flight() == 0);
            let may_go = not_usable.saturating_add(u32::try_from(empty.len()).unwrap_or(u32::MAX));
            let replicas = wanted.max(spec.saturating_sub(may_go));
            control.retiring = busy;
            // What is in use and not ready in Kubernetes' eyes it would take first, whatever it is told.
            let misjudged = replicas > 0 && self.endpoints.load().iter().any(|endpoint| endpoint.is_early());
            if replicas == spec || misjudged {
                control.retiring.extend(empty);
                return None;
            }
            (replicas, empty)
        };
        control.under_way = Some(Box::new(UnderWay { replicas, victims: victims.clone(), lowers: replicas < spec }));
        let urgent = replicas > spec && self.in_flight() > 0;
        // A wake goes out at once; what else somebody has written meanwhile is not written over.
        let unless_changed_since = (spec > 0).then_some(version);
        let settings = self.settings();
        Some(Order { key: self.key, id: self.id.clone(), settings, replicas, victims, urgent, unless_changed_since })
    }

    /// The order under way was accepted.
    pub(crate) fn order_accepted(self: &Arc<Self>, accepted: Accepted) {
        let now = self.clock().now();
        let mut control = self.control.lock();
        let Some(order) = control.under_way.take() else { return };
        let older = control.spec.as_ref().is_none_or(|spec| spec.version <= accepted.version);
        if older {
            control.spec = Some(SpecReplicas { replicas: order.replicas, version: accepted.version, writer: None });
        }
        control.in_doubt = None;
        control.refused = None;
        control.expected = 0;
        control.last_order = Some(now);
        if order.replicas > 0 {
            self.pass(&mut control, Phase::ScaleCall, now);
        }
        let appeared = self.take_in_late(&mut control, &order.victims, now);
        self.update_starting(&control);
        drop(control);
        if appeared {
            self.serve_line();
        }
        self.tell_if_hopeless(now);
        self.tell_news();
    }

    /// The order under way was not accepted. What it was to take away is opened again, unless nobody knows whether it goes: then
    /// its platform tells. Returns how long until it is worth another try, if the platform has said so.
    pub(crate) fn order_not_accepted(self: &Arc<Self>, why: NotAccepted) -> Option<Duration> {
        let now = self.clock().now();
        let mut control = self.control.lock();
        let order = control.under_way.take()?;
        control.expected = 0;
        tracing::warn!(
            app = %self.id, replicas = order.replicas, cause = %why.cause, in_doubt = why.in_doubt, "scale call failed"
        );
        let mut opened = false;
        if why.in_doubt {
            control.in_doubt = Some(order.replicas);
            // Where all may go, only its platform can say what is to be used.
            if order.replicas > 0 {
                opened = self.take_in_late(&mut control, &order.victims, now);
            }
        } else {
            if let Some(spec) = &control.spec {
                control.wanted = spec.replicas;
            }
            let there = &control.observation.endpoints;
            let is_there = |endpoint: &Arc<Endpoint>| there.iter().any(|one| Arc::ptr_eq(one, endpoint));
            let mut back = order.victims;
            back.extend(control.retiring.iter().cloned());
            back.retain(is_there);
            back.iter().for_each(|endpoint| endpoint.reopen());
            opened = !back.is_empty();
            let mut rotation = Vec::clone(&self.endpoints.load());
            rotation.extend(back);
            self.endpoints.store(Arc::new(rotation));
            control.retiring.clear();
            opened |= self.take_in_late(&mut control, &[], now);
        }
        let retry_after = why.retry_after;
        let told = (!why.passing).then(|| {
            Arc::new(StartFailure {
                cause: why.cause.clone(),
                output: Vec::new(),
                retry_after: retry_after.unwrap_or(RETRY_REFUSED),
            })
        });
        control.refused = Some(Box::new(why));
        if let Some(failure) = &told {
            control.failure = Some(Failure { failure: failure.clone(), at: now });
        }
        self.update_starting(&control);
        self.update_slot_limit(&control);
        drop(control);
        if let Some(failure) = &told {
            self.tell_of(failure);
        }
        if opened {
            self.serve_line();
        }
        self.tell_if_hopeless(now);
        self.tell_news();
        told.map(|failure| failure.retry_after).or(retry_after)
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
        self.tell_news();
    }
}
