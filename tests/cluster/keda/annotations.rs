//! KEDA's annotations. It does what they say; the gateway wakes, and does nothing else.

use activator::Clock;
use futures_util::future::join_all;

use super::course::Course;
use super::cycle::{asleep, by_keda, open};
use super::scaled_object::{ScaledObject, condition};
use crate::app::App;
use crate::gateway::Gateway;
use crate::namespace::Namespace;

/// An app that sleeps, with a ScaledObject that has this annotation.
async fn annotated(
    namespace: &Namespace,
    gateway: &Gateway,
    name: &str,
    annotation: &str,
    value: &str,
) -> (String, ScaledObject) {
    let app = asleep(namespace, gateway, App::echo(name, &[]).scaling(by_keda())).await;
    let object = ScaledObject::of(name, gateway.scaler());
    object.create(namespace).await;
    object.found_inactive(namespace).await;
    let object = object.annotated(annotation, Some(value));
    object.apply(namespace).await;
    (app.host(namespace), object)
}

#[tokio::test]
async fn what_keda_is_told_not_to_do_the_gateway_does_not_do_either_but_for_the_wake() {
    let clock = Clock::running();
    let (namespace, clock) = (&Namespace::new("keda-annotated").await, &clock);
    let gateway = &Gateway::of(namespace).await;
    let with = async |name, annotation, value| annotated(namespace, gateway, name, annotation, value).await;
    let (wholly, at, no_fewer, no_more, forced, plain) = tokio::join!(
        with("paused", "paused", "true"),
        with("at", "paused-replicas", "2"),
        with("in", "paused-scale-in", "true"),
        with("out", "paused-scale-out", "true"),
        with("forced", "force-activation", "true"),
        with("plain", "paused", "false"),
    );
    for (_, object) in [&wholly, &at, &no_fewer, &no_more] {
        object.until(namespace, "it is paused", |status| condition(status, "Paused") == Some("True")).await;
    }
    // What KEDA does by itself.
    namespace.ready("at", 2).await;
    namespace.ready("forced", 1).await;
    let courses = join_all(["at", "forced"].map(|name| Course::of(namespace, name, clock))).await;

    // Each is woken; only KEDA makes more of one.
    let apps = [&wholly, &at, &no_fewer, &no_more, &forced];
    let requests = join_all(apps.map(|(host, _)| open(gateway, host, 8))).await;
    namespace.ready("in", 4).await;
    namespace.ready("forced", 4).await;
    no_more.1.found_active(namespace, 3).await;
    let woken = async |name| namespace.asked(name).await;
    let (paused, out) = (woken("paused").await, woken("out").await);
    // One order, for those who were held then.
    assert!(paused.0 > 0 && paused.1 == 2 && out.0 > 0 && out.1 == 2, "{paused:?}, {out:?}");

    // By the time that one which came later is asleep, they all would be.
    drop(requests);
    assert_eq!(gateway.get(&plain.0, "/").await.status, 200);
    plain.1.found_active(namespace, 1).await;
    plain.1.found_inactive(namespace).await;
    namespace.asks_for("plain", 0).await;
    assert_eq!(woken("paused").await, paused, "it stays as it is");
    assert_eq!(woken("in").await.0, 4);
    assert_eq!(courses[0].numbers(), [2], "nobody has written");
    assert!(!courses[1].numbers().contains(&0), "{:?}", courses[1].numbers());
    // Of that one KEDA may lower the number.
    namespace.asks_for("out", 0).await;

    // Once they are taken back, all is as ever.
    for (name, (_, object)) in [("paused", wholly), ("in", no_fewer), ("forced", forced)] {
        object.annotated("", None).apply(namespace).await;
        namespace.asks_for(name, 0).await;
    }
}
