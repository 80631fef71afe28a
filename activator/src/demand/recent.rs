//! The most of the last while, for somebody who asks seldom and is not to miss a burst in between.

use std::collections::VecDeque;
use std::time::Duration;

use super::LEAST_SPACING;
use crate::clock::Timestamp;

/// How far back the most is looked for at least: one sync of a HorizontalPodAutoscaler (15 s) and some slack.
pub const PEAK_SPAN: Duration = Duration::from_secs(20);

/// What a rate is the mean over, as Knative's panic window is by default: one page with thirty pictures is no rate of thirty.
const RATE_SPAN: Duration = Duration::from_secs(6);

/// While an app rests nobody looks. What is new after so long a time has come just now.
const REST: Duration = Duration::from_secs(3);

/// The most of the last [`PEAK_SPAN`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Peak {
    /// Requests in flight at once, held ones included. Exact: also of what came and went between two looks.
    pub concurrency: u32,
    /// Requests that arrived per second, as a mean over 6 s.
    pub rate: f64,
}

/// What one look at the counts has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) at: Timestamp,
    /// Most requests in flight at once since the look before.
    pub(crate) peak: u32,
    /// Requests that had come by then.
    pub(crate) arrivals: u64,
}

/// Looks of the last while: about 55 at most.
#[derive(Debug)]
pub(crate) struct Recent {
    looks: VecDeque<Seen>,
}

// === impl Peak ===

impl Peak {
    /// Whether there was nothing at all.
    pub(crate) fn is_zero(&self) -> bool {
        self.concurrency == 0 && self.rate == 0.0
    }
}

// === impl Seen ===

impl Seen {
    /// What a look a second before would have shown if so many had come by then.
    fn preceded_by(self, arrivals: u64) -> Self {
        Self { at: before(self.at, Duration::from_secs(1)), peak: 0, arrivals }
    }
}

// === impl Recent ===

impl Recent {
    /// Begins with a first look. `arrivals_before` had come when there was something to look at the last time, long ago.
    pub(crate) fn new(first: Seen, arrivals_before: u64) -> Self {
        Self { looks: VecDeque::from([first.preceded_by(arrivals_before), first]) }
    }

    /// Adds a look, and forgets what does not count any more. Looks come in the order of time.
    pub(crate) fn record(&mut self, seen: Seen) {
        let latest = self.looks.len() - 1;
        if seen.at.since(self.looks[latest].at) > REST {
            self.looks.extend([seen.preceded_by(self.looks[latest].arrivals), seen]);
        } else if latest > 0 && seen.at.since(self.looks[latest - 1].at) < LEAST_SPACING {
            let peak = seen.peak.max(self.looks[latest].peak);
            self.looks[latest] = Seen { peak, ..seen };
        } else {
            self.looks.push_back(seen);
        }
        // The one before the first that counts stays: the arrivals at the beginning lie between the two.
        while self.looks.len() > 2 && seen.at.since(self.looks[1].at) > PEAK_SPAN + RATE_SPAN {
            self.looks.pop_front();
        }
    }

    /// The most up to `now`, which is not before the last look.
    pub(crate) fn peak(&self, now: Timestamp) -> Peak {
        let counts = |seen: &&Seen| now.since(seen.at) <= PEAK_SPAN;
        let concurrency = self.looks.iter().filter(counts).map(|seen| seen.peak).max().unwrap_or(0);
        let most = self.looks.iter().filter(counts).map(|seen| self.arrived_until(seen)).fold(0.0, f64::max);
        Peak { concurrency, rate: most / RATE_SPAN.as_secs_f64() }
    }

    /// How many had arrived in the [`RATE_SPAN`] before a look: exact where there was a look, linear in between.
    fn arrived_until(&self, end: &Seen) -> f64 {
        let begin = before(end.at, RATE_SPAN);
        let after = self.looks.partition_point(|seen| seen.at <= begin);
        let Some(a) = after.checked_sub(1).map(|before| self.looks[before]) else {
            return end.arrivals.saturating_sub(self.looks[0].arrivals) as f64;
        };
        let since_a = end.arrivals.saturating_sub(a.arrivals) as f64;
        match self.looks.get(after) {
            Some(b) if b.at > a.at => {
                let part = begin.since(a.at).as_secs_f64() / b.at.since(a.at).as_secs_f64();
                since_a - b.arrivals.saturating_sub(a.arrivals) as f64 * part
            }
            _ => since_a,
        }
    }
}

fn before(at: Timestamp, span: Duration) -> Timestamp {
    Timestamp::from_nanos(at.as_nanos().saturating_sub(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests;
