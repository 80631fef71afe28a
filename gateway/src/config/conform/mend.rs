//! A document that has not the right shape, made one that has: so that what is wrong with its other values is found at once too.

use std::collections::BTreeSet;

use super::conform;
use crate::config::problem::Finding;
use crate::config::shape::{Kind, Shape};
use crate::config::yaml::{Entry, Node, Value, join};

/// The fields whose values are not those that were written or meant. Nothing is to be said of them.
#[derive(Debug, Default)]
pub struct StandIns {
    fields: Vec<String>,
    /// Names that are known, but not where they stand, or that are not known at all: what they were meant to be is open.
    strays: BTreeSet<String>,
}

/// `root` with something else in the place of all that was `found`; `None` if that cannot be had.
pub fn mend(root: &Node, found: &[Finding]) -> Option<(Node, StandIns)> {
    let faulty = found.iter().map(|finding| &*finding.field).collect();
    let mut mender = Mender { faulty, stand_ins: StandIns::default() };
    let mended = mender.node(root, Shape::root(), "");
    conform(&mended).is_empty().then_some((mended, mender.stand_ins))
}

struct Mender<'f> {
    faulty: BTreeSet<&'f str>,
    stand_ins: StandIns,
}

// === impl StandIns ===

impl StandIns {
    /// Whether `field`, something in it or what it is in is not as it was written.
    pub fn has(&self, field: &str) -> bool {
        let within = |inner: &str, outer: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let name = field.rsplit('.').next().unwrap_or(field);
        self.strays.contains(name) || self.fields.iter().any(|it| within(it, field) || within(field, it))
    }
}

// === impl Mender ===

impl Mender<'_> {
    fn node(&mut self, node: &Node, shape: Shape, path: &str) -> Node {
        if self.faulty.contains(path) {
            return self.sample(shape, path);
        }
        let value = match (shape.kind(), &node.value) {
            (Kind::Object, Value::Map(entries)) => Value::Map(self.entries(node, entries, shape, path)),
            (Kind::List, Value::List(items)) => {
                let items = items.iter().enumerate();
                Value::List(items.map(|(index, it)| self.node(it, shape.item(), &format!("{path}[{index}]"))).collect())
            }
            (Kind::Names, Value::Map(entries)) => {
                let entry = |it: &Entry| Entry { value: self.below(it, shape, path), ..it.clone() };
                Value::Map(entries.iter().map(entry).collect())
            }
            (_, value) => value.clone(),
        };
        Node { line: node.line, value }
    }

    fn entries(&mut self, node: &Node, entries: &[Entry], shape: Shape, path: &str) -> Vec<Entry> {
        let (known, strays): (Vec<_>, Vec<_>) = entries.iter().partition(|it| shape.within(&it.key).is_some());
        self.stand_ins.strays.extend(strays.iter().map(|stray| stray.key.clone()));
        let mut mended = Vec::with_capacity(entries.len());
        for entry in known {
            mended.push(Entry { value: self.below(entry, shape, path), ..entry.clone() });
        }
        for (name, field) in shape.fields().filter(|(name, _)| node.get(name).is_none()) {
            let at = at(path, name);
            if shape.requires(name) {
                mended.push(Entry { key: name.to_owned(), line: node.line, value: self.sample(field, &at) });
            } else if !strays.is_empty() {
                // One of those may have been meant.
                self.stand_ins.fields.push(at);
            }
        }
        mended
    }

    fn below(&mut self, entry: &Entry, shape: Shape, path: &str) -> Node {
        match shape.within(&entry.key) {
            Some(shape) => self.node(&entry.value, shape, &at(path, &entry.key)),
            None => entry.value.clone(),
        }
    }

    fn sample(&mut self, shape: Shape, path: &str) -> Node {
        self.stand_ins.fields.push(path.to_owned());
        Node::from_json(&shape.sample())
    }
}

fn at(path: &str, name: &str) -> String {
    let mut path = path.to_owned();
    join(&mut path, name);
    path
}
