//! The decision: (settings, demand, replicas, now) -> wanted replicas, and the reason in words. Pure.
//!
//! Knative's pod autoscaler (knative/serving, `pkg/autoscaler/scaling`), with these differences: demand counts held
//! requests; replicas that are starting count as there, so a slow start neither panics twice nor asks for more only because
//! it is slow; requests that are held while nothing is on its way count at once; the last replica goes by `idleTimeout`.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::settings::{Metric, Scaling};

/// Knative's `max-scale-up-rate`: replicas may grow by this factor per decision.
const MAX_SCALE_UP_RATE: f64 = 1000.0;
/// Knative's `max-scale-down-rate`: replicas may shrink by this factor per decision.
const MAX_SCALE_DOWN_RATE: f64 = 2.0;

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
    /// Replicas that take requests.
    pub ready: u32,
    /// Replicas asked for that are not ready yet.
    pub starting: u32,
    /// Since when nothing has been in flight; zero if something is.
    pub idle_for: Duration,
}

/// Wanted replicas and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// How many replicas there should be.
    pub replicas: u32,
    /// Why, to be read by people.
    pub reason: Reason,
}

/// Why a number of replicas is wanted. [`fmt::Display`] tells it in words.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    cause: Cause,
    /// What demand alone would want.
    wants: u32,
    bound: Option<Bound>,
}

#[derive(Debug, Clone, PartialEq)]
enum Cause {
    /// At zero, and requests came.
    Wake { held: u32, target: f64 },
    /// Demand over the stable window.
    Stable { demand: f64, metric: Metric, window: Duration, target: f64 },
    /// Demand over the panic window.
    Panic { demand: f64, metric: Metric, window: Duration, target: f64 },
    /// Requests are held and nothing is on its way.
    Burst { held: u32, in_flight: u32, target: f64 },
    /// Nothing came for `idleTimeout`.
    Idle { silence: Duration },
    /// Nothing is in flight, but `idleTimeout` has not passed.
    NotIdleYet { silence: Duration, timeout: Duration },
}

/// What made the number another one than demand alone wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    MinReplicas,
    MaxReplicas,
    ActivationReplicas,
    ScaleDownDelay,
    NeverDownInPanic,
    Rate,
    StartUnderWay,
    RestartFloor,
}

/// What one app's decisions remember from each other.
#[derive(Debug)]
pub struct Autoscaler {
    began: Timestamp,
    /// What ran when this began: after a restart, not below it until a full stable window is known.
    floor: u32,
    panic: Option<Panic>,
    /// Decisions of the last `scaleDownDelay`.
    recent: VecDeque<(Timestamp, u32)>,
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
    /// Begins at `now` with `running` replicas that somebody started before.
    pub fn new(now: Timestamp, running: u32) -> Self {
        Self { began: now, floor: running, panic: None, recent: VecDeque::new() }
    }

    /// Whether a burst keeps it from going down.
    pub fn is_panicking(&self) -> bool {
        self.panic.is_some()
    }

