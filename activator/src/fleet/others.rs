//! What other gateways count of one app, and their sum.

use std::sync::Arc;
use std::time::Duration;

use super::message::{AppNews, Counts, Going, Ordered};
use crate::clock::Timestamp;

/// What is counted of an app elsewhere. Apps of which nothing was ever told have none.
#[derive(Debug, Default)]
pub(crate) struct Others {
    each: Vec<Other>,
    /// Of gateways that are gone: sums never go back.
    gone: Spent,
    /// When the last request ended at a gateway that is gone, at the latest.
    gone_end: Option<Timestamp>,
    /// Since when something has been in flight.
    busy_since: Option<Timestamp>,
}

/// The sum over other gateways at some time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) in_flight: u32,
    pub(crate) held: u32,
    /// Most at once lately: the sum of each one's most.
    pub(crate) peak: u32,
    pub(crate) arrivals: u64,
    /// Request-nanoseconds.
    pub(crate) integral: u128,
    /// When the last request ended, if one ever has.
    pub(crate) last_end: Option<Timestamp>,
}

#[derive(Debug)]
struct Other {
    name: Arc<str>,
    run: u64,
    heard: Timestamp,
    counts: Counts,
    /// Until it was heard.
    spent: Spent,
    last_end: Option<Timestamp>,
    early: u32,
    ordered: Option<Ordered>,
    empty: Vec<Going>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    arrivals: u64,
    integral: u128,
}

// === impl Others ===

impl Others {
    /// Gateway `name` told this at `now`. Whether it says that something is closed and empty there that it did not say before.
    pub(crate) fn hear(&mut self, name: &Arc<str>, run: u64, news: &AppNews, now: Timestamp) -> bool {
        let (counts, early, ordered, empty) = (news.counts, news.early, news.ordered, news.empty.clone());
        // What it had in flight in an earlier run ended with that.
        if self.each.iter().any(|one| one.name == *name && one.run != run) {
            self.forget(name, now);
        }
        let ended = || counts.idle.map(|idle| before(now, idle.as_nanos()));
        let emptied = match self.each.iter_mut().find(|one| one.name == *name) {
            Some(one) => {
                let micros = counts.request_micros.saturating_sub(one.counts.request_micros);
                one.spent.integral += u128::from(micros) * 1_000;
                one.spent.arrivals += counts.arrivals.saturating_sub(one.counts.arrivals);
                one.last_end = one.last_end.max(ended());
                let emptied = empty.iter().any(|going| !one.empty.contains(going));
                (one.heard, one.counts, one.early, one.empty) = (now, counts, early, empty);
                one.ordered = ordered.or(one.ordered);
                emptied
            }
            None => {
                // What was before is not known, but that those in flight have come.
                let spent = Spent { arrivals: u64::from(counts.in_flight), integral: 0 };
                let (name, last_end) = (name.clone(), ended());
                let emptied = !empty.is_empty();
                self.each.push(Other { name, run, heard: now, counts, spent, last_end, early, ordered, empty });
                emptied
            }
        };
        self.note_busy(now);
        emptied
    }

    /// Gateway `name` has told all at `now`, and this app was not in it: nothing is in flight there.
    pub(crate) fn silent(&mut self, name: &str, now: Timestamp) {
        let Some(one) = self.each.iter_mut().find(|one| &*one.name == name) else { return };
        let idle = one.counts.in_flight == 0;
        if !idle {
            one.last_end = one.last_end.max(Some(now));
        }
        one.counts = Counts { in_flight: 0, held: 0, peak: 0, ..one.counts };
        one.heard = now;
        one.early = 0;
        one.empty.clear();
        self.note_busy(now);
    }

    /// Gateway `name` is no more: what it had in flight has ended by `now`.
    pub(crate) fn forget(&mut self, name: &str, now: Timestamp) {
        let Some(at) = self.each.iter().position(|one| &*one.name == name) else { return };
        let one = self.each.swap_remove(at);
        let spent = one.spent_until(now);
        self.gone.arrivals += spent.arrivals;
        self.gone.integral += spent.integral;
        let end = if one.counts.in_flight > 0 { Some(now) } else { one.last_end };
        self.gone_end = self.gone_end.max(end);
        self.note_busy(now);
    }

    /// All together at `now`, each as it was told last: what was in flight then is taken to be still.
    pub(crate) fn sum(&self, now: Timestamp) -> Sum {
        let first = Sum {
            arrivals: self.gone.arrivals,
            integral: self.gone.integral,
            last_end: self.gone_end,
            ..Sum::default()
        };
        self.each.iter().fold(first, |sum, one| {
            let spent = one.spent_until(now);
            Sum {
                in_flight: sum.in_flight.saturating_add(one.counts.in_flight),
                held: sum.held.saturating_add(one.counts.held),
                peak: sum.peak.saturating_add(one.counts.peak),
                arrivals: sum.arrivals + spent.arrivals,
                integral: sum.integral + spent.integral,
                last_end: sum.last_end.max(one.last_end),
            }
        })
    }

    /// How long something has been in flight at `now` without a pause, as far as was told.
    pub(crate) fn busy_for(&self, now: Timestamp) -> Duration {
        self.busy_since.map_or(Duration::ZERO, |since| now.since(since))
    }

    fn note_busy(&mut self, now: Timestamp) {
        let busy = self.each.iter().any(|one| one.counts.in_flight > 0);
        self.busy_since = if busy { self.busy_since.or(Some(now)) } else { None };
    }

    /// Whether one has ordered that.
    pub(crate) fn have_ordered(&self, ordered: Ordered) -> bool {
        self.each.iter().any(|one| one.ordered == Some(ordered))
    }

    /// Whether any uses an endpoint that the platform does not call ready.
    pub(crate) fn any_early(&self) -> bool {
        self.each.iter().any(|one| one.early > 0)
    }

    /// Whether gateway `name` has said in this run that it has closed `endpoint` that time and has nothing at it.
    pub(crate) fn is_empty_at(&self, name: &str, run: u64, endpoint: &str, number: u64) -> bool {
        let said = |going: &Going| &*going.endpoint == endpoint && going.number == number;
        self.each.iter().any(|one| &*one.name == name && one.run == run && one.empty.iter().any(said))
    }
}

impl Other {
    fn spent_until(&self, now: Timestamp) -> Spent {
        let since = u128::from(self.counts.in_flight) * now.since(self.heard).as_nanos();
        Spent { arrivals: self.spent.arrivals, integral: self.spent.integral + since }
    }
}

fn before(now: Timestamp, nanos: u128) -> Timestamp {
    Timestamp::from_nanos(now.as_nanos().saturating_sub(u64::try_from(nanos).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests;
