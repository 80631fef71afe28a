//! The app at several gateways: what the others count, what is closed everywhere before it goes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::App;
use super::control::Control;
use crate::admission::Endpoint;
use crate::admission::slots::UNLIMITED;
use crate::clock::Timestamp;
use crate::demand::Reading;
use crate::fleet::{ALL, AppNews, CLOSED_WITHOUT_LEADER, Counts, Going, Ordered, Sum};
use crate::platform::WRITER;

/// How long what was ordered away is told to be closed after that: by then every gateway sees for itself that it is gone.
const TOLD_AFTER_ITS_END: Duration = Duration::from_secs(60);

/// By when whoever leads has seen a wake, or does not lead any more: then it means it if it says that all is to be closed.
const WAKE_KNOWN_AFTER: Duration = Duration::from_secs(10);

/// How long another gateway may have requests for an app at zero until this one wakes it too.
const HELPS_AFTER: Duration = Duration::from_secs(1);

/// How long until a gateway has told of an order that the cluster shows. Until then nobody knows whose it is: the API server
/// forgets the names of those who scale a target that has been at zero.
const CLAIMED_WITHIN: Duration = Duration::from_secs(2);

/// What is to be closed at all gateways, and what they have ordered.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Closings {
    /// The last order of this one that was accepted.
    ordered: Option<Ordered>,
    /// What nobody has told yet to have ordered, and when that was seen.
    unclaimed: Option<(Ordered, Timestamp)>,
    /// Told to the others by this one, which leads.
    told: Vec<Told>,
    /// What another one has told that led.
    asked: Option<Asked>,
    /// Another one has ordered that there be none, and that is so: whatever is still there is going.
    zeroed: bool,
    /// There have been some again, since then, after [`ALL`] was closed, that time or an earlier one: who leads may not know yet.
    woken_after: Option<(u64, Timestamp)>,
}

#[derive(Debug, PartialEq)]
struct Told {
    going: Going,
    /// It has been ordered away: told until then.
    until: Option<Timestamp>,
}

#[derive(Debug, PartialEq)]
struct Asked {
    going: Vec<Going>,
    /// When it was told last.
    at: Timestamp,
}

// === impl Closings ===

impl Closings {
    /// Gives a `number` to each of `going` that has none, and forgets what is in use again, or [`ALL`] if the app is
    /// `awake`; what else is in use no more was ordered away. Whether there is something new.
    fn tell(
        &mut self,
        going: &BTreeSet<&str>,
        in_use: &BTreeSet<&str>,
        awake: bool,
        mut number: impl FnMut() -> u64,
        now: Timestamp,
    ) -> bool {
        self.told.retain_mut(|told| {
            if going.contains(&*told.going.endpoint) {
                told.until = None;
                return true;
            }
            let awake = &*told.going.endpoint == ALL && awake;
            if awake || in_use.contains(&*told.going.endpoint) {
                return false;
            }
            now < *told.until.get_or_insert(now + TOLD_AFTER_ITS_END)
        });
        let mut new = false;
        for endpoint in going {
            if !self.told.iter().any(|told| &*told.going.endpoint == *endpoint) {
                let going = Going { endpoint: (*endpoint).into(), number: number() };
                self.told.push(Told { going, until: None });
                new = true;
            }
        }
        new
    }

    fn number_of(&self, endpoint: &str) -> Option<u64> {
        self.told.iter().find(|told| &*told.going.endpoint == endpoint).map(|told| told.going.number)
    }

    fn is_asked_away(&self, endpoint: &str) -> bool {
        let is = |going: &Going| &*going.endpoint == ALL || &*going.endpoint == endpoint;
        self.zeroed || self.asked.as_ref().is_some_and(|asked| asked.going.iter().any(is))
    }
}

// === impl App: counts ===

impl App {
    /// What other gateways count, together.
    pub(super) fn elsewhere(&self, now: Timestamp) -> Sum {
        self.others.lock().as_ref().map(|others| others.sum(now)).unwrap_or_default()
    }

    /// Requests admitted or held at any gateway, as far as that is known at `now`.
    pub fn in_flight_everywhere(&self, now: Timestamp) -> u32 {
        self.in_flight().saturating_add(self.elsewhere(now).in_flight)
    }

    /// Requests held at any gateway, as far as that is known at `now`.
    pub fn held_everywhere(&self, now: Timestamp) -> u32 {
        u32::try_from(self.held()).unwrap_or(u32::MAX).saturating_add(self.elsewhere(now).held)
    }

