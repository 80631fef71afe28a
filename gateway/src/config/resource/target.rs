use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::or_zero;
use crate::config::human::HumanDuration;

/// What runs the app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// A command line that is run as a local process, one a replica.
    pub process: Process,
    /// How to find out that a replica can take requests. Asked from the moment it starts until it is ready. Give one of the
    /// three; without any it is `tcpSocket`.
    #[serde(default)]
    pub readiness: Readiness,
    /// What the app speaks.
    #[serde(default)]
    pub protocol: Protocol,
    /// How long a start may take, from the start of the process until it is ready; after that the start has failed.
    #[serde(default = "default_start_timeout")]
    #[schemars(extend("x-zerogate-minimum" = "1s", "x-zerogate-maximum" = "1h"))]
    pub start_timeout: HumanDuration,
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
    /// It answers a `GET` with a status of 200 to 399. Asked over HTTP/2 if `protocol` is `h2c`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "HttpGetCheck")]
    pub http_get: Option<HttpGetCheck>,
    /// It accepts a TCP connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "TcpSocketCheck")]
    pub tcp_socket: Option<TcpSocketCheck>,
    /// Its `grpc.health.v1.Health/Check` answers `SERVING`.
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
}

fn default_start_timeout() -> HumanDuration {
    HumanDuration(Duration::from_secs(300))
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
