//! The app's slots where it has a hard limit and there are several gateways: what this one has of each endpoint, and what the one
//! that leads gives to each. See [`crate::fleet::shares`].

use std::collections::HashSet;
use std::sync::Arc;

use super::App;
use super::control::Control;
use crate::admission::Endpoint;
use crate::admission::slots::UNSHARED;
use crate::clock::Timestamp;
use crate::fleet::shares::{Holder, Ledger, Sender, version};
use crate::fleet::{Grants, Role, Share, Shares};

/// Times that what the one that leads gives to itself may lead to more that it can give: what it takes from itself it has at once.
const ROUNDS: usize = 4;

/// Slots that are shared with other gateways.
#[derive(Debug)]
pub(super) struct SharedSlots {
    holder: Holder,
    /// Endpoints that there are.
    there: Vec<Arc<Endpoint>>,
    /// Endpoints that are gone, but for requests of this gateway.
    gone: Vec<Arc<Endpoint>>,
    /// The one that leads has told last of slots that this one has.
    is_given: bool,
    /// What each gateway has, if this one leads or did a moment ago.
    ledger: Option<Ledger>,
}

/// What another gateway has told of its slots.
#[derive(Debug)]
pub(crate) enum Told {
    /// These it has.
    Shares(Shares),
    /// It knows of no limit.
    NoLimit,
    /// Nothing, when it told all, in this term.
    Nothing(u64),
}

/// What is to be done once nothing is locked any more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[must_use]
struct Then {
    /// Some slots may have come free.
    serve: bool,
    /// Others have to know.
    tell: bool,
}

// === impl SharedSlots ===

impl SharedSlots {
    /// Of each endpoint, as it is now. What is not in `rotation` is not used.
    fn shares(&mut self, rotation: &[Arc<Endpoint>], now: Timestamp) -> Vec<Share> {
        self.gone.retain(|one| one.in_flight() > 0);
        let id = |endpoint: &Arc<Endpoint>| Arc::as_ptr(endpoint) as usize;
        // Looked up only while some are on their way out.
        let used: Option<HashSet<usize>> =
            (rotation.len() < self.there.len()).then(|| rotation.iter().map(id).collect());
        let is_used = |one: &Arc<Endpoint>| used.as_ref().is_none_or(|used| used.contains(&id(one)));
        let all_suspect = rotation.iter().all(|one| one.is_suspect(now));
        let share = |one: &Arc<Endpoint>, usable| {
            let (slots, in_use) = one.share_and_in_use();
            Share { endpoint: one.name().into(), slots, in_use, usable }
        };
        let there = self.there.iter().map(|one| share(one, is_used(one) && (all_suspect || !one.is_suspect(now))));
        let mut shares: Vec<Share> = there.collect();
        for gone in &self.gone {
            let share = share(gone, false);
            match shares.iter_mut().find(|other| other.endpoint == share.endpoint) {
                // Another one by this name is there by now.
                Some(other) => other.in_use += share.in_use,
                None => shares.push(share),
            }
        }
        shares
    }

    /// Carries out what was given, if it has not been yet. What has requests though it is gone keeps those and nothing else.
    fn take(&mut self, grants: &Grants, run: u64) -> Then {
        if grants.run != run || !self.holder.takes(grants.version, grants.fence) {
            return Then::default();
        }
        let mut serve = false;
        for one in &self.there {
            let given =
                grants.slots.iter().find(|(endpoint, _)| **endpoint == *one.name()).map_or(0, |(_, slots)| *slots);
            let at_gone = self.gone.iter().filter(|gone| gone.name() == one.name()).map(|gone| gone.in_flight()).sum();
            let (slots, _) = one.share_and_in_use();
            let given = given.saturating_sub(at_gone);
            if given != slots {
                one.set_share(given);
                serve |= given > slots;
            }
        }
        Then { serve, tell: true }
    }

    /// Gives all back, but for what is in use.
    fn give_back(&mut self) {
        self.there.iter().for_each(|one| one.set_share(0));
    }
}

// === impl App: this gateway's slots ===

impl App {
    /// The hard limit, if there is one that has to hold over several gateways.
    fn shared_limit(&self) -> Option<u32> {
        if self.shared.fleet.is_shared() { self.settings.load().scaling.concurrency_limit } else { None }
    }