    /// Count, integral and arrivals of all gateways together, as of `now`.
    pub fn read_everywhere(&self, now: Timestamp) -> Reading {
        let (here, elsewhere) = (self.read(now), self.elsewhere(now));
        Reading {
            at: now,
            in_flight: here.in_flight.saturating_add(elsewhere.in_flight),
            integral: here.integral + elsewhere.integral,
            arrivals: here.arrivals + elsewhere.arrivals,
        }
    }

    /// How long nothing has been in flight at any gateway at `now`; zero if something is.
    pub fn idle_everywhere(&self, now: Timestamp) -> Duration {
        let elsewhere = self.elsewhere(now);
        if elsewhere.in_flight > 0 {
            return Duration::ZERO;
        }
        let here = self.idle_for(now);
        elsewhere.last_end.map_or(here, |end| here.min(now.since(end)))
    }

    /// Whether another gateway uses an endpoint that the platform does not call ready.
    fn is_early_elsewhere(&self) -> bool {
        self.others.lock().as_ref().is_some_and(|others| others.any_early())
    }
}

// === impl App: messages ===

impl App {
    /// A request has come, gone on or ended, which other gateways are told: it costs a look at what is at hand. What happens at the
    /// very moment at which somebody looks may be told with all else, within a second.
    pub(crate) fn note_request(&self) {
        if !self.shared.fleet.is_shared() {
            return;
        }
        // Of slots that are shared others may wait for one.
        if self.slot_limit.load(Ordering::Relaxed) != UNLIMITED {
            if !self.noted.is_set() {
                self.tell_gateways();
            }
        } else if !self.noted.is_set() && self.noted.set() {
            self.shared.fleet.note(self.address());
        }
    }

    /// Something has changed that other gateways are told, who may wait for it.
    pub(crate) fn tell_gateways(&self) {
        if self.shared.fleet.is_shared() {
            self.shared.fleet.note_urgent(self.address(), self.noted.set());
        }
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    /// Somebody looks what there is to tell: what changes from now on is noted anew.
    pub(crate) fn take_note(&self) {
        self.noted.take();
    }

    /// What gateway `to` is to be told at `now`, by one that leads in this term, if it does.
    pub(crate) fn news_for_gateways(&self, to: &str, leads: Option<u64>, now: Timestamp) -> AppNews {
        let peak = self.look_here(now);
        let read = self.read(now);
        let counts = Counts {
            in_flight: read.in_flight,
            held: u32::try_from(self.held()).unwrap_or(u32::MAX),
            peak: peak.max(read.in_flight),
            arrivals: read.arrivals,
            request_micros: u64::try_from(read.integral / 1_000).unwrap_or(u64::MAX),
            idle: (read.arrivals > 0).then(|| self.idle_for(now)),
        };
        let mut control = self.control.lock();
        let (mut going, mut empty) = (Vec::new(), Vec::new());
        match leads {
            Some(term) => {
                self.number_going(&mut control, term, now);
                if let Some(closings) = &control.closings {
                    going = closings.told.iter().map(|told| told.going.clone()).collect();
                }
            }
            None => empty = self.emptied(&control),
        }
        let (shares, grants) = self.news_of_slots(&mut control, to, now);
        let early = self.endpoints.load().iter().filter(|one| one.is_early()).count();
        let early = u32::try_from(early).unwrap_or(u32::MAX);
        let ordered = control.closings.as_ref().and_then(|closings| closings.ordered);
        AppNews { app: self.id.clone(), counts, early, ordered, going, empty, shares, grants }
    }

    /// Gateway `from` has told this of the app, in its run `run`; it leads in the term, if it does.
    pub(crate) fn hear_gateway(
        self: &Arc<Self>,
        from: &Arc<str>,
        run: u64,
        leads: Option<u64>,
        news: AppNews,
        now: Timestamp,
    ) {
        let mut guard = self.others.lock();
        let others = guard.get_or_insert_default();
        let before = others.sum(now);
        let emptied = others.hear(from, run, &news, now);
        let (after, busy_for) = (others.sum(now), others.busy_for(now));
        drop(guard);
        if let Some(closings) = &mut self.control.lock().closings {
            closings.unclaimed.take_if(|(seen, _)| news.ordered == Some(*seen));
        }
        if leads.is_some() {
            self.ask_away(news.going, now);
        }
        let came = after.in_flight > 0 && (before.in_flight == 0 || after.held > before.held);
        // Who holds requests for an app at zero wakes it, and is helped only if nothing comes of that.
        let helps = self.spec_replicas() != Some(0) || busy_for >= HELPS_AFTER;
        // The rest can wait for a tick.
        if emptied || (helps && (came || self.wanted() == 0)) {
            self.poke();
        }
    }

    /// Gateway `from` has told all, and this app was not in it.
    pub(crate) fn gateway_is_silent(self: &Arc<Self>, from: &str, leads: Option<u64>, now: Timestamp) {
        if let Some(others) = &mut *self.others.lock() {
            others.silent(from, now);
        }
        if leads.is_some() {
            self.ask_away(Vec::new(), now);
        }
    }

    /// Gateway `name` is no more, or this run of it.
    pub(crate) fn forget_gateway(self: &Arc<Self>, name: &str, now: Timestamp) {
        if let Some(others) = &mut *self.others.lock() {
            others.forget(name, now);
        }
        self.poke();
    }
}

// === impl App: closed everywhere ===

impl App {
    /// Another gateway has ordered `replicas`, and that is so.
    pub(super) fn written_by_gateway(&self, control: &mut Control, replicas: u32) {
        control.wanted = replicas;
        control.overwritten = 0;
        // Some where there were none is a wake, which is seen before. Fewer than before, all may be about to go.
        if replicas == 0 {
            control.closings.get_or_insert_default().zeroed = true;
        }
    }

