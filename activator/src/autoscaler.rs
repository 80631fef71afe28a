//! The decision: (settings, demand, replicas, now) -> wanted replicas, and the reason in words. Pure.
//!
//! Knative's pod autoscaler (knative/serving, `pkg/autoscaler/scaling`), with these differences: demand counts held
//! requests; replicas that are starting count as there, so a slow start neither panics twice nor asks for more only because
//! it is slow; requests that are held while nothing is on its way count at once; the last replica goes by `idleTimeout`.

mod reason;

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::settings::{Metric, ScaledBy, Scaling};
pub use reason::Reason;
use reason::{Bound, Cause, Demand};

/// Knative's `max-scale-up-rate`: replicas may grow by this factor per decision.
const MAX_SCALE_UP_RATE: f64 = 1000.0;
/// Knative's `max-scale-down-rate`: replicas may shrink by this factor per decision.
const MAX_SCALE_DOWN_RATE: f64 = 2.0;

/// How long another gateway may go on serving what this one has found running: one that is replaced has that long to finish
/// what it has, as the manifests say (`terminationGracePeriodSeconds`). Until then this one does not know all requests.
const HANDOVER: Duration = Duration::from_secs(60);

/// What a decision is made from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Demand averaged over the stable window, in the unit of [`Scaling::metric`].
    pub stable: f64,
    /// Demand averaged over the panic window.
    pub panic: f64,
    /// Requests in flight now, held ones included.
    pub in_flight: u32,
    /// Requests held now.
    pub held: u32,
    /// Requests in flight now at this gateway alone.
    pub here: u32,
    /// Replicas that take requests.
    pub ready: u32,
    /// Replicas asked for that are not ready yet.
    pub starting: u32,
    /// Replicas wanted by the last decision.
    pub wanted: u32,
    /// Since when nothing has been in flight; zero if something is.
    pub idle_for: Duration,
    /// Somebody else writes the number of replicas too, and is not to be written over.
    pub yields: bool,
    /// Another gateway decides. This one only wakes what nobody has woken yet.
    pub follows: bool,
}

/// Wanted replicas and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// How many replicas there should be.
    pub replicas: u32,
    /// Why, to be read by people.
    pub reason: Reason,
}

/// What one app's decisions remember from each other.
#[derive(Debug)]
pub struct Autoscaler {
    began: Timestamp,
    begin: Begin,
    panic: Option<Panic>,
    /// Decisions of the last `scaleDownDelay`.
    recent: VecDeque<(Timestamp, u32)>,
}

/// From what decisions begin, and what they do not go below until enough is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// So many replicas were found running: until a full stable window is known, and no other gateway may be serving them any
    /// more. Zero unless replicas outlive the gateway, which those of a platform that is not this machine do.
    Found(u32),
    /// Somebody else has written the number: until a full stable window is known.
    Written(u32),
}

#[derive(Debug, Clone, Copy)]
struct Panic {
    last_over: Timestamp,
    most: u32,
}

/// A number of replicas on its way through the rules, with the last rule that changed it.
struct Wanted {
    replicas: u32,
    bound: Option<Bound>,
}

// === impl Autoscaler ===

impl Autoscaler {
    /// Begins at `now`.
    pub fn new(now: Timestamp, begin: Begin) -> Self {
        Self { began: now, begin, panic: None, recent: VecDeque::new() }
    }

    /// Whether a burst keeps it from going down.
    pub fn is_panicking(&self) -> bool {
        self.panic.is_some()
    }

    /// Decides at `now`.
    pub fn decide(&mut self, scaling: &Scaling, sample: &Sample, now: Timestamp) -> Decision {
        if sample.follows {
            return Decision::following(scaling, sample);
        }
        match (scaling.by, sample.yields) {
            (ScaledBy::Zerogate, false) => self.decide_alone(scaling, sample, now),
            (by, yields) => {
                let sleeps = by == ScaledBy::Hpa && !yields && self.floor(Duration::ZERO, now) == 0;
                Decision::beside_another(by, yields, sleeps, scaling, sample)
            }
        }
    }

    /// What it does not go below, if enough is known after `window`.
    fn floor(&self, window: Duration, now: Timestamp) -> u32 {
        let (floor, known_after) = match self.begin {
            Begin::Found(running) => (running, window.max(HANDOVER)),
            Begin::Written(replicas) => (replicas, window),
        };
        if now.since(self.began) < known_after { floor } else { 0 }
    }

