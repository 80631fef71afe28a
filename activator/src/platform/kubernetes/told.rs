//! What Kubernetes was told of which pods go first, which its watch may tell only later.

use std::collections::BTreeMap;

use super::state::object::Pod;

/// What a pod costs that is to go first.
const CHEAPEST: i32 = i32::MIN;

/// What it was told of the pods of one app, by their UIDs. What the watch has told since is not in it any more.
#[derive(Debug, Default)]
pub(super) struct Told(BTreeMap<Box<str>, Word>);

/// What it was told of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    GoesFirst,
    Stays,
    /// One of the two.
    Unknown,
}

// === impl Told ===

impl Told {
    /// What `pod` is to cost from now on, if that is to be told: the least if it is to go first, `None` if what was said is to be
    /// taken back. It counts as told.
    pub(super) fn change(&mut self, pod: &Pod, goes_first: bool) -> Option<Option<i32>> {
        let seen = pod.deletion_cost == Some(CHEAPEST);
        let now = match self.0.get(&pod.uid) {
            Some(Word::GoesFirst) => Some(true),
            Some(Word::Stays) => Some(false),
            Some(Word::Unknown) => None,
            None => Some(seen),
        };
        let word = if goes_first { Word::GoesFirst } else { Word::Stays };
        if now == Some(goes_first) {
            if seen == goes_first {
                self.0.remove(&pod.uid);
            }
            return None;
        }
        self.0.insert(pod.uid.clone(), word);
        Some(goes_first.then_some(CHEAPEST))
    }

    /// Nothing but these is left.
    pub(super) fn keep<'p>(&mut self, pods: impl Iterator<Item = &'p Pod> + Clone) {
        self.0.retain(|uid, _| pods.clone().any(|pod| pod.uid == *uid));
    }

    /// Some of what was to be told may not have been heard.
    pub(super) fn doubt(&mut self) {
        self.0.values_mut().for_each(|word| *word = Word::Unknown);
    }
}

#[cfg(test)]
mod tests;
