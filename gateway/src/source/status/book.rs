//! What was told of each app, what is due, and when. Pure: time is an argument.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use activator::{App, AppId, Timestamp};

use super::Declaration;
use super::before::{Before, Change};
use super::events::{Events, Telling};
use super::known::Known;
use super::pauses::{Pauses, What};
use super::tell::{Told, changes_by_itself, tell};
use super::wall::Wall;

/// Least time between two writes for one app.
const LEAST: Duration = Duration::from_secs(1);
/// Least time between two writes of what is always on the move.
const CALM: Duration = Duration::from_secs(10);
/// How long a new app may take to be known: before that nothing is told that is not known.
const SETTLE: Duration = Duration::from_secs(5);
/// The longest pause after writes that failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// All apps.
pub(super) struct Book {
    says: Says,
    /// Boxed, so that room which is kept free costs little.
    entries: HashMap<AppId, Box<Entry>>,
    due: BTreeSet<(Timestamp, AppId)>,
    pauses: Pauses,
}

/// One app.
#[derive(Default)]
struct Entry {
    declaration: Option<Declaration>,
    declared: Timestamp,
    app: Weak<App>,
    told: Before,
    /// If there ever were any.
    events: Option<Box<Events>>,
    last_write: Option<Timestamp>,
    not_before: Timestamp,
    /// Writes in a row that failed.
    failed: u32,
    due: Option<Timestamp>,
    /// A write is under way.
    busy: bool,
}

/// What of all there is to tell this gateway tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    /// Everything: there is no other gateway.
    Everything,
    /// Everything that has happened since then: before, another one told it.
    Since(Timestamp),
    /// Its own wakes: another one tells the rest.
    Wakes,
}

/// What of a status is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// All but when the app was last woken: another gateway may have written that since.
    NotWake,
    /// Only that.
    Wake,
}

/// What is to be written for an app.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Job {
    pub(super) app: AppId,
    pub(super) uid: Arc<str>,
    pub(super) status: Option<Told>,
    pub(super) part: Part,
    pub(super) event: Option<Telling>,
    /// The last try has failed.
    pub(super) again: bool,
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written {
    /// It was done.
    Yes,
    /// What it is about does not exist, or not any more.
    Gone,
    /// The gateway may not write such a thing in this namespace.
    Forbidden,
    /// It will not do however often it is tried.
    Refused,
    /// It may do the next time.
    NotNow,
}

/// What became of a job.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) job: Job,
    pub(super) status: Option<Written>,
    pub(super) event: Option<Written>,
}

// === impl Book ===

impl Default for Book {
    fn default() -> Self {
        let says = Says::Everything;
        Self { says, entries: HashMap::new(), due: BTreeSet::new(), pauses: Pauses::default() }
    }
}

impl Book {
    /// Whether this gateway decides for all, at `now`. One that begins to looks at all apps: what it has to tell may be otherwise
    /// than what the one before it has told.
    pub(super) fn decides(&mut self, decides: bool, now: Timestamp) {
        match (decides, self.says) {
            (true, Says::Everything | Says::Wakes) => {
                self.says = Says::Since(now);
                let all: Vec<AppId> = self.entries.keys().cloned().collect();
                all.iter().for_each(|id| self.schedule(id, now));
            }
            (true, Says::Since(_)) => {}
            (false, _) => self.says = Says::Wakes,
        }
    }

    /// The app has this status now. It is another gateway's word unless this one decides.
    pub(super) fn written_by_another(&mut self, id: &AppId, written: Before) {
        if self.says != Says::Wakes {
            return;
        }
        if let Some(entry) = self.entries.get_mut(id).filter(|entry| !entry.busy) {
            entry.told.take_over(written);
        }
    }

    /// The app is declared so now, or not any more.
    pub(super) fn declare(&mut self, id: AppId, declaration: Option<Declaration>, now: Timestamp) {
        let Some(mut declaration) = declaration else {
            if let Some(at) = self.entries.remove(&id).and_then(|entry| entry.due) {
                self.due.remove(&(at, id));
            }
            return;
        };
        let written = declaration.written.take();
        let entry = self.entries.entry(id.clone()).or_default();
        match &mut entry.declaration {
            Some(before) if before.uid == declaration.uid => {
                if (before.generation, &before.accepted) == (declaration.generation, &declaration.accepted) {
                    return;
                }
                *before = declaration;
                if entry.app.strong_count() == 0 {
                    entry.declared = now;
                }
            }
            before => {
                entry.told = written.map(|written| *written).unwrap_or_default();
                entry.events = None;
                entry.last_write = None;
                entry.declared = now;
                *before = Some(declaration);
            }
        }
        self.schedule(&id, now);
    }

    /// There is news of this app.
    pub(super) fn news(&mut self, app: &Arc<App>, now: Timestamp) {
        let entry = self.entries.entry(app.id().clone()).or_default();
        if !std::ptr::eq(entry.app.as_ptr(), Arc::as_ptr(app)) {
            entry.app = Arc::downgrade(app);
        }
        self.schedule(app.id(), now);
    }

    /// Forgets apps that are not declared and do not exist any more.
    pub(super) fn sweep(&mut self) {
        self.entries.retain(|_, entry| entry.declaration.is_some() || entry.app.strong_count() > 0);
        let entries = &self.entries;
        self.due.retain(|(_, id)| entries.contains_key(id));
    }

