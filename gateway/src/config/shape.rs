//! What the values of an `HTTPApp` have to be, from its schema, in a form that can say so in words.

use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use activator::resource::human::HumanDuration;
use activator::resource::schema;
use serde_json::{Map, Value};

use super::yaml::{self, Node};

/// The shape of an `HTTPApp`.
pub static HTTP_APP: LazyLock<Shape> = LazyLock::new(|| Shape::compile(&schema::document()));

/// What a value has to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// A mapping with these fields and no others.
    Object {
        /// What it is.
        description: String,
        /// The fields, sorted by name.
        fields: Vec<Field>,
        /// Most fields that may be given.
        most: usize,
    },
    /// A mapping of any names to text.
    Names {
        /// Most of them.
        most: usize,
    },
    /// A list.
    List {
        /// What each item is.
        item: Box<Shape>,
        /// Fewest items.
        least: usize,
        /// Most items.
        most: usize,
    },
    /// Text.
    Text {
        /// The only texts allowed, unless empty.
        choices: Vec<Choice>,
        /// Fewest characters.
        least: usize,
        /// Most characters.
        most: usize,
    },
    /// A duration with its unit.
    Duration {
        /// Shortest.
        least: Duration,
        /// Longest.
        most: Duration,
        /// It has to be a multiple of this, unless that is zero.
        step: Duration,
    },
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer {
        /// Smallest.
        least: i64,
        /// Largest.
        most: i64,
    },
    /// A number.
    Number {
        /// Smallest.
        least: f64,
        /// Largest.
        most: f64,
    },
    /// One of these; at most one of each kind.
    Either(Vec<Shape>),
}

/// Most fields or words that a message lists without need.
pub const MOST_LISTED: usize = 4;

/// A field of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Whether it has to be given.
    pub required: bool,
    /// What it is if not given.
    pub default: Option<Value>,
    /// An example, where the shape does not make plain how it is written.
    example: Option<Value>,
    /// What it has to be.
    pub shape: Shape,
}

/// A word to choose.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The word.
    pub word: String,
    /// What it means; may be empty.
    pub description: String,
}

// === impl Shape ===

impl Shape {
    /// From JSON schema, as far as our own types use it.
    ///
    /// # Panics
    /// The schema has something else; a test sees to it that it has not.
    pub fn compile(schema: &Value) -> Self {
        let most = |key| schema[key].as_u64().map_or(usize::MAX, |most| most as usize);
        let least = |key| schema[key].as_u64().map_or(0, |least| least as usize);
        if schema["x-zerogate-minimum"].is_string() {
            let read = |key| {
                let text = schema[key].as_str().unwrap_or("0s");
                text.parse::<HumanDuration>().unwrap_or_else(|error| panic!("{key}: {text} {error}")).0
            };
            return Self::Duration {
                least: read("x-zerogate-minimum"),
                most: read("x-zerogate-maximum"),
                step: read("x-zerogate-step"),
            };
        }
        if schema["x-kubernetes-int-or-string"] == true {
            let word = schema["pattern"].as_str().unwrap_or_default().trim_start_matches('^').trim_end_matches('$');
            let plain = word.bytes().all(|byte| byte.is_ascii_lowercase());
            let choices = plain.then(|| Choice { word: word.to_owned(), description: String::new() });
            return Self::Either(vec![
                Self::Text {
                    choices: choices.into_iter().collect(),
                    least: least("minLength"),
                    most: most("maxLength"),
                },
                Self::Integer { least: integer(&schema["minimum"]), most: integer(&schema["maximum"]) },
            ]);
        }
        if let Value::Array(shapes) = &schema["anyOf"] {
            return Self::Either(shapes.iter().map(Self::compile).collect());
        }
        if schema.get("oneOf").is_some() {
            return Self::compile_choices(schema.get("oneOf"));
        }
        match schema["type"].as_str() {
            Some("object") if schema["additionalProperties"].is_object() => Self::Names { most: most("maxProperties") },
            Some("object") => Self::Object {
                description: text(&schema["description"]),
                fields: schema["properties"]
                    .as_object()
                    .unwrap_or(&Map::new())
                    .iter()
                    .map(|(name, field)| {
                        let required =
                            schema["required"].as_array().is_some_and(|names| names.iter().any(|it| it == name));
                        Field {
                            name: name.clone(),
                            description: text(&field["description"]),
                            required,
                            default: field.get("default").cloned(),
                            example: field["examples"].get(0).cloned(),
                            shape: Self::compile(field),
                        }
                    })
                    .collect(),
                most: most("maxProperties"),
            },
            Some("array") => Self::List {
                item: Box::new(Self::compile(&schema["items"])),
                least: least("minItems"),
                most: most("maxItems"),
            },
            Some("string") => Self::Text {
                choices: schema["enum"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|word| Choice { word: text(word), description: String::new() })
                    .collect(),
                least: least("minLength"),
                most: most("maxLength"),
            },
            Some("boolean") => Self::Boolean,
            Some("integer") => Self::Integer { least: integer(&schema["minimum"]), most: integer(&schema["maximum"]) },
            Some("number") => Self::Number { least: number(&schema["minimum"]), most: number(&schema["maximum"]) },
            _ => panic!("nothing is known of the schema {schema}"),
        }
    }

