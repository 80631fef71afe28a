use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A host name with `*.` before it or not, `*`, or an IPv6 address in brackets; as exactly as the API server lets a rule about
/// so many of them be.
const HOST: &str = r"^(\*|(\*\.)?[\w.-]+|\[[0-9A-Fa-f:.]+\])$";

/// The rule for a path.
const PATH: &str = r"self.startsWith('/') && !self.matches(r'//|/\.\.?(/|$)|[?#]')";

/// The same in words.
const PATH_IN_WORDS: &str =
    "has to begin with `/`, without query and fragment, and without segments that are empty, `.` or `..`";

/// A header's name.
pub(super) const NAME: &str = r"^[-!#$%&'*+.^_`|~0-9A-Za-z]+$";

/// Matches a request whose host is one of `hosts`, whose path is under one of `paths`, and which has all `headers`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Route {
    /// Host names without port, at most 128: an exact one, `*.example.org` for all with at least one label more, or `*` for
    /// any. Case does not matter. International names in their ASCII form (`xn--…`). Empty means any host.
    #[schemars(length(max = 128), inner(length(min = 1, max = 255), regex(pattern = HOST)), transform = host)]
    pub hosts: Vec<String>,
    /// Paths, 1 to 64.
    #[schemars(length(min = 1, max = 64))]
    pub paths: Vec<PathMatch>,
    /// Headers that have to be there, at most 16, no name twice.
    #[schemars(length(max = 16))]
    pub headers: Vec<HeaderMatch>,
}

/// Matches a path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PathMatch {
    /// The path itself and all below it, by whole segments: `/api` matches `/api` and `/api/users`, not `/apis`. Begins with
    /// `/`; a `/` at its end changes nothing.
    #[schemars(length(min = 1, max = 1024), regex(pattern = "^/"))]
    #[schemars(extend("x-kubernetes-validations" = [{ "rule": PATH, "message": PATH_IN_WORDS }]))]
    #[schemars(example = &"/api")]
    pub prefix: String,
}

/// Matches a header.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeaderMatch {
    /// The header's name; case does not matter. Not `host`, and none that concerns the connection only, such as `upgrade`.
    #[schemars(length(min = 1, max = 256), regex(pattern = NAME), transform = name)]
    #[schemars(example = &"x-tenant")]
    pub name: String,
    /// The exact value it has to have; case matters.
    #[schemars(length(max = 4096))]
    #[schemars(example = &"blue")]
    pub value: String,
}

/// Puts the pattern of a host into words for the API server.
fn host(hosts: &mut Schema) {
    let message =
        "has to be a host without scheme, port and path, such as `app.example.org` or `*.example.org`, or `*` for any";
    if let Some(Value::Object(item)) = hosts.get_mut("items") {
        item.insert("x-kubernetes-validations".into(), matches(HOST, message));
    }
}

/// Puts the pattern of a header's name into words for the API server.
pub(super) fn name(schema: &mut Schema) {
    let message = "has to be a header's name: letters, digits and `-` only, such as `x-tenant`";
    schema.insert("x-kubernetes-validations".into(), matches(NAME, message));
}

fn matches(pattern: &str, message: &str) -> Value {
    json!([{ "rule": format!("self.matches(r\"{pattern}\")"), "message": message }])
}

// === impl Route ===

impl Default for Route {
    fn default() -> Self {
        Self { hosts: Vec::new(), paths: vec![PathMatch { prefix: "/".to_owned() }], headers: Vec::new() }
    }
}