    /// These endpoints are there. A new one has no slots until some are given, where they are shared.
    pub(super) fn share_endpoints(&self, control: &mut Control, there: &[Arc<Endpoint>]) {
        if self.shared_limit().is_none() {
            return;
        }
        let victims = control.under_way.iter().flat_map(|order| &order.victims);
        let (mut known, mut ids) = (Vec::with_capacity(there.len()), HashSet::new());
        for one in there.iter().chain(&control.retiring).chain(victims) {
            if ids.insert(Arc::as_ptr(one) as usize) {
                known.push(one.clone());
            }
        }
        let slots = control.slots.get_or_insert_with(|| self.no_slots());
        let before: HashSet<usize> = slots.there.iter().map(|one| Arc::as_ptr(one) as usize).collect();
        for new in known.iter().filter(|one| !before.contains(&(Arc::as_ptr(*one) as usize))) {
            new.set_share(0);
        }
        let (_, gone): (Vec<_>, Vec<_>) = std::mem::replace(&mut slots.there, known)
            .into_iter()
            .partition(|one| ids.contains(&(Arc::as_ptr(one) as usize)));
        gone.iter().for_each(|one| one.set_share(0));
        slots.gone.retain(|one| !ids.contains(&(Arc::as_ptr(one) as usize)));
        slots.gone.extend(gone);
    }

    /// There may be a hard limit from now on, or none any more.
    pub(super) fn limit_changed(&self, control: &mut Control) {
        let there = control.observation.endpoints.clone();
        if self.shared_limit().is_some() {
            return self.share_endpoints(control, &there);
        }
        let slots = control.slots.take();
        let known = slots.iter().flat_map(|slots| slots.there.iter().chain(&slots.gone));
        known.for_each(|one| one.set_share(UNSHARED));
    }

    fn no_slots(&self) -> Box<SharedSlots> {
        let holder = Holder::new(self.shared.fleet.term(), self.shared.fleet.fence());
        Box::new(SharedSlots { holder, there: Vec::new(), gone: Vec::new(), is_given: false, ledger: None })
    }

    /// Whether there is something to tell other gateways though nothing is in flight.
    pub(crate) fn has_shares(&self) -> bool {
        let control = self.control.lock();
        let has =
            |slots: &SharedSlots| slots.is_given || slots.ledger.as_ref().is_some_and(|ledger| !ledger.is_empty());
        control.slots.as_ref().is_some_and(|slots| has(slots) || !slots.there.is_empty() || !slots.gone.is_empty())
    }

    /// What others are to be told of the slots that this gateway has: none of an earlier term come after that.
    fn shares(&self, control: &mut Control, now: Timestamp) -> Option<Shares> {
        self.shared_limit()?;
        let (term, fence) = (self.shared.fleet.term(), self.shared.fleet.fence());
        let Some(slots) = &mut control.slots else {
            return Some(Shares { as_of: version(term, 0), each: Vec::new() });
        };
        slots.holder.catch_up(term, fence);
        let each = slots.shares(&self.endpoints.load(), now);
        Some(Shares { as_of: slots.holder.as_of, each })
    }

    /// Others may take this gateway to be dead: it gives all back.
    pub(crate) fn give_slots_back(&self) {
        let mut control = self.control.lock();
        if let Some(slots) = &mut control.slots {
            slots.give_back();
            slots.holder.catch_up(self.shared.fleet.term(), self.shared.fleet.fence());
        }
        drop(control);
        self.tell_gateways();
    }
}

// === impl App: all gateways' slots ===

impl App {
    /// What gateway `to` is to be told at `now` of the slots that this one has, and of those that it gives, if it leads.
    pub(super) fn news_of_slots(
        &self,
        control: &mut Control,
        to: &str,
        now: Timestamp,
    ) -> (Option<Shares>, Option<Grants>) {
        let then = self.share_out(control, now);
        if then.serve {
            // Whoever makes up news has locked everything.
            self.serve_soon();
        }
        if then.tell {
            // Others than `to` have to know.
            self.tell_gateways();
        }
        let ledger = control.slots.as_ref().and_then(|slots| slots.ledger.as_ref());
        let grants = ledger.filter(|_| self.leads(now)).and_then(|ledger| ledger.grants(to));
        (self.shares(control, now), grants)
    }

