use std::sync::Arc;
use std::time::Duration;

use crate::app::{App, Permit};
use crate::clock::Clock;
use crate::fleet::{FENCED_AFTER, Fleet, Lead, Listed, Outbox, SPACING};
use crate::platform::{Observation, Observer, SpecReplicas};
use crate::settings::{AppId, Scaling};
use crate::testing::{World, cluster, endpoint, settle};

/// Several gateways with one app, each of which sees its own endpoints by the same names.
struct Several {
    clock: Clock,
    each: Vec<Gateway>,
}

struct Gateway {
    name: Arc<str>,
    world: World,
    app: Arc<App>,
    outboxes: Vec<(Arc<str>, Outbox)>,
}

fn id() -> AppId {
    AppId::new("default", "hello")
}

fn limited(limit: Option<u32>) -> crate::settings::AppSettings {
    cluster(Scaling { concurrency_limit: limit, ..Scaling::default() })
}

impl Several {
    fn new(names: &[&str], limit: Option<u32>) -> Self {
        let clock = Clock::running();
        let gateway = |(run, name): (usize, &&str)| {
            let world = World::in_fleet(clock.clone(), Fleet::of(*name, run as u64 + 1));
            let app = App::new(id(), limited(limit), world.shared.clone());
            world.shared.fleet.track(&app);
            let others = names.iter().filter(|other| *other != name);
            let outboxes = others.map(|other| ((*other).into(), Outbox::to(*other))).collect();
            Gateway { name: (*name).into(), world, app, outboxes }
        };
        let several = Self { each: names.iter().enumerate().map(gateway).collect(), clock };
        for one in &several.each {
            let listed = names.iter().map(|name| Listed { name: (*name).into(), ready: true });
            one.fleet().list(listed, several.clock.now());
        }
        several
    }

    /// The first leads for a long time.
    fn lead(&self) {
        let until = self.clock.now() + Duration::from_secs(10_000);
        self.each[0].fleet().led_by(Lead::Mine { term: 1, until });
    }

    fn observed(&self, names: &[&str]) {
        for gateway in &self.each {
            let before = gateway.app.last_observation().endpoints;
            let known = |name: &str| before.iter().find(|one| one.name() == name).cloned();
            let there = names.iter().map(|name| known(name).unwrap_or_else(|| endpoint(name)));
            let spec = Some(SpecReplicas { replicas: names.len() as u32, version: 1, writer: None });
            gateway.app.observed(Observation { spec, endpoints: there.collect(), ..Observation::default() });
        }
    }

    /// So many times everybody tells everybody.
    async fn exchange(&mut self, times: usize) {
        for _ in 0..times {
            tokio::time::sleep(SPACING).await;
            let now = self.clock.now();
            for from in 0..self.each.len() {
                let gateway = &mut self.each[from];
                gateway.world.shared.fleet.expire(|_| None, now);
                let mut sent = Vec::new();
                for (to, outbox) in &mut gateway.outboxes {
                    sent.extend(
                        gateway.world.shared.fleet.next_message(outbox, now).map(|message| (to.clone(), message)),
                    );
                }
                for (to, message) in sent {
                    if let Some(to) = self.each.iter().find(|one| one.name == to) {
                        to.fleet().receive(message, |_| Some(to.app.clone()), now);
                    }
                }
            }
            settle().await;
        }
    }

    /// As many permits as there are to be had, of each gateway.
    fn take_all(&self) -> Vec<Vec<Permit>> {
        self.each.iter().map(|one| std::iter::from_fn(|| one.permit()).collect()).collect()
    }
}

impl Gateway {
    fn fleet(&self) -> &Fleet {
        &self.world.shared.fleet
    }

    fn permit(&self) -> Option<Permit> {
        self.app.enter().try_admit(self.app.clock().now()).ok()
    }
}

fn counts(permits: &[Vec<Permit>]) -> Vec<usize> {
    permits.iter().map(Vec::len).collect()
}

#[tokio::test(start_paused = true)]
async fn together_they_let_no_more_in_than_the_limit() {
    let mut three = Several::new(&["a", "b", "c"], Some(6));
    three.lead();
    three.observed(&["x", "y"]);
    assert_eq!(counts(&three.take_all()), [0, 0, 0], "nothing is known of the others");
    three.exchange(6).await;
    assert_eq!(counts(&three.take_all()).iter().sum::<usize>(), 12);
    // Those that were known first had all.
    three.exchange(30).await;
    assert_eq!(counts(&three.take_all()), [4, 4, 4]);
}

