//! The `HTTPApp` as it is written. These types are its only definition: the CRD, `zerogate check`, the errors, `docs/httpapp.md`,
//! `zerogate reference --format json-schema` and every default come from them.
//!
//! A duration's range is in the schema as `x-zerogate-minimum` and `x-zerogate-maximum`, the step it has to be a multiple
//! of as `x-zerogate-step`. Rules about several fields are in the schema as `x-kubernetes-validations`, for the API server.

mod affinity;
mod document;
mod forwarding;
pub mod human;
mod limits;
mod route;
mod scaling;
pub mod schema;
mod status;
mod target;
mod tls;

pub use affinity::{Affinity, AffinityKey};
pub use document::{ApiVersion, Document, Kind, Metadata, SERVER_FIELDS};
pub use forwarding::{Forwarding, ForwardingHeaders};
pub use limits::{ClientKey, ClientLimit, Limits, Timeouts};
pub use route::{HeaderMatch, PathMatch, Route};
pub use scaling::{Hold, Metric, ScaledBy, Scaling};
pub use status::{ACCEPTED, AUTHORITY_READY, CERTIFICATE_READY, HttpAppStatus, LastDecision, READY, TARGET_FOUND};
pub use target::{
    GrpcCheck, HttpGetCheck, KeyRef, Port, Process, Protocol, Readiness, ScaleTargetRef, Service, ServicePort,
    StopSignal, Target, TargetTls, TcpSocketCheck,
};
pub use tls::Tls;

use kube::CustomResource;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// What the app is: which requests are its own, what runs it, and how it is scaled and limited.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "zerogate.dev",
    version = "v1alpha1",
    kind = "HTTPApp",
    root = "HttpApp",
    plural = "httpapps",
    shortname = "happ",
    namespaced,
    status = "HttpAppStatus",
    schema = "manual",
    doc = "An `HTTPApp` as an object of a cluster.",
    derive = "PartialEq",
    printcolumn = r#"{"name": "State", "type": "string", "jsonPath": ".status.state", "description": "Whether it sleeps, wakes or runs."}"#,
    printcolumn = r#"{"name": "Replicas", "type": "integer", "jsonPath": ".status.replicas", "description": "How many replicas its target is asked for."}"#,
    printcolumn = r#"{"name": "In-flight", "type": "integer", "jsonPath": ".status.inFlight", "description": "Requests that are being served or wait."}"#,
    printcolumn = r#"{"name": "Last wake", "type": "date", "jsonPath": ".status.lastWake", "description": "When it was last woken."}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "self.scaling.by == 'zerogate' || has(self.target.scaleTargetRef)",
        "fieldPath": ".scaling.by",
        "message": "`keda` and `hpa` need a target.scaleTargetRef; processes are scaled by `zerogate`",
    },
    {
        "rule": "self.hold.maxRequests > 0 || self.scaling.minReplicas > 0",
        "fieldPath": ".hold.maxRequests",
        "message": "0 lets no request wait, so that none could wake the app; write 1 at least, or set scaling.minReplicas to 1",
    },
    {
        "rule": "!has(self.target.process) || type(self.target.process.port) != int || self.scaling.maxReplicas == 1",
        "fieldPath": ".target.process.port",
        "message": "with a fixed port there can be one replica only; set scaling.maxReplicas to 1, or write `port: auto`",
    },
]))]
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
    /// How many requests may come, at each gateway; two let twice as many through. What is above a limit is refused with 429 and
    /// never wakes the app.
    #[serde(default)]
    pub limits: Limits,
    /// What the app is told of the client and of the host that was asked for.
    #[serde(default)]
    pub forwarding: Forwarding,
    /// Whether requests of one client go to the same replica, one after the other, while it lives and has room for another; for
    /// apps that keep sessions in memory.
    #[serde(default)]
    pub affinity: Affinity,
    /// How clients reach the app by TLS.
    #[serde(default)]
    pub tls: Tls,
}

/// Lets a duration be written as a plain number too, if that number is 0.
fn or_zero(schema: &mut Schema) {
    schema.remove("type");
    schema.insert("x-kubernetes-int-or-string".into(), json!(true));
    schema.insert("anyOf".into(), json!([{ "type": "integer" }, { "type": "string" }]));
    schema.insert("minimum".into(), json!(0));
    schema.insert("maximum".into(), json!(0));
}
