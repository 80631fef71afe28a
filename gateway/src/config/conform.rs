//! Whether a document has the shape it should have; finds all places where it has not. The schema says so, this puts it into
//! words.

mod mend;
mod suggest;

use activator::resource::human::HumanDuration;

use super::problem::{Finding, quoted};
use super::shape::{Kind, MOST_LISTED, Shape};
use super::yaml::{Node, Value, join};
pub use mend::{StandIns, mend};
pub use suggest::nearest;

/// Most mistakes that are looked into; the effort for each grows with the document.
const MOST: usize = 5_000;

/// Everywhere `root` is not what an `HTTPApp` has to be. If it is none at all, only that.
pub fn conform(root: &Node) -> Vec<Finding> {
    let mut found = Vec::new();
    look(root, Shape::root(), "", &mut found);
    let is_another =
        |finding: &Finding| ["apiVersion", "kind"].contains(&&*finding.field) && root.get(&finding.field).is_some();
    if found.iter().any(is_another) {
        found.retain(is_another);
    }
    found.sort_by(|a, b| (a.line, &a.field).cmp(&(b.line, &b.field)));
    found
}

/// Finds what is wrong with what is at `field`, and within it.
fn look(node: &Node, shape: Shape, field: &str, found: &mut Vec<Finding>) {
    let mut add = |field: String, line, message| {
        if found.len() < MOST {
            found.push(Finding { line: Some(line), field, message });
        }
    };
    let below = |name: &str| {
        let mut field = field.to_owned();
        join(&mut field, name);
        field
    };
    if !fits(node, shape)
        && let Some(message) = message(node, shape)
    {
        add(field.to_owned(), node.line, message);
    }
    match (shape.kind(), &node.value) {
        (Kind::Object, Value::Map(entries)) => {
            let missing = shape.fields().filter(|(name, _)| shape.requires(name) && node.get(name).is_none());
            for (name, within) in missing {
                let such_as = within.example().map(|example| format!(", such as `{example}`")).unwrap_or_default();
                add(below(name), node.line, format!("is missing; it has to be {within}{such_as}"));
            }
            for entry in entries {
                match shape.within(&entry.key) {
                    Some(within) => look(&entry.value, within, &below(&entry.key), found),
                    None if found.len() < MOST => {
                        let message = format!("unknown field; {}", suggest::for_unknown_field(&entry.key, shape));
                        found.push(Finding { line: Some(entry.line), field: below(&entry.key), message });
                    }
                    None => {}
                }
            }
        }
        (Kind::Names, Value::Map(entries)) => {
            let each = entries.iter().filter_map(|entry| Some((entry, shape.within(&entry.key)?)));
            each.for_each(|(entry, within)| look(&entry.value, within, &below(&entry.key), found));
        }
        (Kind::List, Value::List(items)) => {
            for (index, item) in items.iter().enumerate() {
                look(item, shape.item(), &format!("{field}[{index}]"), found);
            }
        }
        _ => {}
    }
}

/// Whether a value is what it should be, apart from what is within it.
fn fits(node: &Node, shape: Shape) -> bool {
    match (shape.kind(), &node.value) {
        (Kind::Object | Kind::Names, Value::Map(entries)) => {
            shape.limit("maxProperties").is_none_or(|most| entries.len() <= most)
        }
        (Kind::List, Value::List(items)) => shape.takes(items.len(), "minItems", "maxItems"),
        (Kind::Word, Value::Text(text)) => shape.words().contains(&text.as_str()),
        (Kind::Text | Kind::Either, Value::Text(text)) => {
            let words = shape.words();
            shape.takes(text.chars().count(), "minLength", "maxLength")
                && (words.is_empty() || words.contains(&text.as_str()))
        }
        (Kind::Duration, Value::Text(_) | Value::Int(_)) => is_duration(node, shape),
        (Kind::Boolean, Value::Bool(_)) => true,
        (Kind::Integer | Kind::Either | Kind::Number, Value::Int(number)) => shape.reaches(*number as f64),
        // No number that JSON does not have.
        (Kind::Number, Value::Float(number)) => number.is_finite() && shape.reaches(*number),
        _ => false,
    }
}

fn is_duration(node: &Node, shape: Shape) -> bool {
    let Ok(HumanDuration(duration)) = serde_json::from_value(node.to_json()) else { return false };
    let (least, most, step) = shape.durations();
    let whole = step.is_zero() || duration.as_nanos().is_multiple_of(step.as_nanos());
    (least..=most).contains(&duration) && whole
}

