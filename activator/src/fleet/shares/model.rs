//! Seeded random runs of several gateways with one app: messages are lost, late, doubled and out of order, leaders change,
//! gateways die and come back or are cut off, requests come and go, endpoints come and go and are seen sooner or later.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use super::{Holder, Ledger, Present, Sender, version};
use crate::admission::slots::Slots;
use crate::clock::Timestamp;
use crate::fleet::members::{Listed, Members, Taken};
use crate::fleet::message::{AppNews, Counts, Grants, Message, Scope, Share, Shares};
use crate::fleet::{FENCED_AFTER, SPACING};
use crate::settings::AppId;

const STEP: Duration = Duration::from_millis(10);
/// Messages there and back, twice: to the one that leads, to whoever has slots that it does not use, back, and on.
const ROUNDS: u32 = 4;
/// How long a message takes, in a calm, and how long it may lie about before it is sent.
const ROUND: Duration = Duration::from_millis(70);
/// How long a request takes at most, in a calm.
const SHORT: u64 = 300;

struct World {
    random: Rng,
    now: Timestamp,
    limit: u32,
    gateways: Vec<Gateway>,
    wire: Vec<(Timestamp, usize, u64, Message)>,
    /// Which endpoints there are.
    there: Vec<bool>,
    term: u64,
    last_run: u64,
    /// When somebody may lead.
    free_from: Timestamp,
    calm: bool,
    /// Whether gateways are cut off for longer than they keep what they have.
    cuts: bool,
    arrived: u64,
    admitted: u64,
    moved: u64,
}

struct Gateway {
    name: Arc<str>,
    run: u64,
    alive: bool,
    started: Timestamp,
    cut_until: Timestamp,
    heard: Timestamp,
    number: u64,
    term: u64,
    fence: u32,
    members: Members,
    leads: Option<(u64, Timestamp)>,
    counter: u64,
    ledger: Option<Ledger>,
    holder: Option<Holder>,
    given: bool,
    known: BTreeMap<usize, Known>,
    /// Each with a number of its own.
    waiting: VecDeque<u64>,
    running: Vec<(usize, Timestamp)>,
    sends_at: Timestamp,
}

struct Known {
    slots: Slots,
    gone: bool,
}

fn id(endpoint: usize) -> Box<str> {
    format!("endpoint-{endpoint}").into()
}

// === impl Gateway ===

impl Gateway {
    fn new(name: Arc<str>) -> Self {
        Self {
            name,
            run: 0,
            alive: false,
            started: Timestamp::ZERO,
            cut_until: Timestamp::ZERO,
            heard: Timestamp::ZERO,
            number: 0,
            term: 0,
            fence: 0,
            members: Members::new(0),
            leads: None,
            counter: 0,
            ledger: None,
            holder: None,
            given: false,
            known: BTreeMap::new(),
            waiting: VecDeque::new(),
            running: Vec::new(),
            sends_at: Timestamp::ZERO,
        }
    }

    fn shares(&mut self) -> Option<Shares> {
        self.known.retain(|_, known| !known.gone || known.slots.in_use() > 0);
        if self.known.is_empty() && !self.given {
            self.holder = None;
        }
        let holder = self.holder.as_mut()?;
        holder.catch_up(self.term, self.fence);
        let each = self.known.iter().map(|(endpoint, known)| {
            let (slots, in_use) = known.slots.share_and_in_use();
            Share { endpoint: id(*endpoint), slots, in_use, usable: !known.gone }
        });
        Some(Shares { as_of: holder.as_of, each: each.collect() })
    }

    fn take(&mut self, grants: &Grants) -> bool {
        let (term, fence) = (self.term, self.fence);
        let holder = self.holder.get_or_insert_with(|| Holder::new(term, fence));
        if grants.run != self.run || !holder.takes(grants.version, grants.fence) {
            return false;
        }
        for (endpoint, known) in self.known.iter().filter(|(_, known)| !known.gone) {
            let given = grants.slots.iter().find(|(name, _)| **name == *id(*endpoint));
            known.slots.set_share(given.map_or(0, |(_, slots)| *slots));
        }
        true
    }

