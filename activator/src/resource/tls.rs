use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::human::HumanDuration;
use super::or_zero;

/// How clients reach the app by TLS, where the gateway serves it (`--https`). Without a certificate of its own the app has those of
/// `--tls-folder` that are for its hosts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "!has(self.certificate)",
        "fieldPath": ".certificate",
        "message": "is a file on one machine; in a cluster write secretName, the name of a Secret of type kubernetes.io/tls",
    },
    {
        "rule": "!has(self.key)",
        "fieldPath": ".key",
        "message": "is a file on one machine; in a cluster write secretName, the name of a Secret of type kubernetes.io/tls",
    },
]))]
pub struct Tls {
    /// A file with the certificate for the app's hosts, in PEM's format, followed by those between it and its authority.
    /// Relative to the folder of the document, and loaded again when it changes. For one machine; in a cluster write
    /// `secretName`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 4096), example = &"tls.crt")]
    pub certificate: Option<String>,
    /// A file with its key, in PEM's format. Given with `certificate`, and only then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 4096), example = &"tls.key")]
    pub key: Option<String>,
    /// The Secret of type `kubernetes.io/tls` with certificate and key for the app's hosts, in the namespace of the `HTTPApp`.
    /// The gateway has to be allowed to get, list and watch it. For a cluster; on one machine write `certificate` and `key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    #[schemars(example = &"hello-tls")]
    pub secret_name: Option<String>,
    /// Whether requests that come without TLS are sent to where it is (308), as long as the gateway serves it.
    pub redirect: bool,
    /// How long browsers are to use nothing but TLS for the app's hosts (`Strict-Transport-Security`), in whole seconds, such as
    /// `8760h` for a year. 0 tells them nothing.
    #[schemars(transform = or_zero)]
    #[schemars(extend("x-zerogate-minimum" = "0s", "x-zerogate-maximum" = "17520h", "x-zerogate-step" = "1s"))]
    pub hsts: HumanDuration,
}
