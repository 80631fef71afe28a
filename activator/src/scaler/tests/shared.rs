//! Targets that outlive the gateway, and that others write to.

use super::*;
use crate::activity::{Push, Pushes};
use crate::admission::Endpoint;
use crate::admission::removal::Removal;
use crate::demand::Peak;
use crate::platform::{Observation, SpecReplicas};
use crate::settings::ScaledBy;
use crate::testing::{cluster, endpoint, failure};

/// `replicas` run already.
fn running(replicas: u32) -> Observation {
    Observation {
        spec: Some(SpecReplicas { replicas, version: 7, writer: None }),
        endpoints: (0..replicas).map(|n| endpoint(&format!("before {n}"))).collect(),
        ..Observation::default()
    }
}

fn going(name: &str, removal: Removal) -> Arc<Endpoint> {
    Arc::new(Endpoint::new(name, ([127, 0, 0, 1], 1).into()).removed(removal))
}

fn unknown() -> Observation {
    Observation::default()
}

fn by(by: ScaledBy) -> AppSettings {
    cluster(Scaling { by, idle_timeout: secs(2), ..Scaling::default() })
}

#[tokio::test(start_paused = true)]
async fn unknown_is_not_zero() {
    let fake = Fake::with(secs(1), unknown());
    let gateway = Gateway::with(by(ScaledBy::Zerogate), fake).await;
    let held = hold_many(&gateway.app, 3).await;
    pass(secs(10)).await;
    assert_eq!(gateway.fake.orders(), [0u32; 0], "five may be running, and one would be fewer");
    gateway.fake.change(|now| *now = running(5));
    for one in held {
        assert!(one.await.unwrap().is_ok());
    }
    assert_eq!((gateway.fake.orders(), gateway.app.wanted()), (vec![], 5));
    pass(secs(30)).await;
    assert_eq!(gateway.fake.orders(), [0u32; 0], "nothing is lowered before a window is known");
    pass(secs(120)).await;
    assert_eq!(gateway.fake.orders().last(), Some(&0));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_known_costs_nothing_until_it_is() {
    let gateway = Gateway::with(by(ScaledBy::Zerogate), Fake::with(secs(1), unknown())).await;
    let mut held = hold_many(&gateway.app, 1).await;
    pass(secs(1)).await;
    assert!(!gateway.is_forgotten());
    held.pop().unwrap().abort();
    pass(secs(10)).await;
    assert!(gateway.is_forgotten());
    gateway.fake.change(|now| *now = running(2));
    pass(secs(300)).await;
    assert_eq!(gateway.fake.orders().last(), Some(&0), "it is looked after again");
    assert!(gateway.is_forgotten());
}

#[tokio::test(start_paused = true)]
async fn what_runs_after_a_restart_is_looked_after_though_nobody_asks_for_it() {
    let gateway = Gateway::with(by(ScaledBy::Zerogate), Fake::with(secs(1), running(2))).await;
    pass(secs(300)).await;
    assert_eq!(gateway.fake.orders().last(), Some(&0));
    assert!(gateway.is_forgotten());
}

#[tokio::test(start_paused = true)]
async fn an_app_that_is_no_longer_declared_is_left_as_it_is_where_it_outlives_the_gateway() {
    let gateway = Gateway::with(by(ScaledBy::Zerogate), Fake::with(secs(1), running(2))).await;
    gateway.apply(None);
    pass(secs(300)).await;
    assert_eq!(gateway.fake.orders(), [0u32; 0]);
}

#[tokio::test(start_paused = true)]
async fn another_writer_is_named_and_not_fought() {
    let gateway = Gateway::with(by(ScaledBy::Zerogate), Fake::new(secs(1))).await;
    drop(gateway.request().await.unwrap());
    gateway.fake.overwrite(4);
    pass(secs(30)).await;
    assert_eq!((gateway.fake.orders(), gateway.app.wanted()), (vec![1], 4), "not lowered for a window");
    let other = gateway.app.other_writer().expect("noticed");
    assert_eq!((other.name.as_deref(), other.replicas), (Some("somebody"), 4));
    pass(secs(120)).await;
    assert_eq!(gateway.fake.orders().last(), Some(&0), "once is no quarrel");
    let before = gateway.fake.orders().len();
    // It writes over a write of ours: then it has the last word, for ten minutes.
    gateway.fake.overwrite(4);
    pass(secs(9 * 60)).await;
    assert_eq!((gateway.fake.orders().len(), gateway.app.wanted()), (before, 4));
    assert_eq!(gateway.app.decisions().last().unwrap().decision.reason.label(), "yields");
    pass(secs(3 * 60)).await;
    assert_eq!(gateway.fake.orders().last(), Some(&0));
}

#[tokio::test(start_paused = true)]
async fn who_puts_it_to_sleep_is_obeyed_until_somebody_asks_for_it() {
    let gateway = Gateway::with(by(ScaledBy::Zerogate), Fake::new(secs(1))).await;
    for round in 1..=3 {
        drop(gateway.request().await.unwrap());
        gateway.fake.overwrite(0);
        pass(secs(100)).await;
        assert_eq!(gateway.fake.orders(), vec![1; round], "for nobody, nothing is started");
    }
    let _many = hold_many(&gateway.app, 300).await;
    pass(secs(1)).await;
    assert!(gateway.fake.orders().last() > Some(&1), "and it scales as ever");
}

#[tokio::test(start_paused = true)]
async fn who_takes_away_what_requests_wait_for_is_answered_with_a_wake_less_and_less_often() {
    let gateway = Gateway::with(by(ScaledBy::Zerogate), Fake::new(secs(100))).await;
    let held = hold(&gateway.app);
    settle().await;
    for _ in 0..50 {
        gateway.fake.overwrite(0);
        pass(Duration::from_millis(200)).await;
    }
    let orders = gateway.fake.orders();
    assert!(orders.iter().all(|replicas| *replicas == 1));
    assert!((5..=8).contains(&orders.len()), "{} wakes in ten seconds", orders.len());
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn an_autoscaler_of_the_cluster_has_all_between_one_and_many() {
    let gateway = Gateway::with(by(ScaledBy::Hpa), Fake::new(secs(1))).await;
    let held = hold_many(&gateway.app, 500).await;
    settle().await;
    assert_eq!(gateway.fake.orders(), [1], "one, whatever is held");
    for one in held {
        drop(one.await.unwrap().unwrap());
    }
    for replicas in [6, 3, 1, 7] {
        gateway.fake.overwrite(replicas);
        let permit = gateway.request().await.unwrap();
        pass(secs(20)).await;
        assert_eq!((gateway.fake.orders(), gateway.app.wanted()), (vec![1], replicas));
        drop(permit);
    }
    pass(secs(5)).await;
    assert_eq!(gateway.fake.orders(), [1, 0], "all of them sleep");
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_has_started_is_idle_from_then_on() {
    for by in [ScaledBy::Zerogate, ScaledBy::Hpa] {
        let scaling = Scaling { by, idle_timeout: secs(200), ..Scaling::default() };
        let gateway = Gateway::with(cluster(scaling), Fake::with(secs(1), unknown())).await;
        // It serves others all the while; this gateway hears of it late, or is told of it.
        pass(secs(3_600)).await;
        gateway.fake.change(|now| *now = running(1));
        pass(secs(190)).await;
        assert_eq!(gateway.fake.orders(), [0u32; 0], "{by:?}");
        pass(secs(20)).await;
        assert_eq!(gateway.fake.orders(), [0], "{by:?}");
        // And once more, after a long sleep.
        pass(secs(3_600)).await;
        gateway.fake.overwrite(1);
        pass(secs(190)).await;
        assert_eq!(gateway.fake.orders(), [0], "{by:?}");
        pass(secs(20)).await;
        assert_eq!(gateway.fake.orders(), [0, 0], "{by:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_another_gateway_may_still_be_serving_is_not_lowered() {
    for by in [ScaledBy::Zerogate, ScaledBy::Hpa] {
        let second = secs(1);
        let scaling =
            Scaling { by, idle_timeout: second, stable_window: second, panic_window: second, ..Scaling::default() };
        let gateway = Gateway::with(cluster(scaling), Fake::with(second, running(2))).await;
        pass(secs(59)).await;
        assert_eq!(gateway.fake.orders(), [0u32; 0], "{by:?}");
        pass(secs(5)).await;
        assert_eq!(gateway.fake.orders().last(), Some(&0), "{by:?}");
    }
}

/// One pod is asked for, and cannot start.
fn failing_from_the_start() -> Observation {
    Observation { failure: Some(Arc::new(failure(secs(5)))), endpoints: Vec::new(), ..running(1) }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_start_and_nobody_asks_for_sleeps_as_everything_else_does() {
    for by in [ScaledBy::Zerogate, ScaledBy::Hpa, ScaledBy::Keda] {
        let scaling = Scaling { by, idle_timeout: secs(100), ..Scaling::default() };
        let gateway = Gateway::with(cluster(scaling), Fake::with(secs(1), unknown())).await;
        pass(secs(600)).await;
        gateway.fake.change(|now| *now = failing_from_the_start());
        pass(secs(90)).await;
        assert_eq!(gateway.fake.orders(), [0u32; 0], "{by:?}: whoever has started it may be looking at it");
        pass(secs(20)).await;
        let expected = if by == ScaledBy::Keda { vec![] } else { vec![0] };
        assert_eq!(gateway.fake.orders(), expected, "{by:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_goes_leaves_what_cannot_start_as_it_is() {
    let gateway = Gateway::with(by(ScaledBy::Zerogate), Fake::with(secs(1), failing_from_the_start())).await;
    gateway.registry.leave();
    pass(secs(600)).await;
    assert_eq!(gateway.fake.orders(), [0u32; 0]);
}

#[tokio::test(start_paused = true)]
async fn who_keeps_an_app_at_zero_that_is_to_have_one_at_all_times_is_yielded_to() {
    let scaling = Scaling { min_replicas: 1, ..Scaling::default() };
    let gateway = Gateway::with(cluster(scaling), Fake::new(secs(1))).await;
    pass(secs(5)).await;
    assert_eq!(gateway.fake.orders(), [1]);
    for _ in 0..10 {
        gateway.fake.overwrite(0);
        pass(secs(55)).await;
    }
    let orders = gateway.fake.orders();
    assert!(orders.len() <= 4 && orders.iter().all(|one| *one == 1), "{orders:?}");
    // Whoever asks for it gets it all the same.
    drop(gateway.request().await.unwrap());
    assert_eq!(gateway.fake.orders().len(), orders.len() + 1);
    gateway.fake.overwrite(0);
    pass(secs(11 * 60)).await;
    assert_eq!(gateway.fake.orders().last(), Some(&1), "and nobody keeps it at zero any more");
    assert_eq!(gateway.fake.ready(), 1);
}

#[tokio::test(start_paused = true)]
async fn beside_keda_nothing_is_ever_lowered() {
    let gateway = Gateway::with(by(ScaledBy::Keda), Fake::new(secs(1))).await;
    drop(gateway.request().await.unwrap());
    pass(secs(3_600)).await;
    assert_eq!(gateway.fake.orders(), [1]);
}

#[tokio::test(start_paused = true)]
async fn beside_keda_what_fails_to_start_stays_too() {
    let gateway = Gateway::with(by(ScaledBy::Keda), Fake::new(secs(1))).await;
    gateway.fake.failing_starts.store(u32::MAX, Ordering::Relaxed);
    assert!(gateway.request().await.is_err());
    pass(secs(3_600)).await;
    assert_eq!((gateway.fake.orders(), gateway.app.spec_replicas()), (vec![1], Some(1)));
}

#[tokio::test(start_paused = true)]
async fn beside_keda_as_many_are_woken_as_what_is_held_wants() {
    let mut settings = by(ScaledBy::Keda);
    settings.scaling =
        Arc::new(Scaling { target: 10.0, utilization: 70, max_replicas: 5, ..Scaling::clone(&settings.scaling) });
    let gateway = Gateway::with(settings, Fake::new(secs(2))).await;
    let held = hold_many(&gateway.app, 20).await;
    settle().await;
    assert_eq!((gateway.fake.orders(), gateway.fake.last_order_at()), (vec![3], Timestamp::ZERO));
    let decision = gateway.app.decisions().last().unwrap().decision.reason.to_string();
    assert!(decision.starts_with("keda") || decision.starts_with("wake: 20 held"), "{decision}");
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn beside_keda_a_one_written_over_a_wake_of_several_is_put_right_once() {
    let mut settings = by(ScaledBy::Keda);
    settings.scaling =
        Arc::new(Scaling { target: 1.0, utilization: 100, max_replicas: 5, ..Scaling::clone(&settings.scaling) });
    let gateway = Gateway::with(settings, Fake::new(secs(2))).await;
    let held = hold_many(&gateway.app, 3).await;
    settle().await;
    assert_eq!(gateway.fake.orders(), [3]);
    // It looked a moment before, and its order comes a moment after.
    gateway.fake.overwrite(1);
    pass(secs(1)).await;
    assert_eq!(gateway.fake.orders(), [3, 3]);
    // Who does it again means it.
    gateway.fake.overwrite(1);
    pass(secs(5)).await;
    assert_eq!((gateway.fake.orders(), gateway.app.wanted()), (vec![3, 3], 1));
    drop(held);
    // A HorizontalPodAutoscaler knows how many requests there are.
    gateway.fake.overwrite(0);
    let held = hold_many(&gateway.app, 3).await;
    pass(secs(1)).await;
    gateway.fake.overwrite_as(1, "kube-controller-manager");
    pass(secs(5)).await;
    assert_eq!((gateway.fake.orders(), gateway.app.wanted()), (vec![3, 3, 3], 1));
    drop(held);
    // Those who did not wait for it have nothing put right for them, nor has who comes long after.
    gateway.fake.overwrite(0);
    let held = hold_many(&gateway.app, 3).await;
    pass(secs(31)).await;
    gateway.fake.overwrite(1);
    pass(secs(5)).await;
    assert_eq!((gateway.fake.orders(), gateway.app.wanted()), (vec![3, 3, 3, 3], 1));
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn what_keda_wakes_at_the_same_moment_is_not_lowered() {
    let gateway = Gateway::with(by(ScaledBy::Keda), Fake::new(secs(1))).await;
    gateway.fake.script.lock().push_back(Answer::After(Duration::from_millis(40)));
    let held = hold(&gateway.app);
    settle().await;
    assert_eq!(gateway.fake.orders(), [1]);
    // Its minReplicaCount, say.
    gateway.fake.overwrite(3);
    pass(secs(5)).await;
    assert_eq!((gateway.fake.orders(), gateway.app.spec_replicas()), (vec![1], Some(3)));
    drop(held.await.unwrap().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_wake_beside_keda_is_not_held_up_by_another_change() {
    let gateway = Gateway::with(by(ScaledBy::Keda), Fake::new(secs(1))).await;
    gateway.fake.script.lock().push_back(Answer::After(Duration::from_millis(40)));
    let held = hold(&gateway.app);
    settle().await;
    gateway.fake.overwrite(0);
    pass(Duration::from_millis(200)).await;
    assert_eq!((gateway.fake.orders(), gateway.app.spec_replicas()), (vec![1], Some(1)));
    drop(held.await.unwrap().unwrap());
}

#[tokio::test(start_paused = true)]
async fn one_who_scales_from_outside_sees_it_active_before_the_order_and_is_told_after_it() {
    let gateway = Gateway::with(by(ScaledBy::Keda), Fake::new(secs(2))).await;
    gateway.fake.script.lock().push_back(Answer::After(Duration::from_millis(40)));
    pass(secs(100)).await;
    let (app, mut pushes) = (&gateway.app, Pushes::default());
    let mut look = || {
        let now = app.clock().now();
        let demand = app.demand(now);
        let active = demand.is_real(secs(60));
        (demand.is_active(secs(60), app.found_replicas()), pushes.look(&app.observed_from_outside(active), now, 0.5))
    };
    assert_eq!(look(), (Some(false), Push::WhenChanged));
    let ticket = app.enter();
    assert!(gateway.fake.orders().is_empty());
    assert_eq!(look(), (Some(true), Push::At(Timestamp::from_millis(103_000))), "before anything is ordered");
    let held = tokio::spawn(ticket.hold(100));
    settle().await;
    assert_eq!(gateway.fake.orders(), [1]);
    pass(Duration::from_millis(40)).await;
    assert_eq!(look().1, Push::At(Timestamp::from_millis(100_540)), "half a second after the answer");
    pass(Duration::from_millis(500)).await;
    assert_eq!(look().1, Push::Now);
    // Put to sleep in spite of it, it is woken again, and told again.
    gateway.fake.overwrite(0);
    pass(Duration::from_millis(200)).await;
    assert_eq!(gateway.fake.orders(), [1, 1]);
    let settled = gateway.fake.last_order_at() + Duration::from_millis(500);
    assert_eq!(look().1, Push::At(settled));
    drop(held.await.unwrap().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_has_just_begun_keeps_what_runs() {
    let gateway = Gateway::with(by(ScaledBy::Keda), Fake::with(secs(1), running(3))).await;
    let asked = || {
        let demand = gateway.app.demand(gateway.app.clock().now());
        let found = gateway.app.found_replicas();
        (demand.is_active(secs(60), found), demand.value(Metric::Concurrency, 10.0, found))
    };
    assert_eq!(asked(), (Some(true), Some(30.0)));
    gateway.fake.overwrite(1);
    assert_eq!(asked(), (Some(true), Some(10.0)), "who lowers it is not held up");
    pass(secs(20)).await;
    assert_eq!(asked(), (Some(true), Some(0.0)));
    pass(secs(40)).await;
    assert_eq!(asked(), (Some(false), Some(0.0)));
    assert!(gateway.fake.orders().is_empty());

    let gateway = Gateway::with(by(ScaledBy::Keda), Fake::with(secs(1), unknown())).await;
    let demand = gateway.app.demand(gateway.app.clock().now());
    assert_eq!(gateway.app.found_replicas(), None);
    assert_eq!((demand.is_active(secs(60), None), demand.value(Metric::Concurrency, 10.0, None)), (None, None));
    gateway.fake.change(|now| *now = crate::testing::asleep());
    let _held = hold(&gateway.app);
    pass(secs(3)).await;
    let demand = gateway.app.demand(gateway.app.clock().now());
    assert_eq!(demand.value(Metric::Concurrency, 10.0, gateway.app.found_replicas()), Some(1.0), "it was found asleep");
}

#[tokio::test(start_paused = true)]
async fn a_burst_between_two_looks_is_seen_by_one_who_asks_later() {
    let gateway = Gateway::with(by(ScaledBy::Keda), Fake::new(secs(1))).await;
    drop(gateway.request().await.unwrap());
    pass(secs(100)).await;
    let held = (0..50).map(|_| gateway.app.enter()).collect::<Vec<_>>();
    drop(held);
    let peak = || gateway.app.demand(gateway.app.clock().now()).peak;
    pass(secs(20)).await;
    assert_eq!(peak().concurrency, 50);
    assert!((8.3..8.4).contains(&peak().rate), "{:?}", peak());
    pass(secs(2)).await;
    assert_eq!(peak().concurrency, 0);
    pass(secs(7)).await;
    assert_eq!(peak(), Peak::default());
}

#[tokio::test(start_paused = true)]
async fn what_is_older_than_the_last_accepted_order_does_not_count() {
    let gateway = Gateway::with(by(ScaledBy::Zerogate), Fake::with(secs(100), running(0))).await;
    let held = hold(&gateway.app);
    settle().await;
    assert_eq!(gateway.fake.orders(), [1]);
    gateway.fake.change(|now| now.spec = Some(SpecReplicas { replicas: 0, version: 7, writer: None }));
    pass(secs(3)).await;
    assert_eq!((gateway.fake.orders(), gateway.app.spec_replicas()), (vec![1], Some(1)));
    assert!(gateway.app.other_writer().is_none());
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn one_with_a_request_is_closed_and_ordered_away_when_it_is_empty() {
    let few = cluster(Scaling { stable_window: secs(1), panic_window: secs(1), ..Scaling::clone(&one_each().scaling) });
    let gateway = Gateway::with(few, Fake::new(Duration::from_millis(1))).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(gateway.request().await.unwrap());
    }
    pass(secs(2)).await;
    assert_eq!(gateway.fake.ready(), 3);
    // Two are idle in turn: the busy one stays.
    let stays = open.pop().unwrap();
    open.clear();
    pass(secs(30)).await;
    assert_eq!(gateway.fake.orders().last(), Some(&1));
    let left = gateway.app.endpoints();
    assert!(left.len() == 1 && Arc::ptr_eq(&left[0], stays.endpoint()));
}

#[tokio::test(start_paused = true)]
async fn where_the_last_one_goes_first_nothing_is_ordered_before_it_is_empty() {
    let few = cluster(Scaling { stable_window: secs(1), panic_window: secs(1), ..Scaling::clone(&one_each().scaling) });
    let endpoints = (0..3).map(|n| going(&n.to_string(), Removal::Ranked(n))).collect();
    let gateway = Gateway::with(few, Fake::with(secs(1), Observation { endpoints, ..running(3) })).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(gateway.request().await.unwrap());
    }
    open.retain(|permit| permit.endpoint().name() == "2");
    assert_eq!(open.len(), 1);
    pass(secs(100)).await;
    assert_eq!(gateway.fake.orders(), [0u32; 0]);
    let in_rotation = || gateway.app.endpoints().iter().map(|one| one.name().to_owned()).collect::<Vec<_>>();
    assert_eq!(in_rotation(), ["0"]);
    open.clear();
    pass(secs(2)).await;
    assert_eq!((gateway.fake.orders(), in_rotation()), (vec![1], vec!["0".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn what_is_none_of_the_target_s_serves_and_is_never_taken() {
    let second = secs(1);
    let few = Scaling {
        stable_window: second,
        panic_window: second,
        idle_timeout: secs(5),
        ..Scaling::clone(&one_each().scaling)
    };
    let beside = [going("x", Removal::Never), going("y", Removal::Never)];
    let mut first = running(2);
    first.endpoints.extend(beside.clone());
    let fake = Fake::with(second, first);
    fake.beside.lock().extend(beside.clone());
    let gateway = Gateway::with(cluster(few), fake).await;
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(gateway.request().await.unwrap());
    }
    open.retain(|permit| permit.endpoint().name() == "x");
    assert_eq!(open.len(), 1);
    pass(secs(100)).await;
    assert_eq!((gateway.fake.orders(), gateway.app.endpoints().len()), (vec![1], 3));
    assert!(beside.iter().all(|one| !one.is_closed()));
    open.clear();
    pass(secs(30)).await;
    assert_eq!((gateway.fake.orders(), gateway.app.endpoints().len()), (vec![1, 0], 0));
    assert!(gateway.is_forgotten());
    let permit = gateway.request().await.unwrap();
    assert_eq!(permit.endpoint().removal(), Removal::Never, "its own one is still on its way");
    assert_eq!((gateway.fake.orders(), gateway.app.starting()), (vec![1, 0, 1], 1));
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_goes_lowers_nothing_but_wakes() {
    let gateway = Gateway::with(by(ScaledBy::Zerogate), Fake::new(secs(1))).await;
    gateway.registry.leave();
    drop(gateway.request().await.unwrap());
    pass(secs(300)).await;
    assert_eq!((gateway.fake.orders(), gateway.fake.ready()), (vec![1], 1), "another gateway may be using it");
}

#[tokio::test(start_paused = true)]
async fn what_takes_the_place_of_the_last_one_on_its_way_out_sleeps_too() {
    let gateway = Gateway::new(nervous(), secs(1)).await;
    drop(gateway.request().await.unwrap());
    gateway.fake.script.lock().push_back(Answer::Never);
    for _ in 0..1_000 {
        if gateway.fake.orders() == [1, 0] {
            break;
        }
        pass(Duration::from_millis(100)).await;
    }
    // Between the end of that order, of which nobody knows what became, and the next.
    let doubt = gateway.fake.last_order_at() + SCALE_CALL_TIMEOUT + Duration::from_millis(50);
    pass(doubt.since(gateway.app.clock().now())).await;
    gateway.fake.change(|now| now.endpoints = vec![crate::testing::endpoint("another")]);
    pass(secs(60)).await;
    assert_eq!((gateway.fake.orders().last(), gateway.fake.ready()), (Some(&0), 0));
    assert!(gateway.is_forgotten());
}
