//! 0 -> 1 by the gateway, 1 -> N and N -> 0 by KEDA.

use std::time::Duration;

use activator::Clock;
use http::Response;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::course::Course;
use super::scaled_object::ScaledObject;
use crate::app::App;
use crate::client::{Client, get, next};
use crate::gateway::Gateway;
use crate::namespace::Namespace;
use crate::wait::{soon, until};

/// Two requests at a time to a pod, and KEDA says how many of them.
pub fn by_keda() -> Value {
    json!({"by": "keda", "target": 2, "utilization": 100, "maxReplicas": 10, "idleTimeout": "1s"})
}

/// An app that sleeps, which the gateway knows.
pub async fn asleep(namespace: &Namespace, gateway: &Gateway, app: App) -> App {
    app.create(namespace).await;
    gateway.app_until(namespace, &app.name, "it sleeps", |app| app["state"] == "asleep").await;
    app
}

/// So many requests that go on until they are dropped; each has been answered in part.
pub async fn open(gateway: &Gateway, host: &str, requests: usize) -> Vec<(Response<Incoming>, Client)> {
    let mut opened = Vec::new();
    for _ in 0..requests {
        let mut client = Client::http1(gateway.http).await;
        let mut events = soon("a header", client.start(get(host, "/sse?n=100000&ms=200"))).await.unwrap();
        assert_eq!(events.status(), 200);
        next(&mut events).await;
        opened.push((events, client));
    }
    opened
}

#[tokio::test]
async fn a_request_wakes_load_scales_and_silence_puts_to_sleep() {
    let clock = Clock::running();
    let namespace = Namespace::new("keda-cycle").await;
    let gateway = Gateway::of(&namespace).await;
    let app = asleep(&namespace, &gateway, App::echo("hello", &[]).scaling(by_keda())).await;
    let object = ScaledObject::of("hello", gateway.scaler());
    object.create(&namespace).await;
    let course = Course::of(&namespace, "hello", &clock).await;
    assert_eq!(namespace.asked("hello").await, (0, 1), "nobody has asked for it");

    // 0 -> 1: the gateway's own order, and no other.
    let host = app.host(&namespace);
    assert_eq!(gateway.get(&host, "/").await.status, 200);
    object.found_active(&namespace, 3).await;
    assert_eq!(namespace.asked("hello").await, (1, 2), "it stays");

    // 1 -> N: eight requests, two a pod.
    let requests = open(&gateway, &host, 8).await;
    namespace.ready("hello", 4).await;
    object.found_active(&namespace, 3).await;
    assert_eq!(namespace.asked("hello").await.0, 4, "{:?}", course.numbers());
    // Only the number of requests says how many; a tenth more or less than there are replicas for would make no difference.
    let more = open(&gateway, &host, 4).await;
    namespace.ready("hello", 6).await;
    object.found_active(&namespace, 3).await;
    assert_eq!(namespace.asked("hello").await.0, 6, "{:?}", course.numbers());

    // N -> 0, whatever the HorizontalPodAutoscaler makes of it until then.
    drop((requests, more));
    let silence = clock.now();
    object.found_inactive(&namespace).await;
    namespace.asks_for("hello", 0).await;
    // Seen by another watch than that of the course.
    let zero = until("the course has it too", async || course.last_zero().filter(|zero| *zero > silence)).await;
    let slept = zero.since(silence);
    // KEDA counts from its last poll that found it active, which it writes down in whole seconds.
    assert!(slept >= Duration::from_secs(21), "not before its time: {slept:?}");
    println!("{:?}, asleep {slept:.1?} after the last request", course.numbers());
    // Asleep it is left alone, and can be woken again.
    namespace.ready("hello", 0).await;
    assert_eq!(gateway.get(&host, "/").await.status, 200);
    object.found_active(&namespace, 2).await;
    assert_eq!(course.numbers().last(), Some(&1), "{:?}", course.numbers());
    assert_eq!(course.numbers().iter().filter(|n| **n == 0).count(), 2, "{:?}", course.numbers());
}

/// It asks once in ten minutes: that it has heard of the wake can be by the stream alone.
#[tokio::test]
async fn keda_hears_of_a_wake_at_once() {
    let namespace = Namespace::new("keda-hears").await;
    let gateway = Gateway::of(&namespace).await;
    let app = asleep(&namespace, &gateway, App::echo("hello", &[]).scaling(by_keda())).await;
    let object = ScaledObject::of("hello", gateway.scaler()).polls_each(600);
    object.create(&namespace).await;
    object.found_inactive(&namespace).await;
    assert_eq!(object.status(&namespace).await["lastActiveTime"], Value::Null);
    assert_eq!(gateway.get(&app.host(&namespace), "/").await.status, 200);
    object.until(&namespace, "the wake is known", |status| status["lastActiveTime"].is_string()).await;
    assert_eq!(namespace.asked("hello").await, (1, 2), "one order");
}

/// The wake is for as many as are held; KEDA does not write its own 1 over it.
#[tokio::test]
async fn a_wake_of_several_stays_what_it_is() {
    let clock = Clock::running();
    let namespace = Namespace::new("keda-several").await;
    let gateway = Gateway::of(&namespace).await;
    let app = asleep(&namespace, &gateway, App::echo("hello", &["--start-delay=2s"]).scaling(by_keda())).await;
    let object = ScaledObject::of("hello", gateway.scaler());
    object.create(&namespace).await;
    let course = Course::of(&namespace, "hello", &clock).await;
    let requests: Vec<_> = (0..8).map(|_| gateway.spawn_get(&app.host(&namespace), "/sleep?ms=8000")).collect();
    namespace.ready("hello", 4).await;
    object.found_active(&namespace, 3).await;
    for request in requests {
        assert_eq!(soon("an answer", request).await.unwrap().status, 200);
    }
    assert_eq!(course.numbers().last(), Some(&4), "{:?}", course.numbers());
    assert!(!course.numbers().windows(2).any(|pair| pair[1] < pair[0]), "never fewer: {:?}", course.numbers());
}
