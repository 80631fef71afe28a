use super::*;
use crate::admission::Endpoint;
use crate::app::Permit;
use crate::clock::Clock;
use crate::platform::{Observation, Observer, SpecReplicas, WRITER};
use crate::settings::Scaling;
use crate::testing::{World, cluster, hold_many, settle};

/// A gateway with one app, and what it has told the other one.
struct Gateway {
    world: World,
    app: Arc<App>,
    outbox: Outbox,
}

/// Two gateways of one fleet, and what the cluster has.
struct Pair {
    clock: Clock,
    a: Gateway,
    b: Gateway,
    version: u64,
}

impl Gateway {
    fn new(clock: &Clock, name: &str, run: u64) -> Self {
        let world = World::in_fleet(clock.clone(), Fleet::of(name, run));
        let app = App::new(id(), cluster(Scaling::default()), world.shared.clone());
        world.shared.fleet.track(&app);
        Self { world, app, outbox: Outbox::default() }
    }

    fn fleet(&self) -> &Fleet {
        &self.world.shared.fleet
    }

    fn permit(&self) -> Permit {
        self.app.enter().try_admit(self.app.clock().now()).expect("a free slot")
    }

    fn in_use(&self) -> Vec<String> {
        let mut names: Vec<_> = self.app.endpoints().iter().map(|one| one.name().to_owned()).collect();
        names.sort();
        names
    }
}

impl Pair {
    /// `a` leads, and both know each other.
    async fn new(names: &[&str]) -> Self {
        let clock = Clock::running();
        let mut pair = Self { a: Gateway::new(&clock, "a", 11), b: Gateway::new(&clock, "b", 22), clock, version: 1 };
        pair.list(true);
        pair.leads(100);
        pair.observed(names, "kubectl");
        pair.exchange().await;
        pair
    }

    fn list(&self, ready: bool) {
        let listed = ["a", "b"].map(|name| Listed { name: name.into(), ready });
        self.a.fleet().list(listed.clone(), self.clock.now());
        self.b.fleet().list(listed, self.clock.now());
    }

    fn leads(&self, seconds: u64) {
        let until = self.clock.now() + Duration::from_secs(seconds);
        self.a.fleet().led_by(Lead::Mine { term: 5, until });
        self.b.fleet().led_by(Lead::Other("a".into()));
    }

    /// These pods are there, each gateway sees them on its own, and as many are asked for.
    fn observed(&mut self, names: &[&str], writer: &str) {
        self.version += 1;
        for gateway in [&self.a, &self.b] {
            let before = gateway.app.last_observation().endpoints;
            let seen = |name: &&str| {
                let known = before.iter().find(|one| one.name() == *name).cloned();
                known.unwrap_or_else(|| Arc::new(Endpoint::new(*name, ([127, 0, 0, 1], 1).into())))
            };
            gateway.app.observed(Observation {
                spec: Some(SpecReplicas {
                    replicas: names.len() as u32,
                    version: self.version,
                    writer: Some(writer.into()),
                }),
                endpoints: names.iter().map(seen).collect(),
                ..Observation::default()
            });
        }
    }

    /// A moment passes, in which each tells the other what there is.
    async fn exchange(&mut self) {
        for _ in 0..2 {
            tokio::time::sleep(CALM).await;
            let now = self.clock.now();
            self.a.tell(&self.b, now);
            self.b.tell(&self.a, now);
        }
        settle().await;
    }
}

impl Gateway {
    fn tell(&mut self, other: &Self, now: Timestamp) {
        if let Some(message) = self.world.shared.fleet.next_message(&mut self.outbox, now) {
            other.fleet().receive(message, |name| (*name == id()).then(|| other.app.clone()), now);
        }
    }
}

fn id() -> AppId {
    AppId::new("default", "hello")
}

