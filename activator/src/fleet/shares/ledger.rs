//! The book of the one that leads: what each gateway has at most, for one app.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::policy::{Cell, Side, Table, Turn};
use super::version;
use crate::clock::Timestamp;
use crate::fleet::message::{Grants, Shares};

/// How often slots that are in use change hands, and those that are not are spread anew.
const MOVES_EVERY: Duration = Duration::from_secs(1);
/// After how long an endpoint that one gateway knows of is known to all.
const KNOWN_TO_ALL: Duration = Duration::from_secs(10);

/// Slots of one app in one term.
#[derive(Debug)]
pub(crate) struct Ledger {
    term: u64,
    /// When the term had begun for sure.
    began: Timestamp,
    parties: BTreeMap<Arc<str>, Party>,
    /// What those have brought along that have reported, of each endpoint: with another one that has not, no more is given.
    brought: BTreeMap<Box<str>, u32>,
    moved: Option<Timestamp>,
    /// What was shared out last, and to whom, if nothing has changed since.
    settled: Option<(u32, Vec<Present>)>,
}

/// A gateway that may have slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Present {
    pub(crate) name: Arc<str>,
    /// Its run, if it was heard of.
    pub(crate) run: Option<u64>,
    /// It has none if it has not said of any.
    pub(crate) had_none: bool,
    /// Whoever leads after us knows of it.
    pub(crate) may_get: bool,
}

/// Whose shares are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sender {
    pub(crate) run: u64,
    /// How often it has given all back in this run.
    pub(crate) fence: u32,
}

#[derive(Debug)]
struct Party {
    run: u64,
    fence: u32,
    /// What it has is known in this term.
    known: bool,
    /// What it has from earlier terms is among what was brought along.
    counted: bool,
    /// It has said that it has slots from an earlier term, or needs none since it has no limit.
    has_earlier: bool,
    /// Of what it was given last; zero if that is nothing yet.
    version: u64,
    waiting: u32,
    turn: Turn,
    rows: BTreeMap<Box<str>, Row>,
}

/// What one gateway has of one endpoint.
#[derive(Debug, Default)]
struct Row {
    /// The most it may have, by what it has said and what it was given since.
    most: u32,
    /// What it was given last.
    given: u32,
    /// With which version.
    version: u64,
    in_use: u32,
    usable: bool,
    /// It was in the last report.
    told: bool,
}

// === impl Ledger ===

impl Ledger {
    /// Nothing is known in this term, which had begun by `began`.
    pub(crate) fn new(term: u64, began: Timestamp) -> Self {
        Self { term, began, parties: BTreeMap::new(), brought: BTreeMap::new(), moved: None, settled: None }
    }

    pub(crate) fn term(&self) -> u64 {
        self.term
    }

    /// Whether there is nothing in it that would be missed.
    pub(crate) fn is_empty(&self) -> bool {
        self.parties.values().all(|party| party.rows.is_empty() && !party.has_earlier)
    }

    /// Gateway `name` has told at `now` what it has, with so many requests `waiting`.
    pub(crate) fn hear(&mut self, name: &Arc<str>, sender: Sender, shares: &Shares, waiting: u32, now: Timestamp) {
        let Sender { run, fence } = sender;
        let party = self.party(name, run, now);
        if fence < party.fence {
            return;
        }
        if fence > party.fence {
            // It has given back all it had, but for what is in use.
            *party = Party { fence, counted: party.counted || party.known, ..Party::new(run, now) };
        }
        if shares.as_of < version(self.term, 0) {
            // It may still be given something in an earlier term.
            let has_some = shares.each.iter().any(|share| share.slots > 0 || share.in_use > 0);
            let party = self.party(name, run, now);
            party.has_earlier |= has_some && !party.known;
            self.settled = None;
            return;
        }
        let party = self.party(name, run, now);
        // What is in use matters only to those who wait, and from time to time.
        let mut same = party.known && party.waiting == waiting;
        party.waiting = waiting;
        let first = !party.known && !party.counted;
        (party.known, party.counted, party.has_earlier) = (true, true, false);
        let rows = party.rows.len();
        for row in party.rows.values_mut() {
            row.told = false;
        }
        let mut brought = Vec::new();
        for share in &shares.each {
            let has = share.slots.max(share.in_use);
            if !party.rows.contains_key(&share.endpoint) || first {
                brought.push((&share.endpoint, if first { has } else { 0 }));
                party.rows.entry(share.endpoint.clone()).or_default();
            }
            let Some(row) = party.rows.get_mut(&share.endpoint) else { continue };
            let before = (row.given, row.most, row.usable);
            if shares.as_of >= row.version {
                (row.most, row.given) = (has, share.slots);
            } else {
                row.most = row.most.max(has);
            }
            (row.in_use, row.usable, row.told) = (share.in_use, share.usable, true);
            same &= before == (row.given, row.most, row.usable);
        }
        party.rows.retain(|_, row| row.told || row.version > shares.as_of);
        for row in party.rows.values_mut().filter(|row| !row.told) {
            (row.in_use, row.usable) = (0, false);
            same = false;
        }
        same &= party.rows.len() == rows;
        self.settled.take_if(|_| !same);
        if self.parties.values().any(|party| party.waiting > 0) {
            self.settled = None;
        }
        for (endpoint, slots) in brought {
            if let Some(before) = self.brought.get_mut(endpoint) {
                *before = before.saturating_add(slots);
            } else {
                // Nobody who was given some in an earlier term would be the only one to know of it by now.
                let appeared = now.since(self.began) >= KNOWN_TO_ALL;
                self.brought.insert(endpoint.clone(), if appeared { u32::MAX } else { slots });
            }
        }
    }