    fn sees(&mut self, endpoint: usize, there: bool) {
        if there {
            let (term, fence) = (self.term, self.fence);
            self.holder.get_or_insert_with(|| Holder::new(term, fence));
            let slots = || {
                let slots = Slots::new();
                slots.set_share(0);
                slots
            };
            self.known.entry(endpoint).or_insert_with(|| Known { slots: slots(), gone: false }).gone = false;
        } else if let Some(known) = self.known.get_mut(&endpoint) {
            known.gone = true;
            known.slots.set_share(0);
        }
    }

    fn give_all_back(&mut self) {
        self.fence += 1;
        for known in self.known.values() {
            known.slots.set_share(0);
        }
        if let Some(holder) = &mut self.holder {
            holder.catch_up(self.term, self.fence);
        }
    }

    /// What the one that leads does.
    fn share_out(&mut self, limit: u32, now: Timestamp) {
        let Some((term, began)) = self.leads.filter(|_| self.alive) else { return };
        for _ in 0..4 {
            let shares = self.shares();
            if shares.is_none() && self.ledger.is_none() {
                return;
            }
            let Some(mut present) = self.members.present(term, now) else { return };
            let run = Some(self.run);
            present.push(Present { name: self.name.clone(), run, had_none: true, may_get: true });
            let ledger = self.ledger.get_or_insert_with(|| Ledger::new(term, began));
            if let Some(shares) = &shares {
                let sender = Sender { run: self.run, fence: self.fence };
                ledger.hear(&self.name, sender, shares, self.waiting.len() as u32, now);
            }
            let next = version(term, self.counter + 1);
            let changed = ledger.share_out(limit, &present, next, now);
            let own = ledger.grants(&self.name);
            self.counter += u64::from(changed);
            let taken = own.is_some_and(|own| self.take(&own));
            if !changed && !taken {
                return;
            }
        }
    }

    fn receive(&mut self, message: &Message, now: Timestamp, limit: u32) {
        if self.members.hear(message, now) == Taken::Ignored {
            return;
        }
        let leads = message.leads.filter(|term| *term >= self.term);
        self.term = self.term.max(leads.unwrap_or_default());
        if self.leads.is_some_and(|(term, _)| term < self.term) {
            (self.leads, self.ledger) = (None, None);
        }
        let news = message.apps.first();
        if let Some(ledger) = &mut self.ledger {
            let silent = Shares { as_of: version(message.term, 0), each: Vec::new() };
            let shares = news.map_or(Some(&silent), |news| news.shares.as_ref());
            let sender = Sender { run: message.run, fence: message.fence };
            if let Some(shares) = shares {
                ledger.hear(&message.from, sender, shares, news.map_or(0, |news| news.counts.held), now);
            }
        } else if let (Some((term, began)), Some(news)) = (self.leads, news) {
            let ledger = self.ledger.insert(Ledger::new(term, began));
            let sender = Sender { run: message.run, fence: message.fence };
            if let Some(shares) = &news.shares {
                ledger.hear(&message.from, sender, shares, news.counts.held, now);
            }
        }
        if leads.is_some() {
            let grants = news.and_then(|news| news.grants.as_ref());
            self.given = grants.is_some();
            if let Some(grants) = grants {
                self.take(grants);
            }
        }
        self.share_out(limit, now);
    }

    fn message(&mut self, to: &str) -> Message {
        self.number += 1;
        let shares = self.shares();
        let grants = self.leads.and(self.ledger.as_ref()).and_then(|ledger| ledger.grants(to));
        let counts = Counts { held: self.waiting.len() as u32, ..Counts::default() };
        let app = AppId::new("default", "a");
        let news =
            AppNews { app, counts, early: 0, ordered: None, going: Vec::new(), empty: Vec::new(), shares, grants };
        let tells = news.shares.is_some() || news.grants.is_some();
        Message {
            from: self.name.clone(),
            run: self.run,
            number: self.number,
            leads: self.leads.map(|(term, _)| term),
            term: self.term,
            fence: self.fence,
            knows: self.members.runs_known(),
            scope: Scope::Whole,
            apps: if tells { vec![news] } else { Vec::new() },
        }
    }
}

// === impl World ===

