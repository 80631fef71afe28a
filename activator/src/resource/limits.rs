use std::time::Duration;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::human::HumanDuration;
use super::or_zero;
use super::route::{NAME, name};

/// How long things may take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Timeouts {
    /// One attempt to connect to a replica; then another one is tried.
    #[schemars(extend("x-zerogate-minimum" = "1ms", "x-zerogate-maximum" = "1m"))]
    pub connect: HumanDuration,
    /// From the end of the request to the header of the response; then it is answered with 504.
    #[schemars(extend("x-zerogate-minimum" = "1ms", "x-zerogate-maximum" = "24h"))]
    pub response_header: HumanDuration,
    /// Silence both ways while a body is being sent or an upgraded connection is open; then the connection is closed.
    #[schemars(extend("x-zerogate-minimum" = "1s", "x-zerogate-maximum" = "24h"))]
    pub idle: HumanDuration,
    /// A whole request, from the moment it is sent to a replica to the end of its response. 0 for no limit.
    #[schemars(transform = or_zero, extend("x-zerogate-minimum" = "0s", "x-zerogate-maximum" = "24h"))]
    pub request: HumanDuration,
}

/// How many requests may come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(transform = rate)]
pub struct Limits {
    /// Requests per second for the whole app, at least 0.001. 0 for no limit.
    #[schemars(range(min = 0.0, max = 1_000_000_000.0))]
    pub requests_per_second: f64,
    /// Requests that may come at once. 0 means `requestsPerSecond`, rounded up.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub burst: u32,
    /// Requests in flight at once, those that wait and upgraded connections included; the next one is refused with 503. It ends
    /// the loop of an app that sends its requests to itself. 0 for no limit.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub in_flight: u32,
    /// The same for each client.
    pub per_client: ClientLimit,
}

/// How many requests each client may send.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "self.by != 'header' || has(self.header)",
        "fieldPath": ".by",
        "message": "`header` needs the header's name in `header`, such as `x-api-key`",
    },
    {
        "rule": "self.by == 'header' || !has(self.header)",
        "fieldPath": ".header",
        "message": "has no effect unless `by` is `header`",
    },
    {
        "rule": "self.by == 'ip' || self.requestsPerSecond > 0.0",
        "fieldPath": ".by",
        "message": "has no effect without a rate; set requestsPerSecond too",
    },
]))]
#[schemars(transform = rate)]
pub struct ClientLimit {
    /// Requests per second for each client, at least 0.001. 0 for no limit.
    #[schemars(range(min = 0.0, max = 1_000_000_000.0))]
    pub requests_per_second: f64,
    /// Requests that one client may send at once. 0 means `requestsPerSecond`, rounded up.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub burst: u32,
    /// What tells clients apart.
    pub by: ClientKey,
    /// The name of the header that tells clients apart, with `by: header`; case does not matter. Those that send none are told
    /// apart by address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 256), regex(pattern = NAME), transform = name)]
    #[schemars(example = &"x-api-key")]
    pub header: Option<String>,
}

/// What tells clients apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ClientKey {
    /// Their address; behind trusted proxies the one in `X-Forwarded-For`.
    #[default]
    Ip,
    /// The value of the header that `header` names.
    Header,
}

/// What a rate and its burst have to be together.
fn rate(schema: &mut Schema) {
    let rules = [
        json!({
            "rule": "self.requestsPerSecond == 0.0 || self.requestsPerSecond >= 0.001",
            "fieldPath": ".requestsPerSecond",
            "message": "has to be 0 for no limit, or 0.001 at least",
        }),
        json!({
            "rule": "self.burst == 0 || self.requestsPerSecond > 0.0",
            "fieldPath": ".burst",
            "message": "has no effect without a rate; set requestsPerSecond too",
        }),
    ];
    let all = schema.ensure_object().entry("x-kubernetes-validations").or_insert_with(|| json!([]));
    if let Value::Array(all) = all {
        all.extend(rules);
    }
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self { requests_per_second: 0.0, burst: 0, in_flight: 10_000, per_client: ClientLimit::default() }
    }
}

// === impl Timeouts ===

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: HumanDuration(Duration::from_secs(1)),
            response_header: HumanDuration(Duration::from_secs(300)),
            idle: HumanDuration(Duration::from_secs(300)),
            request: HumanDuration(Duration::ZERO),
        }
    }
}
