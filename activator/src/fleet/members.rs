//! Which gateways there are, and of which it is known what they count. Pure.
//!
//! The cluster's list says who is there; messages say what they count. One that is listed and not heard of may serve requests
//! nobody else knows of: as long as it is listed as ready, nothing is taken away. One that the cluster does not call ready any
//! more and that nobody has heard of for [`KEPT`] is taken to be dead.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::message::{Message, Scope};
use super::shares::Present;
use crate::clock::Timestamp;

/// After how long without a message a gateway counts as lost. They come once a second at least.
pub(crate) const LOST_AFTER: Duration = Duration::from_secs(3);
/// How long the counts of a gateway are kept that is neither heard nor called ready.
pub(crate) const KEPT: Duration = Duration::from_secs(60);
/// Most gateways that are heard though the cluster does not list them (yet), with those that it lists.
pub(crate) const MOST: usize = 64;
/// How long one that is listed may take until it is heard for the first time, before that is logged.
const NEW_FOR: Duration = Duration::from_secs(10);
/// How long one that has said farewell is not waited for though the cluster calls it ready: it may not know yet. Another run of it is
/// not called ready before that, unless it has been heard.
const LEAVES_WITHIN: Duration = Duration::from_secs(10);
/// Earlier runs of one gateway whose messages may still be on their way.
const RUNS_KEPT: usize = 8;

/// A gateway as the cluster lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its pod's name.
    pub name: Arc<str>,
    /// Whether the cluster calls it ready.
    pub ready: bool,
}

/// The other gateways.
#[derive(Debug)]
pub(crate) struct Members {
    run: u64,
    /// Whether it is known who there is.
    listed: bool,
    all: BTreeMap<Arc<str>, Member>,
}

#[derive(Debug, Default)]
struct Member {
    listing: Option<Listing>,
    /// The run it is heard in.
    run: Option<Run>,
    over: VecDeque<u64>,
    /// Why it is not waited for, if so: until it is heard again.
    gone: Option<Gone>,
    /// It was there when this gateway last began to lead.
    was_there: bool,
    /// It was said last that it is lost.
    told_lost: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gone {
    /// It has said farewell, then.
    Left(Timestamp),
    /// It is taken to be dead, until the cluster calls it ready.
    Dead,
}

#[derive(Debug)]
struct Listing {
    ready: bool,
    /// Since when it has been called that.
    since: Timestamp,
}

#[derive(Debug)]
struct Run {
    id: u64,
    number: u64,
    heard: Timestamp,
    /// All that it counts has been told.
    whole: bool,
    /// It knows all that is counted here.
    knows_us: bool,
    /// The runs of which it knows all.
    knows: Vec<u64>,
    /// The latest term that it had heard of when it told all.
    whole_in: u64,
    /// It was there when this gateway last began to lead.
    was_there: bool,
}

/// What becomes of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is late, doubled, from ourselves or from one too many.
    Ignored,
    /// What it says is the latest.
    Yes,
    /// The same, and what the gateway counted in an earlier run has ended.
    NewRun,
    /// Its run is over.
    Over,
}

/// How many other gateways there are, by what is known of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    /// It is known who there is.
    pub listed: bool,
    /// Heard of within the last moments.
    pub heard: usize,
    /// Not heard of yet, or not any more.
    pub lost: usize,
}

/// Another gateway, as far as is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    /// Its pod's name.
    pub name: Arc<str>,
    /// How it stands with it.
    pub standing: Standing,
    /// How long ago it was heard last in the run that it is in; `None` if that is not so yet, or not any more.
    pub silent_for: Option<Duration>,
    /// Whether the cluster calls it ready; `None` if it does not list it.
    pub ready: Option<bool>,
}

/// How it stands with another gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is known what it counts.
    Heard,
    /// It is not known what it counts: not yet, or not any more.
    Lost,
    /// It has said farewell or is taken to be dead: it is not waited for.
    Gone,
}

// === impl Standing ===

impl Standing {
    /// As one word.
    pub fn label(self) -> &'static str {
        match self {
            Self::Heard => "heard",
            Self::Lost => "lost",
            Self::Gone => "gone",
        }
    }
}

// === impl Members ===

impl Members {
    /// Nobody is known to the gateway in its run `run`.
    pub(crate) fn new(run: u64) -> Self {
        Self { run, listed: false, all: BTreeMap::new() }
    }