#[test]
fn alone_it_decides_and_knows_all() {
    let fleet = Fleet::alone();
    let now = Timestamp::ZERO;
    assert_eq!(fleet.role(now), Role::Alone);
    assert!(fleet.decides(now) && fleet.may_lower(now) && fleet.has_joined(now) && !fleet.is_shared());
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_of_an_app_is_asked_of_it_everywhere() {
    let mut pair = Pair::new(&["x"]).await;
    let (one, two, three) = (pair.a.permit(), pair.b.permit(), pair.b.permit());
    pair.exchange().await;
    let now = pair.clock.now();
    for gateway in [&pair.a, &pair.b] {
        assert_eq!(gateway.app.in_flight_everywhere(now), 3);
        assert_eq!(gateway.app.demand(now).peak.concurrency, 3);
    }
    drop((one, two, three));
    let ended = pair.clock.now();
    pair.exchange().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let now = pair.clock.now();
    assert_eq!(pair.a.app.idle_everywhere(now), now.since(ended));
    assert_eq!(pair.a.app.in_flight_everywhere(now), 0);
}

#[tokio::test(start_paused = true)]
async fn only_the_one_that_leads_lowers_and_not_while_somebody_is_not_heard() {
    let mut pair = Pair::new(&["x", "y"]).await;
    let now = pair.clock.now();
    assert!(pair.a.fleet().may_lower(now) && !pair.b.fleet().may_lower(now));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!pair.a.fleet().may_lower(pair.clock.now()), "b is silent");
    pair.exchange().await;
    assert!(pair.a.fleet().may_lower(pair.clock.now()));
    tokio::time::sleep(Duration::from_secs(100)).await;
    pair.exchange().await;
    assert!(!pair.a.fleet().may_lower(pair.clock.now()), "it has led long enough, unless it is said anew");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_goes_once_it_is_closed_and_empty_everywhere() {
    let mut pair = Pair::new(&["x", "y"]).await;
    // The one with the least in flight goes; here that is y.
    let _at_x: Vec<_> = (0..10).map(|_| pair.a.permit()).filter(|permit| permit.endpoint().name() == "x").collect();
    let at_b: Vec<_> = (0..10).map(|_| pair.b.permit()).collect();
    pair.a.app.set_wanted(1, pair.clock.now());
    pair.a.app.retire_or_reopen();
    assert!(pair.a.app.next_order().is_none(), "b has not said that it is closed there");
    pair.exchange().await;
    assert_eq!((pair.a.in_use(), pair.b.in_use()), (vec!["x".to_owned()], vec!["x".to_owned()]));
    assert!(pair.a.app.next_order().is_none(), "and has requests there still");
    let (at_x, at_y): (Vec<_>, Vec<_>) = at_b.into_iter().partition(|permit| permit.endpoint().name() == "x");
    assert!(!at_y.is_empty());
    drop(at_y);
    pair.exchange().await;
    let order = pair.a.app.next_order().expect("now it may go");
    assert_eq!((order.replicas, order.victims[0].name()), (1, "y"));
    // Until everybody has seen that it is gone it stays closed.
    pair.exchange().await;
    assert_eq!(pair.b.in_use(), ["x"]);
    drop(at_x);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_there_after_a_sleep_that_one_gateway_still_uses() {
    let mut pair = Pair::new(&["x"]).await;
    assert!(pair.a.app.try_sleep());
    pair.a.app.set_wanted(0, pair.clock.now());
    assert!(pair.a.app.next_order().is_none());
    // One comes to b before it is closed there: it wins, and is seen.
    let permit = pair.b.permit();
    pair.exchange().await;
    assert!(pair.a.app.next_order().is_none());
    assert_eq!(pair.a.app.in_flight_everywhere(pair.clock.now()), 1);
    assert_eq!(pair.b.in_use(), [""; 0]);
    pair.a.app.set_wanted(1, pair.clock.now());
    pair.a.app.retire_or_reopen();
    pair.exchange().await;
    assert_eq!((pair.a.in_use(), pair.b.in_use()), (vec!["x".to_owned()], vec!["x".to_owned()]));
    drop(permit);
    pair.exchange().await;
    assert!(pair.a.app.try_sleep());
    pair.a.app.set_wanted(0, pair.clock.now());
    assert!(pair.a.app.next_order().is_none(), "what b said then was about another time");
    pair.exchange().await;
    assert_eq!(pair.a.app.next_order().map(|order| order.replicas), Some(0));
}

/// From two to one to none: the one in between is no wake.
#[tokio::test(start_paused = true)]
async fn what_is_closed_on_the_way_to_none_is_not_opened_by_an_order_for_fewer() {
    let mut pair = Pair::new(&["x", "y"]).await;
    assert!(pair.a.app.try_sleep());
    pair.a.app.set_wanted(0, pair.clock.now());
    assert!(pair.a.app.next_order().is_none());
    pair.exchange().await;
    assert_eq!(pair.b.in_use(), [""; 0]);
    pair.version += 1;
    let one = SpecReplicas { replicas: 1, version: pair.version, writer: Some(WRITER.into()) };
    pair.b.app.observed(Observation { spec: Some(one), ..pair.b.app.last_observation() });
    pair.exchange().await;
    assert_eq!(pair.b.in_use(), [""; 0], "what it has said to be empty it does not use again");
}

#[tokio::test(start_paused = true)]
async fn what_one_gateway_alone_has_seen_goes_with_the_last() {
    let mut pair = Pair::new(&["x"]).await;
    // b sees another pod that a does not.
    let mut seen = pair.b.app.last_observation();
    seen.endpoints.push(Arc::new(Endpoint::new("z", ([127, 0, 0, 1], 2).into())));
    pair.b.app.observed(seen);
    assert_eq!(pair.b.in_use(), ["x", "z"]);
    assert!(pair.a.app.try_sleep());
    pair.a.app.set_wanted(0, pair.clock.now());
    pair.exchange().await;
    assert_eq!(pair.b.in_use(), [""; 0], "all means all");
    assert_eq!(pair.a.app.next_order().map(|order| order.replicas), Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_wake_by_another_gateway_is_no_quarrel() {
    let mut pair = Pair::new(&[]).await;
    let held = hold_many(&pair.b.app, 3).await;
    pair.observed(&["x"], WRITER);
    for one in held {
        assert!(one.await.unwrap().is_ok());
    }
    assert_eq!((pair.a.app.wanted(), pair.b.app.wanted()), (1, 1));
    assert_eq!(pair.a.app.other_writer(), None);
    pair.observed(&["x", "y"], "kubectl");
    assert_eq!(pair.a.app.other_writer().and_then(|other| other.name).as_deref(), Some("kubectl"));
}

#[tokio::test(start_paused = true)]
async fn what_was_closed_is_opened_again_when_nobody_leads_any_more() {
    let mut pair = Pair::new(&["x", "y"]).await;
    pair.a.app.set_wanted(1, pair.clock.now());
    pair.a.app.retire_or_reopen();
    pair.exchange().await;
    assert_eq!(pair.b.in_use().len(), 1);
    pair.b.fleet().led_by(Lead::Nobody);
    tokio::time::sleep(CLOSED_WITHOUT_LEADER - Duration::from_secs(1)).await;
    pair.b.app.follow_closings(pair.clock.now());
    assert_eq!(pair.b.in_use().len(), 1, "an order may still have its effect");
    tokio::time::sleep(Duration::from_secs(1)).await;
    pair.b.app.follow_closings(pair.clock.now());
    assert_eq!(pair.b.in_use(), ["x", "y"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_led_before_is_not_listened_to() {
    let mut pair = Pair::new(&["x", "y"]).await;
    pair.a.app.set_wanted(1, pair.clock.now());
    pair.a.app.retire_or_reopen();
    let until = pair.clock.now() + Duration::from_secs(3);
    pair.b.fleet().led_by(Lead::Mine { term: 6, until });
    pair.exchange().await;
    assert_eq!(pair.b.in_use(), ["x", "y"]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_gateway_counts_as_busy_and_is_dropped_when_it_is_dead() {
    let mut pair = Pair::new(&["x"]).await;
    let _permit = pair.b.permit();
    pair.exchange().await;
    pair.list(false);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let find = |name: &AppId| (*name == id()).then(|| pair.a.app.clone());
    pair.a.fleet().expire(find, pair.clock.now());
    assert_eq!(pair.a.app.in_flight_everywhere(pair.clock.now()), 1);
    assert_eq!(pair.a.fleet().known(pair.clock.now()), Known { listed: true, heard: 0, lost: 1 });
    tokio::time::sleep(Duration::from_secs(40)).await;
    pair.a.fleet().expire(find, pair.clock.now());
    assert_eq!(pair.a.app.in_flight_everywhere(pair.clock.now()), 0);
    assert_eq!(pair.a.app.idle_everywhere(pair.clock.now()), Duration::ZERO, "until then it may have been busy");
    assert!(pair.a.fleet().knows_all(pair.clock.now()));
}

#[tokio::test(start_paused = true)]
async fn who_says_farewell_has_nothing_in_flight_any_more() {
    let mut pair = Pair::new(&["x"]).await;
    let _permit = pair.b.permit();
    pair.exchange().await;
    assert_eq!(pair.a.app.in_flight_everywhere(pair.clock.now()), 1);
    let last = pair.b.fleet().farewell().expect("a last word");
    let now = pair.clock.now();
    pair.a.fleet().receive(last, |name| (*name == id()).then(|| pair.a.app.clone()), now);
    assert_eq!(pair.a.app.in_flight_everywhere(now), 0);
    assert!(pair.a.fleet().knows_all(now));
}

#[tokio::test(start_paused = true)]
async fn only_what_has_changed_is_told_and_all_of_it_once_a_second() {
    let mut pair = Pair::new(&["x"]).await;
    let mut outbox = Outbox::default();
    let mut next = |pair: &Pair| pair.b.fleet().next_message(&mut outbox, pair.clock.now());
    assert_eq!(next(&pair).map(|message| message.scope), Some(Scope::Whole));
    assert_eq!(next(&pair), None, "too soon");
    tokio::time::sleep(SPACING).await;
    assert_eq!(next(&pair), None, "nothing has changed");
    let _permit = pair.b.permit();
    assert_eq!(next(&pair), None, "nobody waits for that");
    tokio::time::sleep(CALM - SPACING).await;
    let message = next(&pair).expect("that is news");
    assert_eq!((message.scope, message.apps[0].counts.in_flight), (Scope::Changes, 1));
    // What others wait for takes what is not urgent with it.
    let _another = pair.b.permit();
    tokio::time::sleep(SPACING).await;
    assert_eq!(next(&pair), None);
    pair.b.app.tell_gateways();
    assert_eq!(next(&pair).map(|message| message.apps[0].counts.in_flight), Some(2));
    let mut told = 0;
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        told += usize::from(next(&pair).is_some());
    }
    assert_eq!(told, 10, "once a second");
    pair.exchange().await;
}
