//! The schemas of an `HTTPApp`, made from its types: of a document for files and editors, of an object for the API server.

use std::borrow::Cow;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::{Document, HttpApp, HttpAppSpec, HttpAppStatus};

/// Most characters of a duration, so that the API server can tell what a rule about it costs.
const LONGEST_DURATION: u64 = 32;

/// What schemars and we write that the API server has no use for.
const NOT_STRUCTURAL: [&str; 6] =
    ["title", "examples", "x-zerogate-minimum", "x-zerogate-maximum", "x-zerogate-step", "x-zerogate-choices"];

/// The schema of a document as the types have it: JSON Schema 2020-12 without references; words to choose from are `oneOf`s of
/// constants with what each means.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<Document>().to_value();
    each(&mut schema, &mut unwrap_lines);
    schema
}

/// The schema of a document for editors: JSON Schema 2020-12. It has no references; words to choose from are plain `enum`s, and
/// the ranges of durations are in the descriptions too.
pub fn json_schema() -> Value {
    let mut schema = document();
    each(&mut schema, &mut |fields| {
        smooth(fields);
        fields.remove("format");
        // They are for the API server, and some for that only.
        fields.remove("x-kubernetes-validations");
    });
    schema
}

/// The definition to install in a cluster.
pub fn crd() -> CustomResourceDefinition {
    HttpApp::crd()
}

/// Makes a schema structural, and says in its description what `kubectl explain` does not show otherwise.
fn structural(fields: &mut Map<String, Value>) {
    let default = fields.get("default").and_then(shown);
    smooth(fields);
    if let (Some(default), Some(Value::String(description))) = (default, fields.get_mut("description")) {
        let between = if description.contains("\n\n- ") { "\n\n" } else { " " };
        description.push_str(&format!("{between}Defaults to {default}."));
    }
    if let (Some(Value::String(least)), Some(Value::String(most))) =
        (fields.get("x-zerogate-minimum"), fields.get("x-zerogate-maximum"))
    {
        let rule = duration_rule(fields, least, most);
        fields.insert("maxLength".into(), LONGEST_DURATION.into());
        fields.insert("x-kubernetes-validations".into(), json!([rule]));
    }
    // Of a whole number the API server compares the whole part of the minimum only.
    if let Some(least) = fields.get("minimum").and_then(Value::as_f64).filter(|least| least.fract() != 0.0) {
        let rule = json!({ "rule": format!("self >= {least}"), "message": format!("has to be {least} at least") });
        fields.insert("x-kubernetes-validations".into(), json!([rule]));
    }
    // What a rule says can be understood, what a pattern says hardly.
    if fields.contains_key("x-kubernetes-validations") {
        fields.remove("pattern");
    }
    if fields.get("additionalProperties") == Some(&Value::Bool(false)) {
        fields.remove("additionalProperties");
    }
    if fields.get("format").and_then(Value::as_str).is_some_and(|format| !["date-time", "int64"].contains(&format)) {
        fields.remove("format");
    }
    // Else kube makes it nullable, and a null would keep the default out.
    if fields.contains_key("x-kubernetes-int-or-string") {
        fields.insert("nullable".into(), json!(false));
        fields.remove("anyOf");
    }
    for key in NOT_STRUCTURAL {
        fields.remove(key);
    }
}

fn duration_rule(fields: &Map<String, Value>, least: &str, most: &str) -> Value {
    let pattern = fields.get("pattern").and_then(Value::as_str).unwrap_or_default();
    let mut rule = format!(
        "self.matches(r'{pattern}') && duration(self) >= duration('{least}') && duration(self) <= duration('{most}')"
    );
    let mut whole = "";
    if fields.contains_key("x-zerogate-step") {
        rule.push_str(" && duration(self).getMilliseconds() % 1000 == 0");
        whole = " of whole seconds";
    }
    if fields.contains_key("x-kubernetes-int-or-string") {
        rule = format!("type(self) == int || ({rule})");
    }
    let such_as = match fields.get("default").and_then(Value::as_str) {
        Some(default) => format!(", such as `{default}`"),
        None => String::new(),
    };
    json!({ "rule": rule, "message": format!("has to be a duration{whole} from {least} to {most}{such_as}") })
}

/// A default in words, unless its parts have their own.
fn shown(default: &Value) -> Option<String> {
    match default {
        Value::Object(_) => None,
        Value::String(text) if text.is_empty() => Some("the empty text".to_owned()),
        Value::Array(items) if items.is_empty() => Some("the empty list".to_owned()),
        Value::String(text) => Some(format!("`{text}`")),
        Value::Number(number) => Some(format!("`{}`", number.to_string().trim_end_matches(".0"))),
        other => Some(format!("`{other}`")),
    }
}

/// Puts what only we understand into words that everyone does.
fn smooth(fields: &mut Map<String, Value>) {
    let mut more = String::new();
    if let Some(Value::Array(choices)) = fields.get("oneOf") {
        let choices = choices.clone();
        fields.remove("oneOf");
        fields.insert("type".into(), json!("string"));
        fields.insert("enum".into(), choices.iter().map(|choice| choice["const"].clone()).collect());
        for choice in choices {
            let text = |key: &str| choice[key].as_str().unwrap_or_default();
            more.push_str(&format!("\n\n- `{}`: {}", text("const"), text("description")));
        }
    }
    if let (Some(Value::String(least)), Some(Value::String(most))) =
        (fields.get("x-zerogate-minimum"), fields.get("x-zerogate-maximum"))
    {
        more.push_str(&format!(" From {least} to {most}."));
    }
    if let Some(Value::String(description)) = fields.get_mut("description") {
        description.push_str(&more);
    }
}

/// Doc comments are wrapped, descriptions are not.
fn unwrap_lines(fields: &mut Map<String, Value>) {
    if let Some(Value::String(description)) = fields.get_mut("description") {
        *description = description.replace('\n', " ");
    }
}

/// Calls `visit` with `schema` and each schema within, from the inside out.
fn each(schema: &mut Value, visit: &mut impl FnMut(&mut Map<String, Value>)) {
    let Value::Object(fields) = schema else { return };
    for (key, within) in fields.iter_mut() {
        match (key.as_str(), within) {
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(|it| each(it, visit)),
            ("items" | "additionalProperties", within) => each(within, visit),
            ("anyOf" | "oneOf", Value::Array(all)) => all.iter_mut().for_each(|it| each(it, visit)),
            _ => {}
        }
    }
    visit(fields);
}

// === impl HttpApp ===

impl JsonSchema for HttpApp {
    fn schema_name() -> Cow<'static, str> {
        "HTTPApp".into()
    }

    /// What the definition of the resource has: structural, with all defaults.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = json!({
            "type": "object",
            "description": "An app that is routed to and scaled as one unit: asleep at zero replicas until a request comes.",
            "required": ["spec"],
            "properties": {
                "spec": generator.subschema_for::<HttpAppSpec>(),
                "status": generator.subschema_for::<HttpAppStatus>(),
            },
        });
        each(&mut schema, &mut unwrap_lines);
        each(&mut schema, &mut structural);
        Schema::try_from(schema).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