    /// These are all that the cluster lists, but for ourselves.
    pub(crate) fn list(&mut self, listed: impl IntoIterator<Item = Listed>, now: Timestamp) {
        let mut before = BTreeMap::new();
        for (name, member) in &mut self.all {
            before.insert(name.clone(), member.listing.take());
        }
        for Listed { name, ready } in listed {
            let earlier = before.remove(&name).flatten().filter(|listing| listing.ready == ready);
            let member = self.all.entry(name).or_default();
            // Not by what was said before it left.
            let is_called_ready = ready && earlier.is_none();
            member.gone.take_if(|gone| is_called_ready || (ready && *gone == Gone::Dead));
            member.listing = Some(earlier.unwrap_or(Listing { ready, since: now }));
        }
        self.listed = true;
    }

    /// Takes note of a message. What it tells of apps is for the caller.
    pub(crate) fn hear(&mut self, message: &Message, now: Timestamp) -> Taken {
        if message.run == self.run {
            return Taken::Ignored;
        }
        if self.all.len() >= MOST && !self.all.contains_key(&message.from) {
            return Taken::Ignored;
        }
        let member = self.all.entry(message.from.clone()).or_default();
        if member.over.contains(&message.run) {
            return Taken::Ignored;
        }
        if message.scope == Scope::Farewell {
            member.end(message.run);
            member.gone = Some(Gone::Left(now));
            return Taken::Over;
        }
        member.gone = None;
        match &mut member.run {
            Some(run) if run.id == message.run => {
                if message.number <= run.number {
                    return Taken::Ignored;
                }
                (run.number, run.heard) = (message.number, now);
                run.hear(message, self.run);
                Taken::Yes
            }
            earlier => {
                let earlier = earlier.take();
                let is_new = earlier.is_some();
                if let Some(earlier) = earlier {
                    member.end(earlier.id);
                }
                let (id, number) = (message.run, message.number);
                let mut run = Run {
                    id,
                    number,
                    heard: now,
                    whole: false,
                    knows_us: false,
                    knows: Vec::new(),
                    whole_in: 0,
                    was_there: false,
                };
                run.hear(message, self.run);
                member.run = Some(run);
                if is_new { Taken::NewRun } else { Taken::Yes }
            }
        }
    }

    /// Those whose counts are not kept any longer at `now`, each told once.
    pub(crate) fn expire(&mut self, now: Timestamp) -> Vec<Arc<str>> {
        let mut expired = Vec::new();
        self.all.retain(|name, member| {
            let silent = |span| member.run.as_ref().is_none_or(|run| now.since(run.heard) >= span);
            let gone = member.listing.is_none() && silent(LOST_AFTER);
            let died = member.listing.as_ref().is_some_and(|listing| {
                member.gone.is_none() && !listing.ready && now.since(listing.since) >= KEPT && silent(KEPT)
            });
            if gone || died {
                expired.push(name.clone());
            }
            if died {
                (member.gone, member.run) = (Some(Gone::Dead), None);
            }
            !gone
        });
        expired
    }

    /// Each as it stands at `now`, by name.
    pub(crate) fn each(&self, now: Timestamp) -> Vec<Other> {
        self.all.iter().map(|(name, member)| member.seen(name, now)).collect()
    }

    /// Those that have been lost by `now`, and those that are no more, since this was last asked. One that has just been listed has
    /// its time to be heard first.
    pub(crate) fn take_changes(&mut self, now: Timestamp) -> (Vec<Other>, Vec<Arc<str>>) {
        let (mut lost, mut back) = (Vec::new(), Vec::new());
        for (name, member) in &mut self.all {
            let seen = member.seen(name, now);
            let is_new = member.run.is_none()
                && member.listing.as_ref().is_none_or(|listing| now.since(listing.since) < NEW_FOR);
            let is_lost = seen.standing == Standing::Lost && !is_new;
            if is_lost == member.told_lost {
                continue;
            }
            member.told_lost = is_lost;
            match seen.standing {
                Standing::Lost => lost.push(seen),
                Standing::Heard => back.push(name.clone()),
                // That is told of where it is dropped.
                Standing::Gone => {}
            }
        }
        (lost, back)
    }

    /// This gateway begins to lead.
    pub(crate) fn begin_lead(&mut self) {
        for member in self.all.values_mut() {
            member.was_there = true;
            if let Some(run) = &mut member.run {
                run.was_there = true;
            }
        }
    }

