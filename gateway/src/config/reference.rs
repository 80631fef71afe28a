//! The reference of `HTTPApp` as Markdown, made from its types.

use std::fmt::Write as _;

use activator::resource::human::HumanDuration;
use serde_json::Value;

use super::shape::{Field, HTTP_APP, Shape};

/// What stands above the reference; its document is one that works.
const HEAD: &str = include_str!("reference/head.md");

/// `docs/httpapp.md`.
pub fn markdown() -> String {
    let mut text = HEAD.to_owned();
    section(&mut text, "HTTPApp", &HTTP_APP);
    text
}

/// A mapping's fields as a table, then the mappings within it.
fn section(text: &mut String, path: &str, shape: &Shape) {
    let Shape::Object { description, fields, .. } = shape else { return };
    if fields.is_empty() {
        return;
    }
    let _ = write!(text, "\n## `{path}`\n\n{description}\n\n");
    text.push_str("| Field | Type | Default | Range | What it is |\n|---|---|---|---|---|\n");
    for field in fields {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {}{} |",
            field.name,
            kind(&field.shape),
            default(field),
            range(&field.shape),
            field.description,
            choices(&field.shape)
        );
    }
    for field in fields {
        let parent = if path == "HTTPApp" { String::new() } else { format!("{path}.") };
        let list = if matches!(field.shape, Shape::List { .. }) { "[]" } else { "" };
        if let Some(shape) = field.shape.object() {
            section(text, &format!("{parent}{}{list}", field.name), shape);
        }
    }
}

fn kind(shape: &Shape) -> String {
    match shape {
        Shape::Object { .. } => "mapping".to_owned(),
        Shape::Names { .. } => "mapping of names to text".to_owned(),
        Shape::List { item, .. } => format!("list of {}s", kind(item)),
        Shape::Text { choices, .. } if choices.is_empty() => "text".to_owned(),
        Shape::Text { .. } => "word".to_owned(),
        Shape::Boolean => "`true` or `false`".to_owned(),
        Shape::Duration { .. } => "duration".to_owned(),
        Shape::Integer { .. } => "whole number".to_owned(),
        Shape::Number { .. } => "number".to_owned(),
        Shape::Either(shapes) => shapes.iter().map(kind).collect::<Vec<_>>().join(" or "),
    }
}

fn default(field: &Field) -> String {
    match (&field.default, &field.shape) {
        _ if field.required => "required".to_owned(),
        (None, _) => String::new(),
        // Its own fields say what theirs are.
        (Some(Value::Object(_)), Shape::Object { .. }) => String::new(),
        (Some(Value::String(text)), _) if text.is_empty() => "empty".to_owned(),
        (Some(Value::String(text)), _) => format!("`{text}`"),
        (Some(Value::Array(items)), _) if items.is_empty() => "empty".to_owned(),
        (Some(Value::Object(fields)), _) if fields.is_empty() => "empty".to_owned(),
        (Some(Value::Number(number)), _) => format!("`{}`", number.to_string().trim_end_matches(".0")),
        (Some(value), _) => format!("`{value}`"),
    }
}

fn range(shape: &Shape) -> String {
    match shape {
        Shape::Duration { least, most, .. } => format!("{} to {}", HumanDuration(*least), HumanDuration(*most)),
        Shape::Integer { least, most } => format!("{least} to {most}"),
        Shape::Number { least, most } => format!("{least} to {most}"),
        Shape::List { least, most, .. } => amount(*least, *most, "item"),
        Shape::Text { choices, least, most } if choices.is_empty() => amount(*least, *most, "character"),
        Shape::Either(shapes) => {
            let ranges = shapes.iter().filter(|shape| matches!(shape, Shape::Integer { .. })).map(range);
            ranges.collect::<Vec<_>>().join(", ")
        }
        _ => String::new(),
    }
}

fn amount(least: usize, most: usize, unit: &str) -> String {
    match (least, most) {
        (0, usize::MAX) => String::new(),
        (least, usize::MAX) => format!("at least {least} {unit}{}", if least == 1 { "" } else { "s" }),
        (0, most) => format!("at most {most} {unit}s"),
        (least, most) => format!("{least} to {most} {unit}s"),
    }
}

/// The words to choose from.
fn choices(shape: &Shape) -> String {
    let Shape::Text { choices: all, .. } = shape else { return String::new() };
    let described = all.iter().any(|choice| !choice.description.is_empty());
    let mut text = String::new();
    for (index, choice) in all.iter().enumerate() {
        text.push_str(match index {
            0 if described => "<br>",
            0 => " One of ",
            _ if described => "<br>",
            _ => ", ",
        });
        let _ = write!(text, "`{}`", choice.word);
        if !choice.description.is_empty() {
            let _ = write!(text, ": {}", choice.description);
        }
    }
    if !all.is_empty() && !described {
        text.push('.');
    }
    text
}

#[cfg(test)]
mod tests;
