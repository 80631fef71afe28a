//! YAML text to trees of values that know their line. Bounded in depth and size, whatever the text does with aliases.

mod builder;
mod scalar;

use granit_parser::{ErrorKind, Event, Parser, ScanError, Span, StrInput};

use super::problem::quotable;
use builder::Builder;

/// Most levels of lists and mappings within each other.
const MOST_LEVELS: usize = 64;

/// Most characters of a key that a path shows.
const MOST_KEY: usize = 60;

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its line, from 1.
    pub line: usize,
    /// What it is.
    pub value: Value,
}

/// A value of YAML 1.2's core schema.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order written. No key twice.
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key, always as text.
    pub key: String,
    /// The key's line, from 1.
    pub line: usize,
    /// The value.
    pub value: Node,
}

/// A document that is not empty.
#[derive(Debug)]
pub struct Document {
    /// Which one of the text, from 1; empty ones are not counted.
    pub number: usize,
    /// Its value.
    pub root: Node,
    /// Keys that a mapping has more than once.
    pub repeated: Vec<RepeatedKey>,
}

/// A key that is in a mapping already.
#[derive(Debug, PartialEq, Eq)]
pub struct RepeatedKey {
    /// The path of the field.
    pub field: String,
    /// The line it is repeated in.
    pub line: usize,
    /// The line it is in first.
    pub first: usize,
}

/// What keeps a document from being read.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// The number of the document it is in.
    pub document: usize,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
}

/// The documents of a text, one after another; after a fault it goes on with the next document.
pub struct Documents<'t> {
    parser: Parser<'t, StrInput<'t>>,
    number: usize,
    ended: bool,
}

// === impl Node ===

impl Node {
    /// The value of `key`, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value),
            _ => None,
        }
    }

    /// The value of `key`, to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        match &mut self.value {
            Value::Map(entries) => entries.iter_mut().find(|entry| entry.key == key).map(|entry| &mut entry.value),
            _ => None,
        }
    }

    /// Takes away `key` with its value, if this is a mapping that has it.
    pub fn remove(&mut self, key: &str) {
        if let Value::Map(entries) = &mut self.value {
            entries.retain(|entry| entry.key != key);
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The line of the field at `path` (`spec.routes[0].hosts`), or of what would hold it.
    pub fn line_of(&self, path: &str) -> usize {
        let path = path.strip_prefix('.').unwrap_or(path);
        match &self.value {
            Value::Map(entries) => entries
                .iter()
                .filter_map(|entry| {
                    let rest = path.strip_prefix(entry.key.as_str())?;
                    (rest.is_empty() || rest.starts_with(['.', '['])).then_some((entry, rest))
                })
                .max_by_key(|(entry, _)| entry.key.len())
                .map_or(self.line, |(entry, rest)| match rest {
                    "" => entry.line,
                    _ => entry.value.line_of(rest),
                }),
            Value::List(items) => path
                .strip_prefix('[')
                .and_then(|path| path.split_once(']'))
                .and_then(|(index, rest)| Some((items.get(index.parse::<usize>().ok()?)?, rest)))
                .map_or(self.line, |(item, rest)| item.line_of(rest)),
            _ => self.line,
        }
    }

    /// From JSON, which has no lines: all are 0.
    pub fn from_json(json: &serde_json::Value) -> Self {
        let value = match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::Bool(*value),
            serde_json::Value::Number(number) => {
                number.as_i64().map_or_else(|| Value::Float(number.as_f64().unwrap_or(f64::NAN)), Value::Int)
            }
            serde_json::Value::String(text) => Value::Text(text.clone()),
            serde_json::Value::Array(items) => Value::List(items.iter().map(Self::from_json).collect()),
            serde_json::Value::Object(fields) => {
                let entry = |(key, value)| Entry { key: String::clone(key), line: 0, value: Self::from_json(value) };
                Value::Map(fields.iter().map(entry).collect())
            }
        };
        Self { line: 0, value }
    }

    /// The same as JSON. Numbers that JSON does not have become null.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Int(number) => (*number).into(),
            Value::Float(number) => (*number).into(),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect(),
        }
    }

    /// How many values it has, itself included, and how many bytes of text.
    fn weight(&self) -> (usize, usize) {
        let sum = |(nodes, bytes): (usize, usize), (more, text): (usize, usize)| (nodes + more, bytes + text);
        match &self.value {
            Value::Text(text) => (1, text.len()),
            Value::List(items) => items.iter().map(Self::weight).fold((1, 0), sum),
            Value::Map(entries) => {
                entries.iter().fold((1, 0), |total, entry| sum(sum(total, entry.value.weight()), (0, entry.key.len())))
            }
            _ => (1, 0),
        }
    }
}

// === impl Documents ===

impl<'t> Documents<'t> {
    /// The documents of `text`.
    pub fn new(text: &'t str) -> Self {
        let options = granit_parser::options! {
            emit_comments: false,
            flow_nesting_limit: MOST_LEVELS,
            block_nesting_limit: MOST_LEVELS,
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { parser: Parser::new_from_str_with_options(text, options), number: 0, ended: false }
    }

    /// The next one that is not empty.
    fn read(&mut self) -> Result<Option<Document>, Fault> {
        let mut builder = Builder::default();
        while let Some(event) = self.parser.next_event() {
            let (event, span) = event.map_err(|error| self.unreadable(&error))?;
            match event {
                Event::DocumentStart(..) => builder = Builder::default(),
                Event::DocumentEnd => {
                    if let Some((root, repeated)) = builder.finish() {
                        self.number += 1;
                        return Ok(Some(Document { number: self.number, root, repeated }));
                    }
                    builder = Builder::default();
                }
                event => builder.take(event, span).map_err(|what| self.fault(span, what))?,
            }
        }
        Ok(None)
    }

    fn fault(&self, span: Span, what: String) -> Fault {
        Fault { document: self.number + 1, line: span.start.line(), column: span.start.col() + 1, what }
    }

    fn unreadable(&self, error: &ScanError) -> Fault {
        let mark = error.marker();
        let what = match error.kind() {
            ErrorKind::RecursionLimitExceeded => too_deep(),
            _ => format!("is not YAML: {}", error.info()),
        };
        Fault { document: self.number + 1, line: mark.line(), column: mark.col() + 1, what }
    }
}

impl Iterator for Documents<'_> {
    type Item = Result<Document, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let document = self.read().transpose();
        match &document {
            Some(Ok(_)) => {}
            Some(Err(_)) => {
                self.number += 1;
                self.ended = !self.parser.proceed_next_document().unwrap_or(false);
            }
            None => self.ended = true,
        }
        document
    }
}

fn too_deep() -> String {
    format!("has more than {MOST_LEVELS} levels of lists and mappings")
}

/// Appends `key` to a path.
pub fn join(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(&quotable(key, MOST_KEY));
}

#[cfg(test)]
mod tests;
