use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The condition that says whether the app's settings are in force.
pub const ACCEPTED: &str = "Accepted";
/// The condition that says whether target, Service and port are there.
pub const TARGET_FOUND: &str = "TargetFound";
/// The condition that tells whether the certificate that it names is in use; only of those that name one.
pub const CERTIFICATE_READY: &str = "CertificateReady";
/// The condition that tells whether the certificates are there that it is known by when it speaks TLS; only of those that name some.
pub const AUTHORITY_READY: &str = "AuthorityReady";
/// The condition that says whether requests can be served, by a replica or by waking one.
pub const READY: &str = "Ready";

/// What the gateway has found out about an app. Written by the gateway only.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpAppStatus {
    /// Whether the settings are in force (`Accepted`), target, Service and port are there (`TargetFound`), and requests can
    /// be served (`Ready`), each with the reason.
    #[schemars(schema_with = "conditions")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The `metadata.generation` that all of this is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "i64")]
    pub observed_generation: Option<i64>,
    /// Whether the app sleeps, wakes or runs, in a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub state: Option<String>,
    /// How many replicas the target is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32")]
    pub replicas: Option<u32>,
    /// How many of them take requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32")]
    pub ready_replicas: Option<u32>,
    /// Requests that are being served or wait, as of the last write.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32")]
    pub in_flight: Option<u32>,
    /// When the app was last woken.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub last_wake: Option<Time>,
    /// What was last decided about the number of replicas.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "LastDecision")]
    pub last_decision: Option<LastDecision>,
    /// What keeps the app from starting, in words; absent while nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub failure: Option<String>,
}

/// A decision about the number of replicas.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastDecision {
    /// When.
    #[schemars(schema_with = "time")]
    pub at: Time,
    /// How many there are to be.
    pub replicas: u32,
    /// Why, in words.
    pub reason: String,
}

fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time" })
}

/// As Kubernetes' own types have it.
fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": { "type": "string", "maxLength": 316, "description": "What it is about, in a word." },
                "status": {
                    "type": "string",
                    "enum": ["True", "False", "Unknown"],
                    "description": "Whether it holds.",
                },
                "observedGeneration": {
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                    "description": "The `metadata.generation` it is about.",
                },
                "lastTransitionTime": {
                    "type": "string",
                    "format": "date-time",
                    "description": "Since when its status is so.",
                },
                "reason": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                    "description": "Why, in a word.",
                },
                "message": { "type": "string", "maxLength": 32768, "description": "Why, in a sentence." },
            },
        },
    })
}
