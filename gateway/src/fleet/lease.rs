//! Who leads, by a Lease. Pure: time is an argument, and only this gateway's own.
//!
//! Who holds it writes it anew each second, and leads for [`LEADS`] from when it sent the last write that was accepted. Who sees
//! the Lease unchanged for [`DURATION`], by its own clock and from when it saw it, takes it over; of two who do, the API server
//! accepts one. The time of day that a Lease has in it is for people to read. So nobody else can lead before the one that led
//! knows that it does not any more, however clocks differ. One that is there and nobody holds is taken at once: the manifests have
//! such a one, so that a first install does not wait.

mod holder;

use std::sync::Arc;
use std::time::Duration;

use activator::Timestamp;
use activator::fleet::Lead;

pub(super) use holder::Holder;

/// After how long without a change another may take it.
pub(super) const DURATION: Duration = Duration::from_secs(4);
/// How long its holder leads after it has sent the last write that was accepted.
const LEADS: Duration = Duration::from_secs(3);
/// How often its holder writes it.
const RENEWED: Duration = Duration::from_secs(1);
/// The pause after a write that had no answer, or that was refused for now.
const PAUSE: Duration = Duration::from_millis(250);
/// The pause after one that was refused for good, which somebody has to see to.
const LONG_PAUSE: Duration = Duration::from_secs(5);

/// The Lease, as the API server has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Which run of which gateway has it; `None` if it was given back.
    pub(super) holder: Option<Arc<str>>,
    /// Grows with each new holder.
    pub(super) term: u64,
    /// The object's `resourceVersion`.
    pub(super) version: String,
}

/// The part of one gateway in it.
#[derive(Debug)]
pub(super) struct Election {
    /// Which run of which gateway this is.
    me: Arc<str>,
    part: Part,
    seen: Seen,
    /// The latest term that was ever seen: if the Lease is deleted, terms grow all the same.
    highest: u64,
    /// When the last write was sent that made or kept this gateway its holder.
    held: Option<Timestamp>,
    not_before: Timestamp,
}

/// Whether a gateway wants to lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Not yet: it does not know enough.
    Waits,
    /// If nobody else does.
    Stands,
    /// Not any more: it goes.
    Leaves,
}

#[derive(Debug)]
enum Seen {
    /// It has not been read yet.
    Nothing,
    /// There is none, since then. Somebody may have led by one until then.
    None(Timestamp),
    /// It has not changed since then, as far as was seen here.
    Record(Record, Timestamp),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// This, now.
    Write(Write),
    /// Nothing, until then if nothing happens before.
    Wait(Option<Timestamp>),
}

/// How the Lease is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Write {
    /// Make it, with this gateway as its holder.
    Make {
        /// Its term.
        term: u64,
    },
    /// Become its holder, or stay that.
    Hold {
        /// Unless it is another than this.
        version: String,
        /// Its term.
        term: u64,
        /// Another one has had it.
        new: bool,
    },
    /// Give it back.
    Release {
        /// Unless it is another than this.
        version: String,
        /// Its term.
        term: u64,
    },
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was done, and this is how the Lease is now.
    Done(Record),
    /// It was another one by then. How it is now, or that there is none.
    Other(Option<Record>),
    /// It is not known, or it may do the next time.
    NotNow,
    /// It is refused.
    Refused,
}

// === impl Election ===

impl Election {
    /// Of the gateway's run `me`, which does not stand yet.
    pub(super) fn new(me: Arc<str>) -> Self {
        let (part, seen) = (Part::Waits, Seen::Nothing);
        Self { me, part, seen, highest: 0, held: None, not_before: Timestamp::ZERO }
    }

    /// What it wants from now on.
    pub(super) fn play(&mut self, part: Part) {
        self.part = part;
    }

