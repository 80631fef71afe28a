//! Targets of one kind, and who is interested in them.

use std::collections::HashMap;
use std::sync::Arc;

use super::index::{Few, Scopes};
use super::object::{Name, TargetObject};
use super::{Touched, missing, remove_from};
use crate::platform::contract::AppKey;

/// Targets of one kind.
#[derive(Debug, Default)]
pub(super) struct Targets {
    objects: HashMap<Arc<Name>, TargetObject>,
    apps: HashMap<Arc<Name>, Few<AppKey>>,
    synced: Scopes,
    /// Who has written the last one: most are written by the same few, whose names are kept once.
    writer: Option<Arc<str>>,
    /// The API server does not know this kind.
    unknown: bool,
}

// === impl Targets ===

impl Targets {
    /// The app is about `name`. Returns that name as it is kept.
    pub(super) fn refer(&mut self, name: Arc<Name>, app: AppKey) -> Arc<Name> {
        let name = self.objects.get_key_value(&name).map_or(name, |(name, _)| name.clone());
        Few::put(self.apps.entry(name.clone()), &app);
        name
    }

    pub(super) fn unrefer(&mut self, name: &Name, app: AppKey) {
        remove_from(&mut self.apps, name, app);
    }

    pub(super) fn get(&self, name: &Name) -> Option<&TargetObject> {
        self.objects.get(name)
    }

    pub(super) fn are_synced(&self, namespace: &str) -> bool {
        self.synced.cover(namespace)
    }

    pub(super) fn is_unknown(&self) -> bool {
        self.unknown
    }

    pub(super) fn set_known(&mut self, known: bool, touched: &mut Touched) {
        if self.unknown == known {
            self.unknown = !known;
            touched.extend(self.apps.values().flat_map(Few::iter));
        }
    }

    pub(super) fn apply(&mut self, mut target: TargetObject, touched: &mut Touched) {
        if let Some(known) = self.objects.get(&target.name).filter(|known| known.uid == target.uid) {
            if known.version > target.version {
                return;
            }
            // Of a kind that does not show it: what was read of it holds until it is read again, but as of then, so that no order
            // writes over a number that nobody here has seen.
            if target.unread {
                (target.replicas, target.as_of) = (known.replicas, known.as_of);
                target.unread = known.unread || known.version < target.version;
            }
            if *known == target {
                return;
            }
        }
        match (&mut target.writer, &self.writer) {
            (Some(own), Some(last)) if own == last => own.clone_from(last),
            (Some(own), _) => self.writer = Some(own.clone()),
            (None, _) => {}
        }
        self.touch(&target.name, touched);
        self.objects.insert(target.name.clone(), target);
    }

    pub(super) fn delete(&mut self, target: &TargetObject, touched: &mut Touched) {
        // Of an older one of the same name it says nothing about the present one.
        if self.objects.get(&target.name).is_some_and(|known| known.uid == target.uid) {
            self.objects.remove(&target.name);
            self.touch(&target.name, touched);
        }
    }

    /// Whether it is the first time that all of `scope` is known.
    pub(super) fn replace(&mut self, scope: Option<&str>, targets: Vec<TargetObject>, touched: &mut Touched) -> bool {
        for name in missing(self.objects.keys(), scope, targets.iter().map(|target| &target.name)) {
            self.objects.remove(&name);
            self.touch(&name, touched);
        }
        targets.into_iter().for_each(|target| self.apply(target, touched));
        self.set_known(true, touched);
        self.synced.add(scope)
    }

    /// What is known of those in `scope` is older than whatever comes.
    pub(super) fn set_back(&mut self, scope: Option<&str>) {
        let inside = |name: &Name| scope.is_none_or(|scope| *name.namespace() == *scope);
        for (_, target) in self.objects.iter_mut().filter(|(name, _)| inside(name)) {
            (target.version, target.as_of) = (0, 0);
        }
    }

    pub(super) fn accepted(&mut self, name: &Name, replicas: u32, version: u64, touched: &mut Touched) {
        self.update(name, touched, |target| {
            if version < target.as_of {
                return false;
            }
            // Who has written it, the watch will tell.
            let changed = target.replicas.replace(replicas) != Some(replicas) || target.as_of != version;
            target.as_of = version;
            if version >= target.version {
                (target.version, target.unread) = (version, false);
            }
            changed
        });
    }

    pub(super) fn read(&mut self, name: &Name, replicas: u32, version: u64, touched: &mut Touched) {
        self.update(name, touched, |target| {
            if version < target.version {
                return false;
            }
            let changed = target.unread || target.replicas != Some(replicas) || target.version != version;
            (target.replicas, target.version, target.unread) = (Some(replicas), version, false);
            target.as_of = version;
            changed
        });
    }

    fn update(&mut self, name: &Name, touched: &mut Touched, update: impl FnOnce(&mut TargetObject) -> bool) {
        if self.objects.get_mut(name).is_some_and(update) {
            self.touch(name, touched);
        }
    }

    fn touch(&self, name: &Name, touched: &mut Touched) {
        touched.extend(self.apps.get(name).into_iter().flat_map(Few::iter));
    }
}