    /// Decides at `now`.
    pub fn decide(&mut self, scaling: &Scaling, sample: &Sample, now: Timestamp) -> Decision {
        let target = scaling.steering_target();
        let per_target = |demand: f64| ceil_ratio(demand, target);
        let at_hand = (sample.ready + sample.starting).max(1);

        let stable_wants = per_target(sample.stable);
        let in_flight_wants = per_target(f64::from(sample.in_flight));
        let at_zero = sample.ready + sample.starting == 0;
        let waking = at_zero && sample.in_flight > 0;
        let deserted = at_zero && sample.in_flight == 0;
        let bursting = !waking
            && sample.held > 0
            && sample.starting == 0
            && in_flight_wants > at_hand
            && at_hand < scaling.max_replicas;
        let panic_wants =
            if waking || bursting { per_target(sample.panic).max(in_flight_wants) } else { per_target(sample.panic) };

        // Knative compares before any clamp; replicas that maxReplicas forbids are no reason for a panic here.
        let threshold = f64::from(scaling.panic_threshold) / 100.0;
        let reachable = panic_wants.min(scaling.max_replicas);
        let over = bursting || f64::from(reachable) / f64::from(at_hand) >= threshold;
        self.update_panic(over, scaling.stable_window, now);

        let mut wanted = Wanted::new(stable_wants);
        let mut cause =
            Cause::Stable { demand: sample.stable, metric: scaling.metric, window: scaling.stable_window, target };
        let urgent = self.panic.is_some() || waking;
        if urgent && (panic_wants > stable_wants || waking) {
            wanted = Wanted::new(panic_wants);
            cause = if waking {
                Cause::Wake { held: sample.in_flight, target }
            } else if bursting {
                Cause::Burst { held: sample.held, in_flight: sample.in_flight, target }
            } else {
                Cause::Panic { demand: sample.panic, metric: scaling.metric, window: scaling.panic_window, target }
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
        wanted.at_most(scaling.max_replicas, Bound::MaxReplicas);
        if let Some(panic) = &mut self.panic {
            panic.most = panic.most.max(wanted.replicas);
            wanted.at_least(panic.most, Bound::NeverDownInPanic);
        }
        let silent = sample.in_flight == 0 && sample.idle_for >= scaling.idle_timeout;
        if deserted || (silent && wanted.replicas <= 1) {
            wanted = Wanted::new(0);
            cause = Cause::Idle { silence: sample.idle_for };
        } else if wanted.replicas == 0 {
            wanted.replicas = 1;
            cause = Cause::NotIdleYet { silence: sample.idle_for, timeout: scaling.idle_timeout };
        }
        if deserted {
            // There is nothing to keep, and a start would be for nobody.
            self.recent.clear();
        }
        if now.since(self.began) < scaling.stable_window {
            wanted.at_least(self.floor, Bound::RestartFloor);
        }
        let most_recent = self.remember(wanted.replicas, scaling.scale_down_delay, now);
        wanted.at_least(most_recent, Bound::ScaleDownDelay);
        wanted.at_least(scaling.min_replicas, Bound::MinReplicas);
        wanted.at_most(scaling.max_replicas, Bound::MaxReplicas);

        let reason = Reason { wants: cause.wants(wants), cause, bound: wanted.bound };
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

// === impl Reason ===

impl Cause {
    fn wants(&self, from_demand: u32) -> u32 {
        match self {
            Self::Idle { .. } => 0,
            Self::NotIdleYet { .. } => 1,
            _ => from_demand,
        }
    }
}

impl Reason {
    /// A word for metrics: one of a fixed few.
    pub fn label(&self) -> &'static str {
        match self.cause {
            Cause::Wake { .. } => "wake",
            Cause::Stable { .. } => "stable",
            Cause::Panic { .. } => "panic",
            Cause::Burst { .. } => "burst",
            Cause::Idle { .. } => "idle",
            Cause::NotIdleYet { .. } => "not_idle_yet",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Wake { held, target } => write!(f, "wake: {held} held, target {} each", Number(*target))?,
            Cause::Stable { demand, metric, window, target } => {
                write!(f, "stable: {}", Demand(*demand, *metric, *window, *target))?;
            }
            Cause::Panic { demand, metric, window, target } => {
                write!(f, "panic: {}", Demand(*demand, *metric, *window, *target))?;
            }
            Cause::Burst { held, in_flight, target } => {
                write!(f, "burst: {held} of {in_flight} in flight are held, target {} each", Number(*target))?;
            }
            Cause::Idle { silence } => write!(f, "idle: nothing in flight for {}", Seconds(*silence))?,
            Cause::NotIdleYet { silence, timeout } => {
                write!(f, "quiet: nothing in flight for {} of {}", Seconds(*silence), Seconds(*timeout))?;
            }
        }
        write!(f, ", wants {}", self.wants)?;
        match self.bound {
            None => Ok(()),
            Some(bound) => write!(f, "; {bound}"),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MinReplicas => "minReplicas keeps more",
            Self::MaxReplicas => "maxReplicas allows no more",
            Self::ActivationReplicas => "activationReplicas asks for more",
            Self::ScaleDownDelay => "scaleDownDelay keeps more for now",
            Self::NeverDownInPanic => "a panic never scales down",
            Self::Rate => "limited by the rate of change",
            Self::StartUnderWay => "what is starting counts",
            Self::RestartFloor => "keeps what ran before until a stable window is known",
        })
    }
}

struct Demand(f64, Metric, Duration, f64);

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.1 {
            Metric::Concurrency => "in flight",
            Metric::RequestRate => "requests per second",
        };
        write!(f, "{} {unit} over {}, target {} each", Number(self.0), Seconds(self.2), Number(self.3))
    }
}

struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = (self.0 * 100.0).round() / 100.0;
        if hundredths == 0.0 && self.0 > 0.0 { f.write_str("under 0.01") } else { write!(f, "{hundredths}") }
    }
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", (self.0.as_secs_f64() * 10.0).round() / 10.0)
    }
}

#[cfg(test)]
mod tests;
