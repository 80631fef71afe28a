use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::HttpAppSpec;

/// An app that is routed to and scaled as one unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "HTTPApp")]
pub struct Document {
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

/// What an API server adds to an object. A document may have these, as one that comes from `kubectl get -o yaml` does; they
/// mean nothing to Zerogate.
pub const SERVER_FIELDS: [&str; 12] = [
    "metadata.creationTimestamp",
    "metadata.deletionGracePeriodSeconds",
    "metadata.deletionTimestamp",
    "metadata.finalizers",
    "metadata.generateName",
    "metadata.generation",
    "metadata.managedFields",
    "metadata.ownerReferences",
    "metadata.resourceVersion",
    "metadata.selfLink",
    "metadata.uid",
    "status",
];

fn default_namespace() -> String {
    "default".to_owned()
}
