//! When it is said of an app, without being asked, that it is active: at the edge, and slowly again while it lasts.

use std::time::Duration;

use crate::clock::Timestamp;

/// How long after a wake was accepted it is told of: until then whoever is told may not know of it, and would write its own
/// number over it.
const SETTLE: Duration = Duration::from_millis(500);
/// How long a wake that has no answer is waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often it is said again: what is said once may be lost.
const REPEAT: Duration = Duration::from_secs(60);
/// Repeats are spread by this part of [`REPEAT`] either way, so that those of many apps do not come together.
const SPREAD: f64 = 0.1;

/// What is the case with an app when somebody looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    /// It has a request, or had one not long ago.
    pub active: bool,
    /// Replicas that its target asks for; `None` if that is not known.
    pub replicas: Option<u32>,
    /// When the last order was accepted that has woken it.
    pub woken: Option<Timestamp>,
    /// The last order was not accepted.
    pub refused: bool,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Push {
    /// Say it.
    Now,
    /// Look again then, or when something changes.
    At(Timestamp),
    /// Look again when something changes.
    WhenChanged,
}

/// What one listener was told of one app.
#[derive(Debug, Default)]
pub struct Pushes {
    /// Since when it has been seen active.
    since: Option<Timestamp>,
    /// When it was said last, and when it is due again.
    said: Option<(Timestamp, Timestamp)>,
}

// === impl Pushes ===

impl Pushes {
    /// Whether it is to be said at `now`, which then counts as done. `jitter`, from 0 to 1, says when it is due again.
    pub fn look(&mut self, observed: &Observed, now: Timestamp, jitter: f64) -> Push {
        if !observed.active {
            *self = Self::default();
            return Push::WhenChanged;
        }
        let since = *self.since.get_or_insert(now);
        let due = match self.said {
            None if observed.waits_for_its_wake() => since + PATIENCE,
            None => observed.woken.map_or(now, |woken| woken + SETTLE),
            // Somebody has put it to sleep in spite of it, and it was woken again.
            Some((said, _)) if observed.woken.is_some_and(|woken| woken >= said) => {
                observed.woken.map_or(now, |woken| woken + SETTLE)
            }
            Some((_, again)) => again,
        };
        if now < due {
            return Push::At(due);
        }
        let spread = 1.0 + SPREAD * (2.0 * jitter - 1.0);
        self.said = Some((now, now + REPEAT.mul_f64(spread)));
        Push::Now
    }
}

// === impl Observed ===

impl Observed {
    /// It stands at zero, as far as anybody knows, and an order is under way or about to be.
    fn waits_for_its_wake(&self) -> bool {
        self.replicas.unwrap_or(0) == 0 && !self.refused
    }
}

#[cfg(test)]
mod tests;