#[tokio::test(start_paused = true)]
async fn nobody_has_slots_until_somebody_leads() {
    let mut two = Several::new(&["a", "b"], Some(2));
    two.observed(&["x"]);
    two.exchange(6).await;
    assert_eq!(counts(&two.take_all()), [0, 0]);
    two.lead();
    two.exchange(6).await;
    assert_eq!(counts(&two.take_all()), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn the_only_one_has_all_at_once() {
    let one = Several::new(&["a"], Some(7));
    one.lead();
    one.observed(&["x"]);
    assert_eq!(counts(&one.take_all()), [7]);
    one.observed(&["x", "y"]);
    assert_eq!(counts(&one.take_all()), [14]);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_gets_the_slot_that_another_does_not_use() {
    let mut three = Several::new(&["a", "b", "c"], Some(1));
    three.lead();
    three.observed(&["x"]);
    three.exchange(6).await;
    for one in [1, 2, 0, 1] {
        let app = three.each[one].app.clone();
        let held = tokio::spawn(async move { app.enter().hold(100).await });
        settle().await;
        three.exchange(4).await;
        assert!(held.is_finished(), "{one} waits for a slot that nobody uses");
        let permit = held.await.unwrap().expect("a permit");
        assert_eq!(counts(&three.take_all()), [0, 0, 0]);
        drop(permit);
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_says_farewell_leaves_its_slots_to_the_others() {
    let mut two = Several::new(&["a", "b"], Some(4));
    two.lead();
    two.observed(&["x"]);
    two.exchange(6).await;
    assert_eq!(counts(&two.take_all()), [2, 2]);
    let farewell = two.each[1].fleet().farewell().expect("it has something to say");
    let a = &two.each[0];
    a.fleet().receive(farewell, |_| Some(a.app.clone()), two.clock.now());
    a.fleet().expire(|_| None, two.clock.now());
    assert_eq!(counts(&two.take_all())[0], 4);
}

#[tokio::test(start_paused = true)]
async fn one_that_hears_of_nobody_gives_all_back_but_what_is_in_use() {
    let mut two = Several::new(&["a", "b"], Some(4));
    two.lead();
    two.observed(&["x"]);
    two.exchange(6).await;
    let permit = two.each[1].permit().expect("a slot");
    let b = &two.each[1];
    tokio::time::sleep(FENCED_AFTER - Duration::from_secs(1)).await;
    b.fleet().expire(|_| None, two.clock.now());
    assert_eq!(b.app.endpoints()[0].share_and_in_use(), (2, 1));
    tokio::time::sleep(Duration::from_secs(2)).await;
    b.fleet().reached_cluster(two.clock.now());
    b.fleet().expire(|_| None, two.clock.now());
    assert_eq!(b.app.endpoints()[0].share_and_in_use(), (2, 1), "the cluster has answered");
    tokio::time::sleep(FENCED_AFTER).await;
    b.fleet().expire(|_| None, two.clock.now());
    assert_eq!(b.app.endpoints()[0].share_and_in_use(), (0, 1));
    drop(permit);
    two.exchange(6).await;
    assert_eq!(counts(&two.take_all()), [2, 2], "they hear of each other again");
}

#[tokio::test(start_paused = true)]
async fn a_limit_may_come_and_go() {
    let mut two = Several::new(&["a", "b"], None);
    two.lead();
    two.observed(&["x"]);
    two.exchange(6).await;
    let unlimited = |two: &Several| two.each.iter().all(|one| (0..50).all(|_| one.permit().is_some()));
    assert!(unlimited(&two));
    two.each.iter().for_each(|one| assert!(one.app.configure(limited(Some(3)))));
    assert!(counts(&two.take_all()).iter().sum::<usize>() <= 3);
    two.exchange(6).await;
    assert_eq!(counts(&two.take_all()).iter().sum::<usize>(), 3);
    two.each.iter().for_each(|one| assert!(one.app.configure(limited(None))));
    assert!(unlimited(&two));
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_at_the_one_that_leads_is_served_by_what_comes_back() {
    let mut two = Several::new(&["a", "b"], Some(2));
    two.lead();
    two.observed(&["x"]);
    two.exchange(6).await;
    let first = two.each[0].permit().expect("its own");
    let app = two.each[0].app.clone();
    let held = tokio::spawn(async move { app.enter().hold(100).await });
    settle().await;
    two.exchange(4).await;
    assert!(held.is_finished(), "b does not use its slot");
    drop(first);
    drop(held.await.unwrap().expect("a permit"));
}
