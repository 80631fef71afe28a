//! Ways to find objects without looking at all of them.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::object::{Labels, Name};

/// Objects by their labels. Finds all that have one, and maybe some that do not: whoever asks looks for himself.
#[derive(Debug, Default)]
pub(super) struct Labelled {
    /// Hashes stand for labels, so that these are kept once.
    hasher: RandomState,
    objects: HashMap<u64, Few>,
}

/// Most often one, since most labels are one object's, or one and its pods'.
#[derive(Debug)]
enum Few {
    One(Arc<Name>),
    /// Boxed, so that the others are small.
    #[allow(clippy::box_collection)]
    Many(Box<HashSet<Arc<Name>>>),
}

/// Namespaces of which a watch has told everything, or all.
#[derive(Debug, Default)]
pub(super) struct Scopes(HashSet<Option<Box<str>>>);

// === impl Labelled ===

impl Labelled {
    /// Puts it under each of its labels.
    pub(super) fn insert(&mut self, name: &Arc<Name>, labels: &Labels) {
        for pair in labels.pairs() {
            self.put(self.hash(name.namespace(), pair), name);
        }
    }

    /// Puts it under that one of its labels that it shares with the fewest.
    pub(super) fn insert_once(&mut self, name: &Arc<Name>, labels: &Labels) {
        let hashes = labels.pairs().map(|pair| self.hash(name.namespace(), pair));
        let fewest = hashes.min_by_key(|hash| self.objects.get(hash).map_or(0, Few::len));
        if let Some(hash) = fewest {
            self.put(hash, name);
        }
    }

    /// Removes it, however it was inserted.
    pub(super) fn remove(&mut self, name: &Arc<Name>, labels: &Labels) {
        for pair in labels.pairs() {
            let hash = self.hash(name.namespace(), pair);
            if self.objects.get_mut(&hash).is_some_and(|few| few.remove(name)) {
                self.objects.remove(&hash);
            }
        }
    }

    /// What is there under any of `labels`; one may come more than once if it was inserted under more than one.
    pub(super) fn of_any(&self, namespace: &str, labels: &Labels) -> impl Iterator<Item = &Arc<Name>> {
        let each = labels.pairs().filter_map(move |pair| self.objects.get(&self.hash(namespace, pair)));
        each.flat_map(Few::iter)
    }

    /// What may have all of `labels`; nothing if there are none.
    pub(super) fn fewest(&self, namespace: &str, labels: &Labels) -> impl Iterator<Item = &Arc<Name>> {
        let each = labels.pairs().map(|pair| self.objects.get(&self.hash(namespace, pair)));
        each.min_by_key(|few| few.map_or(0, Few::len)).flatten().into_iter().flat_map(Few::iter)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    fn put(&mut self, hash: u64, name: &Arc<Name>) {
        match self.objects.entry(hash) {
            Entry::Vacant(vacant) => drop(vacant.insert(Few::One(name.clone()))),
            Entry::Occupied(mut occupied) => occupied.get_mut().add(name),
        }
    }

    fn hash(&self, namespace: &str, pair: &str) -> u64 {
        self.hasher.hash_one((namespace, pair))
    }
}

// === impl Few ===

impl Few {
    fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(names) => names.len(),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Arc<Name>> {
        let (one, many) = match self {
            Self::One(name) => (Some(name), None),
            Self::Many(names) => (None, Some(names.iter())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    fn add(&mut self, name: &Arc<Name>) {
        match self {
            Self::One(one) if one == name => {}
            Self::One(one) => *self = Self::Many(Box::new(HashSet::from([one.clone(), name.clone()]))),
            Self::Many(names) => drop(names.insert(name.clone())),
        }
    }

    /// Whether none is left.
    fn remove(&mut self, name: &Arc<Name>) -> bool {
        match self {
            Self::One(one) => one == name,
            Self::Many(names) => {
                names.remove(name);
                names.is_empty()
            }
        }
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