impl World {
    fn new(seed: u64, cuts: bool) -> Self {
        let mut random = Rng::with_seed(seed);
        let names = ["a", "b", "c", "d"];
        let many = random.usize(2..=4);
        let mut world = Self {
            now: Timestamp::from_millis(1_000),
            limit: [1, 1, 2, 3, 10][random.usize(..5)],
            gateways: names[..many].iter().map(|name| Gateway::new((*name).into())).collect(),
            wire: Vec::new(),
            there: vec![false; random.usize(1..4)],
            term: 0,
            last_run: 0,
            free_from: Timestamp::ZERO,
            calm: false,
            cuts,
            arrived: 0,
            admitted: 0,
            moved: 0,
            random,
        };
        for one in 0..many {
            if one == 0 || world.random.bool() {
                world.start(one);
            }
        }
        world
    }

    fn chance(&mut self, one_in: u32) -> bool {
        self.random.u32(..one_in) == 0
    }

    fn list(&mut self) {
        let listed: Vec<_> = self.gateways.iter().filter(|one| one.run > 0).collect();
        let listed: Vec<_> = listed
            .iter()
            .map(|one| Listed { name: one.name.clone(), ready: one.alive && one.cut_until <= self.now })
            .collect();
        let now = self.now;
        for gateway in self.gateways.iter_mut().filter(|one| one.alive && one.cut_until <= now) {
            gateway.members.list(listed.iter().filter(|one| one.name != gateway.name).cloned(), now);
        }
    }

    fn start(&mut self, one: usize) {
        self.last_run += 1;
        let name = self.gateways[one].name.clone();
        let mut gateway = Gateway::new(name);
        (gateway.run, gateway.alive, gateway.started, gateway.heard) = (self.last_run, true, self.now, self.now);
        gateway.members = Members::new(gateway.run);
        self.gateways[one] = gateway;
        self.list();
        for endpoint in 0..self.there.len() {
            if self.there[endpoint] {
                self.gateways[one].sees(endpoint, true);
            }
        }
    }

    fn end(&mut self, one: usize, farewell: bool) {
        if farewell {
            for other in 0..self.gateways.len() {
                let name = self.gateways[other].name.clone();
                let message = Message { scope: Scope::Farewell, apps: Vec::new(), ..self.gateways[one].message(&name) };
                self.carry(one, other, message);
            }
        }
        self.gateways[one].alive = false;
        if self.gateways[one].leads.take().is_some() {
            self.free_from = self.now + Duration::from_millis(self.random.u64(..2_000));
        }
        self.list();
    }

    fn carry(&mut self, from: usize, to: usize, message: Message) {
        let now = self.now;
        let is_cut = |one: &Gateway| one.cut_until > now;
        if from == to || is_cut(&self.gateways[from]) || is_cut(&self.gateways[to]) {
            return;
        }
        let (run, calm) = (self.gateways[to].run, self.calm);
        if !calm && self.chance(10) {
            return;
        }
        let late = !calm && self.chance(20);
        let millis = if late { self.random.u64(..6_000) } else { self.random.u64(1..10) };
        if !calm && self.chance(10) {
            let again = self.random.u64(..3_000);
            self.wire.push((now + Duration::from_millis(again), to, run, message.clone()));
        }
        self.wire.push((now + Duration::from_millis(millis), to, run, message));
    }

    fn step(&mut self) {
        self.now = self.now + STEP;
        let now = self.now;
        if !self.calm {
            self.trouble();
        }
        self.elect();
        self.deliver();
        for one in 0..self.gateways.len() {
            let gateway = &mut self.gateways[one];
            if !gateway.alive {
                continue;
            }
            let ended = gateway.running.extract_if(.., |(_, until)| *until <= now);
            ended.for_each(|(endpoint, _)| {
                gateway.known[&endpoint].slots.release();
            });
            gateway.members.expire(now);
            let away = gateway.cut_until > now;
            if !away {
                gateway.heard = now;
            } else if now.since(gateway.heard) >= FENCED_AFTER && !gateway.members.all_heard_within(FENCED_AFTER, now) {
                gateway.give_all_back();
                gateway.heard = now;
            }
            gateway.share_out(self.limit, now);
            self.serve(one);
            if self.gateways[one].sends_at <= now {
                self.gateways[one].sends_at = now + SPACING;
                for other in 0..self.gateways.len() {
                    if self.gateways[other].alive {
                        let name = self.gateways[other].name.clone();
                        let message = self.gateways[one].message(&name);
                        self.carry(one, other, message);
                    }
                }
            }
        }
        self.check();
    }

