//! How long it takes who decides, for docs/keda.md: the table is printed.

use std::time::Duration;

use activator::Clock;
use futures_util::future::join_all;
use k8s_openapi::api::apps::v1::Deployment;
use serde_json::{Value, json};

use super::alone::Alone;
use super::course::Course;
use super::cycle::{asleep, open};
use super::scaled_object::ScaledObject;
use crate::app::App;
use crate::gateway::Gateway;
use crate::namespace::Namespace;

/// How often each is measured; the median counts.
const ROUNDS: usize = 3;

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// From the first request to the order, and to its answer.
async fn wakes(namespace: &Namespace, gateway: &Gateway, clock: &Clock, by: &str) -> (Duration, Duration) {
    let (mut orders, mut answers) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let name = format!("{by}{round}");
        let app = App::echo(&name, &[]).scaling(json!({"by": by, "target": 2, "utilization": 100}));
        let app = asleep(namespace, gateway, app).await;
        let object = ScaledObject::of(&name, gateway.scaler());
        if by == "keda" {
            object.create(namespace).await;
            object.found_inactive(namespace).await;
        }
        let course = Course::of(namespace, &name, clock).await;
        let began = clock.now();
        assert_eq!(gateway.get(&app.host(namespace), "/").await.status, 200);
        answers.push(clock.now().since(began));
        namespace.asks_for(&name, 1).await;
        orders.push(course.first(1).await.since(began));
    }
    (median(orders), median(answers))
}

/// From the moment at which KEDA could know to its order, and to a pod that is ready.
async fn alone(namespace: &Namespace, clock: &Clock, kind: &str, polling: u32) -> (Duration, Duration) {
    let (mut orders, mut ready) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let name = format!("{kind}{round}");
        let scaler = Alone::start().await;
        App::echo(&name, &[]).create_target(namespace).await;
        let object = ScaledObject::of(&name, scaler.address).typed(kind).polls_each(polling);
        object.create(namespace).await;
        object.found_inactive(namespace).await;
        let course = Course::of(namespace, &name, clock).await;
        if kind == "external" {
            // Sooner or later before its next poll.
            let part = (round as f64 + 0.5) / ROUNDS as f64;
            tokio::time::sleep(Duration::from_secs_f64(f64::from(polling) * part)).await;
        }
        let began = clock.now();
        scaler.activate();
        orders.push(course.first(1).await.since(began));
        namespace.ready(&name, 1).await;
        ready.push(clock.now().since(began));
    }
    (median(orders), median(ready))
}

/// From eight requests to four replicas that are asked for, and from their end to none.
async fn more_and_none(
    namespace: &Namespace,
    gateway: &Gateway,
    clock: &Clock,
    scaling: Value,
) -> (Duration, Duration) {
    let name = format!("more-{}", scaling["by"].as_str().unwrap());
    let by_keda = scaling["by"] == "keda";
    let app = asleep(namespace, gateway, App::echo(&name, &[]).scaling(scaling)).await;
    if by_keda {
        ScaledObject::of(&name, gateway.scaler()).create(namespace).await;
    }
    let host = app.host(namespace);
    let first = open(gateway, &host, 1).await;
    let course = Course::of(namespace, &name, clock).await;
    let began = clock.now();
    let others = open(gateway, &host, 7).await;
    let more = course.first(4).await.since(began);
    namespace.ready(&name, 4).await;
    drop((first, others));
    let silence = clock.now();
    let at_zero = |found: Option<&Deployment>| {
        found.and_then(|found| found.spec.as_ref()).is_some_and(|spec| spec.replicas == Some(0))
    };
    namespace.until(&name, "it sleeps", at_zero).await;
    (more, course.first(0).await.since(silence))
}

#[tokio::test]
#[ignore = "alone: figures"]
async fn who_takes_how_long() {
    let clock = &Clock::running();
    let namespace = &Namespace::new("keda-figures").await;
    let gateway = &Gateway::of(namespace).await;
    println!("| 0 -> 1 | order | first answer |\n|---|---|---|");
    for by in ["zerogate", "hpa", "keda"] {
        let (order, answer) = wakes(namespace, gateway, clock, by).await;
        println!("| by: {by} | {order:.0?} | {answer:.0?} |");
        assert!(order < Duration::from_secs(2), "{order:?}");
    }
    let (order, ready) = alone(namespace, clock, "external-push", 600).await;
    println!("| KEDA alone, external-push | {order:.0?} | pod ready {ready:.0?} |");
    let (order, ready) = alone(namespace, clock, "external", 5).await;
    println!("| KEDA alone, external, each 5 s | {order:.0?} | pod ready {ready:.0?} |");
    println!("| | 1 -> 4 | 4 -> 0 |\n|---|---|---|");
    let both = ["zerogate", "keda"].map(async |by| {
        let scaling = json!({"by": by, "target": 2, "utilization": 100, "idleTimeout": "5s"});
        (by, more_and_none(namespace, gateway, clock, scaling).await)
    });
    for (by, (more, none)) in join_all(both).await {
        println!("| by: {by} | {more:.1?} | {none:.1?} |");
    }
}
