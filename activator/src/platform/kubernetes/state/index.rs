//! Ways to find objects without looking at all of them.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::object::{Labels, Name};

/// Objects by their labels. Finds all that have one, and maybe some that do not: whoever asks looks for himself.
#[derive(Debug, Default)]
pub(super) struct Labelled {
    /// Hashes stand for labels, so that these are kept once.
    hasher: RandomState,
    objects: HashMap<u64, HashSet<Arc<Name>>>,
}

/// Namespaces of which a watch has told everything, or all.
#[derive(Debug, Default)]
pub(super) struct Scopes(HashSet<Option<Box<str>>>);

// === impl Labelled ===

impl Labelled {
    /// Puts it under each of its labels.
    pub(super) fn insert(&mut self, name: &Arc<Name>, labels: &Labels) {
        for pair in &labels.0 {
            let hash = self.hash(&name.namespace, pair);
            self.objects.entry(hash).or_default().insert(name.clone());
        }
    }

    /// Puts it under that one of its labels that it shares with the fewest.
    pub(super) fn insert_once(&mut self, name: &Arc<Name>, labels: &Labels) {
        let hashes = labels.0.iter().map(|pair| self.hash(&name.namespace, pair));
        let fewest = hashes.min_by_key(|hash| self.objects.get(hash).map_or(0, HashSet::len));
        if let Some(hash) = fewest {
            self.objects.entry(hash).or_default().insert(name.clone());
        }
    }

    /// Removes it, however it was inserted.
    pub(super) fn remove(&mut self, name: &Arc<Name>, labels: &Labels) {
        for pair in &labels.0 {
            let hash = self.hash(&name.namespace, pair);
            if let Some(names) = self.objects.get_mut(&hash) {
                names.remove(name);
                if names.is_empty() {
                    self.objects.remove(&hash);
                }
            }
        }
    }

    /// What is there under any of `labels`; one may come more than once if it was inserted under more than one.
    pub(super) fn of_any(&self, namespace: &str, labels: &Labels) -> impl Iterator<Item = &Arc<Name>> {
        labels.0.iter().filter_map(move |pair| self.objects.get(&self.hash(namespace, pair))).flatten()
    }

    /// What may have all of `labels`; nothing if there are none.
    pub(super) fn fewest(&self, namespace: &str, labels: &Labels) -> Option<&HashSet<Arc<Name>>> {
        let each = labels.0.iter().map(|pair| self.objects.get(&self.hash(namespace, pair)));
        each.min_by_key(|names| names.map_or(0, HashSet::len)).flatten()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    fn hash(&self, namespace: &str, (key, value): &(Box<str>, Box<str>)) -> u64 {
        self.hasher.hash_one((namespace, key, value))
    }
}

// === impl Scopes ===

impl Scopes {
    /// Everything is known of `scope`. Whether that is new.
    pub(super) fn add(&mut self, scope: Option<&str>) -> bool {
        self.0.insert(scope.map(Into::into))
    }

    /// Whether everything is known of `namespace`.
    pub(super) fn cover(&self, namespace: &str) -> bool {
        // Few.
        self.0.iter().any(|scope| scope.as_deref().is_none_or(|scope| scope == namespace))
    }
}
