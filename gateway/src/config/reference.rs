//! The reference of `HTTPApp` as Markdown, made from its types.

use std::fmt::Write as _;

use serde_json::Value;

use super::shape::{Kind, Shape};

/// What stands above the reference; its document is one that works.
const HEAD: &str = include_str!("reference/head.md");

/// `docs/httpapp.md`.
pub fn markdown() -> String {
    let mut text = HEAD.to_owned();
    section(&mut text, "HTTPApp", Shape::root());
    text
}

/// A mapping's fields as a table, then the mappings within it.
fn section(text: &mut String, path: &str, shape: Shape) {
    if shape.fields().next().is_none() {
        return;
    }
    let _ = write!(text, "\n## `{path}`\n\n{}\n\n", shape.description());
    text.push_str("| Field | Type | Default | Range | What it is |\n|---|---|---|---|---|\n");
    for (name, field) in shape.fields() {
        let default = if shape.requires(name) { "required".to_owned() } else { default(field) };
        let (kind, range, choices) = (kind(field), range(field), choices(field));
        let _ = writeln!(text, "| `{name}` | {kind} | {default} | {range} | {}{choices} |", field.description());
    }
    for (name, field) in shape.fields() {
        let parent = if path == "HTTPApp" { String::new() } else { format!("{path}.") };
        let list = if field.kind() == Kind::List { "[]" } else { "" };
        if let Some(object) = field.object() {
            section(text, &format!("{parent}{name}{list}"), object);
        }
    }
}

fn kind(shape: Shape) -> String {
    match shape.kind() {
        Kind::Object => "mapping",
        Kind::Names => "mapping of names to text",
        Kind::List => return format!("list of {}s", kind(shape.item())),
        Kind::Text => "text",
        Kind::Word => "word",
        Kind::Boolean => "`true` or `false`",
        Kind::Duration => "duration",
        Kind::Integer => "whole number",
        Kind::Number => "number",
        Kind::Either if shape.words().is_empty() => "text or whole number",
        Kind::Either => "word or whole number",
    }
    .to_owned()
}

fn default(shape: Shape) -> String {
    match (shape.default(), shape.kind()) {
        // Its own fields say what theirs are.
        (None, _) | (Some(Value::Object(_)), Kind::Object) => String::new(),
        (Some(Value::String(text)), _) if text.is_empty() => "empty".to_owned(),
        (Some(Value::String(text)), _) => format!("`{text}`"),
        (Some(Value::Array(items)), _) if items.is_empty() => "empty".to_owned(),
        (Some(Value::Object(fields)), _) if fields.is_empty() => "empty".to_owned(),
        (Some(Value::Number(number)), _) => format!("`{}`", number.to_string().trim_end_matches(".0")),
        (Some(value), _) => format!("`{value}`"),
    }
}

fn range(shape: Shape) -> String {
    let amount = |least, most, unit: &str| match (shape.limit(least).unwrap_or(0), shape.limit(most)) {
        (0, None) => String::new(),
        (least, None) => format!("at least {least} {unit}{}", if least == 1 { "" } else { "s" }),
        (0, Some(most)) => format!("at most {most} {unit}s"),
        (least, Some(most)) => format!("{least} to {most} {unit}s"),
    };
    match shape.kind() {
        Kind::List => amount("minItems", "maxItems", "item"),
        Kind::Names => amount("minProperties", "maxProperties", "name"),
        Kind::Text => amount("minLength", "maxLength", "character"),
        _ => shape.range(),
    }
}

/// The words to choose from.
fn choices(shape: Shape) -> String {
    let all = if shape.kind() == Kind::Word { shape.choices() } else { Vec::new() };
    if all.iter().any(|(_, meaning)| !meaning.is_empty()) {
        return all.iter().map(|(word, meaning)| format!("<br>`{word}`: {meaning}")).collect();
    }
    let words: Vec<_> = all.iter().map(|(word, _)| format!("`{word}`")).collect();
    if words.is_empty() { String::new() } else { format!(" One of {}.", words.join(", ")) }
}

#[cfg(test)]
mod tests;
