use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::human::HumanDuration;
use super::or_zero;

/// What runs the app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "!has(self.process)",
        "fieldPath": ".process",
        "message": "runs on one machine without Kubernetes only; in a cluster write scaleTargetRef and service",
    },
    {
        "rule": "has(self.process) != has(self.scaleTargetRef)",
        "message": "has to have exactly one of process and scaleTargetRef",
    },
    {
        "rule": "has(self.scaleTargetRef) == has(self.service)",
        "message": "scaleTargetRef and service belong together: one says what is scaled, the other leads to its pods",
    },
    {
        "rule": "self.earlyReadiness || has(self.scaleTargetRef)",
        "fieldPath": ".earlyReadiness",
        "message": "has no effect without scaleTargetRef",
    },
    {
        "rule": "!has(self.tls) || !has(self.protocol) || self.protocol == 'https'",
        "fieldPath": ".tls",
        "message": "has no effect unless protocol is https",
    },
    {
        "rule": "!has(self.protocol) || self.protocol != 'https' || !has(self.readiness) || !has(self.readiness.grpc)",
        "fieldPath": ".readiness.grpc",
        "message": "is asked without TLS, which an app with the protocol https does not speak; write httpGet or tcpSocket",
    },
]))]
pub struct Target {
    /// A command line that is run as a local process, one a replica. For one machine without Kubernetes; give this or
    /// `scaleTargetRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Process")]
    pub process: Option<Process>,
    /// What is scaled in a cluster: anything with a `/scale` subresource, in the namespace of the `HTTPApp`. Give this or
    /// `process`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ScaleTargetRef")]
    pub scale_target_ref: Option<ScaleTargetRef>,
    /// The Service that leads to the pods of `scaleTargetRef`, in the same namespace. Given with that, and only then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Service")]
    pub service: Option<Service>,
    /// How to find out that a replica can take requests. Asked from the moment it starts until it is ready. Give one of the
    /// three. Without any it is the pod's own readiness probe in a cluster, and `tcpSocket` for a process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Readiness")]
    pub readiness: Option<Readiness>,
    /// What the app speaks. If not given it goes by the `appProtocol` of the Service's port in a cluster, and is `http1` for a
    /// process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Protocol")]
    pub protocol: Option<Protocol>,
    /// What an app is known by that speaks TLS. Only where `protocol` is `https`, or the `appProtocol` of the Service's port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "TargetTls")]
    pub tls: Option<TargetTls>,
    /// How long a start may take, from the moment it is asked for until a replica is ready; after that the start has failed.
    #[serde(default = "default_start_timeout")]
    #[schemars(extend("x-zerogate-minimum" = "1s", "x-zerogate-maximum" = "1h"))]
    pub start_timeout: HumanDuration,
    /// Whether a pod gets requests as soon as the gateway's own readiness checks succeed, before Kubernetes calls it ready.
    #[serde(default = "default_early_readiness")]
    pub early_readiness: bool,
}

/// What an app is known by that speaks TLS: a certificate of an authority, for a name. Without an authority it has to be one that the
/// system of the gateway knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(extend("x-kubernetes-validations" = [
    {
        "rule": "!has(self.ca)",
        "fieldPath": ".ca",
        "message": "is a file on one machine; in a cluster write caSecret or caConfigMap",
    },
    {
        "rule": "!has(self.caSecret) || !has(self.caConfigMap)",
        "message": "has caSecret and caConfigMap; give one of them only",
    },
]))]
pub struct TargetTls {
    /// A file with the certificates of authorities, in PEM's format, of which one has signed the app's. Relative to the folder of the
    /// document, and loaded again when it changes. For one machine; in a cluster write `caSecret` or `caConfigMap`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 4096), example = &"ca.crt")]
    pub ca: Option<String>,
    /// The same in a Secret in the namespace of the `HTTPApp`. The gateway has to be allowed to get, list and watch it. For a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "KeyRef")]
    pub ca_secret: Option<KeyRef>,
    /// The same in a ConfigMap in the namespace of the `HTTPApp`. The gateway has to be allowed to get, list and watch it. For a
    /// cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "KeyRef")]
    pub ca_config_map: Option<KeyRef>,
    /// The name that the app is asked for (SNI) and that its certificate has to be for, or an address. If not given it is
    /// `SERVICE.NAMESPACE.svc` in a cluster, and `localhost` for a process.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 253), example = &"hello.internal")]
    pub server_name: Option<String>,
}

/// A key of an object with data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyRef {
    /// What the object is called.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    #[schemars(example = &"hello-ca")]
    pub name: String,
    /// Which of its keys.
    #[serde(default = "default_ca_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// What is scaled in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScaleTargetRef {
    /// Its API version.
    #[serde(default = "default_target_api_version")]
    #[schemars(length(min = 1, max = 317), regex(pattern = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[a-z0-9]+$"))]
    pub api_version: String,
    /// Its kind.
    #[serde(default = "default_target_kind")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z]([-A-Za-z0-9]*[A-Za-z0-9])?$"))]
    pub kind: String,
    /// What it is called.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    #[schemars(example = &"hello")]
    pub name: String,
}

/// A Service that leads to pods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Service {
    /// What it is called.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    #[schemars(example = &"hello")]
    pub name: String,
    /// Which of its ports, by number or name. May be left out if it has one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ServicePort")]
    pub port: Option<ServicePort>,
}

/// A port of a Service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ServicePort {
    /// By its number.
    Number(u16),
    /// By its name.
    Name(String),
}

