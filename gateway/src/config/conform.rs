//! Whether a document has the shape it should have; finds all places where it has not.

mod suggest;

use activator::resource::human::HumanDuration;

use super::problem::{Finding, quoted};
use super::shape::{Choice, Field, HTTP_APP, MOST_LISTED, Shape};
use super::yaml::{Node, Value, join};

/// Everywhere `root` is not what an `HTTPApp` has to be. If it is none at all, only that.
pub fn conform(root: &Node) -> Vec<Finding> {
    let mut walk = Walk::default();
    let identity = |field: &&Field| ["apiVersion", "kind"].contains(&field.name.as_str());
    for field in HTTP_APP.fields().iter().filter(identity) {
        if let Some(node) = root.get(&field.name) {
            walk.below(&field.name, |walk| walk.value(&field.shape, node, field.default.as_ref()));
        }
    }
    if walk.found.is_empty() {
        walk.value(&HTTP_APP, root, None);
    }
    walk.found
}

#[derive(Default)]
struct Walk {
    path: String,
    found: Vec<Finding>,
}

// === impl Walk ===

impl Walk {
    fn below(&mut self, key: &str, check: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        join(&mut self.path, key);
        check(self);
        self.path.truncate(length);
    }

    fn item(&mut self, index: usize, check: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        self.path.push_str(&format!("[{index}]"));
        check(self);
        self.path.truncate(length);
    }

    fn add(&mut self, line: usize, message: String) {
        self.found.push(Finding { line: Some(line), field: self.path.clone(), message });
    }

    fn value(&mut self, shape: &Shape, node: &Node, default: Option<&serde_json::Value>) {
        match (shape, &node.value) {
            (_, Value::Null) => {
                let or = if default.is_some() { ", or be left out" } else { "" };
                self.add(node.line, format!("is empty; it has to be {}{or}", such_as(shape, default)));
            }
            (Shape::Either(shapes), _) => match shapes.iter().find(|shape| same_kind(shape, &node.value)) {
                Some(Shape::Text { choices, .. }) if !one_of(choices, node) => self.wrong(shape, node, default),
                Some(one) => self.value(one, node, default),
                None => self.wrong(shape, node, default),
            },
            (Shape::Object { .. }, Value::Map(_)) => self.object(shape, node),
            (Shape::Names { most }, Value::Map(entries)) => {
                if entries.len() > *most {
                    self.add(node.line, amount(entries.len(), 0, *most, "entry"));
                }
                for entry in entries.iter().take(*most) {
                    let text = Shape::Text { choices: Vec::new(), least: 0, most: usize::MAX };
                    self.below(&entry.key, |walk| walk.value(&text, &entry.value, None));
                }
            }
            (Shape::List { item, least, most }, Value::List(items)) => {
                if !(*least..=*most).contains(&items.len()) {
                    self.add(node.line, amount(items.len(), *least, *most, "item"));
                }
                for (index, node) in items.iter().enumerate().take(*most) {
                    self.item(index, |walk| walk.value(item, node, None));
                }
            }
            (Shape::Text { choices, least, most }, Value::Text(text)) => {
                let length = text.chars().count();
                if !choices.is_empty() && !one_of(choices, node) {
                    let near = suggest::nearest(text, choices.iter().map(|choice| choice.word.as_str()));
                    let hint = match near {
                        Some(near) if (2..=MOST_LISTED).contains(&choices.len()) => {
                            format!("did you mean `{near}`? It has to be {shape}")
                        }
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("it has to be {shape}"),
                    };
                    self.add(node.line, format!("{} is unknown; {hint}", quoted(text)));
                } else if !(*least..=*most).contains(&length) {
                    self.add(node.line, amount(length, *least, *most, "character"));
                }
            }
            (Shape::Duration { .. }, Value::Text(text)) => match text.parse::<HumanDuration>() {
                Ok(duration) => self.duration(shape, node, duration),
                Err(error) => {
                    self.add(node.line, format!("{} {error}; it has to be {}", quoted(text), such_as(shape, default)));
                }
            },
            (Shape::Duration { .. }, Value::Int(0)) => self.duration(shape, node, HumanDuration::default()),
            (Shape::Duration { .. }, Value::Int(number)) => {
                self.add(node.line, format!("`{number}` has no unit; it has to be {}", such_as(shape, default)));
            }
            (Shape::Integer { least, most }, Value::Int(number)) => {
                if !(*least..=*most).contains(number) {
                    self.add(node.line, format!("`{number}` is out of range; it has to be {shape}"));
                }
            }
            (Shape::Number { least, most }, Value::Int(_) | Value::Float(_)) => {
                let number = match node.value {
                    Value::Int(number) => number as f64,
                    Value::Float(number) => number,
                    _ => f64::NAN,
                };
                if !(*least..=*most).contains(&number) {
                    self.add(node.line, format!("`{number}` is out of range; it has to be {shape}"));
                }
            }
            (Shape::Boolean, Value::Bool(_)) => {}
            _ => self.wrong(shape, node, default),
        }
    }

