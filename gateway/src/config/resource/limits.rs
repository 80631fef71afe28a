use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::or_zero;
use crate::config::human::HumanDuration;

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
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Requests per second for the whole app, at least 0.001. 0 for no limit.
    #[schemars(range(min = 0.0, max = 1_000_000_000.0))]
    pub requests_per_second: f64,
    /// Requests that may come at once. 0 means `requestsPerSecond`, rounded up.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub burst: u32,
    /// The same for each client.
    pub per_client: ClientLimit,
}

/// How many requests each client may send.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClientLimit {
    /// Requests per second for each client, at least 0.001. 0 for no limit.
    #[schemars(range(min = 0.0, max = 1_000_000_000.0))]
    pub requests_per_second: f64,
    /// Requests that one client may send at once. 0 means `requestsPerSecond`, rounded up.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub burst: u32,
    /// What tells clients apart: `ip` is their address (behind trusted proxies the one in `X-Forwarded-For`),
    /// `{header: NAME}` the value of a header.
    pub by: ClientKey,
}

/// What tells clients apart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", untagged)]
pub enum ClientKey {
    /// Their address; behind trusted proxies the one in `X-Forwarded-For`.
    #[default]
    #[serde(with = "ip")]
    #[schemars(with = "Ip")]
    Ip,
    /// The value of a header; those without it are told apart by address.
    Header(HeaderKey),
}

/// A header that tells clients apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeaderKey {
    /// The header's name; case does not matter.
    #[schemars(length(min = 1, max = 256))]
    #[schemars(example = &"x-api-key")]
    pub header: String,
}

/// The word `ip`.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Ip {
    Ip,
}

mod ip {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Ip;

    pub(super) fn serialize<S: Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
        Ip::Ip.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
        Ip::deserialize(deserializer).map(|_| ())
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