    /// This gateway has ordered so many.
    pub(super) fn note_order(&self, control: &mut Control, replicas: u32, version: u64) {
        if self.shared.fleet.is_shared() {
            control.closings.get_or_insert_default().ordered = Some(Ordered { replicas, version });
            self.tell_gateways();
        }
    }

    /// Whether another gateway has ordered what the cluster shows, or may have as far as is known.
    pub(super) fn is_of_fleet(
        &self,
        control: &mut Control,
        seen: Ordered,
        writer: Option<&str>,
        now: Timestamp,
    ) -> bool {
        if !self.shared.fleet.is_shared() || writer.is_some_and(|writer| writer != WRITER) {
            return false;
        }
        let claimed = writer.is_some() || self.others.lock().as_ref().is_some_and(|others| others.have_ordered(seen));
        let unclaimed = (!claimed).then_some((seen, now));
        if unclaimed.is_some() || control.closings.is_some() {
            control.closings.get_or_insert_default().unclaimed = unclaimed;
        }
        true
    }

    /// What no gateway has told to have ordered in time is somebody else's.
    pub(super) fn settle_claims(&self, now: Timestamp) {
        let mut control = self.control.lock();
        let Some(closings) = &mut control.closings else { return };
        let Some((seen, _)) = closings.unclaimed.take_if(|(_, at)| now.since(*at) >= CLAIMED_WITHIN) else { return };
        if control.spec.as_ref().is_some_and(|spec| spec.replicas == seen.replicas) {
            control.written_by_other(seen.replicas, None, self.settings.load().scaling.min_replicas, now);
        }
    }

    /// Whether it is not known yet whose the number of replicas is: then it is not lowered.
    pub(crate) fn is_unclaimed(&self) -> bool {
        self.control.lock().closings.as_ref().is_some_and(|closings| closings.unclaimed.is_some())
    }

    /// There are to be some again.
    pub(super) fn not_zero_any_more(control: &mut Control, now: Timestamp) {
        if let Some(closings) = &mut control.closings {
            closings.zeroed = false;
            if let Some(asked) = &mut closings.asked {
                let all = asked.going.extract_if(.., |going| &*going.endpoint == ALL).map(|going| going.number).max();
                closings.woken_after = all.map(|number| (number, now)).or(closings.woken_after);
            }
        }
        Self::closes_all_anew(control);
    }

    /// The next time that [`ALL`] is closed is another one, though nobody was told that it is open in between.
    pub(super) fn closes_all_anew(control: &mut Control) {
        if let Some(closings) = &mut control.closings {
            closings.told.retain(|told| &*told.going.endpoint != ALL);
        }
    }

    /// Whether there is something to tell other gateways though nothing is in flight.
    pub(crate) fn has_closings(&self) -> bool {
        self.control.lock().closings.as_ref().is_some_and(|closings| !closings.told.is_empty())
    }

    /// What goes has to be closed at the other gateways too: numbers it, and tells them.
    pub(super) fn number_going(&self, control: &mut Control, term: u64, now: Timestamp) {
        let rotation = self.endpoints.load();
        let victims = control.under_way.iter().flat_map(|order| &order.victims);
        let mut going: BTreeSet<&str> = control.retiring.iter().chain(victims).map(|one| one.name()).collect();
        let orders_none = control.under_way.as_ref().is_some_and(|order| order.replicas == 0);
        let sleeps = control.wanted == 0 && control.spec.as_ref().is_some_and(|spec| spec.replicas > 0);
        if orders_none || sleeps {
            going.insert(ALL);
        }
        if going.is_empty() && control.closings.is_none() {
            return;
        }
        let in_use = rotation.iter().map(|one| one.name()).collect();
        let closings = control.closings.get_or_insert_default();
        let number = || self.shared.fleet.next_version(term);
        if closings.tell(&going, &in_use, control.wanted > 0, number, now) {
            self.tell_gateways();
        }
        if **closings == Closings::default() {
            control.closings = None;
        }
    }