    fn leads(&self, now: Timestamp) -> bool {
        matches!(self.shared.fleet.role(now), Role::Leads(_))
    }

    fn serve_soon(&self) {
        if let Some(app) = self.this.upgrade()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move { app.serve_line() });
        }
    }

    /// Gateway `from` has told this of its slots, with so many requests `held`; and given these, if it leads.
    pub(crate) fn hear_of_slots(
        self: &Arc<Self>,
        from: &Arc<str>,
        sender: Sender,
        told: &Told,
        held: u32,
        given: Option<Option<Grants>>,
        now: Timestamp,
    ) {
        let mut control = self.control.lock();
        // Known even if there is no limit here, or not yet.
        let is_new = matches!(told, Told::Shares(shares) if !shares.each.is_empty());
        if control.slots.is_none() && !is_new && !matches!(given, Some(Some(_))) {
            return;
        }
        let mut then = Then { serve: false, tell: control.slots.is_none() };
        let slots = control.slots.get_or_insert_with(|| self.no_slots());
        slots.holder.catch_up(self.shared.fleet.term(), self.shared.fleet.fence());
        if let Some(ledger) = self.ledger(slots) {
            match told {
                Told::Shares(shares) => ledger.hear(from, sender, shares, held, now),
                Told::NoLimit => ledger.hear_unlimited(from, sender.run, now),
                Told::Nothing(term) => {
                    let nothing = Shares { as_of: version(*term, 0), each: Vec::new() };
                    ledger.hear(from, sender, &nothing, 0, now);
                }
            }
        }
        if let Some(grants) = given {
            slots.is_given = grants.is_some();
            if let Some(run) = self.shared.fleet.run()
                && let Some(grants) = grants
            {
                let taken = slots.take(&grants, run);
                then = Then { serve: taken.serve, tell: then.tell || taken.tell };
            }
        }
        let out = self.share_out(&mut control, now);
        drop(control);
        self.then(Then { serve: then.serve || out.serve, tell: then.tell || out.tell });
    }

    /// Shares slots out at `now`, if this gateway leads: something has changed, or time has passed.
    pub(crate) fn share_slots(self: &Arc<Self>, now: Timestamp) {
        let mut control = self.control.lock();
        let then = self.share_out(&mut control, now);
        drop(control);
        self.then(then);
    }

    fn then(self: &Arc<Self>, then: Then) {
        if then.serve {
            self.serve_line();
        }
        if then.tell {
            self.tell_gateways();
        }
    }

    /// The book of the term in which this gateway leads, or did when it last did.
    fn ledger<'a>(&self, slots: &'a mut SharedSlots) -> Option<&'a mut Ledger> {
        let Some((term, began)) = self.shared.fleet.led() else {
            slots.ledger = None;
            return None;
        };
        slots.ledger.take_if(|ledger| ledger.term() != term);
        Some(slots.ledger.get_or_insert_with(|| Ledger::new(term, began)))
    }

    fn share_out(&self, control: &mut Control, now: Timestamp) -> Then {
        let mut then = Then::default();
        if control.slots.is_none() || !self.leads(now) {
            return then;
        }
        let Some(limit) = self.shared_limit() else { return then };
        let fleet = &self.shared.fleet;
        let (Some(present), Some(run), Some(name)) = (fleet.present(now), fleet.run(), fleet.name()) else {
            return then;
        };
        let held = u32::try_from(self.held()).unwrap_or(u32::MAX);
        for _ in 0..ROUNDS {
            let own = self.shares(control, now);
            let Some(slots) = &mut control.slots else { return then };
            let Some(ledger) = self.ledger(slots) else { return then };
            if let Some(own) = &own {
                ledger.hear(name, Sender { run, fence: fleet.fence() }, own, held, now);
            }
            let changed = ledger.share_out(limit, &present, fleet.next_version(ledger.term()), now);
            let taken = ledger.grants(name).map(|grants| slots.take(&grants, run)).unwrap_or_default();
            then.serve |= taken.serve;
            then.tell |= changed;
            if !changed && !taken.tell {
                return then;
            }
        }
        then
    }
}

#[cfg(test)]
mod tests;
