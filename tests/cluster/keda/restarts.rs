//! KEDA's operator and the gateway, started again under load: nothing is lowered.

use activator::Clock;

use super::course::Course;
use super::cycle::{asleep, by_keda, open};
use super::scaled_object::ScaledObject;
use crate::app::App;
use crate::cluster::daemon;
use crate::gateway::Gateway;
use crate::load::Load;
use crate::namespace::Namespace;
use crate::wait::until;

/// How many replicas eight requests are for.
const RIGHT: i32 = 4;

/// An app with a ScaledObject, and how many replicas it had.
async fn scaled(namespace: &Namespace, gateway: &Gateway, clock: &Clock, cooldown: u32) -> (App, ScaledObject, Course) {
    let app = asleep(namespace, gateway, App::echo("hello", &[]).scaling(by_keda())).await;
    let object = ScaledObject::of("hello", gateway.scaler()).with("cooldownPeriod", cooldown);
    let object = object.with("initialCooldownPeriod", cooldown);
    object.create(namespace).await;
    let course = Course::of(namespace, "hello", clock).await;
    (app, object, course)
}

#[track_caller]
fn never_fewer(course: &Course) {
    let numbers = course.numbers();
    assert!(!numbers.windows(2).any(|pair| pair[1] < pair[0]), "{numbers:?}");
}

#[tokio::test]
async fn a_gateway_killed_under_load_has_keda_lower_nothing() {
    let clock = Clock::running();
    let namespace = Namespace::new("keda-killed").await;
    let mut gateway = Gateway::of(&namespace).await;
    let (app, object, course) = scaled(&namespace, &gateway, &clock, 2).await;
    let mut requests = open(&gateway, &app.host(&namespace), 8).await;
    namespace.ready("hello", RIGHT).await;
    for _ in 0..2 {
        gateway.kill().await;
        drop(requests);
        gateway.start_again(&["--namespaces", &namespace.name]).await;
        // Before anybody asks for the app again.
        object.found_active(&namespace, 2).await;
        requests = open(&gateway, &app.host(&namespace), 8).await;
        // Longer than what it goes by at first.
        object.found_active(&namespace, 22).await;
        never_fewer(&course);
        assert_eq!(namespace.asked("hello").await.0, RIGHT);
    }
}

#[tokio::test]
async fn a_gateway_replaced_while_nobody_asks_puts_to_sleep_later_and_not_at_once() {
    let clock = Clock::running();
    let namespace = Namespace::new("keda-replaced").await;
    let mut gateway = Gateway::start(&["--namespaces", &namespace.name, "--lame-duck", "0s"]).await;
    let (app, object, course) = scaled(&namespace, &gateway, &clock, 2).await;
    assert_eq!(gateway.get(&app.host(&namespace), "/").await.status, 200);
    object.found_active(&namespace, 2).await;
    gateway.stop().await;
    gateway.start_again(&["--namespaces", &namespace.name, "--lame-duck", "0s"]).await;
    let began = clock.now();
    // It cannot know when the last request was. Of its polls in that time KEDA may be late with some.
    object.found_active(&namespace, 4).await;
    never_fewer(&course);
    object.found_inactive(&namespace).await;
    namespace.asks_for("hello", 0).await;
    // Seen by another watch than that of the course.
    let zero = until("the course has it too", async || course.last_zero().filter(|zero| *zero > began)).await;
    let slept = zero.since(began);
    assert!(slept.as_secs() >= 20, "{slept:?}");
}

#[tokio::test]
#[ignore = "alone: KEDA is stopped for all"]
async fn an_operator_started_again_under_load_lowers_nothing() {
    let clock = Clock::running();
    let namespace = Namespace::new("keda-operator").await;
    let gateway = Gateway::of(&namespace).await;
    // As printed. One that begins may take what it has not asked about yet for inactive, and goes by how long ago it was not.
    let (app, object, course) = scaled(&namespace, &gateway, &clock, 60).await;
    let host = app.host(&namespace);
    let requests = open(&gateway, &host, 8).await;
    let load = Load::start(2, gateway.http, &host, "/");
    namespace.ready("hello", RIGHT + 1).await;
    for _ in 0..3 {
        daemon("restart", "keda-operator").await;
        object.found_active(&namespace, 3).await;
    }
    // A wake while it is away is the gateway's alone, and stays when it is back.
    let other = asleep(&namespace, &gateway, App::echo("other", &[]).scaling(by_keda())).await;
    let second =
        ScaledObject::of("other", gateway.scaler()).with("cooldownPeriod", 60).with("initialCooldownPeriod", 60);
    second.create(&namespace).await;
    daemon("stop", "keda-operator").await;
    assert_eq!(gateway.get(&other.host(&namespace), "/").await.status, 200);
    daemon("start", "keda-operator").await;
    second.found_active(&namespace, 3).await;
    assert_eq!(namespace.asked("other").await, (1, 2), "one order");
    never_fewer(&course);
    load.finish().await.assert_all_served();
    drop(requests);
}
