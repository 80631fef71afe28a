//! YAML text to trees of values that know their line. Bounded in depth and size, whatever the text does with aliases.

mod scalar;

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::problem::quotable;

/// Most levels of lists and mappings within each other.
const MOST_LEVELS: usize = 64;

/// Most values in a document, those behind aliases counted each time.
const MOST_NODES: usize = 100_000;

/// Most bytes of text that the aliases of a document may repeat.
const MOST_COPIED: usize = 1 << 20;

/// Most characters of a key that a path shows.
const MOST_KEY: usize = 60;

const KEY_IS_TEXT: &str = "has a list or mapping as the key of a mapping; a key is a plain word";

const NO_MERGE: &str =
    "has a merge key (`<<`), which YAML 1.2 does not know; write the fields out, or use an alias for a whole value";

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

/// Puts one document together.
#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    anchored: HashMap<usize, Node>,
    repeated: Vec<RepeatedKey>,
    nodes: usize,
    copied: usize,
}

/// A list or mapping that has begun.
struct Open {
    line: usize,
    anchor: usize,
    parts: Parts,
}

enum Parts {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, lines: HashMap<String, usize>, key: Option<(String, usize)> },
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
                Event::DocumentEnd => match builder.root.take() {
                    None | Some(Node { value: Value::Null, .. }) => {}
                    Some(root) => {
                        self.number += 1;
                        return Ok(Some(Document { number: self.number, root, repeated: builder.repeated }));
                    }
                },
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
        Fault {
            document: self.number + 1,
            line: mark.line(),
            column: mark.col() + 1,
            what: format!("is not YAML: {}", error.info()),
        }
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

// === impl Builder ===

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), String> {
        let line = span.start.line();
        match event {
            Event::Scalar(text, style, anchor, tag) => match self.vacant_key() {
                Some(_) if style == ScalarStyle::Plain && text == "<<" => Err(NO_MERGE.to_owned()),
                Some(key) => {
                    *key = Some((text.clone().into_owned(), line));
                    let value = Value::Text(text.into_owned());
                    self.remember(anchor, &Node { line, value })
                }
                None => {
                    let value = scalar::resolve(text, style == ScalarStyle::Plain, tag.as_deref())?;
                    self.complete(anchor, Node { line, value })
                }
            },
            Event::SequenceStart(_, anchor, tag) => self.open(line, anchor, tag.as_deref(), Parts::List(Vec::new())),
            Event::MappingStart(_, anchor, tag) => {
                let parts = Parts::Map { entries: Vec::new(), lines: HashMap::new(), key: None };
                self.open(line, anchor, tag.as_deref(), parts)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open { line, anchor, parts }) => {
                    let value = match parts {
                        Parts::List(items) => Value::List(items),
                        Parts::Map { entries, .. } => Value::Map(entries),
                    };
                    self.complete(anchor, Node { line, value })
                }
                None => Ok(()),
            },
            Event::Alias(id) => {
                let Some(node) = self.anchored.get(&id).cloned() else {
                    return Err("has an alias for a value that it is itself part of".to_owned());
                };
                match (self.vacant_key(), node.value) {
                    (Some(key), Value::Text(text)) => {
                        *key = Some((text, line));
                        Ok(())
                    }
                    (Some(_), _) => Err(KEY_IS_TEXT.to_owned()),
                    (None, value) => {
                        let node = Node { line, value };
                        self.count_copy(&node)?;
                        self.complete(0, node)
                    }
                }
            }
            _ => Ok(()),
        }
    }

    /// Where a key goes, if the next value is one.
    fn vacant_key(&mut self) -> Option<&mut Option<(String, usize)>> {
        match self.open.last_mut() {
            Some(Open { parts: Parts::Map { key: key @ None, .. }, .. }) => Some(key),
            _ => None,
        }
    }

    fn open(&mut self, line: usize, anchor: usize, tag: Option<&Tag>, parts: Parts) -> Result<(), String> {
        if self.vacant_key().is_some() {
            return Err(KEY_IS_TEXT.to_owned());
        }
        if self.open.len() == MOST_LEVELS {
            return Err(format!("has more than {MOST_LEVELS} levels of lists and mappings"));
        }
        scalar::collection_tag(tag)?;
        self.open.push(Open { line, anchor, parts });
        Ok(())
    }

    fn complete(&mut self, anchor: usize, node: Node) -> Result<(), String> {
        self.nodes += 1;
        self.check_size()?;
        self.remember(anchor, &node)?;
        match self.open.last_mut().map(|open| &mut open.parts) {
            None => self.root = Some(node),
            Some(Parts::List(items)) => items.push(node),
            Some(Parts::Map { entries, lines, key }) => {
                let Some((key, line)) = key.take() else { return Err(KEY_IS_TEXT.to_owned()) };
                match lines.get(&key) {
                    Some(&first) => {
                        let field = self.path(&key);
                        self.repeated.push(RepeatedKey { field, line, first });
                    }
                    None => {
                        lines.insert(key.clone(), line);
                        entries.push(Entry { key, line, value: node });
                    }
                }
            }
        }
        Ok(())
    }

    /// The path of `key` in the mapping that is open.
    fn path(&self, key: &str) -> String {
        let mut path = String::new();
        for open in &self.open {
            match &open.parts {
                Parts::List(items) => path.push_str(&format!("[{}]", items.len())),
                Parts::Map { key: Some((key, _)), .. } => join(&mut path, key),
                Parts::Map { key: None, .. } => join(&mut path, key),
            }
        }
        path
    }

    fn remember(&mut self, anchor: usize, node: &Node) -> Result<(), String> {
        if anchor > 0 {
            self.count_copy(node)?;
            self.anchored.insert(anchor, node.clone());
        }
        Ok(())
    }

    fn count_copy(&mut self, node: &Node) -> Result<(), String> {
        let (nodes, bytes) = node.weight();
        self.nodes += nodes;
        self.copied += bytes;
        self.check_size()
    }

    fn check_size(&self) -> Result<(), String> {
        if self.nodes > MOST_NODES {
            return Err(format!("has more than {MOST_NODES} values, with what its aliases repeat"));
        }
        if self.copied > MOST_COPIED {
            return Err(format!("repeats more than {MOST_COPIED} bytes by aliases"));
        }
        Ok(())
    }
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
