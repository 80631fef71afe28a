//! Ways to find objects without looking at all of them.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

use super::object::{Labels, Name};

/// Objects by their labels. Finds all that have one, and maybe some that do not: whoever asks looks for himself.
#[derive(Debug, Default)]
pub(super) struct Labelled {
    /// Hashes stand for labels, so that these are kept once.
    hasher: RandomState,
    objects: HashMap<u64, Few<Arc<Name>>>,
}

/// Most often one: most labels are one object's, or one and its pods', and most objects one app's.
#[derive(Debug)]
pub(super) enum Few<T> {
    One(T),
    /// Boxed, so that the others are small.
    #[allow(clippy::box_collection)]
    Many(Box<HashSet<T>>),
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
        Few::put(self.objects.entry(hash), name);
    }

    fn hash(&self, namespace: &str, pair: &str) -> u64 {
        self.hasher.hash_one((namespace, pair))
    }
}

// === impl Few ===

impl<T: Clone + Eq + Hash> Few<T> {
    /// Adds `item` to what is there already.
    pub(super) fn put<K>(entry: Entry<'_, K, Self>, item: &T) {
        match entry {
            Entry::Vacant(vacant) => drop(vacant.insert(Self::One(item.clone()))),
            Entry::Occupied(mut occupied) => occupied.get_mut().add(item),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(many) => many.len(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        let (one, many) = match self {
            Self::One(one) => (Some(one), None),
            Self::Many(many) => (None, Some(many.iter())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    fn add(&mut self, item: &T) {
        match self {
            Self::One(one) if one == item => {}
            Self::One(one) => *self = Self::Many(Box::new(HashSet::from([one.clone(), item.clone()]))),
            Self::Many(many) => drop(many.insert(item.clone())),
        }
    }

    /// Whether none is left.
    pub(super) fn remove(&mut self, item: &T) -> bool {
        match self {
            Self::One(one) => one == item,
            Self::Many(many) => {
                many.remove(item);
                many.is_empty()
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
