//! What those are told who scale the app from outside.

use super::App;
use crate::activity::{Demand, Observed};
use crate::clock::Timestamp;
use crate::demand::{Recent, Seen};

/// Looks at the counts of the last while. Sleeping apps keep none.
#[derive(Debug, Default)]
pub(super) struct Looks {
    recent: Option<Box<Recent>>,
    /// How many requests had come when there was something to look at the last time.
    arrivals: u64,
}

// === impl Looks ===

impl Looks {
    fn record(&mut self, seen: Seen) {
        match &mut self.recent {
            Some(recent) => recent.record(seen),
            None if seen.arrivals == self.arrivals && seen.peak == 0 => {}
            None => self.recent = Some(Box::new(Recent::new(seen, self.arrivals))),
        }
        self.arrivals = seen.arrivals;
    }
}

// === impl App ===

impl App {
    /// What is asked of it at this gateway at `now`.
    pub fn demand(&self, now: Timestamp) -> Demand {
        let peak = self.look(now);
        // The count first: who has left by then has said when.
        let in_flight = self.in_flight();
        let idle_for = (self.load.arrivals() > 0).then(|| self.idle_for(now));
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

    /// Looks at the counts, so that nothing since the last look is missed. Returns the most of the last while.
    pub(super) fn look(&self, now: Timestamp) -> crate::demand::Peak {
        let mut looks = self.looks.lock();
        looks.record(Seen { at: now, peak: self.load.take_peak(), arrivals: self.load.arrivals() });
        let Some(recent) = &looks.recent else { return Default::default() };
        let peak = recent.peak(now);
        if peak.is_zero() {
            looks.recent = None;
        }
        peak
    }
}
