//! How many requests an endpoint may have at once that has just become usable: few at first, more as it answers and as time goes
//! by. An app that has only just started is slow (cold caches, code not compiled yet), and what has piled up meanwhile, all at
//! once, is what kills it.

use std::time::Duration;

use super::sync::{AtomicU32, AtomicU64, Ordering};
use crate::clock::Timestamp;

/// How many it may have at first: as many as an app of any kind takes, and what each replica is meant for by default.
pub(crate) const FIRST: u32 = 10;
/// How often that is doubled, whatever it answers, so that slow answers starve nobody. One that answers sooner is filled sooner:
/// each answer lets in one more, which doubles it in the time that an answer takes.
const STEP: Duration = Duration::from_millis(200);
/// After so many steps, 2 s, with 10,240 allowed, it is filled. So it is after so many answers.
const STEPS: u32 = 10;
const FULL: u32 = FIRST << STEPS;

/// The filling of one endpoint.
#[derive(Debug)]
pub(crate) struct Filling {
    /// In nanoseconds.
    since: AtomicU64,
    answered: AtomicU32,
}

// === impl Filling ===

impl Filling {
    pub(crate) fn new() -> Self {
        Self { since: AtomicU64::new(0), answered: AtomicU32::new(0) }
    }

    /// It begins at `now`.
    pub(crate) fn begin(&self, now: Timestamp) {
        self.since.swap(now.as_nanos(), Ordering::SeqCst);
        self.answered.swap(0, Ordering::SeqCst);
    }

    /// A request is over. SeqCst, as the slots are: whoever waits has either joined the line before this is read, or sees it.
    pub(crate) fn answered(&self) {
        self.answered.fetch_add(1, Ordering::SeqCst);
    }

    /// How many it may have at `now`; nothing once it is filled.
    pub(crate) fn allowed(&self, now: Timestamp) -> Option<u32> {
        let by_time = FIRST << self.steps(now).min(STEPS);
        let allowed = by_time.saturating_add(self.answered.load(Ordering::SeqCst));
        (allowed < FULL).then_some(allowed)
    }

    /// How long it is at `now` until more are allowed, even without an answer; nothing once it is filled.
    pub(crate) fn next_step(&self, now: Timestamp) -> Option<Duration> {
        self.allowed(now)?;
        let next = Timestamp::from_nanos(self.since.load(Ordering::SeqCst)) + STEP * (self.steps(now) + 1);
        Some(next.since(now))
    }

    fn steps(&self, now: Timestamp) -> u32 {
        let since = Timestamp::from_nanos(self.since.load(Ordering::SeqCst));
        u32::try_from(now.since(since).as_nanos() / STEP.as_nanos()).unwrap_or(STEPS).min(STEPS)
    }
}
