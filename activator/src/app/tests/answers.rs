//! Answers to orders: what they are for, and what they leave behind.

use super::*;
use crate::platform::{Accepted, Condition, NotAccepted, Observation, SpecReplicas};
use crate::registry::Registry;
use crate::testing::{Nothing, asleep, cluster};

fn spec(replicas: u32, version: u64) -> Option<SpecReplicas> {
    Some(SpecReplicas { replicas, version, writer: None })
}

/// Another target than that of `cluster`.
fn moved() -> AppSettings {
    let mut moved = cluster(Scaling::default());
    let crate::settings::Target::Scale(target) = &mut moved.target else { panic!("in a cluster") };
    Arc::make_mut(target).name = "b".into();
    moved
}

fn forbidden() -> NotAccepted {
    let cause = FailureCause::Forbidden { verb: "patch".into(), resource: "x".into(), namespace: "y".into() };
    NotAccepted { cause, in_doubt: false, passing: false, retry_after: None }
}

#[tokio::test(start_paused = true)]
async fn an_answer_about_an_earlier_target_says_nothing_of_the_new_one() {
    let world = World::new(Clock::running());
    for in_doubt in [None, Some(false), Some(true)] {
        let app = world.app("a", cluster(Scaling::default()));
        app.set_wanted(5, app.clock().now());
        assert!(app.next_order().is_some());
        app.configure(moved());
        match in_doubt {
            None => app.order_accepted(Accepted { version: 9 }),
            Some(in_doubt) => drop(app.order_not_accepted(NotAccepted { in_doubt, ..forbidden() })),
        }
        assert_eq!((app.is_known(), app.failure().is_none(), app.refused_order()), (false, true, None));
        let target_number = app.subject().target_number;
        app.observed(Observation { spec: spec(0, 3), target_number, ..Observation::default() });
        assert_eq!((app.spec_replicas(), app.starting()), (Some(0), 0));
        app.set_wanted(1, app.clock().now());
        assert_eq!(app.next_order().map(|order| (order.replicas, order.condition)), Some((1, Condition::Always)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_accepted_takes_back_what_was_said_of_the_refused_one() {
    let world = World::new(Clock::running());
    let app = world.app("a", cluster(Scaling::default()));
    for refused in [true, false] {
        app.set_wanted(1, app.clock().now());
        app.next_order().expect("due");
        if refused {
            app.order_not_accepted(forbidden());
        } else {
            app.order_accepted(Accepted { version: 2 });
        }
        assert_eq!(app.failure().is_some(), refused);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sleep_that_is_refused_is_no_failed_start() {
    let world = World::new(Clock::running());
    let app = world.app("a", cluster(Scaling::default()));
    app.observed(Observation { spec: spec(1, 1), endpoints: vec![endpoint("one")], ..Observation::default() });
    assert!(app.try_sleep());
    app.set_wanted(0, app.clock().now());
    app.next_order().expect("due");
    assert_eq!(app.order_not_accepted(forbidden()), Some(secs(5)), "and tried again in a while");
    assert!(app.failure().is_none());
    assert_eq!((app.refused_order().map(|why| why.cause), app.endpoints().len()), (Some(forbidden().cause), 1));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_to_go_and_comes_back_again_and_again_is_watched_once() {
    let world = World::new(Clock::running());
    let app = world.app("a", cluster(Scaling::default()));
    let both = vec![endpoint("one"), endpoint("two")];
    app.observed(Observation { spec: spec(2, 1), endpoints: both.clone(), ..Observation::default() });
    let now = app.clock().now();
    let busy = [0, 1].map(|_| app.enter().try_admit(now).unwrap());
    for _ in 0..100 {
        app.set_wanted(1, now);
        app.retire_or_reopen();
        assert_eq!(app.endpoints().len(), 1);
        settle().await;
        app.set_wanted(2, now);
        app.retire_or_reopen();
        assert_eq!(app.endpoints().len(), 2);
    }
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert!(tasks() <= 2, "{} tasks for two", tasks());
    app.set_wanted(1, now);
    app.retire_or_reopen();
    drop(busy);
    settle().await;
    assert_eq!(app.next_order().map(|order| order.replicas), Some(1), "whoever waited has it ordered away");
}

#[tokio::test(start_paused = true)]
async fn an_app_that_is_declared_again_has_never_been_away() {
    let world = World::new(Clock::running());
    let registry = Registry::new(world.shared.clone(), Arc::new(Nothing));
    let id = AppId::new("default", "a");
    let declare = |settings: Option<AppSettings>| {
        registry.apply(settings.map(|settings| (id.clone(), settings)), |_| {});
        registry.get(&id)
    };
    let app = declare(Some(cluster(Scaling::default()))).unwrap();
    app.observed(Observation { endpoints: vec![endpoint("one")], spec: spec(1, 1), ..asleep() });
    let stream = app.enter().try_admit(app.clock().now()).unwrap();
    assert!(declare(None).is_none() && app.is_closing());
    let again = declare(Some(cluster(Scaling::default()))).unwrap();
    assert!(Arc::ptr_eq(&app, &again) && !again.is_closing());
    assert_eq!((again.in_flight(), registry.in_flight()), (1, 1));
    assert!(!again.try_sleep(), "what is in flight keeps it awake");
    // Processes are stopped with their app: the next one begins anew.
    declare(Some(limited(1)));
    let request = declare(Some(limited(1))).unwrap().enter();
    declare(None);
    assert_eq!(declare(Some(limited(1))).unwrap().in_flight(), 0);
    drop((stream, request));
}

#[tokio::test(start_paused = true)]
async fn a_wake_is_one_from_outside_when_its_order_is_answered() {
    let world = World::new(Clock::running());
    let app = world.app("a", cluster(Scaling::default()));
    app.set_wanted(1, app.clock().now());
    app.next_order().expect("due");
    app.observed(Observation { spec: spec(1, 2), ..Observation::default() });
    let seen = app.observed_from_outside(true);
    assert_eq!((seen.replicas, seen.woken), (Some(0), None), "it would be told of twice");
    app.order_accepted(Accepted { version: 2 });
    let seen = app.observed_from_outside(true);
    assert_eq!((seen.replicas, seen.woken), (Some(1), Some(app.clock().now())));
}