    /// Whether `endpoint`, or [`ALL`], is closed and empty at every other gateway.
    pub(super) fn is_empty_elsewhere(&self, control: &Control, endpoint: &str, now: Timestamp) -> bool {
        if !self.shared.fleet.is_shared() {
            return true;
        }
        let Some(number) = control.closings.as_ref().and_then(|closings| closings.number_of(endpoint)) else {
            return false;
        };
        let mut others = self.others.lock();
        self.shared.fleet.is_empty_elsewhere(others.get_or_insert_default(), endpoint, number, now)
    }

    /// Whether, with fewer replicas but some, one might go that another gateway uses.
    pub(super) fn is_misjudged_elsewhere(&self) -> bool {
        self.shared.fleet.is_shared() && self.is_early_elsewhere()
    }

    /// Whether the one that leads has asked that `endpoint` take no request.
    pub(super) fn is_asked_away(control: &Control, endpoint: &Endpoint) -> bool {
        control.closings.as_ref().is_some_and(|closings| closings.is_asked_away(endpoint.name()))
    }

    /// The one that leads has this closed everywhere, and nothing else.
    fn ask_away(self: &Arc<Self>, mut going: Vec<Going>, now: Timestamp) {
        let mut control = self.control.lock();
        let woken = control.closings.as_ref().and_then(|closings| closings.woken_after);
        if let Some((number, _)) = woken.filter(|(_, at)| now.since(*at) < WAKE_KNOWN_AFTER) {
            going.retain(|going| &*going.endpoint != ALL || going.number > number);
        }
        if going.is_empty() && control.closings.as_ref().is_none_or(|closings| closings.asked.is_none()) {
            return;
        }
        let closings = control.closings.get_or_insert_default();
        // What was told while this one led is the other's to tell now.
        closings.told.clear();
        closings.asked = (!going.is_empty()).then_some(Asked { going, at: now });
        drop(control);
        self.follow_closings(now);
        self.tell_gateways();
    }

    /// Closes what the one that leads has asked for and opens what else is closed; by one that follows.
    pub(crate) fn follow_closings(self: &Arc<Self>, now: Timestamp) {
        let mut control = self.control.lock();
        if control.closings.is_none() && control.retiring.is_empty() {
            return;
        }
        let closings = control.closings.get_or_insert_default();
        if !closings.told.is_empty() {
            // Led until now: what is closed stays so until another says otherwise.
            let going = closings.told.drain(..).map(|told| told.going).collect();
            closings.asked.get_or_insert(Asked { going, at: now });
        }
        closings.asked.take_if(|asked| now.since(asked.at) >= CLOSED_WITHOUT_LEADER);
        let asked_away = |one: &Arc<Endpoint>| Self::is_asked_away(&control, one);
        let (close, mut rotation): (Vec<_>, Vec<_>) =
            self.endpoints.load().iter().cloned().partition(|one| asked_away(one));
        let (stay, open): (Vec<_>, Vec<_>) = control.retiring.iter().cloned().partition(|one| asked_away(one));
        let opened = !open.is_empty();
        if close.is_empty() && !opened {
            return;
        }
        open.iter().for_each(|one| one.reopen());
        rotation.extend(open);
        self.endpoints.store(Arc::new(rotation));
        control.retiring = stay;
        for one in close {
            one.close();
            self.poke_when_empty(&one);
            control.retiring.push(one);
        }
        drop(control);
        self.tell_gateways();
        if opened {
            self.serve_line();
        }
    }

    /// What the one that leads has asked for and is closed and empty here.
    fn emptied(&self, control: &Control) -> Vec<Going> {
        let Some(asked) = control.closings.as_ref().and_then(|closings| closings.asked.as_ref()) else {
            return Vec::new();
        };
        let rotation = self.endpoints.load();
        let victims = control.under_way.iter().flat_map(|order| &order.victims);
        let closed = || control.retiring.iter().chain(victims.clone()).chain(&control.observation.endpoints);
        let empty = |going: &&Going| {
            let is = |one: &&Arc<Endpoint>| &*going.endpoint == ALL || one.name() == &*going.endpoint;
            !rotation.iter().any(|one| is(&one)) && !closed().filter(is).any(|one| one.in_flight() > 0)
        };
        asked.going.iter().filter(empty).cloned().collect()
    }

    /// This gateway leads from now on: what another had closed is its own to decide on.
    pub(crate) fn take_lead(&self) {
        if let Some(closings) = &mut self.control.lock().closings {
            closings.asked = None;
        }
    }
}
