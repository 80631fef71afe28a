//! What the values of an `HTTPApp` have to be, read from its schema and put into words.

use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use activator::resource::human::HumanDuration;
use activator::resource::schema;
use serde_json::Value;

use super::yaml::{self, Node};

/// What a value has to be: a part of the schema of a document.
#[derive(Debug, Clone, Copy)]
pub struct Shape(&'static Value);

/// What kind of value it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A mapping with fields of its own and no others.
    Object,
    /// A mapping of any names to text.
    Names,
    /// A list.
    List,
    /// One of some words.
    Word,
    /// Text.
    Text,
    /// A duration with its unit.
    Duration,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A whole number or text.
    Either,
}

/// Most fields or words that a message lists without need.
pub const MOST_LISTED: usize = 4;

// === impl Shape ===

impl Shape {
    /// That of an `HTTPApp`.
    pub fn root() -> Self {
        static SCHEMA: LazyLock<Value> = LazyLock::new(schema::document);
        Self(&SCHEMA)
    }

    /// What kind of value it is.
    pub fn kind(self) -> Kind {
        if self.has("x-zerogate-minimum") {
            return Kind::Duration;
        }
        if self.has("x-kubernetes-int-or-string") {
            return Kind::Either;
        }
        match self.text("type") {
            "object" if self.0["additionalProperties"].is_object() => Kind::Names,
            "object" => Kind::Object,
            "array" => Kind::List,
            "boolean" => Kind::Boolean,
            "integer" => Kind::Integer,
            "number" => Kind::Number,
            _ if self.has("oneOf") || self.has("enum") => Kind::Word,
            _ => Kind::Text,
        }
    }

    /// The fields of a mapping, sorted by name.
    pub fn fields(self) -> impl Iterator<Item = (&'static str, Self)> {
        self.0["properties"].as_object().into_iter().flatten().map(|(name, field)| (name.as_str(), Self(field)))
    }

    /// What is at `key`: of a mapping, or of a list at any index.
    pub fn within(self, key: &str) -> Option<Self> {
        match self.kind() {
            Kind::List => Some(self.item()),
            Kind::Names => Some(Self(&self.0["additionalProperties"])),
            _ => self.0["properties"].get(key).map(Self),
        }
    }

    /// The mapping with fields within: of a list its items.
    pub fn object(self) -> Option<Self> {
        match self.kind() {
            Kind::Object => Some(self),
            Kind::List => self.item().object(),
            _ => None,
        }
    }

    /// What each item of a list is.
    pub fn item(self) -> Self {
        Self(&self.0["items"])
    }

    /// Whether the field `name` has to be given.
    pub fn requires(self, name: &str) -> bool {
        self.0["required"].as_array().is_some_and(|names| names.iter().any(|it| it == name))
    }