    /// Those that may have slots of an app in `term`, in which this gateway leads; `None` if it is not known who there is.
    pub(crate) fn present(&self, term: u64, now: Timestamp) -> Option<Vec<Present>> {
        let alive = || self.all.iter().filter(|(_, member)| member.is_alive(now));
        let heard: Vec<&Run> =
            alive().filter(|(_, member)| member.is_known(now)).filter_map(|(_, m)| m.run.as_ref()).collect();
        let is_known_to_all = |id: u64| heard.iter().all(|run| run.id == id || run.knows.contains(&id));
        let present = alive().map(|(name, member)| Present {
            name: name.clone(),
            run: member.run.as_ref().map(|run| run.id),
            had_none: match &member.run {
                Some(run) => run.whole_in >= term || !run.was_there,
                None => !member.was_there,
            },
            may_get: member.run.as_ref().is_some_and(|run| run.whole && is_known_to_all(run.id)),
        });
        self.listed.then(|| present.collect())
    }

    /// Whether every other one that may be alive was heard of within `span` before `now`.
    pub(crate) fn all_heard_within(&self, span: Duration, now: Timestamp) -> bool {
        let mut alive = self.all.values().filter(|member| member.is_alive(now));
        alive.all(|member| member.run.as_ref().is_some_and(|run| now.since(run.heard) < span))
    }

    /// Whether it is known at `now` who there is and what each counts.
    pub(crate) fn all_known(&self, now: Timestamp) -> bool {
        let known = self.known(now);
        known.listed && known.lost == 0
    }

    /// How many there are at `now`.
    pub(crate) fn known(&self, now: Timestamp) -> Known {
        let alive = self.all.values().filter(|member| member.is_alive(now));
        let (heard, lost): (Vec<_>, Vec<_>) = alive.partition(|member| member.is_known(now));
        Known { listed: self.listed, heard: heard.len(), lost: lost.len() }
    }

    /// Those of which it is known at `now` what they count, each with its run; `None` if there are others.
    pub(crate) fn everybody(&self, now: Timestamp) -> Option<Vec<(Arc<str>, u64)>> {
        let alive = self.all.iter().filter(|(_, member)| member.is_alive(now));
        let each = alive.map(|(name, member)| {
            let run = member.run.as_ref().filter(|_| member.is_known(now))?;
            Some((name.clone(), run.id))
        });
        self.listed.then(|| each.collect()).flatten()
    }

    /// Whether everybody who is listed has told what it counts and knows what is counted here.
    pub(crate) fn all_know_each_other(&self, now: Timestamp) -> bool {
        let alive = || self.all.values().filter(|member| member.is_alive(now));
        self.listed && alive().all(|member| member.is_known(now) && member.run.as_ref().is_some_and(|run| run.knows_us))
    }

    /// The runs whose counts are known here.
    pub(crate) fn runs_known(&self) -> Vec<u64> {
        let runs = self.all.values().filter_map(|member| member.run.as_ref());
        runs.filter(|run| run.whole).map(|run| run.id).collect()
    }
}

// === impl Member ===

impl Member {
    /// Whether it may be counting something.
    fn is_alive(&self, now: Timestamp) -> bool {
        match self.gone {
            None => true,
            Some(Gone::Dead) => false,
            Some(Gone::Left(at)) => {
                self.listing.as_ref().is_some_and(|listing| listing.ready) && now.since(at) >= LEAVES_WITHIN
            }
        }
    }

    fn seen(&self, name: &Arc<str>, now: Timestamp) -> Other {
        let standing = match () {
            () if !self.is_alive(now) => Standing::Gone,
            () if self.is_known(now) => Standing::Heard,
            () => Standing::Lost,
        };
        Other {
            name: name.clone(),
            standing,
            silent_for: self.run.as_ref().map(|run| now.since(run.heard)),
            ready: self.listing.as_ref().map(|listing| listing.ready),
        }
    }

    fn is_known(&self, now: Timestamp) -> bool {
        self.run.as_ref().is_some_and(|run| run.whole && now.since(run.heard) < LOST_AFTER)
    }

    fn end(&mut self, run: u64) {
        self.run.take_if(|current| current.id == run);
        if self.over.len() == RUNS_KEPT {
            self.over.pop_front();
        }
        self.over.push_back(run);
    }
}

// === impl Run ===

impl Run {
    fn hear(&mut self, message: &Message, us: u64) {
        if message.scope == Scope::Whole {
            (self.whole, self.whole_in) = (true, message.term.max(self.whole_in));
        }
        self.knows_us = message.knows.contains(&us);
        self.knows.clone_from(&message.knows);
    }
}

#[cfg(test)]
mod tests;