/// What is wrong with a value that does not fit; `None` if something else says it.
fn message(node: &Node, shape: Shape) -> Option<String> {
    Some(match (shape.kind(), &node.value) {
        (_, Value::Null) => {
            let or = if shape.default().is_some() { ", or be left out" } else { "" };
            format!("is empty; it has to be {}{or}", such_as(shape))
        }
        (Kind::Object, Value::Map(entries)) => {
            let known = entries.iter().filter(|entry| shape.within(&entry.key).is_some());
            let known: Vec<_> = known.map(|entry| format!("`{}`", entry.key)).collect();
            if known.len() <= shape.limit("maxProperties")? {
                return None;
            }
            format!("has {}; give one of them only", known.join(" and "))
        }
        (Kind::Names, Value::Map(entries)) => amount(entries.len(), 0, shape.limit("maxProperties"), "name"),
        (Kind::List, Value::List(items)) => {
            amount(items.len(), shape.limit("minItems").unwrap_or(0), shape.limit("maxItems"), "item")
        }
        (Kind::Text, Value::Text(text)) => characters(text, shape),
        (Kind::Either, Value::Text(text)) if shape.words().is_empty() => characters(text, shape),
        (Kind::Word, Value::Text(text)) => format!("{} is unknown; {}", quoted(text), did_you_mean(text, shape)),
        (Kind::Duration, Value::Text(_) | Value::Int(_)) => duration(node, shape),
        (Kind::Integer | Kind::Either, Value::Int(number)) => {
            out_of_range(number, format!("a whole number from {}", shape.range()))
        }
        (Kind::Number, Value::Int(number)) => out_of_range(number, shape.to_string()),
        (Kind::Number, Value::Float(number)) => out_of_range(number, shape.to_string()),
        _ => wrong(node, shape),
    })
}

fn out_of_range(value: impl std::fmt::Display, shape: impl std::fmt::Display) -> String {
    format!("`{value}` is out of range; it has to be {shape}")
}

fn did_you_mean(text: &str, shape: Shape) -> String {
    let words = shape.words();
    match suggest::nearest(text, words.iter().copied()) {
        Some(near) if (2..=MOST_LISTED).contains(&words.len()) => {
            format!("did you mean `{near}`? It has to be {shape}")
        }
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it has to be {shape}"),
    }
}

fn duration(node: &Node, shape: Shape) -> String {
    let text = scalar(node);
    let range = shape.durations();
    match (&node.value, text.parse::<HumanDuration>()) {
        (Value::Int(number), _) if *number != 0 => format!("`{number}` has no unit; it has to be {}", such_as(shape)),
        (_, Err(error)) => format!("{} {error}; it has to be {}", quoted(&text), such_as(shape)),
        (_, Ok(duration)) if (range.0..=range.1).contains(&duration.0) => {
            format!("`{duration}` is not whole seconds; it has to be {shape}")
        }
        (_, Ok(duration)) => out_of_range(duration, shape),
    }
}

/// The value is of another kind than it should be.
fn wrong(node: &Node, shape: Shape) -> String {
    let value = scalar(node);
    match (&node.value, shape.kind()) {
        (Value::Bool(_) | Value::Int(_) | Value::Float(_), Kind::Text) => {
            format!("`{value}` is {}; it has to be text, so put it in quotes: \"{value}\"", kind(node))
        }
        (Value::Text(_) | Value::Bool(_) | Value::Int(_) | Value::Float(_), Kind::List)
            if shape.item().kind() == Kind::Text =>
        {
            let value = quoted(&value);
            let inner = value.trim_matches('`');
            format!("{value} is {}; it has to be a list, so put it in brackets: [{inner}]", kind(node))
        }
        (Value::List(_) | Value::Map(_) | Value::Null, _) => {
            format!("is {}; it has to be {}", kind(node), such_as(shape))
        }
        _ => format!("{} is {}; it has to be {}", quoted(&value), kind(node), such_as(shape)),
    }
}

fn kind(node: &Node) -> &'static str {
    match node.value {
        Value::Null => "empty",
        Value::Bool(_) => "a boolean",
        Value::Int(_) | Value::Float(_) => "a number",
        Value::Text(_) => "text",
        Value::List(_) => "a list",
        Value::Map(_) => "a mapping",
    }
}

fn scalar(node: &Node) -> String {
    match &node.value {
        Value::Text(text) => text.clone(),
        Value::Bool(value) => value.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Null | Value::List(_) | Value::Map(_) => String::new(),
    }
}

/// The shape in words, with an example for those whose form is not plain from the words.
fn such_as(shape: Shape) -> String {
    match (shape.kind(), shape.default()) {
        (Kind::Duration, Some(serde_json::Value::String(default))) => format!("{shape}, such as `{default}`"),
        (Kind::Integer | Kind::Number, Some(default)) => {
            format!("{shape}, such as `{}`", default.to_string().trim_end_matches(".0"))
        }
        _ => shape.to_string(),
    }
}

fn characters(text: &str, shape: Shape) -> String {
    amount(text.chars().count(), shape.limit("minLength").unwrap_or(0), shape.limit("maxLength"), "character")
}

fn amount(count: usize, least: usize, most: Option<usize>, unit: &str) -> String {
    let s = |count| if count == 1 { "" } else { "s" };
    match (count, most) {
        (0, _) => format!("is empty; it has to have at least {least} {unit}{}", s(least)),
        (_, Some(most)) if count > most => format!("has {count} {unit}s; it may have {most} at most"),
        _ => format!("has {count} {unit}{}; it has to have at least {least}", s(count)),
    }
}
