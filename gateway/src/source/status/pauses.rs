//! Who is not let write something in a namespace does not try for each of its apps, but now and then for one of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use activator::Timestamp;

/// The pause after the first refusal; twice as long after each that follows, up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// How long a try may take before there is another one.
const TRY: Duration = Duration::from_secs(10);
/// Pauses that are kept; beyond them those that are over are forgotten.
const MOST: usize = 1000;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum What {
    Status,
    Event,
}

/// What the gateway is not let write, and where.
#[derive(Debug, Default)]
pub(super) struct Pauses(HashMap<(What, Arc<str>), Pause>);

#[derive(Debug)]
struct Pause {
    until: Timestamp,
    /// In a row.
    refusals: u32,
    /// One is under way to see whether it may be done again.
    trying: bool,
}

// === impl Pauses ===

impl Pauses {
    /// Whether this may be written now: after a pause one may, and the others wait for what becomes of it.
    ///
    /// # Errors
    /// When to ask again.
    pub(super) fn ask(&mut self, what: What, namespace: &Arc<str>, now: Timestamp) -> Result<(), Timestamp> {
        if self.0.is_empty() {
            return Ok(());
        }
        match self.0.get_mut(&(what, namespace.clone())) {
            None => Ok(()),
            Some(pause) if now < pause.until => Err(pause.until),
            Some(pause) => {
                pause.trying = true;
                pause.until = now + TRY;
                Ok(())
            }
        }
    }

    /// It was written.
    pub(super) fn allowed(&mut self, what: What, namespace: &Arc<str>) {
        if !self.0.is_empty() {
            self.0.remove(&(what, namespace.clone()));
        }
    }

    /// It may not be written.
    pub(super) fn refused(&mut self, what: What, namespace: &Arc<str>, now: Timestamp) {
        if self.0.len() >= MOST {
            self.0.retain(|_, pause| now < pause.until);
        }
        let key = (what, namespace.clone());
        let pause = self.0.entry(key).or_insert(Pause { until: now, refusals: 0, trying: false });
        // Several may have been under way when the first one was refused.
        if pause.trying || pause.until <= now {
            let long = FIRST * 2u32.saturating_pow(pause.refusals.min(16));
            *pause = Pause { until: now + long.min(LONGEST), refusals: pause.refusals + 1, trying: false };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::secs;
    use super::*;

    #[test]
    fn after_a_pause_one_tries_and_the_others_wait_for_it() {
        let (mut pauses, here, there) = (Pauses::default(), Arc::from("here"), Arc::from("there"));
        assert_eq!(pauses.ask(What::Status, &here, secs(0)), Ok(()));
        for _ in 0..8 {
            pauses.refused(What::Status, &here, secs(0));
        }
        assert_eq!(pauses.ask(What::Status, &here, secs(0)), Err(secs(1)), "eight at once are one refusal");
        assert_eq!(pauses.ask(What::Status, &there, secs(0)), Ok(()));
        assert_eq!(pauses.ask(What::Event, &here, secs(0)), Ok(()));

        let mut now = secs(1);
        for pause in [2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(pauses.ask(What::Status, &here, now), Ok(()));
            assert_eq!(pauses.ask(What::Status, &here, now), Err(now + TRY));
            pauses.refused(What::Status, &here, now);
            assert_eq!(pauses.ask(What::Status, &here, now), Err(now + Duration::from_secs(pause)));
            now = now + Duration::from_secs(pause);
        }
        assert_eq!(pauses.ask(What::Status, &here, now), Ok(()));
        pauses.allowed(What::Status, &here);
        assert_eq!(pauses.ask(What::Status, &here, now), Ok(()));
        assert!(pauses.0.is_empty());
    }

    #[test]
    fn a_try_that_comes_to_nothing_is_followed_by_another() {
        let (mut pauses, here) = (Pauses::default(), Arc::from("here"));
        pauses.refused(What::Event, &here, secs(0));
        assert_eq!(pauses.ask(What::Event, &here, secs(1)), Ok(()));
        assert_eq!(pauses.ask(What::Event, &here, secs(11)), Ok(()));
    }
}
