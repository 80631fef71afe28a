//! How many orders go out that nobody waits for.

use std::time::Duration;

use parking_lot::Mutex;

use super::answer;
use crate::clock::{Clock, Timestamp};
use crate::platform::contract::NotAccepted;

/// The pause that each order takes from the budget: 20 a second.
const EACH: Duration = Duration::from_millis(50);
/// How many may go at once after a silence.
const BURST: u32 = 40;
/// What would have to wait longer is told to come again.
const LONGEST: Duration = Duration::from_secs(2);

/// So many at once, and from then on one after the other.
pub(super) struct Budget {
    clock: Clock,
    /// When all that was taken is given back.
    whole: Mutex<Timestamp>,
}

// === impl Budget ===

impl Budget {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, whole: Mutex::new(Timestamp::ZERO) }
    }

    /// Waits until one more may go.
    pub(super) async fn take(&self) -> Result<(), NotAccepted> {
        let wait = self.book().map_err(answer::too_many)?;
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        Ok(())
    }

    /// How long one more has to wait; refused with when to come again.
    fn book(&self) -> Result<Duration, Duration> {
        let now = self.clock.now();
        let mut whole = self.whole.lock();
        let next = (*whole).max(now) + EACH;
        let wait = next.since(now).saturating_sub(EACH * BURST);
        if wait > LONGEST {
            return Err(wait);
        }
        *whole = next;
        Ok(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_a_burst_then_one_each_50_ms_then_refuses() {
        let clock = Clock::manual();
        let budget = Budget::new(clock.clone());
        for _ in 0..BURST {
            assert_eq!(budget.book(), Ok(Duration::ZERO));
        }
        assert_eq!(budget.book(), Ok(EACH));
        assert_eq!(budget.book(), Ok(EACH * 2));
        let refused = (0..100).find_map(|_| budget.book().err());
        assert_eq!(refused, Some(LONGEST + EACH));
        clock.advance(LONGEST);
        assert_eq!(budget.book(), Ok(EACH));
        clock.advance(Duration::from_secs(3600));
        for _ in 0..BURST {
            assert_eq!(budget.book(), Ok(Duration::ZERO));
        }
        assert_eq!(budget.book(), Ok(EACH));
    }
}
