//! The schema of an `HTTPApp`, made from its types: as JSON for others, as a [`Shape`] for the check and the reference.

mod shape;

pub use shape::{Choice, Field, MOST_LISTED, Shape};

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::resource::HttpApp;

/// The shape of an `HTTPApp`.
pub static HTTP_APP: LazyLock<Shape> = LazyLock::new(|| Shape::compile(&raw()));

/// The schema of an `HTTPApp` as JSON Schema 2020-12. It has no references; words to choose from are plain `enum`s, and the
/// ranges of durations are in the descriptions too.
pub fn json_schema() -> Value {
    let mut schema = raw();
    smooth(&mut schema);
    schema
}

fn raw() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<HttpApp>().to_value();
    unwrap_lines(&mut schema);
    schema
}

/// Doc comments are wrapped, descriptions are not.
fn unwrap_lines(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::String(description)) = fields.get_mut("description") {
                *description = description.replace('\n', " ");
            }
            fields.values_mut().for_each(unwrap_lines);
        }
        Value::Array(items) => items.iter_mut().for_each(unwrap_lines),
        _ => {}
    }
}

/// Puts what only we understand into words that everyone does.
fn smooth(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let mut more = String::new();
            if let Shape::Text { choices, .. } = Shape::compile_choices(fields.get("oneOf"))
                && !choices.is_empty()
            {
                fields.remove("oneOf");
                fields.insert("type".into(), json!("string"));
                fields.insert("enum".into(), choices.iter().map(|choice| choice.word.as_str()).collect());
                for choice in choices {
                    more.push_str(&format!("\n\n- `{}`: {}", choice.word, choice.description));
                }
            }
            if let (Some(least), Some(most)) = (fields.get("x-zerogate-minimum"), fields.get("x-zerogate-maximum")) {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                more.push_str(&format!(" From {} to {}.", text(least), text(most)));
            }
            if let Some(Value::String(description)) = fields.get_mut("description") {
                description.push_str(&more);
            }
            if fields.get("format").is_some_and(Value::is_string) {
                fields.remove("format");
            }
            fields.values_mut().for_each(smooth);
        }
        Value::Array(items) => items.iter_mut().for_each(smooth),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
