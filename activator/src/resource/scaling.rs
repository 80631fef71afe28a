use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::human::HumanDuration;
use super::or_zero;
use crate::settings;

/// How the number of replicas follows demand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "self.minReplicas <= self.maxReplicas",
        "fieldPath": ".minReplicas",
        "message": "is more than maxReplicas",
    },
    {
        "rule": "self.activationReplicas <= self.maxReplicas",
        "fieldPath": ".activationReplicas",
        "message": "is more than maxReplicas",
    },
    {
        "rule": "duration(self.panicWindow) <= duration(self.stableWindow)",
        "fieldPath": ".panicWindow",
        "message": "is longer than stableWindow",
    },
]))]
pub struct Scaling {
    /// Who decides how many replicas there are.
    pub by: ScaledBy,
    /// Never fewer replicas than this. 0 lets the app sleep.
    #[schemars(range(min = 0, max = 1000))]
    pub min_replicas: u32,
    /// Never more replicas than this; at least `minReplicas`.
    #[schemars(range(min = 1, max = 1000))]
    pub max_replicas: u32,
    /// What demand is measured in.
    pub metric: Metric,
    /// The demand one replica is meant for: requests in flight, or requests per second, as `metric` says.
    #[schemars(range(min = 0.01, max = 1_000_000.0))]
    pub target: f64,
    /// Percent of `target` to steer for, so that there is room while more replicas start.
    #[schemars(range(min = 1, max = 100))]
    pub utilization: u32,
    /// Most requests in flight at one replica, kept strictly; the others wait. 0 for no limit.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub concurrency_limit: u32,
    /// The span of time whose average demand steers in calm times. Whole seconds.
    #[schemars(extend("x-zerogate-minimum" = "1s", "x-zerogate-maximum" = "1h", "x-zerogate-step" = "1s"))]
    pub stable_window: HumanDuration,
    /// The span of time in which bursts are noticed. Whole seconds, at most `stableWindow`.
    #[schemars(extend("x-zerogate-minimum" = "1s", "x-zerogate-maximum" = "1h", "x-zerogate-step" = "1s"))]
    pub panic_window: HumanDuration,
    /// Percent of what the replicas at hand can take. When the demand of `panicWindow` reaches it, replicas are added by that
    /// window and none are taken away for the length of `stableWindow`.
    #[schemars(range(min = 110, max = 1000))]
    pub panic_threshold: u32,
    /// How long there must be no request at all before the last replica is stopped. If there are more, they go one step after
    /// another as `stableWindow` forgets the load, and a burst keeps all for the length of that window.
    #[schemars(extend("x-zerogate-minimum" = "1s", "x-zerogate-maximum" = "24h"))]
    pub idle_timeout: HumanDuration,
    /// How long demand must have been low before replicas are stopped.
    #[schemars(transform = or_zero, extend("x-zerogate-minimum" = "0s", "x-zerogate-maximum" = "1h"))]
    pub scale_down_delay: HumanDuration,
    /// Fewest replicas to start when the app wakes, and to keep while there is demand; at most `maxReplicas`.
    #[schemars(range(min = 1, max = 1000))]
    pub activation_replicas: u32,
}

/// Who decides how many replicas there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ScaledBy {
    /// Zerogate, from 0 to `maxReplicas`.
    #[default]
    Zerogate,
    /// KEDA; Zerogate wakes the app and serves KEDA the demand. Needs a Kubernetes target.
    Keda,
    /// A HorizontalPodAutoscaler; Zerogate wakes the app and puts it to sleep. Needs a Kubernetes target.
    Hpa,
}

/// What demand is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Metric {
    /// Requests in flight, those that wait included.
    Concurrency,
    /// Requests that arrive per second.
    RequestRate,
}

/// How many requests may wait while no replica can take them, and how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Hold {
    /// Most requests that wait at once; the next one is refused with 503. 0 lets none wait, which needs
    /// a `minReplicas` of 1 at least.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub max_requests: u32,
    /// Longest that a request waits; then it is answered with 504.
    #[schemars(extend("x-zerogate-minimum" = "100ms", "x-zerogate-maximum" = "1h"))]
    pub timeout: HumanDuration,
}

// === impl Scaling ===

impl Default for Scaling {
    fn default() -> Self {
        let default = settings::Scaling::default();
        Self {
            by: ScaledBy::default(),
            min_replicas: default.min_replicas,
            max_replicas: default.max_replicas,
            metric: match default.metric {
                settings::Metric::Concurrency => Metric::Concurrency,
                settings::Metric::RequestRate => Metric::RequestRate,
            },
            target: default.target,
            utilization: default.utilization,
            concurrency_limit: default.concurrency_limit.unwrap_or(0),
            stable_window: default.stable_window.into(),
            panic_window: default.panic_window.into(),
            panic_threshold: default.panic_threshold,
            idle_timeout: default.idle_timeout.into(),
            scale_down_delay: default.scale_down_delay.into(),
            activation_replicas: default.activation_replicas,
        }
    }
}

// === impl Hold ===

impl Default for Hold {
    fn default() -> Self {
        let default = settings::Hold::default();
        Self { max_requests: u32::try_from(default.max_requests).unwrap_or(u32::MAX), timeout: default.timeout.into() }
    }
}
