//! What the scaler decides, carried out in an order in which nothing is lost: an endpoint is closed, it is empty, its platform is
//! told, it is gone; or it is opened again, since the order was not accepted or a request came in between.

use std::sync::Arc;
use std::time::Duration;

use super::control::{DECISIONS_KEPT, Failure, RecordedDecision, UnderWay, Woken};
use super::{App, victims};
use crate::admission::Endpoint;
use crate::admission::removal::Removal;
use crate::autoscaler::Decision;
use crate::clock::Timestamp;
use crate::failure::StartFailure;
use crate::fleet::{ALL, Role};
use crate::platform::{Accepted, Condition, NotAccepted, Order, SpecReplicas};
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
            // So that requests which come from here on do not ask again; the platform tells the true number. Where another gateway
            // has ordered as many already, there is no order whose answer would end that.
            if control.spec.as_ref().is_none_or(|spec| spec.replicas < wanted) {
                control.expected = wanted;
            }
            self.update_starting(&control);
        } else if let Some(wake) = &mut control.wake
            && wake.ready.is_none()
        {
            wake.wanted = wanted;
        }
        if wanted == 0 && control.wanted > 0 {
            Self::closes_all_anew(&mut control);
        }
        control.wanted = wanted;
        self.update_slot_limit(&control);
        drop(control);
        self.tell_gateways();
    }

    /// For fewer than the target asks for, closes what is to go, so that it retires when it is empty; the last one by
    /// [`App::try_sleep`] alone, but of an app that is removed. For more, opens again what retires.
    pub(crate) fn retire_or_reopen(self: &Arc<Self>) {
        let mut control = self.control.lock();
        let Some(known) = control.spec.as_ref().map(|spec| spec.replicas) else { return };
        let spec = control.under_way.as_ref().map_or(known, |order| order.replicas);
        let wanted = control.wanted;
        let mut rotation = Vec::clone(&self.endpoints.load());
        let reopened = victims::take_back(&mut control.retiring, spec, wanted);
        if !reopened.is_empty() {
            reopened.iter().for_each(|endpoint| endpoint.reopen());
            rotation.extend(reopened);
            self.endpoints.store(Arc::new(rotation));
            drop(control);
            self.tell_gateways();
            self.serve_line();
            return;
        }
        let least = usize::from(control.closing.is_none());
        let victims = victims::choose(&mut rotation, &control.retiring, spec, wanted, least);
        if victims.is_empty() {
            return;
        }
        self.endpoints.store(Arc::new(rotation));
        for victim in &victims {
            victim.close();
            self.poke_when_empty(victim);
        }
        control.retiring.extend(victims);
        drop(control);
        self.tell_gateways();
    }

    pub(super) fn poke_when_empty(self: &Arc<Self>, endpoint: &Arc<Endpoint>) {
        if endpoint.in_flight() == 0 || !endpoint.watch_drain() {
            return;
        }
        let (app, endpoint) = (Arc::downgrade(self), endpoint.clone());
        tokio::spawn(async move {
            loop {
                endpoint.drained().await;
                endpoint.unwatch_drain();
                // Opened and closed again in between, it has to be waited for again; by one only.
                if endpoint.in_flight() == 0 || !endpoint.watch_drain() {
                    break;
                }
            }
            if let Some(app) = app.upgrade() {
                app.tell_gateways();
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
        let now = self.clock().now();
        let role = self.shared.fleet.role(now);
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
            if !self.shared.fleet.may_lower(now) {
                return None;
            }
            if let Role::Leads(term) = role {
                self.number_going(&mut control, term, now);
            }
            let rotation = self.endpoints.load();
            let mut retiring = std::mem::take(&mut control.retiring);
            let is_empty = |endpoint: &Endpoint| {
                endpoint.in_flight() == 0 && self.is_empty_elsewhere(&control, endpoint.name(), now)
            };
            let (replicas, victims) = victims::go_now(&rotation, &mut retiring, spec, wanted, is_empty);
            let elsewhere = match replicas {
                0 => !self.is_empty_elsewhere(&control, ALL, now),
                _ => self.is_misjudged_elsewhere(),
            };
            control.retiring = retiring;
            // What is in use and not ready in Kubernetes' eyes it would take first, whatever it is told.
            let misjudged = |one: &Arc<Endpoint>| one.is_early() && one.removal() == Removal::AsTold;
            if replicas == spec || elsewhere || (replicas > 0 && rotation.iter().any(misjudged)) {
                control.retiring.extend(victims);
                return None;
            }
            (replicas, victims)
        };
        let (target_number, lowers, wakes) = (control.target_number, replicas < spec, spec == 0 && replicas > 0);
        control.under_way =
            Some(Box::new(UnderWay { target_number, replicas, victims: victims.clone(), lowers, wakes }));
        let urgent = replicas > spec && self.in_flight() > 0;
        // A wake goes out at once; what else somebody has written meanwhile is not written over. Nor is it by a wake where another
        // gateway or KEDA may wake it too, and maybe with more of them, or somebody else writes.
        let others = self.is_put_to_sleep_by_others() || control.other_writer.is_some();
        let meets_another = role != Role::Alone || others;
        let condition = match spec {
            0 if meets_another => Condition::StillZero(version),
            0 => Condition::Always,
            _ => Condition::UnchangedSince(version),
        };
        let (key, id, settings) = (self.key, self.id.clone(), self.settings());
        Some(Order { key, id, settings, replicas, victims, urgent, decided_as_of: version, condition })
    }

    /// The order under way was accepted.
    pub(crate) fn order_accepted(self: &Arc<Self>, accepted: Accepted) {
        let now = self.clock().now();
        let mut control = self.control.lock();
        let Some(order) = control.under_way.take() else { return };
        if order.target_number != control.target_number {
            // It was for a target that the app no longer has.
            control.expected = 0;
            self.update_starting(&control);
            return;
        }
        let older = control.spec.as_ref().is_none_or(|spec| spec.version <= accepted.version);
        if older {
            control.spec = Some(SpecReplicas { replicas: order.replicas, version: accepted.version, writer: None });
        }
        control.in_doubt = None;
        self.note_order(&mut control, order.replicas, accepted.version);
        if order.replicas > 0 {
            Self::not_zero_any_more(&mut control, now);
        }
        if let Some(refused) = control.refused.take() {
            control.failure.take_if(|failure| failure.failure.cause == refused.cause);
        }
        control.expected = 0;
        control.last_order = Some(now);
        if let Some(undone_until) = control.woken.as_mut().and_then(|woken| woken.undone_until.as_mut()) {
            *undone_until = now;
        }
        if order.wakes {
            control.woken = Some(Box::new(Woken { at: now, replicas: order.replicas, undone_until: None }));
        }
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
        self.tell_gateways();
        tracing::warn!(
            app = %self.id, replicas = order.replicas, cause = %why.cause, in_doubt = why.in_doubt, "scale call failed"
        );
        let for_this_target = order.target_number == control.target_number;
        let mut opened = false;
        if why.in_doubt && for_this_target {
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
        let retry_after = why.retry_after.or((!why.passing).then_some(RETRY_REFUSED));
        if !for_this_target {
            self.update_starting(&control);
            self.update_slot_limit(&control);
            drop(control);
            if opened {
                self.serve_line();
            }
            return None;
        }
        // Nobody waits for fewer.
        let told = (!why.passing && !order.lowers).then(|| {
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
        retry_after
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
        self.look(now);
        self.settle_claims(now);
        self.settle_wake(&mut self.control.lock(), now);
        self.tell_if_hopeless(now);
        self.serve_line();
        self.tell_news();
    }
}