    /// The Lease was like this at `now`, or there was none. What is older than what was seen already does not count.
    pub(super) fn see(&mut self, record: Option<Record>, now: Timestamp) {
        let Some(record) = record else {
            if let Seen::Nothing | Seen::Record(..) = self.seen {
                self.seen = Seen::None(now);
            }
            self.held = None;
            return;
        };
        if let Seen::Record(known, _) = &self.seen
            && (known.version == record.version || is_older(&record.version, &known.version))
        {
            return;
        }
        let since = match self.seen {
            Seen::None(since) => Some(since),
            // Whoever gives it back leaves the term.
            _ => (record.term < self.highest).then_some(now),
        };
        if let (None, Some(since)) = (&record.holder, since) {
            // Made anew by somebody who knows nothing of whoever led by the one before.
            self.not_before = self.not_before.max(since + DURATION);
        }
        self.highest = self.highest.max(record.term);
        if record.holder.as_deref() != Some(&*self.me) {
            self.held = None;
        }
        self.seen = Seen::Record(record, now);
    }

    /// The cluster was set back to an older state: versions count anew.
    pub(super) fn forget(&mut self) {
        self.seen = Seen::Nothing;
    }

    /// What to do at `now`.
    pub(super) fn next(&self, now: Timestamp) -> Next {
        let stands = self.part == Part::Stands;
        let (write, due) = match &self.seen {
            Seen::None(since) if stands => (Write::Make { term: self.highest + 1 }, *since + DURATION),
            Seen::Record(Record { holder: Some(holder), term, version }, _) if *holder == self.me => match self.part {
                Part::Leaves => (Write::Release { version: version.clone(), term: *term }, now),
                Part::Waits | Part::Stands => {
                    let due = self.held.map_or(now, |sent| sent + RENEWED);
                    (Write::Hold { version: version.clone(), term: *term, new: false }, due)
                }
            },
            Seen::Record(Record { holder, version, .. }, since) if stands => {
                let due = if holder.is_none() { now } else { *since + DURATION };
                (Write::Hold { version: version.clone(), term: self.highest + 1, new: true }, due)
            }
            Seen::Nothing | Seen::None(_) | Seen::Record(..) => return Next::Wait(None),
        };
        let due = due.max(self.not_before);
        if now < due { Next::Wait(Some(due)) } else { Next::Write(write) }
    }

    /// What became, by `now`, of a write that was sent at `sent`.
    pub(super) fn done(&mut self, sent: Timestamp, outcome: Outcome, now: Timestamp) {
        match outcome {
            Outcome::Done(record) => {
                let is_mine = record.holder.as_deref() == Some(&*self.me);
                self.see(Some(record), now);
                self.held = is_mine.then_some(sent);
            }
            Outcome::Other(record) => {
                self.see(record, now);
                self.not_before = now + PAUSE;
            }
            Outcome::NotNow => self.not_before = now + PAUSE,
            Outcome::Refused => self.not_before = now + LONG_PAUSE,
        }
    }

    /// Who leads at `now`, as far as is known here.
    pub(super) fn lead(&self, now: Timestamp) -> Lead {
        let Seen::Record(Record { holder: Some(holder), term, .. }, since) = &self.seen else { return Lead::Nobody };
        if *holder != self.me {
            return if now < *since + DURATION { Lead::Other(pod_of(holder).into()) } else { Lead::Nobody };
        }
        match self.held {
            Some(sent) if self.part != Part::Leaves && now < sent + LEADS => {
                Lead::Mine { term: *term, until: sent + LEADS }
            }
            _ => Lead::Nobody,
        }
    }
}

/// What a run of a gateway is called in the Lease: one that comes back under the same name is another.
pub(super) fn identity(pod: &str, run: u64) -> String {
    format!("{pod}_{run:016x}")
}

/// Which pod that is.
fn pod_of(identity: &str) -> &str {
    identity.rsplit_once('_').map_or(identity, |(pod, _)| pod)
}

fn is_older(version: &str, than: &str) -> bool {
    match (version.parse::<u64>(), than.parse::<u64>()) {
        (Ok(version), Ok(than)) => version < than,
        // Whoever counts them otherwise says the latest last.
        _ => false,
    }
}

#[cfg(test)]
mod tests;
