use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::route::{NAME, name};

/// Whether requests of one client go to the same replica, one after the other.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(transform = together)]
pub struct Affinity {
    /// What leads them there.
    pub by: AffinityKey,
    /// The name of the header that tells clients apart, with `by: header`; case does not matter. Those that send none go anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", length(min = 1, max = 256), regex(pattern = NAME), transform = name)]
    #[schemars(example = &"x-session")]
    pub header: Option<String>,
}

/// What leads requests to a replica.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AffinityKey {
    /// Nothing: each request goes where there is most room.
    #[default]
    None,
    /// A cookie that the gateway sets; it names the replica by a hash, and stays with it when replicas are added.
    Cookie,
    /// A hash of the header that `header` names.
    Header,
    /// A hash of the client's address; behind trusted proxies of the one in `X-Forwarded-For`.
    Ip,
}

fn together(schema: &mut Schema) {
    let rules = json!([
        {
            "rule": "self.by != 'header' || has(self.header)",
            "fieldPath": ".by",
            "message": "`header` needs the header's name in `header`, such as `x-session`",
        },
        {
            "rule": "self.by == 'header' || !has(self.header)",
            "fieldPath": ".header",
            "message": "has no effect unless `by` is `header`",
        },
    ]);
    schema.insert("x-kubernetes-validations".into(), rules);
}