    fn decide_alone(&mut self, scaling: &Scaling, sample: &Sample, now: Timestamp) -> Decision {
        let target = scaling.steering_target();
        let per_target = |demand: f64| ceil_ratio(demand, target);
        let at_hand = (sample.ready + sample.starting).max(1);

        let stable_wants = per_target(sample.stable);
        let each = scaling.steering_concurrency();
        // Where nothing says how many a replica can take at a time, one has room for all.
        let in_flight_wants = match each {
            Some(each) => ceil_ratio(f64::from(sample.in_flight), each),
            None => u32::from(sample.in_flight > 0),
        };
        let at_zero = sample.ready + sample.starting == 0;
        let waking = at_zero && sample.in_flight > 0;
        // Also where somebody else has put it to sleep, and its last endpoints are still there.
        let asleep = sample.in_flight == 0 && sample.wanted == 0;
        let bursting = !waking
            && sample.held > 0
            && sample.starting == 0
            && in_flight_wants > at_hand
            && at_hand < scaling.max_replicas;
        let window_wants = per_target(sample.panic);
        let panic_wants = if waking || bursting { window_wants.max(in_flight_wants) } else { window_wants };

        // Knative compares before any clamp; replicas that maxReplicas forbids are no reason for a panic here.
        let threshold = f64::from(scaling.panic_threshold) / 100.0;
        let reachable = panic_wants.min(scaling.max_replicas);
        let over = bursting || f64::from(reachable) / f64::from(at_hand) >= threshold;
        self.update_panic(over, scaling.stable_window, now);

        let demand = |average, window| Demand { average, metric: scaling.metric, window, target };
        let panic_demand = demand(sample.panic, scaling.panic_window);
        let mut wanted = Wanted::new(stable_wants);
        let mut cause = Cause::Stable(demand(sample.stable, scaling.stable_window));
        let urgent = self.panic.is_some() || waking;
        if urgent && (panic_wants > stable_wants || waking) {
            wanted = Wanted::new(panic_wants);
            let in_flight = sample.in_flight;
            // Whoever comes to an app that slept waits, though the last of them may not stand in line yet.
            let held = if waking && sample.wanted == 0 { in_flight } else { sample.held };
            cause = match each {
                _ if waking => {
                    let window = (window_wants > in_flight_wants).then_some(panic_demand);
                    Cause::Wake { in_flight, held, each, window }
                }
                Some(each) if bursting => Cause::Burst { held, in_flight, each },
                _ => Cause::Panic(panic_demand),
            };
        }
        let wants = wanted.replicas;

        let rate = f64::from(at_hand);
        wanted.at_least((rate / MAX_SCALE_DOWN_RATE) as u32, Bound::Rate);
        wanted.at_most((rate * MAX_SCALE_UP_RATE).ceil() as u32, Bound::Rate);
        if wants > 0 {
            wanted.at_least(scaling.activation_replicas, Bound::ActivationReplicas);
        }
        if sample.ready == 0 && sample.starting > 0 && !over {
            wanted.at_most(sample.starting.max(scaling.activation_replicas), Bound::StartUnderWay);
        }
        if sample.ready == 0 && sample.held > 0 {
            // There may be more than are asked for: those of a rollout, or those that are to go. They are nothing to go by.
            wanted.at_least(sample.starting.min(sample.wanted), Bound::StartUnderWay);
        }
        if scaling.metric == Metric::RequestRate {
            // The rate does not know how long requests take: what they occupy stays.
            wanted.at_least(in_flight_wants.min(sample.ready), Bound::InFlight);
        }
        wanted.at_most(scaling.max_replicas, Bound::MaxReplicas);
        if let Some(panic) = &mut self.panic {
            panic.most = panic.most.max(wanted.replicas);
            wanted.at_least(panic.most, Bound::NeverDownInPanic);
        }
        let silent = sample.in_flight == 0 && sample.idle_for >= scaling.idle_timeout;
        if asleep {
            wanted = Wanted::new(0);
            cause = Cause::Asleep;
            self.recent.clear();
            self.panic = None;
        } else if silent && wanted.replicas <= 1 {
            wanted = Wanted::new(0);
            cause = Cause::Idle { silence: sample.idle_for };
        } else if wanted.replicas == 0 {
            wanted.replicas = 1;
            cause = match sample.in_flight {
                0 => Cause::NotIdleYet { silence: sample.idle_for, timeout: scaling.idle_timeout },
                in_flight => Cause::Busy { in_flight },
            };
        }
        wanted.at_least(self.floor(scaling.stable_window, now), Bound::RestartFloor);
        let most_recent = self.remember(wanted.replicas, scaling.scale_down_delay, now);
        wanted.at_least(most_recent, Bound::ScaleDownDelay);
        wanted.at_least(scaling.min_replicas, Bound::MinReplicas);
        wanted.at_most(scaling.max_replicas, Bound::MaxReplicas);

        let reason = Reason::new(cause, wants, wanted.bound);
        Decision { replicas: wanted.replicas, reason }
    }

    /// Enters, extends or leaves the panic: it ends once a whole stable window has passed without being over.
    fn update_panic(&mut self, over: bool, stable_window: Duration, now: Timestamp) {
        match &mut self.panic {
            None if over => self.panic = Some(Panic { last_over: now, most: 0 }),
            Some(panic) if over => panic.last_over = now,
            Some(panic) if now.since(panic.last_over) > stable_window => self.panic = None,
            _ => {}
        }
    }