    /// When the next app is due.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// An app that is due at `now`: to be looked at.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<(AppId, Option<Arc<App>>)> {
        self.due.first().filter(|(at, _)| *at <= now)?;
        let (_, id) = self.due.pop_first()?;
        let entry = self.entries.get_mut(&id)?;
        entry.due = None;
        Some((id, entry.app.upgrade()))
    }

    /// Looks at an app as it is now. What there is to write is under way from here on, until [`Book::done`].
    pub(super) fn look(&mut self, id: &AppId, known: Option<&Known>, wall: Wall) -> Option<Job> {
        let now = wall.now;
        let entry = self.entries.get_mut(id)?;
        let declaration = entry.declaration.as_ref()?;
        if entry.busy || now < entry.not_before {
            self.schedule(id, now);
            return None;
        }
        if let Some(known) = known
            && (entry.events.is_some() || known.is_eventful())
        {
            let events = entry.events.get_or_insert_default();
            events.look(known, now);
            if self.says == Says::Wakes {
                events.keep_wakes();
            }
        }
        let settled = entry.declared + SETTLE;
        if known.is_none_or(Known::is_unknown) && declaration.accepted.is_in_force() && now < settled {
            self.schedule(id, settled);
            return None;
        }
        let told = tell(known, self.says, declaration, &entry.told, wall);
        let woken = told.wake != entry.told.wake;
        let calm = entry.last_write.unwrap_or(entry.declared) + CALM;
        let (mut write, mut later) = match (self.says, entry.told.change(&told.status)) {
            (Says::Wakes, _) => (woken, None),
            (_, Change::Nothing) => {
                entry.told = Before::of(&told);
                (false, None)
            }
            (_, Change::Moves) => (now >= calm, Some(calm)),
            (_, Change::Matters) => (true, None),
        };
        if write && let Err(until) = self.pauses.ask(What::Status, &id.namespace, now) {
            (write, later) = (false, Some(until));
        }
        let mut event = entry.events.as_mut().and_then(|events| events.next(id, wall));
        if event.is_some() && self.pauses.ask(What::Event, &id.namespace, now).is_err() {
            // What cannot be told when it happens is no news later.
            event = None;
            entry.events.iter_mut().for_each(|events| events.give_up());
        }
        if write || event.is_some() {
            entry.busy = true;
            entry.not_before = now + LEAST;
            let (uid, again) = (declaration.uid.clone(), entry.failed > 0);
            let part = match self.says {
                Says::Wakes => Part::Wake,
                Says::Since(_) if !woken => Part::NotWake,
                Says::Since(_) | Says::Everything => Part::Whole,
            };
            return Some(Job { app: id.clone(), uid, status: write.then_some(told), part, event, again });
        }
        let changes = known.filter(|_| self.says != Says::Wakes).and_then(|known| changes_by_itself(known, now));
        if let Some(at) = [later, changes].into_iter().flatten().min() {
            self.schedule(id, at);
        }
        None
    }

    /// A job is over.
    pub(super) fn done(&mut self, done: Done, now: Timestamp) {
        let Done { job, status, event } = done;
        for (what, written) in [(What::Status, &status), (What::Event, &event)] {
            match written {
                Some(Written::Forbidden) => self.pauses.refused(what, &job.app.namespace, now),
                Some(Written::Yes) => self.pauses.allowed(what, &job.app.namespace),
                _ => {}
            }
        }
        let Some(entry) = self.entries.get_mut(&job.app) else { return };
        entry.busy = false;
        if entry.declaration.as_ref().is_none_or(|it| it.uid != job.uid) {
            // Another one has come under its name.
            return self.schedule(&job.app, now);
        }
        if status == Some(Written::Yes)
            && let Some(told) = job.status
        {
            match job.part {
                Part::Whole | Part::NotWake => entry.told = Before::of(&told),
                Part::Wake => entry.told.woken(&told),
            }
            entry.last_write = Some(now);
        }
        match (&mut entry.events, &event, job.event) {
            (Some(events), Some(Written::Yes), Some(telling)) => events.told(telling, now),
            (Some(events), Some(Written::Gone), Some(telling)) if !telling.new => events.not_told(telling, true),
            (Some(events), Some(Written::NotNow), Some(telling)) => events.not_told(telling, false),
            _ => {}
        }
        // An event that is refused is given up, and in the way of nothing. What is forbidden has its pause with all others.
        let failed = matches!(status, Some(Written::NotNow | Written::Refused | Written::Gone))
            || event == Some(Written::NotNow);
        entry.failed = if failed { entry.failed.saturating_add(1) } else { 0 };
        if status == Some(Written::Gone) {
            // It was deleted, which the watch tells before this is over; or something else is amiss.
            entry.not_before = now + LONGEST_PAUSE;
        } else if failed {
            let pause = LEAST * 2u32.saturating_pow(entry.failed.min(16) - 1);
            entry.not_before = now + pause.min(LONGEST_PAUSE);
        }
        // Also to see what changes by itself, and what has come up meanwhile.
        self.schedule(&job.app, now);
    }

    /// Has the app looked at, at `at` or as soon as it may be.
    fn schedule(&mut self, id: &AppId, at: Timestamp) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        if entry.busy {
            // It is looked at anyway when that is over.
            return;
        }
        let at = at.max(entry.not_before);
        if entry.due.is_some_and(|due| due <= at) {
            return;
        }
        if let Some(before) = entry.due.replace(at) {
            self.due.remove(&(before, id.clone()));
        }
        self.due.insert((at, id.clone()));
    }
}

#[cfg(test)]
mod tests;
