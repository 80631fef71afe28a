//! What gateways tell each other on a network that loses, delays and doubles it, and the lease by which one of them leads.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use super::cluster::Cluster;
use super::objects::{NAME, NAMESPACE};
use super::weather::{Weather, happens};
use crate::app::{App, Shared};
use crate::clock::Timestamp;
use crate::fleet::{Lead, Listed, Message, Outbox, SPACING};
use crate::settings::AppId;

/// How often a gateway looks at the lease: it renews it, or sees whether its holder has.
const LEASE_LOOK: Duration = Duration::from_millis(500);
/// How long a renewal lets its holder lead, from when it was sent.
const LEADS_FOR: Duration = Duration::from_secs(3);
/// How long a lease has to stand still until somebody else takes it.
const EXPIRES_AFTER: Duration = Duration::from_secs(4);

/// A gateway as the others reach it.
#[derive(Clone)]
pub(super) struct Seat {
    pub(super) name: Arc<str>,
    pub(super) shared: Arc<Shared>,
    pub(super) app: Arc<App>,
}

/// Who leads, as the API server has it.
#[derive(Debug, Default)]
pub(super) struct Lease {
    holder: Option<u32>,
    term: u64,
    /// Changes with each renewal.
    version: u64,
}

/// What the cluster lists.
#[derive(Debug, Default)]
pub(super) struct Listing(BTreeMap<Arc<str>, bool>);

// === impl Seat ===

impl Seat {
    fn receive(&self, message: Message, now: Timestamp) {
        self.shared.fleet.receive(message, |id| self.find(id), now);
    }

    fn find(&self, id: &AppId) -> Option<Arc<App>> {
        (*id == AppId::new(NAMESPACE, NAME)).then(|| self.app.clone())
    }
}

// === impl Cluster ===

impl Cluster {
    /// Lists this gateway, from now on or differently; everybody sees it a while later.
    pub(super) fn list_gateway(&self, name: &Arc<str>, ready: bool) {
        self.state().listing.0.insert(name.clone(), ready);
        let pause = self.draw(|random, weather| weather.event.any(random));
        self.after(pause, |cluster| {
            let (seats, listed) = {
                let state = cluster.state();
                let listed: Vec<_> =
                    state.listing.0.iter().map(|(name, ready)| Listed { name: name.clone(), ready: *ready }).collect();
                (state.seats.values().cloned().collect::<Vec<_>>(), listed)
            };
            for seat in seats {
                seat.shared.fleet.list(listed.clone(), cluster.clock.now());
            }
        });
    }

    /// Tells the others what gateway `number` counts, as long as it lives.
    pub(super) async fn share(self: Arc<Self>, number: u32) {
        let mut outboxes: BTreeMap<u32, Outbox> = BTreeMap::new();
        loop {
            let Some(seat) = self.state().seats.get(&number).cloned() else { return };
            let Some(changes) = seat.shared.fleet.changes() else { return };
            let (mut any, mut urgent) = (pin!(changes.any.notified()), pin!(changes.urgent.notified()));
            any.as_mut().enable();
            urgent.as_mut().enable();
            let now = self.clock.now();
            seat.shared.fleet.expire(|id| seat.find(id), now);
            let others: Vec<u32> = self.state().seats.keys().copied().filter(|other| *other != number).collect();
            outboxes.retain(|other, _| others.contains(other));
            for other in others {
                let Some(name) = self.state().seats.get(&other).map(|seat| seat.name.clone()) else { continue };
                let outbox = outboxes.entry(other).or_insert_with(|| Outbox::to(name.clone()));
                let Some(message) = seat.shared.fleet.next_message(outbox, now) else { continue };
                if self.state().cut_until > now {
                    // Its connection is gone, and everything is told again over the next.
                    *outbox = Outbox::to(name);
                    continue;
                }
                self.carry(message, other);
            }
            // As a link does: until something changes, or all is told anew.
            let whole_at = outboxes.values().map(Outbox::whole_at).min().unwrap_or(now + Duration::from_secs(1));
            let calm_at = outboxes.values().map(Outbox::calm_at).min().unwrap_or(now);
            if now < calm_at {
                let _ = tokio::time::timeout_at(self.clock.instant(calm_at), urgent).await;
            } else {
                let _ = tokio::time::timeout_at(self.clock.instant(whole_at), any).await;
            }
            // No sooner than it may; and another one may be waiting for the same moment.
            let next_at = outboxes.values().map(Outbox::next_at).min().unwrap_or(now);
            let least = if whole_at > now { Duration::from_millis(1) } else { SPACING };
            tokio::time::sleep(next_at.since(self.clock.now()).max(least)).await;
        }
    }