    fn deliver(&mut self) {
        let now = self.now;
        let (mut due, later): (Vec<_>, Vec<_>) = self.wire.drain(..).partition(|(at, ..)| *at <= now);
        self.wire = later;
        due.sort_by_key(|(at, ..)| *at);
        for (_, to, run, message) in due {
            let gateway = &mut self.gateways[to];
            // What comes while it is cut off comes when that is over, and then before all else.
            if gateway.cut_until > now {
                self.wire.push((gateway.cut_until, to, run, message));
            } else if gateway.alive && gateway.run == run {
                gateway.receive(&message, now, self.limit);
                self.moved += u64::from(message.leads.is_some());
            }
        }
    }

    fn elect(&mut self) {
        if self.now < self.free_from || self.gateways.iter().any(|one| one.leads.is_some()) {
            return;
        }
        let now = self.now;
        let can = |one: &&mut Gateway| {
            one.alive && one.cut_until <= now && now.since(one.started) >= Duration::from_millis(500)
        };
        let mut able: Vec<_> = self.gateways.iter_mut().filter(can).collect();
        if able.is_empty() {
            return;
        }
        let chosen = self.random.usize(..able.len());
        self.term += 1;
        let gateway = &mut able[chosen];
        gateway.term = self.term;
        gateway.leads = Some((self.term, now + Duration::from_millis(3_000)));
        (gateway.ledger, gateway.counter) = (None, 0);
        gateway.members.begin_lead();
    }

    fn trouble(&mut self) {
        let one = self.random.usize(..self.gateways.len());
        let (alive, away) = (self.gateways[one].alive, self.gateways[one].cut_until > self.now);
        if !alive {
            if self.chance(100) {
                self.start(one);
            }
        } else if self.chance(600) {
            let farewell = self.random.bool() && self.gateways[one].running.is_empty();
            self.end(one, farewell);
        } else if self.chance(400) && self.gateways[one].leads.take().is_some() {
            self.free_from = self.now + Duration::from_millis(self.random.u64(..1_000));
        } else if self.cuts && !away && self.chance(3_000) {
            let long = Duration::from_millis(self.random.u64(..100_000));
            self.gateways[one].cut_until = self.now + long;
            if self.gateways[one].leads.take().is_some() {
                self.free_from = self.now + Duration::from_millis(self.random.u64(..1_000));
            }
        }
        if self.chance(50) || self.cuts {
            self.list();
        }
        let endpoint = self.random.usize(..self.there.len());
        if self.chance(if self.there[endpoint] { 1_000 } else { 50 }) {
            self.there[endpoint] = !self.there[endpoint];
        }
        // Each sees it sooner or later.
        if alive && self.chance(10) {
            self.gateways[one].sees(endpoint, self.there[endpoint]);
        }
        if alive && self.chance(8) {
            let many = if self.chance(10) { self.random.u32(1..20) } else { 1 };
            self.arrive(one, many);
        }
        if alive && self.chance(100) {
            self.gateways[one].waiting.clear();
        }
    }

    fn arrive(&mut self, one: usize, many: u32) {
        let first = self.arrived;
        self.arrived += u64::from(many);
        self.gateways[one].waiting.extend(first..self.arrived);
    }

    fn serve(&mut self, one: usize) {
        let long = !self.calm && !self.cuts && self.chance(10);
        let takes = Duration::from_millis(self.random.u64(..if long { 6_000 } else { SHORT }));
        let first = self.random.usize(..self.there.len());
        let (limit, now, endpoints) = (self.limit, self.now, self.there.len());
        let gateway = &mut self.gateways[one];
        while !gateway.waiting.is_empty() {
            let free = (0..endpoints).map(|at| (first + at) % endpoints).find(|endpoint| {
                gateway.known.get(endpoint).is_some_and(|known| !known.gone && known.slots.try_acquire(limit, || None))
            });
            let Some(endpoint) = free else { return };
            gateway.waiting.pop_front();
            gateway.running.push((endpoint, now + takes));
            self.admitted += 1;
        }
    }