    /// Words with their description, from a `oneOf` of constants.
    fn compile_choices(one_of: Option<&Value>) -> Self {
        let choices = one_of
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|choice| Choice { word: text(&choice["const"]), description: text(&choice["description"]) });
        Self::Text { choices: choices.collect(), least: 0, most: usize::MAX }
    }

    /// The fields, if it is a mapping that has some.
    pub fn fields(&self) -> &[Field] {
        match self {
            Self::Object { fields, .. } => fields,
            _ => &[],
        }
    }

    /// Takes fields out of `node` that are not known here.
    pub fn prune(&self, node: &mut Node) {
        match (self, &mut node.value) {
            (Self::Object { fields, .. }, yaml::Value::Map(entries)) => {
                entries.retain_mut(|entry| match fields.iter().find(|field| field.name == entry.key) {
                    Some(field) => {
                        field.shape.prune(&mut entry.value);
                        true
                    }
                    None => false,
                });
            }
            (Self::List { item, .. }, yaml::Value::List(items)) => items.iter_mut().for_each(|node| item.prune(node)),
            _ => {}
        }
    }

    /// The mapping within: of a list its items, of several the one that is a mapping.
    pub fn object(&self) -> Option<&Self> {
        match self {
            Self::Object { .. } => Some(self),
            Self::List { item, .. } => item.object(),
            Self::Either(shapes) => shapes.iter().find_map(Self::object),
            _ => None,
        }
    }
}

// === impl Field ===

impl Field {
    /// An example of its value, as short YAML.
    pub fn example(&self) -> Option<String> {
        match (&self.example, &self.shape) {
            (Some(example), _) => Some(flow(example)),
            (None, Shape::Object { fields, .. }) => {
                let fields = fields.iter().filter(|field| field.required);
                let fields: Option<Vec<_>> =
                    fields.map(|field| Some(format!("{}: {}", field.name, field.example()?))).collect();
                Some(format!("{{{}}}", fields?.join(", ")))
            }
            _ => None,
        }
    }
}

/// `value` as short YAML, as far as our own examples need it.
fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}: {}", flow(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

impl fmt::Display for Shape {
    /// In words: "a whole number from 1 to 100".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object { fields, .. } if fields.is_empty() => f.write_str("an empty mapping, `{}`"),
            Self::Object { fields, .. } => {
                let required: Vec<_> = fields.iter().filter(|field| field.required).map(|field| &field.name).collect();
                match (required.len(), fields.len()) {
                    (0, ..=MOST_LISTED) => {
                        f.write_str("a mapping with ")?;
                        list(f, fields.iter().map(|field| &field.name), "or")
                    }
                    (0, _) => f.write_str("a mapping"),
                    _ => {
                        f.write_str("a mapping with ")?;
                        list(f, required.into_iter(), "and")
                    }
                }
            }
            Self::Names { .. } => f.write_str("a mapping of names to text"),
            Self::List { item, .. } => match &**item {
                Self::Object { .. } => f.write_str("a list of mappings"),
                _ => f.write_str("a list of texts"),
            },
            Self::Text { choices, .. } if choices.is_empty() => f.write_str("text"),
            Self::Text { choices, .. } => list(f, choices.iter().map(|choice| &choice.word), "or"),
            Self::Boolean => f.write_str("`true` or `false`"),
            Self::Duration { least, most, step } => {
                let whole = if step.is_zero() { "" } else { " of whole seconds" };
                write!(f, "a duration{whole} from {} to {}", HumanDuration(*least), HumanDuration(*most))
            }
            Self::Integer { least, most } => write!(f, "a whole number from {least} to {most}"),
            Self::Number { least, most } => write!(f, "a number from {least} to {most}"),
            Self::Either(shapes) => {
                for (index, shape) in shapes.iter().enumerate() {
                    write!(f, "{}{shape}", if index == 0 { "" } else { " or " })?;
                }
                Ok(())
            }
        }
    }
}

/// Writes "`a`, `b` or `c`".
fn list<'a>(f: &mut fmt::Formatter<'_>, words: impl ExactSizeIterator<Item = &'a String>, last: &str) -> fmt::Result {
    let count = words.len();
    for (index, word) in words.enumerate() {
        match index {
            0 => {}
            _ if index + 1 == count => write!(f, " {last} ")?,
            _ => f.write_str(", ")?,
        }
        write!(f, "`{word}`")?;
    }
    Ok(())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn integer(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("a number without a range in the schema: {value}"))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("a number without a range in the schema: {value}"))
}

#[cfg(test)]
mod tests;