/// A command line that is run as a local process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Process {
    /// The program and its arguments, one item each; no shell is involved. `{port}` in any of them is replaced by the port
    /// to listen on. The program `zerogate` is the running gateway's own, whether on the `PATH` or not.
    #[schemars(length(min = 1, max = 1024))]
    #[schemars(example = ["zerogate", "echo"])]
    pub command: Vec<String>,
    /// Variables added to the gateway's own environment. `{port}` in a value is replaced. `PORT` is always set to the port
    /// to listen on, so it cannot be given here.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 1024))]
    pub env: BTreeMap<String, String>,
    /// The folder it is run in, relative to the folder of the file that declares it.
    #[serde(default = "default_working_dir")]
    #[schemars(length(min = 1, max = 4096))]
    pub working_dir: String,
    /// The port it listens on at the loopback address: `auto` for a free one, or 1 to 65535. With a fixed port there can be
    /// one replica only, so `scaling.maxReplicas` has to be 1.
    #[serde(default)]
    pub port: Port,
    /// The signal that asks it to stop, with or without `SIG`.
    #[serde(default)]
    pub stop_signal: StopSignal,
    /// How long it may take to stop after that signal before it is killed.
    #[serde(default = "default_stop_grace")]
    #[schemars(transform = or_zero, extend("x-zerogate-minimum" = "0s", "x-zerogate-maximum" = "10m"))]
    pub stop_grace: HumanDuration,
}

/// A port to listen on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Port {
    /// A free one.
    #[default]
    Auto,
    /// This one.
    Fixed(u16),
}

/// A signal that asks a process to stop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum StopSignal {
    #[default]
    #[serde(rename = "SIGTERM", alias = "TERM")]
    Term,
    #[serde(rename = "SIGINT", alias = "INT")]
    Int,
    #[serde(rename = "SIGQUIT", alias = "QUIT")]
    Quit,
    #[serde(rename = "SIGHUP", alias = "HUP")]
    Hup,
    #[serde(rename = "SIGUSR1", alias = "USR1")]
    Usr1,
    #[serde(rename = "SIGUSR2", alias = "USR2")]
    Usr2,
    #[serde(rename = "SIGKILL", alias = "KILL")]
    Kill,
}

/// How to find out that a replica can take requests.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(extend("maxProperties" = 1))]
pub struct Readiness {
    /// It answers a `GET` with a status of 200 to 399. Asked over HTTP/2 if `protocol` is `h2c`, and with TLS if it is `https`, when
    /// nobody looks at the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "HttpGetCheck")]
    pub http_get: Option<HttpGetCheck>,
    /// It accepts a TCP connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "TcpSocketCheck")]
    pub tcp_socket: Option<TcpSocketCheck>,
    /// Its `grpc.health.v1.Health/Check` answers `SERVING`. Asked without TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "GrpcCheck")]
    pub grpc: Option<GrpcCheck>,
}

/// Asks with a `GET`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HttpGetCheck {
    /// The path to ask for, with query if any. Begins with `/`.
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^/"))]
    pub path: String,
}

/// Asks by opening a TCP connection.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TcpSocketCheck {}

/// Asks over gRPC.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GrpcCheck {
    /// The service to ask about; empty for the server as a whole.
    #[schemars(length(max = 1024))]
    pub service: String,
}

/// What the app speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 without TLS, with prior knowledge; what gRPC needs.
    H2c,
    /// HTTP/1.1 or HTTP/2 with TLS, whichever the app prefers; `tls` says what it is known by.
    Https,
}

fn default_start_timeout() -> HumanDuration {
    HumanDuration(Duration::from_secs(300))
}

fn default_early_readiness() -> bool {
    true
}

fn default_target_api_version() -> String {
    "apps/v1".to_owned()
}

fn default_ca_key() -> String {
    "ca.crt".to_owned()
}

fn default_target_kind() -> String {
    "Deployment".to_owned()
}

fn default_working_dir() -> String {
    ".".to_owned()
}

fn default_stop_grace() -> HumanDuration {
    HumanDuration(Duration::from_secs(10))
}

// === impl HttpGetCheck ===

impl Default for HttpGetCheck {
    fn default() -> Self {
        Self { path: "/".to_owned() }
    }
}

// === impl Port ===

impl Serialize for Port {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Fixed(port) => serializer.serialize_u16(*port),
        }
    }
}

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Word {
            Auto,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Word(Word),
            Number(u16),
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::Word(Word::Auto) => Self::Auto,
            Written::Number(port) => Self::Fixed(port),
        })
    }
}

impl JsonSchema for Port {
    fn schema_name() -> Cow<'static, str> {
        "Port".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "anyOf": [{ "type": "integer" }, { "type": "string" }],
            "minimum": 1,
            "maximum": 65535,
            "pattern": "^auto$",
        })
    }
}

// === impl ServicePort ===

impl JsonSchema for ServicePort {
    fn schema_name() -> Cow<'static, str> {
        "ServicePort".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "anyOf": [{ "type": "integer" }, { "type": "string" }],
            "minimum": 1,
            "maximum": 65535,
            "minLength": 1,
            "maxLength": 63,
            "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        })
    }
}

// === impl StopSignal ===

impl JsonSchema for StopSignal {
    fn schema_name() -> Cow<'static, str> {
        "StopSignal".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "enum": [
                "SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGKILL",
                "TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "KILL",
            ],
        })
    }
}