    /// What all may have together is never more than the limit.
    #[track_caller]
    fn check(&self) {
        for endpoint in 0..self.there.len() {
            let alive = self.gateways.iter().filter(|one| one.alive);
            let has = alive.filter_map(|one| one.known.get(&endpoint)).map(|known| {
                let (slots, in_use) = known.slots.share_and_in_use();
                slots.max(in_use)
            });
            let has: Vec<u32> = has.collect();
            let sum: u32 = has.iter().sum();
            assert!(
                sum <= self.limit,
                "{sum} of {} slots at endpoint {endpoint}: {has:?}, at {:?}",
                self.limit,
                self.now
            );
        }
    }

    /// Nothing goes wrong any more.
    fn calm(&mut self) {
        self.calm = true;
        self.wire.clear();
        for one in 0..self.gateways.len() {
            self.gateways[one].cut_until = self.now;
            if !self.gateways[one].alive {
                self.start(one);
            }
            for endpoint in 0..self.there.len() {
                self.there[endpoint] = true;
                self.gateways[one].sees(endpoint, true);
            }
        }
        self.list();
    }

    fn in_use(&self, endpoint: usize) -> u32 {
        self.gateways.iter().filter_map(|one| one.known.get(&endpoint)).map(|known| known.slots.in_use()).sum()
    }
}

/// As long as anything may happen, the limit holds.
fn chaos(seed: u64, cuts: bool, seconds: u64) -> World {
    let mut world = World::new(seed, cuts);
    for _ in 0..seconds * 100 {
        world.step();
    }
    world
}

/// Plays `many` runs, or so many times more as asked for.
fn sweep(from: u64, many: u64, play: impl Fn(u64) -> World) {
    let times = std::env::var("ZEROGATE_SHARES_TIMES").ok().and_then(|times| times.parse().ok());
    let (mut admitted, mut moved) = (0, 0);
    for seed in from..from + many * times.unwrap_or(1) {
        let world = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| play(seed)));
        let world = world.unwrap_or_else(|_| panic!("with seed {seed}"));
        admitted += world.admitted;
        moved += world.moved;
    }
    assert!(admitted > 1_000 && moved > 1_000, "nothing has happened: {admitted} admitted, {moved} messages");
}

#[test]
fn the_limit_holds_whatever_happens() {
    sweep(0, 20, |seed| chaos(seed, false, 40));
}

#[test]
fn the_limit_holds_where_gateways_are_cut_off_and_taken_to_be_dead() {
    sweep(100_000, 4, |seed| chaos(seed, true, 240));
}

#[test]
fn in_a_calm_whoever_waits_is_served_and_no_slot_is_passed_over() {
    sweep(200_000, 25, |seed| {
        let mut world = chaos(seed, false, 10);
        world.calm();
        // All hear of each other, and of the one that leads.
        (0..400).for_each(|_| world.step());
        let gateways = world.gateways.len();
        let turn = Duration::from_millis(1_000 + SHORT) + ROUND * ROUNDS * 2;
        let patience = turn * u32::try_from(gateways).expect("few");
        let mut waits_since = vec![world.now; gateways];
        let mut passed_over_since = vec![vec![world.now; gateways]; world.there.len()];
        for step in 0..1_000 {
            for one in 0..gateways {
                let many = world.random.u32(..30);
                if step < 600 && world.random.u32(..20) == 0 {
                    world.arrive(one, many / 10);
                }
            }
            let before: Vec<_> = world.gateways.iter().map(|one| one.waiting.front().copied()).collect();
            world.step();
            for one in 0..gateways {
                let (first, now) = (world.gateways[one].waiting.front().copied(), world.now);
                if first.is_none() || first != before[one] {
                    waits_since[one] = now;
                }
                assert!(now.since(waits_since[one]) < patience, "gateway {one} gets nothing for {patience:?}");
                for (endpoint, since) in passed_over_since.iter_mut().enumerate() {
                    let in_use = world.in_use(endpoint);
                    // Where some of its slots are in use, it is about the same request.
                    if in_use == world.limit || first.is_none() || (in_use > 0 && first != before[one]) {
                        since[one] = now;
                    }
                    let passed_over = now.since(since[one]);
                    assert!(
                        passed_over <= ROUND * ROUNDS,
                        "endpoint {endpoint} is free and {one} waits, for {passed_over:?}"
                    );
                }
            }
        }
        world
    });
}
