//! What those are told who scale the app from outside.

use std::time::Duration;

use super::App;
use crate::activity::{Demand, Observed};
use crate::clock::Timestamp;
use crate::demand::{Recent, Seen};

/// Looks within such a span are told to other gateways as one.
const MOMENT: Duration = Duration::from_millis(500);

/// Looks at the counts of the last while. Sleeping apps keep none.
#[derive(Debug, Default)]
pub(super) struct Looks {
    kept: Option<Box<Kept>>,
    /// How many requests had come when there was something to look at the last time.
    arrivals: u64,
}

#[derive(Debug)]
struct Kept {
    recent: Recent,
    /// The most at once at this gateway, of a moment that began then.
    here: (Timestamp, u32),
}

// === impl Looks ===

impl Looks {
    /// `here` is the most at this gateway since the last look, `seen` that and more of all gateways.
    fn record(&mut self, here: u32, seen: Seen) {
        match &mut self.kept {
            Some(kept) => {
                kept.recent.record(seen);
                let (since, most) = &mut kept.here;
                if seen.at.since(*since) < MOMENT {
                    *most = here.max(*most);
                } else {
                    kept.here = (seen.at, here);
                }
            }
            None if seen.arrivals == self.arrivals && seen.peak == 0 => {}
            None => {
                let recent = Recent::new(seen, self.arrivals);
                self.kept = Some(Box::new(Kept { recent, here: (seen.at, here) }));
            }
        }
        self.arrivals = seen.arrivals;
    }
}

// === impl App ===

impl App {
    /// What is asked of it at all gateways together at `now`, as far as that is known.
    pub fn demand(&self, now: Timestamp) -> Demand {
        let peak = self.look(now);
        // The count first: who has left by then has said when.
        let in_flight = self.in_flight_everywhere(now);
        let ever = self.load.arrivals() > 0 || self.elsewhere(now).last_end.is_some();
        let idle_for = (ever || in_flight > 0).then(|| self.idle_everywhere(now));
        Demand { peak, in_flight, idle_for, counted_for: now.since(self.declared) }
    }

    /// Replicas that were there before this gateway knew of the app, and still are; `None` as long as that is not known.
    pub fn found_replicas(&self) -> Option<u32> {
        let control = self.control.lock();
        Some(control.found?.min(control.spec.as_ref()?.replicas))
    }

    /// What a listener goes by that is told when it becomes active; `active` is over all gateways.
    pub fn observed_from_outside(&self, active: bool) -> Observed {
        let control = self.control.lock();
        // What a wake has brought may be seen before its answer is here.
        let wakes = control.under_way.as_ref().is_some_and(|order| order.wakes);
        Observed {
            active,
            replicas: if wakes { Some(0) } else { control.spec.as_ref().map(|spec| spec.replicas) },
            woken: control.woken.as_ref().map(|woken| woken.at),
            refused: control.refused.is_some(),
        }
    }

    /// Notified whenever the app is decided on or something changes that is told of it: each second while it has demand or
    /// replicas.
    pub fn changes(&self) -> &tokio::sync::Notify {
        self.changes.get_or_init(Box::default)
    }

    /// The most in flight at once at this gateway of about the last second.
    pub(super) fn look_here(&self, now: Timestamp) -> u32 {
        self.look(now);
        self.looks.lock().kept.as_ref().map_or(0, |kept| kept.here.1)
    }

    /// Looks at the counts, so that nothing since the last look is missed. Returns the most of the last while.
    pub(super) fn look(&self, now: Timestamp) -> crate::demand::Peak {
        let elsewhere = self.elsewhere(now);
        let mut looks = self.looks.lock();
        let here = self.load.take_peak();
        let arrivals = self.load.arrivals() + elsewhere.arrivals;
        looks.record(here, Seen { at: now, peak: here.saturating_add(elsewhere.peak), arrivals });
        let Some(kept) = &looks.kept else { return Default::default() };
        let peak = kept.recent.peak(now);
        if peak.is_zero() {
            looks.kept = None;
        }
        peak
    }
}