    /// The last word of gateway `number`.
    pub(super) fn say_farewell(&self, number: u32) {
        let (seat, others) = {
            let state = self.state();
            let others: Vec<u32> = state.seats.keys().copied().filter(|other| *other != number).collect();
            (state.seats.get(&number).cloned(), others)
        };
        let Some(message) = seat.and_then(|seat| seat.shared.fleet.farewell()) else { return };
        for other in others {
            self.carry(message.clone(), other);
        }
    }

    fn carry(&self, message: Message, to: u32) {
        self.tell(format_args!("{to} is told {message:?}"));
        let (lost, doubled, pause, again) = self.draw(|random, weather| {
            let pause = if happens(random, weather.late) { Weather::LATE } else { weather.call };
            let (lost, doubled) = (happens(random, weather.lost), happens(random, weather.doubled));
            (lost, doubled, pause.any(random), Weather::AGAIN.any(random))
        });
        if lost {
            return;
        }
        let times = if doubled { vec![pause, again] } else { vec![pause] };
        for pause in times {
            let message = message.clone();
            self.after(pause, move |cluster| {
                let seat = cluster.state().seats.get(&to).cloned();
                if let Some(seat) = seat {
                    seat.receive(message, cluster.clock.now());
                }
            });
        }
    }

    /// Keeps gateway `number` told of who leads, and has it lead if nobody else does, as long as it lives.
    pub(super) async fn elect(self: Arc<Self>, number: u32) {
        let mut seen = (0, self.clock.now());
        loop {
            let pause = self.draw(|random, _| LEASE_LOOK + Duration::from_millis(random.u64(..100)));
            tokio::time::sleep(pause).await;
            let asked = self.clock.now();
            self.travel(number).await;
            if self.state().away_until > self.clock.now() {
                continue;
            }
            let (lead, version) = {
                let mut state = self.state();
                let Some(name) = state.seats.get(&number).map(|seat| seat.name.clone()) else { return };
                let leaving = state.seats[&number].shared.leaving.load(std::sync::atomic::Ordering::Acquire);
                let stands_still = state.lease.version == seen.0 && asked.since(seen.1) >= EXPIRES_AFTER;
                let lease = &mut state.lease;
                let mine = lease.holder == Some(number);
                if leaving {
                    if mine {
                        (lease.holder, lease.version) = (None, lease.version + 1);
                    }
                } else if mine {
                    lease.version += 1;
                } else if lease.holder.is_none() || stands_still {
                    *lease = Lease { holder: Some(number), term: lease.term + 1, version: lease.version + 1 };
                    self.tell(format_args!("{name} leads in term {}", state.lease.term));
                }
                let lease = &state.lease;
                let lead = match lease.holder {
                    Some(holder) if holder == number => Lead::Mine { term: lease.term, until: asked + LEADS_FOR },
                    Some(holder) => {
                        Lead::Other(state.seats.get(&holder).map_or("gone".into(), |seat| seat.name.clone()))
                    }
                    None => Lead::Nobody,
                };
                (lead, lease.version)
            };
            self.travel(number).await;
            if version != seen.0 {
                seen = (version, self.clock.now());
            }
            if let Some(seat) = self.state().seats.get(&number) {
                seat.shared.fleet.reached_cluster(self.clock.now());
                seat.shared.fleet.led_by(lead);
            }
        }
    }
}
