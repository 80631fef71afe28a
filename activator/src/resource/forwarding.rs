use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// A host, with a port or without; the exact rule is the conversion's.
const HOST: &str = r"^([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$";

/// What the app is told of the client and of the host that was asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Forwarding {
    /// Which headers tell it. Those of another kind that a client sends are taken out.
    pub headers: ForwardingHeaders,
    /// The `Host` that the app gets in place of the one that was asked for, with a port or without, for apps that check it. The
    /// forwarding headers tell it the other one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 261), regex(pattern = HOST), transform = host)]
    #[schemars(example = &"localhost:8888")]
    pub host: Option<String>,
}

/// Which headers tell an app of its clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ForwardingHeaders {
    /// `Forwarded`, and `X-Forwarded-For`, `-Host` and `-Proto`.
    #[default]
    All,
    /// `X-Forwarded-For`, `-Host` and `-Proto`.
    XForwarded,
    /// None, for apps that refuse requests with such headers from a proxy they do not know.
    None,
}

/// Puts the pattern of a host into words for the API server.
fn host(schema: &mut Schema) {
    let rule = format!("self.matches(r\"{HOST}\")");
    let message = "has to be a host with a port or without, such as `localhost:8888`";
    schema.insert("x-kubernetes-validations".into(), json!([{ "rule": rule, "message": message }]));
}