    /// Remembers what is wanted and returns the most of the last `delay`.
    fn remember(&mut self, replicas: u32, delay: Duration, now: Timestamp) -> u32 {
        self.recent.retain(|(at, _)| now.since(*at) < delay);
        if delay.is_zero() {
            return replicas;
        }
        // Only numbers that could still be the most later on are worth keeping, so this stays short.
        while self.recent.back().is_some_and(|(_, earlier)| *earlier <= replicas) {
            self.recent.pop_back();
        }
        self.recent.push_back((now, replicas));
        self.recent.front().map_or(replicas, |(_, most)| *most)
    }
}

/// `ceil(demand / target)`, with the demand rounded to six decimals as Knative does, so that 7.0000001 is not 8.
fn ceil_ratio(demand: f64, target: f64) -> u32 {
    let demand = (demand * 1e6).round() / 1e6;
    // Saturates: a float above u32::MAX becomes u32::MAX, one below zero becomes 0.
    (((demand / target) * 1e9).round() / 1e9).ceil() as u32
}

// === impl Decision ===

impl Decision {
    /// Where another one decides how many there are: it is woken, and put to sleep if it `sleeps`, which is not the other's part.
    fn beside_another(by: ScaledBy, yields: bool, sleeps: bool, scaling: &Scaling, sample: &Sample) -> Self {
        let in_flight = sample.in_flight;
        let silent = in_flight == 0 && sample.idle_for >= scaling.idle_timeout;
        let wakes = sample.wanted == 0 && in_flight > 0;
        // KEDA is told of the same demand, and comes to the same number a while later.
        let each = if by == ScaledBy::Keda { scaling.steering_concurrency() } else { None };
        let (mut wanted, cause) = if wakes {
            let in_flight_wants =
                each.map_or(scaling.activation_replicas, |each| ceil_ratio(f64::from(in_flight), each));
            (Wanted::new(in_flight_wants), Cause::Wake { in_flight, held: in_flight, each, window: None })
        } else if silent && sleeps {
            (Wanted::new(0), Cause::Idle { silence: sample.idle_for })
        } else {
            (Wanted::new(sample.wanted), Cause::Another { by, yields })
        };
        let wants = wanted.replicas;
        if wakes {
            wanted.at_least(scaling.activation_replicas, Bound::ActivationReplicas);
            wanted.at_most(scaling.max_replicas, Bound::MaxReplicas);
        }
        // Who has the last word may have none at all, as long as nobody asks for the app.
        if (sample.wanted == 0 || wanted.replicas == 0) && !(yields && in_flight == 0) {
            wanted.at_least(scaling.min_replicas, Bound::MinReplicas);
        }
        Self { replicas: wanted.replicas, reason: Reason::new(cause, wants, wanted.bound) }
    }

    /// Where another gateway decides: it is woken for what is in flight here, by what is in flight everywhere.
    fn following(scaling: &Scaling, sample: &Sample) -> Self {
        let (in_flight, held) = (sample.in_flight, sample.held);
        let each = if scaling.by == ScaledBy::Hpa { None } else { scaling.steering_concurrency() };
        if sample.wanted > 0 || sample.here == 0 {
            return Self { replicas: sample.wanted, reason: Reason::new(Cause::Follows, sample.wanted, None) };
        }
        let wants = each.map_or(1, |each| ceil_ratio(f64::from(in_flight), each));
        let mut wanted = Wanted::new(wants);
        wanted.at_least(scaling.activation_replicas, Bound::ActivationReplicas);
        wanted.at_least(scaling.min_replicas, Bound::MinReplicas);
        wanted.at_most(scaling.max_replicas, Bound::MaxReplicas);
        let cause = Cause::Wake { in_flight, held, each, window: None };
        Self { replicas: wanted.replicas, reason: Reason::new(cause, wants, wanted.bound) }
    }

    /// No more than what is kept at all times, or what is to stay as it is: the last start failed and it is too early for another.
    pub(crate) fn failing(scaling: &Scaling, keep: u32) -> Self {
        let mut wanted = Wanted::new(keep);
        wanted.at_least(scaling.min_replicas, Bound::MinReplicas);
        Self { replicas: wanted.replicas, reason: Reason::new(Cause::Failing, 0, wanted.bound) }
    }

    /// None: the app takes no requests any more.
    pub(crate) fn closing() -> Self {
        Self { replicas: 0, reason: Reason::new(Cause::Closing, 0, None) }
    }
}

// === impl Wanted ===

impl Wanted {
    fn new(replicas: u32) -> Self {
        Self { replicas, bound: None }
    }

    fn at_least(&mut self, least: u32, bound: Bound) {
        if self.replicas < least {
            *self = Self { replicas: least, bound: Some(bound) };
        }
    }

    fn at_most(&mut self, most: u32, bound: Bound) {
        if self.replicas > most {
            *self = Self { replicas: most, bound: Some(bound) };
        }
    }
}

#[cfg(test)]
mod tests;
