//! What is promised, what was seen of it, and how often the interesting things have happened.

use std::fmt;
use std::time::Duration;

use crate::clock::Timestamp;

/// Broken promises that are kept to be told; the first is what matters.
const KEPT: usize = 8;
/// Most writes of the gateway within `WRITES_WITHIN`: whoever writes more fights somebody, or nothing.
const MOST_WRITES: usize = 80;
const WRITES_WITHIN: Duration = Duration::from_secs(30);

/// What was seen in one world.
#[derive(Debug, Default)]
pub(super) struct Promises {
    pub(super) broken: Vec<String>,
    pub(super) tally: Tally,
    /// Changes with everything that happens: the same for the same seed.
    pub(super) digest: u64,
    writes: Vec<Timestamp>,
    /// Since when an order that takes pods away is on its way, or what it takes is not gone yet.
    lowering: Option<Timestamp>,
    last_arrival: Option<Timestamp>,
    raced: bool,
}

/// How often what happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Orders for fewer replicas.
    pub(super) lowered: u64,
    /// Those of them that a request has met: it came right before, while the order was on its way, or before the pods were gone.
    pub(super) races: u64,
    /// Orders for more than none.
    pub(super) woken: u64,
    pub(super) arrived: u64,
    pub(super) answered: u64,
    pub(super) hung_up: u64,
    /// Died with the gateway.
    pub(super) killed: u64,
    /// Tried again, since the pod was gone or went.
    pub(super) met_gone: u64,
    /// Got their error since what they were to go to was taken away by others than the gateway.
    pub(super) lost_to_others: u64,
    /// Cut by others than the gateway.
    pub(super) cut_by_others: u64,
    /// Went on at a pod that the gateway's order took, which it had wished to stay: Kubernetes chose another.
    pub(super) not_chosen: u64,
    /// Wakes that were written over what somebody had just written.
    pub(super) wake_over_other: u64,
    pub(super) restarts: u64,
    pub(super) conflicts: u64,
    /// The longest that a request was held, in milliseconds.
    pub(super) longest_held: u64,
}

// === impl Promises ===

impl Promises {
    pub(super) fn break_one(&mut self, now: Timestamp, what: impl fmt::Display) {
        self.note(now, 99);
        if self.broken.len() < KEPT {
            self.broken.push(format!("at {} ms: {what}", now.as_nanos() / 1_000_000));
        }
    }

    /// Something has happened, of this sort.
    pub(super) fn note(&mut self, now: Timestamp, sort: u64) {
        for part in [now.as_nanos(), sort] {
            self.digest = (self.digest ^ part).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
        }
    }

    /// A request has come.
    pub(super) fn arrived(&mut self, now: Timestamp) {
        self.tally.arrived += 1;
        self.last_arrival = Some(now);
        if self.lowering.is_some() && !self.raced {
            self.raced = true;
            self.tally.races += 1;
        }
    }

    /// The gateway has sent an order for fewer.
    pub(super) fn lowering(&mut self, now: Timestamp) {
        self.tally.lowered += 1;
        self.lowering = Some(now);
        self.raced = self.last_arrival.is_some_and(|at| now.since(at) < Duration::from_millis(100));
        self.tally.races += u64::from(self.raced);
    }

    /// Nothing is on its way out any more.
    pub(super) fn all_gone(&mut self) {
        self.lowering = None;
    }

    /// The gateway has written.
    pub(super) fn wrote(&mut self, now: Timestamp) {
        self.writes.retain(|at| now.since(*at) < WRITES_WITHIN);
        self.writes.push(now);
        if self.writes.len() > MOST_WRITES {
            let many = self.writes.len();
            self.writes.clear();
            self.break_one(now, format_args!("{many} writes within {} s", WRITES_WITHIN.as_secs()));
        }
    }
}

// === impl Tally ===

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.lowered += other.lowered;
        self.races += other.races;
        self.woken += other.woken;
        self.arrived += other.arrived;
        self.answered += other.answered;
        self.hung_up += other.hung_up;
        self.killed += other.killed;
        self.met_gone += other.met_gone;
        self.lost_to_others += other.lost_to_others;
        self.cut_by_others += other.cut_by_others;
        self.not_chosen += other.not_chosen;
        self.wake_over_other += other.wake_over_other;
        self.restarts += other.restarts;
        self.conflicts += other.conflicts;
        self.longest_held = self.longest_held.max(other.longest_held);
    }
}