    /// Gateway `name` has said in its run `run` that it needs no share, since it knows of no limit.
    pub(crate) fn hear_unlimited(&mut self, name: &Arc<str>, run: u64, now: Timestamp) {
        let party = self.party(name, run, now);
        (party.known, party.has_earlier) = (false, true);
        self.settled = None;
    }

    fn party(&mut self, name: &Arc<str>, run: u64, now: Timestamp) -> &mut Party {
        let party = self.parties.entry(name.clone()).or_insert_with(|| Party::new(run, now));
        if party.run != run {
            // The earlier run is over, with all it had.
            *party = Party::new(run, now);
        }
        party
    }

    /// Shares out at `now` what there is: `limit` slots of each endpoint, to those that are `present`; whoever is not has none any
    /// more. Whether something has changed, which then has version `next`.
    pub(crate) fn share_out(&mut self, limit: u32, present: &[Present], next: u64, now: Timestamp) -> bool {
        let moves = self.moved.is_none_or(|at| now.since(at) >= MOVES_EVERY);
        let same = self.settled.as_ref().is_some_and(|(of, to)| *of == limit && to == present);
        if same && !moves {
            return false;
        }
        let all_known = self.take_attendance(present, now);
        let ids: BTreeSet<&Box<str>> = self.parties.values().flat_map(|party| party.rows.keys()).collect();
        let endpoints: Vec<Box<str>> = ids.into_iter().cloned().collect();
        if all_known {
            self.brought.retain(|endpoint, _| endpoints.binary_search(endpoint).is_ok());
        }
        let may_get = |name: &Arc<str>| present.iter().any(|one| one.name == *name && one.may_get);
        let sides = self.parties.iter().filter(|(_, party)| party.known).map(|(name, party)| Side {
            waiting: party.waiting,
            may_get: may_get(name),
            turn: party.turn,
            cells: endpoints
                .iter()
                .map(|endpoint| party.rows.get(endpoint).map(Row::cell).unwrap_or_default())
                .collect(),
        });
        let sides: Vec<Side> = sides.collect();
        let spare = endpoints.iter().enumerate().map(|(at, endpoint)| {
            let whole = if all_known { limit } else { limit.min(self.brought.get(endpoint).copied().unwrap_or(0)) };
            let most: u64 = sides.iter().map(|side| u64::from(side.cells[at].most)).sum();
            u32::try_from(u64::from(whole).saturating_sub(most)).unwrap_or(0)
        });
        let mut table = Table { limit, spare: spare.collect(), sides };
        table.share_out(moves);
        if moves {
            self.moved = Some(now);
        }
        let changed = self.note(&endpoints, table, next, now);
        self.settled = (!changed).then(|| (limit, present.to_vec()));
        changed
    }

    /// Takes note of who is there. Whether it is known of all what they have.
    fn take_attendance(&mut self, present: &[Present], now: Timestamp) -> bool {
        let is_there = |name: &Arc<str>, run| present.iter().any(|one| one.name == *name && one.run == Some(run));
        self.parties.retain(|name, party| is_there(name, party.run));
        let mut all_known = true;
        for one in present {
            let known = match one.run {
                Some(run) => {
                    let party = self.party(&one.name, run, now);
                    party.known |= one.had_none && !party.has_earlier;
                    party.known
                }
                None => one.had_none,
            };
            all_known &= known;
        }
        all_known
    }

    /// Takes over what was shared out. Whether something has changed.
    fn note(&mut self, endpoints: &[Box<str>], table: Table, next: u64, now: Timestamp) -> bool {
        let mut changed = false;
        for (party, side) in self.parties.values_mut().filter(|party| party.known).zip(table.sides) {
            party.turn.note(&side, now);
            for (endpoint, cell) in endpoints.iter().zip(side.cells) {
                let Some(row) = party.rows.get_mut(endpoint) else { continue };
                row.most = cell.most;
                if row.given != cell.given {
                    (row.given, row.version) = (cell.given, next);
                    party.version = next;
                    changed = true;
                }
            }
        }
        changed
    }

    /// What gateway `name` is given, once there is something that it was not given by another.
    pub(crate) fn grants(&self, name: &str) -> Option<Grants> {
        let party = self.parties.get(name).filter(|party| party.version > 0)?;
        let given = party.rows.iter().filter(|(_, row)| row.given > 0);
        Some(Grants {
            run: party.run,
            fence: party.fence,
            version: party.version,
            slots: given.map(|(endpoint, row)| (endpoint.clone(), row.given)).collect(),
        })
    }
}

// === impl Party ===

impl Party {
    fn new(run: u64, now: Timestamp) -> Self {
        Self {
            run,
            fence: 0,
            known: false,
            counted: false,
            has_earlier: false,
            version: 0,
            waiting: 0,
            turn: Turn::new(now),
            rows: BTreeMap::new(),
        }
    }
}

// === impl Row ===

impl Row {
    fn cell(&self) -> Cell {
        Cell { given: self.given, most: self.most, in_use: self.in_use, usable: self.usable && self.told }
    }
}