    /// What it is, in a sentence.
    pub fn description(self) -> &'static str {
        self.text("description")
    }

    /// What it is if not given.
    pub fn default(self) -> Option<&'static Value> {
        self.0.get("default")
    }

    /// The words to choose from, each with what it means, which may be empty. Of a number or a word, that word.
    pub fn choices(self) -> Vec<(&'static str, &'static str)> {
        let listed = |key: &str| self.0[key].as_array().into_iter().flatten();
        let described = listed("oneOf").map(|choice| (Self(choice).text("const"), Self(choice).description()));
        let plain = listed("enum").filter_map(|word| Some((word.as_str()?, "")));
        let word = (self.kind() == Kind::Either).then(|| self.text("pattern").trim_matches(['^', '$']));
        let word = word.filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()));
        described.chain(plain).chain(word.map(|word| (word, ""))).collect()
    }

    /// The words to choose from.
    pub fn words(self) -> Vec<&'static str> {
        self.choices().into_iter().map(|(word, _)| word).collect()
    }

    /// A limit of its size or amount, such as `maxItems`.
    pub fn limit(self, name: &str) -> Option<usize> {
        self.0[name].as_u64().and_then(|limit| usize::try_from(limit).ok())
    }

    /// Whether so many are neither too few nor too many, by the limits of these names.
    pub fn takes(self, count: usize, least: &str, most: &str) -> bool {
        self.limit(least).is_none_or(|least| count >= least) && self.limit(most).is_none_or(|most| count <= most)
    }

    /// Whether a number is within its range.
    pub fn reaches(self, number: f64) -> bool {
        let bound = |name: &str| self.0[name].as_f64();
        bound("minimum").is_none_or(|least| number >= least) && bound("maximum").is_none_or(|most| number <= most)
    }

    /// The shortest and the longest duration, and the step it has to be a multiple of, which may be zero.
    pub fn durations(self) -> (Duration, Duration, Duration) {
        let read = |name| self.text(name).parse().unwrap_or(HumanDuration::default()).0;
        (read("x-zerogate-minimum"), read("x-zerogate-maximum"), read("x-zerogate-step"))
    }

    /// The smallest and the largest number, in words; empty if it is none.
    pub fn range(self) -> String {
        match self.kind() {
            Kind::Integer | Kind::Number | Kind::Either => {
                let number = |name: &str| self.0[name].as_f64().unwrap_or(f64::NAN);
                format!("{} to {}", number("minimum"), number("maximum"))
            }
            Kind::Duration => {
                let (least, most, _) = self.durations();
                format!("{} to {}", HumanDuration(least), HumanDuration(most))
            }
            _ => String::new(),
        }
    }

    /// An example of its value as short YAML, where the words do not make plain how it is written.
    pub fn example(self) -> Option<String> {
        if let Some(example) = self.0["examples"].get(0) {
            return Some(flow(example));
        }
        let required = self.object()?.fields().filter(|(name, _)| self.requires(name));
        let fields: Option<Vec<_>> = required.map(|(name, it)| Some(format!("{name}: {}", it.example()?))).collect();
        (self.kind() == Kind::Object).then_some(format!("{{{}}}", fields?.join(", ")))
    }

    /// A value of this shape that means as little as can be: what it is if not given, or else the least.
    pub fn sample(self) -> Value {
        if let Some(default) = self.default() {
            return default.clone();
        }
        if let Some(example) = self.0["examples"].get(0) {
            return example.clone();
        }
        match self.kind() {
            Kind::Object => {
                let required = self.fields().filter(|(name, _)| self.requires(name));
                required.map(|(name, field)| (name.to_owned(), field.sample())).collect()
            }
            Kind::Names => Value::Object(serde_json::Map::new()),
            Kind::List => (0..self.limit("minItems").unwrap_or(0)).map(|_| self.item().sample()).collect(),
            Kind::Word => self.words().first().copied().into(),
            Kind::Text => "x".repeat(self.limit("minLength").unwrap_or(0)).into(),
            Kind::Duration => HumanDuration(self.durations().0).to_string().into(),
            Kind::Boolean => false.into(),
            Kind::Integer | Kind::Number | Kind::Either => self.0["minimum"].clone(),
        }
    }

    /// Takes fields out of `node` that are not known here.
    pub fn prune(self, node: &mut Node) {
        match (self.kind(), &mut node.value) {
            (Kind::Object, yaml::Value::Map(entries)) => {
                entries.retain_mut(|entry| self.within(&entry.key).inspect(|it| it.prune(&mut entry.value)).is_some());
            }
            (Kind::List, yaml::Value::List(items)) => items.iter_mut().for_each(|node| self.item().prune(node)),
            _ => {}
        }
    }

    fn has(self, key: &str) -> bool {
        self.0.get(key).is_some()
    }

    fn text(self, key: &str) -> &'static str {
        self.0[key].as_str().unwrap_or_default()
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
        match self.kind() {
            Kind::Object => {
                let required: Vec<_> = self.fields().map(|(name, _)| name).filter(|it| self.requires(it)).collect();
                let all: Vec<_> = self.fields().map(|(name, _)| name).collect();
                match (required.len(), all.len()) {
                    (_, 0) => f.write_str("an empty mapping, `{}`"),
                    (0, ..=MOST_LISTED) => write!(f, "a mapping with {}", list(&all, "or")),
                    (0, _) => f.write_str("a mapping"),
                    _ => write!(f, "a mapping with {}", list(&required, "and")),
                }
            }
            Kind::Names => f.write_str("a mapping of names to text"),
            Kind::List if self.item().kind() == Kind::Object => f.write_str("a list of mappings"),
            Kind::List => f.write_str("a list of texts"),
            Kind::Text => f.write_str("text"),
            Kind::Word => f.write_str(&list(&self.words(), "or")),
            Kind::Boolean => f.write_str("`true` or `false`"),
            Kind::Integer => write!(f, "a whole number from {}", self.range()),
            Kind::Number => write!(f, "a number from {}", self.range()),
            Kind::Either => {
                let words = self.words();
                let text = if words.is_empty() { "text".to_owned() } else { list(&words, "or") };
                write!(f, "{text} or a whole number from {}", self.range())
            }
            Kind::Duration => {
                let whole = if self.has("x-zerogate-step") { " of whole seconds" } else { "" };
                write!(f, "a duration{whole} from {}", self.range())
            }
        }
    }
}

/// "`a`, `b` or `c`".
fn list(words: &[&str], last: &str) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((end, begin)) if !begin.is_empty() => format!("{} {last} {end}", begin.join(", ")),
        _ => quoted.concat(),
    }
}

#[cfg(test)]
mod tests;
