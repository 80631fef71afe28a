//! What has become of the objects of one kind: how they are, and the events that led there, as far back as the API server
//! remembers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// Events that are remembered, and lists of before that a cache may still have.
const REMEMBERED: usize = 64;
const LISTS: usize = 6;

/// The objects of one kind.
pub(super) struct Log {
    objects: BTreeMap<u32, Arc<str>>,
    events: VecDeque<(u64, Arc<str>)>,
    /// How it was, at which version.
    before: VecDeque<(u64, Vec<Arc<str>>)>,
    /// The version up to which events are forgotten.
    forgotten: u64,
    /// Wakes those who wait in the order in which they came, unlike a watch: the same each time.
    news: Arc<Notify>,
}

/// What follows a version.
pub(super) enum Following {
    /// This one; its version and line.
    Event(u64, Arc<str>),
    /// Nothing yet; this resolves when there is news.
    Nothing(OwnedNotified),
    /// Nothing ever.
    Never,
    /// Nobody remembers.
    Forgotten,
}

// === impl Log ===

impl Log {
    pub(super) fn new() -> Self {
        Self {
            objects: BTreeMap::new(),
            events: VecDeque::new(),
            before: VecDeque::new(),
            forgotten: 0,
            news: Arc::default(),
        }
    }

    /// This is how the object is now.
    pub(super) fn put(&mut self, id: u32, version: u64, object: String) {
        let object: Arc<str> = object.into();
        self.remember();
        let kind = if self.objects.insert(id, object.clone()).is_some() { "MODIFIED" } else { "ADDED" };
        self.tell(kind, version, &object);
    }

    /// It is gone; this is how it was last.
    pub(super) fn remove(&mut self, id: u32, version: u64, object: &str) {
        self.remember();
        self.objects.remove(&id);
        self.tell("DELETED", version, object);
    }

    fn remember(&mut self) {
        let last = self.events.back().map_or(0, |(version, _)| *version);
        self.before.push_back((last, self.objects.values().cloned().collect()));
        if self.before.len() > LISTS {
            self.before.pop_front();
        }
    }

    fn tell(&mut self, kind: &str, version: u64, object: &str) {
        self.events.push_back((version, format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n").into()));
        if self.events.len() > REMEMBERED
            && let Some((version, _)) = self.events.pop_front()
        {
            self.forgotten = version;
        }
        self.news.notify_waiters();
    }

    /// How all of them are.
    pub(super) fn now(&self) -> Vec<Arc<str>> {
        self.objects.values().cloned().collect()
    }

    /// How all of them were so many events ago, and at which version.
    pub(super) fn before(&self, back: usize) -> Option<(u64, Vec<Arc<str>>)> {
        self.before.iter().nth_back(back).filter(|(version, _)| *version >= self.forgotten).cloned()
    }

    pub(super) fn after(&self, version: u64) -> Following {
        if version < self.forgotten {
            return Following::Forgotten;
        }
        match self.events.iter().find(|(at, _)| *at > version) {
            Some((at, line)) => Following::Event(*at, line.clone()),
            None => Following::Nothing(self.news.clone().notified_owned()),
        }
    }
}
