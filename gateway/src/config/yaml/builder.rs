use std::collections::HashMap;

use granit_parser::{Event, ScalarStyle, Span, Tag};

use super::{Entry, MOST_LEVELS, Node, RepeatedKey, Value, join, scalar, too_deep};

/// Most values in a document, those behind aliases counted each time.
const MOST_NODES: usize = 100_000;

/// Most bytes of text that the aliases of a document may repeat.
const MOST_COPIED: usize = 1 << 20;

const KEY_IS_TEXT: &str = "has a list or mapping as the key of a mapping; a key is a plain word";

const NO_MERGE: &str =
    "has a merge key (`<<`), which YAML 1.2 does not know; write the fields out, or use an alias for a whole value";

/// Puts one document together.
#[derive(Default)]
pub(super) struct Builder {
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

// === impl Builder ===

impl Builder {
    /// Takes the next event of the document.
    ///
    /// # Errors
    /// What of it is not allowed.
    pub(super) fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), String> {
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

    /// The document's value and the keys repeated in it, unless it is empty.
    pub(super) fn finish(self) -> Option<(Node, Vec<RepeatedKey>)> {
        self.root.filter(|root| root.value != Value::Null).map(|root| (root, self.repeated))
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
            return Err(too_deep());
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
