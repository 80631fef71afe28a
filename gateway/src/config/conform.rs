//! Whether a document has the shape it should have; finds all places where it has not. The schema says so, this puts it into
//! words.

mod mend;
mod suggest;

use std::collections::HashSet;
use std::sync::LazyLock;

use activator::resource::human::HumanDuration;
use activator::resource::schema;
use jsonschema::error::ValidationErrorKind as Fault;
use jsonschema::{Draft, Keyword, ValidationError, Validator};

use super::problem::{Finding, quoted};
use super::shape::{Kind, MOST_LISTED, Shape};
use super::yaml::{Node, Value, join};
pub use mend::{StandIns, mend};
pub use suggest::nearest;

/// Most mistakes that are looked into; the effort for each grows with the document.
const MOST: usize = 5_000;

/// Checks what the schema can say. It is Draft 4, to which 1.0 is no whole number, as to the types.
static VALIDATOR: LazyLock<Result<Validator, String>> = LazyLock::new(|| {
    let options = jsonschema::options()
        .with_draft(Draft::Draft4)
        .with_keyword("x-zerogate-minimum", |parent, _, _| Ok(Box::new(DurationRange::new(parent))));
    options.build(&schema::to_check()).map_err(|error| error.to_string())
});

/// Everywhere `root` is not what an `HTTPApp` has to be. If it is none at all, only that.
pub fn conform(root: &Node) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut known = HashSet::new();
    match &*VALIDATOR {
        Ok(validator) => {
            for error in validator.iter_errors(&root.to_json()).take(MOST) {
                explain(root, &error, &mut known, &mut found);
            }
        }
        Err(error) => found.push(Finding { line: None, field: String::new(), message: error.clone() }),
    }
    let is_another =
        |finding: &Finding| ["apiVersion", "kind"].contains(&&*finding.field) && root.get(&finding.field).is_some();
    if found.iter().any(is_another) {
        found.retain(is_another);
    }
    found.sort_by(|a, b| (a.line, &a.field).cmp(&(b.line, &b.field)));
    found
}

/// The keyword of the range of a duration.
struct DurationRange {
    least: HumanDuration,
    most: HumanDuration,
    step: HumanDuration,
}

/// Puts into words what is wrong with `root`.
fn explain(root: &Node, error: &ValidationError<'_>, known: &mut HashSet<String>, found: &mut Vec<Finding>) {
    let Some((field, node, shape)) = place(root, error.instance_path().as_str()) else { return };
    let mut add = |field: String, line, message| {
        // One value may break several keywords, but one message says it all.
        if known.insert(field.clone()) {
            found.push(Finding { line: Some(line), field, message });
        }
    };
    let below = |name: &str| {
        let mut field = field.clone();
        join(&mut field, name);
        field
    };
    match (error.kind(), &node.value) {
        (Fault::Required { property }, _) => {
            let name = property.as_str().unwrap_or_default();
            let Some(shape) = shape.within(name) else { return };
            let such_as = shape.example().map(|example| format!(", such as `{example}`")).unwrap_or_default();
            add(below(name), node.line, format!("is missing; it has to be {shape}{such_as}"));
        }
        (Fault::AdditionalProperties { .. } | Fault::FalseSchema, Value::Map(entries)) => {
            for entry in entries.iter().filter(|entry| shape.within(&entry.key).is_none()) {
                let hint = suggest::for_unknown_field(&entry.key, shape);
                add(below(&entry.key), entry.line, format!("unknown field; {hint}"));
            }
        }
        _ => {
            if let Some(message) = message(node, shape) {
                add(field, node.line, message);
            }
        }
    }
}

/// What is at a JSON pointer: the field's path, its value, and what that should be.
fn place<'n>(root: &'n Node, pointer: &str) -> Option<(String, &'n Node, Shape)> {
    let (mut field, mut node, mut shape) = (String::new(), root, Shape::root());
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        shape = shape.within(&step)?;
        match &node.value {
            Value::List(items) => {
                field.push_str(&format!("[{step}]"));
                node = items.get(step.parse::<usize>().ok()?)?;
            }
            _ => {
                join(&mut field, &step);
                node = node.get(&step)?;
            }
        }
    }
    Some((field, node, shape))
}

/// What is wrong with a value that breaks a keyword; `None` if something else says it.
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

// === impl DurationRange ===

impl DurationRange {
    fn new(schema: &serde_json::Map<String, serde_json::Value>) -> Self {
        let read = |name| schema.get(name).and_then(|it| it.as_str()?.parse().ok()).unwrap_or_default();
        Self { least: read("x-zerogate-minimum"), most: read("x-zerogate-maximum"), step: read("x-zerogate-step") }
    }
}

impl<'i> Keyword<'i> for DurationRange {
    fn validate(&self, instance: &'i serde_json::Value) -> Result<(), ValidationError<'i>> {
        if self.is_valid(instance) { Ok(()) } else { Err(ValidationError::custom("is no duration in the range")) }
    }

    fn is_valid(&self, instance: &'i serde_json::Value) -> bool {
        let Ok(duration) = serde_json::from_value::<HumanDuration>(instance.clone()) else { return false };
        let whole = self.step.0.is_zero() || duration.0.as_nanos().is_multiple_of(self.step.0.as_nanos());
        (self.least..=self.most).contains(&duration) && whole
    }
}
