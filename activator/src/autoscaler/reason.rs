//! Why a number of replicas is wanted, in words.

use std::fmt;
use std::time::Duration;

use crate::settings::{Metric, ScaledBy};

/// Why a number of replicas is wanted. [`fmt::Display`] tells it in words.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    cause: Cause,
    /// What demand alone would want.
    wants: u32,
    bound: Option<Bound>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cause {
    /// At zero, and requests came. The window decides if it wants more than what is in flight, of which each replica is
    /// meant for so many.
    Wake { in_flight: u32, held: u32, each: Option<f64>, window: Option<Demand> },
    /// Demand over the stable window.
    Stable(Demand),
    /// Demand over the panic window.
    Panic(Demand),
    /// Requests are held and nothing is on its way.
    Burst { held: u32, in_flight: u32, each: f64 },
    /// Nothing came for `idleTimeout`.
    Idle { silence: Duration },
    /// Nothing is in flight, but `idleTimeout` has not passed.
    NotIdleYet { silence: Duration, timeout: Duration },
    /// Something is in flight that does not weigh enough for a replica.
    Busy { in_flight: u32 },
    /// There is nothing to keep, and a start would be for nobody.
    Asleep,
    /// The last start failed and it is too early for another.
    Failing,
    /// The app takes no requests any more.
    Closing,
    /// Another gateway decides.
    Follows,
    /// How many there are is for another one to say.
    Another { by: ScaledBy, yields: bool },
}

/// Demand averaged over a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Demand {
    pub(super) average: f64,
    pub(super) metric: Metric,
    pub(super) window: Duration,
    pub(super) target: f64,
}

/// What made the number another one than demand alone wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    MinReplicas,
    MaxReplicas,
    ActivationReplicas,
    ScaleDownDelay,
    NeverDownInPanic,
    Rate,
    StartUnderWay,
    InFlight,
    RestartFloor,
}

// === impl Reason ===

impl Cause {
    fn wants(&self, from_demand: u32) -> u32 {
        match self {
            Self::Idle { .. } | Self::Asleep | Self::Failing | Self::Closing => 0,
            Self::NotIdleYet { .. } | Self::Busy { .. } => 1,
            _ => from_demand,
        }
    }
}

impl Reason {
    pub(super) fn new(cause: Cause, from_demand: u32, bound: Option<Bound>) -> Self {
        Self { wants: cause.wants(from_demand), cause, bound }
    }

    /// A word for metrics: one of a fixed few.
    pub fn label(&self) -> &'static str {
        match self.cause {
            Cause::Wake { .. } => "wake",
            Cause::Stable(_) => "stable",
            Cause::Panic(_) => "panic",
            Cause::Burst { .. } => "burst",
            Cause::Idle { .. } => "idle",
            Cause::NotIdleYet { .. } => "not_idle_yet",
            Cause::Busy { .. } => "busy",
            Cause::Asleep => "asleep",
            Cause::Failing => "failing",
            Cause::Closing => "closing",
            Cause::Follows => "follows",
            Cause::Another { yields: true, .. } => "yields",
            Cause::Another { by: ScaledBy::Keda, .. } => "keda",
            Cause::Another { .. } => "hpa",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Wake { in_flight, held, each, window } => {
                match held {
                    held if held == in_flight => write!(f, "wake: {held} held")?,
                    held => write!(f, "wake: {in_flight} in flight, {held} of them held")?,
                }
                match (window, each) {
                    (Some(demand), _) => write!(f, ", {demand}")?,
                    (None, Some(each)) => write!(f, ", target {} each", Number(*each))?,
                    (None, None) => {}
                }
            }
            Cause::Stable(demand) => write!(f, "stable: {demand}")?,
            Cause::Panic(demand) => write!(f, "panic: {demand}")?,
            Cause::Burst { held, in_flight, each } => {
                write!(f, "burst: {held} of {in_flight} in flight are held, target {} each", Number(*each))?;
            }
            Cause::Idle { silence } => write!(f, "idle: nothing in flight for {}", Seconds(*silence))?,
            Cause::NotIdleYet { silence, timeout } => {
                write!(f, "quiet: nothing in flight for {} of {}", Seconds(*silence), Seconds(*timeout))?;
            }
            Cause::Busy { in_flight } => write!(f, "busy: {in_flight} in flight keep one")?,
            Cause::Asleep => f.write_str("asleep: no replica runs and nobody waits")?,
            Cause::Failing => f.write_str("failing: the last start failed and it is too early for another")?,
            Cause::Closing => f.write_str("closing: the app takes no requests any more")?,
            Cause::Follows => f.write_str("follows: another gateway decides")?,
            Cause::Another { yields: true, .. } => {
                f.write_str(
                    "yields: another writer keeps changing the number of replicas, which is left to it for now",
                )?;
            }
            Cause::Another { by: ScaledBy::Keda, .. } => f.write_str("keda: KEDA decides")?,
            Cause::Another { .. } => f.write_str("hpa: the HorizontalPodAutoscaler decides")?,
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
            Self::InFlight => "what is in flight keeps more",
            Self::RestartFloor => "keeps what ran before until a stable window is known",
        })
    }
}

impl fmt::Display for Demand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { average, metric, window, target } = *self;
        let unit = match metric {
            Metric::Concurrency => "in flight",
            Metric::RequestRate => "requests per second",
        };
        write!(f, "{} {unit} over {}, target {} each", Number(average), Seconds(window), Number(target))
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