    fn object(&mut self, shape: &Shape, node: &Node) {
        let (Shape::Object { fields, most, .. }, Value::Map(entries)) = (shape, &node.value) else { return };
        for entry in entries {
            match fields.iter().find(|field| field.name == entry.key) {
                Some(field) => {
                    self.below(&entry.key, |walk| walk.value(&field.shape, &entry.value, field.default.as_ref()));
                }
                None => {
                    let hint = suggest::for_unknown_field(&entry.key, fields);
                    self.below(&entry.key, |walk| walk.add(entry.line, format!("unknown field; {hint}")));
                }
            }
        }
        let known: Vec<_> = entries.iter().filter(|entry| fields.iter().any(|field| field.name == entry.key)).collect();
        if known.len() > *most {
            let given: Vec<_> = known.iter().map(|entry| format!("`{}`", entry.key)).collect();
            self.add(node.line, format!("has {}; give one of them only", given.join(" and ")));
        }
        for field in fields.iter().filter(|field| field.required && node.get(&field.name).is_none()) {
            let message = match field.example() {
                Some(example) => format!("is missing; it has to be {}, such as `{example}`", field.shape),
                None => format!("is missing; it has to be {}", field.shape),
            };
            self.below(&field.name, |walk| walk.add(node.line, message));
        }
    }

    fn duration(&mut self, shape: &Shape, node: &Node, duration: HumanDuration) {
        let Shape::Duration { least, most, step } = shape else { return };
        if !(*least..=*most).contains(&duration.0) {
            self.add(node.line, format!("`{duration}` is out of range; it has to be {shape}"));
        } else if !step.is_zero() && !duration.0.as_nanos().is_multiple_of(step.as_nanos()) {
            self.add(node.line, format!("`{duration}` is not whole seconds; it has to be {shape}"));
        }
    }

    /// The value is of another kind than it should be.
    fn wrong(&mut self, shape: &Shape, node: &Node, default: Option<&serde_json::Value>) {
        let message = match (&node.value, shape) {
            (Value::Bool(_) | Value::Int(_) | Value::Float(_), Shape::Text { choices, .. }) if choices.is_empty() => {
                let value = scalar(node);
                format!("`{value}` is {}; it has to be text, so put it in quotes: \"{value}\"", kind(node))
            }
            (Value::Text(_) | Value::Bool(_) | Value::Int(_) | Value::Float(_), Shape::List { item, .. })
                if matches!(**item, Shape::Text { .. }) =>
            {
                let value = quoted(&scalar(node));
                format!(
                    "{value} is {}; it has to be a list, so put it in brackets: [{}]",
                    kind(node),
                    value.trim_matches('`')
                )
            }
            (Value::List(_) | Value::Map(_) | Value::Null, _) => {
                format!("is {}; it has to be {}", kind(node), such_as(shape, default))
            }
            _ => format!("{} is {}; it has to be {}", quoted(&scalar(node)), kind(node), such_as(shape, default)),
        };
        self.add(node.line, message);
    }
}

fn one_of(choices: &[Choice], node: &Node) -> bool {
    choices.is_empty() || choices.iter().any(|choice| Some(choice.word.as_str()) == node.as_text())
}

fn same_kind(shape: &Shape, value: &Value) -> bool {
    matches!(
        (shape, value),
        (Shape::Text { .. }, Value::Text(_))
            | (Shape::Integer { .. }, Value::Int(_))
            | (Shape::Object { .. }, Value::Map(_))
    )
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
fn such_as(shape: &Shape, default: Option<&serde_json::Value>) -> String {
    match (shape, default) {
        (Shape::Duration { .. }, Some(serde_json::Value::String(default))) => format!("{shape}, such as `{default}`"),
        (Shape::Integer { .. } | Shape::Number { .. }, Some(default)) => {
            format!("{shape}, such as `{}`", default.to_string().trim_end_matches(".0"))
        }
        _ => shape.to_string(),
    }
}

fn amount(count: usize, least: usize, most: usize, unit: &str) -> String {
    let s = |count| if count == 1 { "" } else { "s" };
    match count {
        0 => format!("is empty; it has to have at least {least} {unit}{}", s(least)),
        _ if count < least => format!("has {count} {unit}{}; it has to have at least {least}", s(count)),
        _ if unit == "entry" => format!("has {count} entries; it may have {most} at most"),
        _ => format!("has {count} {unit}s; it may have {most} at most"),
    }
}
