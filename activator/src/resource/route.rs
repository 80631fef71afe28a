use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A host name with `*.` before it or not, `*`, or an IPv6 address in brackets.
const HOST: &str = r"^(\*|(\*\.)?[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?)*\.?|\[[0-9A-Fa-f:.]+\])$";

/// A path of segments that are neither empty nor `.` or `..`, without query and fragment.
const PATH: &str = r#"^/(((\.{0,2}[!"$-\-0-;=@-~][!"$-.0-;=@-~]*|\.{3}[!"$-.0-;=@-~]*)/)*(\.{0,2}[!"$-\-0-;=@-~][!"$-.0-;=@-~]*|\.{3}[!"$-.0-;=@-~]*)/?)?$"#;

/// A header's name.
pub(super) const NAME: &str = r"^[-!#$%&'*+.^_`|~0-9A-Za-z]+$";

/// Matches a request whose host is one of `hosts`, whose path is under one of `paths`, and which has all `headers`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Route {
    /// Host names without port, at most 128: an exact one, `*.example.org` for all with at least one label more, or `*` for
    /// any. Case does not matter. International names in their ASCII form (`xn--…`). Empty means any host.
    #[schemars(length(max = 128), inner(length(min = 1, max = 255), regex(pattern = HOST)))]
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
    #[schemars(length(min = 1, max = 1024), regex(pattern = PATH))]
    #[schemars(example = &"/api")]
    pub prefix: String,
}

/// Matches a header.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HeaderMatch {
    /// The header's name; case does not matter. Not `host`, and none that concerns the connection only, such as `upgrade`.
    #[schemars(length(min = 1, max = 256), regex(pattern = NAME))]
    #[schemars(example = &"x-tenant")]
    pub name: String,
    /// The exact value it has to have; case matters.
    #[schemars(length(max = 4096))]
    #[schemars(example = &"blue")]
    pub value: String,
}

// === impl Route ===

impl Default for Route {
    fn default() -> Self {
        Self { hosts: Vec::new(), paths: vec![PathMatch { prefix: "/".to_owned() }], headers: Vec::new() }
    }
}
