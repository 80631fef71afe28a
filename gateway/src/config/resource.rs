//! The `HTTPApp` document as it is written. These types are its reference: what they say is what `zerogate reference --format json-schema`,
//! `docs/httpapp.md` and the errors say.
//!
//! A duration's range is in the schema as `x-zerogate-minimum` and `x-zerogate-maximum`, the step it has to be a multiple
//! of as `x-zerogate-step`.

mod limits;
mod route;
mod scaling;
mod target;

pub use limits::{ClientKey, Limits, Timeouts};
pub use route::{HeaderMatch, Route};
pub use scaling::{Hold, Metric, ScaledBy, Scaling};
pub use target::{Port, Protocol, Readiness, StopSignal, Target};

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// An app that is routed to and scaled as one unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "HTTPApp")]
pub struct HttpApp {
    /// The version of this format.
    pub api_version: ApiVersion,
    /// What the document declares.
    pub kind: Kind,
    /// What the app is called.
    pub metadata: Metadata,
    /// What the app is.
    pub spec: HttpAppSpec,
}

/// The version of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApiVersion {
    #[allow(missing_docs)]
    #[serde(rename = "zerogate.dev/v1alpha1")]
    V1Alpha1,
}

/// What a document declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Kind {
    #[allow(missing_docs)]
    #[serde(rename = "HTTPApp")]
    HttpApp,
}

/// What the app is called. Namespace and name together are unique.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// The app's name: lower-case letters, digits, `-` and `.`, beginning and ending with a letter or digit, at most 253
    /// characters. It labels metrics and log lines.
    #[schemars(length(min = 1, max = 253))]
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"))]
    #[schemars(example = &"hello")]
    pub name: String,
    /// The namespace the name is unique in: lower-case letters, digits and `-`, beginning and ending with a letter or
    /// digit, at most 63 characters.
    #[serde(default = "default_namespace")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub namespace: String,
    /// Labels for your own use. Zerogate does not look at them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations for your own use. Zerogate does not look at them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What the app is: which requests are its own, what runs it, and how it is scaled and limited.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpAppSpec {
    /// Which requests go to the app: those that match any of these, 1 to 64. Among all apps the most exact match wins: an
    /// exact host before a wildcard, the wildcard with the most labels first, then the longest path, then the most headers.
    /// No two routes may have the same host, path and headers.
    #[schemars(length(min = 1, max = 64))]
    #[schemars(example = serde_json::json!([{ "hosts": ["hello.example.org"] }]))]
    pub routes: Vec<Route>,
    /// What runs the app.
    pub target: Target,
    /// How the number of replicas follows demand.
    #[serde(default)]
    pub scaling: Scaling,
    /// How many requests may wait while no replica can take them, and how long.
    #[serde(default)]
    pub hold: Hold,
    /// How long things may take.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// How many requests may come. What is above a limit is refused with 429 and never wakes the app.
    #[serde(default)]
    pub limits: Limits,
}

fn default_namespace() -> String {
    "default".to_owned()
}

/// Lets a duration be written as a plain number too, if that number is 0.
fn or_zero(schema: &mut Schema) {
    schema.remove("type");
    schema.insert("x-kubernetes-int-or-string".into(), json!(true));
    schema.insert("anyOf".into(), json!([{ "type": "integer" }, { "type": "string" }]));
    schema.insert("minimum".into(), json!(0));
    schema.insert("maximum".into(), json!(0));
}
