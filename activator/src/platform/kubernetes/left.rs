//! What others leave for the actor, and it for others, without waiting for each other.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::era::Era;
use super::state::findings::Findings;
use crate::clock::Timestamp;
use crate::platform::contract::{AppKey, Subject};

/// What others leave for the actor without waiting; bounded by the number of apps.
#[derive(Default)]
pub(super) struct Left {
    subjects: Mutex<HashMap<AppKey, Subject>>,
    pub(super) distrusted: Mutex<HashMap<AppKey, Timestamp>>,
    pub(super) anything: Notify,
    /// Whether everything has been told once.
    pub(super) synced: watch::Sender<bool>,
    /// By which versions are dated.
    pub(super) era: Era,
    /// What was found out, for those who ask.
    pub(super) findings: Mutex<HashMap<AppKey, Findings>>,
}

// === impl Left ===

impl Left {
    /// Leaves it for the actor.
    pub(super) fn observe(&self, subject: Subject) {
        let mut subjects = self.subjects.lock();
        subjects.insert(subject.key, subject);
        self.synced.send_if_modified(std::mem::take);
        drop(subjects);
        self.anything.notify_one();
    }

    /// What was left to be observed since the last time.
    pub(super) fn take_subjects(&self) -> HashMap<AppKey, Subject> {
        std::mem::take(&mut *self.subjects.lock())
    }

    /// Whether everything has been told once that what was observed so far needs.
    pub(super) fn tell_synced(&self, now: bool) {
        // Under the lock, so that nobody takes it for true of what is observed just now.
        let subjects = self.subjects.lock();
        let now = now && subjects.is_empty();
        self.synced.send_if_modified(|synced| std::mem::replace(synced, now) != now);
    }

    pub(super) fn found(&self, key: AppKey, mut findings: Findings) {
        let mut all = self.findings.lock();
        let known = all.entry(key).or_default();
        // What pods have shown once will be so the next time, unless they show something else.
        if findings.early == Default::default() {
            findings.early = known.early;
        }
        *known = findings;
    }
}
