//! Triggers of both types, and several beside each other.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use serde_json::json;

use super::cycle::{by_keda, open};
use super::scaled_object::{ScaledObject, condition};
use crate::app::App;
use crate::gateway::Gateway;
use crate::namespace::Namespace;

/// Asked only, KEDA learns of a wake at its next poll, and does not take it back until then: what it asks says that it is active.
#[tokio::test]
async fn an_app_whose_trigger_is_only_asked_is_woken_and_stays() {
    let namespace = Namespace::new("keda-external").await;
    let gateway = Gateway::of(&namespace).await;
    let app = App::echo("hello", &[]).scaling(by_keda());
    app.create(&namespace).await;
    let object = ScaledObject::of("hello", gateway.scaler()).typed("external").polls_each(2);
    object.create(&namespace).await;
    object.found_inactive(&namespace).await;
    assert_eq!(gateway.get(&app.host(&namespace), "/").await.status, 200);
    object.found_active(&namespace, 3).await;
    assert_eq!(namespace.asked("hello").await, (1, 2), "one order");
    object.found_inactive(&namespace).await;
    namespace.asks_for("hello", 0).await;
}

/// Beside ours, one that wants the app by the clock, and one for CPU, which the cluster has no metrics for: it says how many there
/// are to be if it can, and has no say in whether there are any.
#[tokio::test]
async fn other_triggers_beside_ours_keep_it_up_and_ours_does_its_part() {
    let namespace = Namespace::new("keda-triggers").await;
    let gateway = Gateway::of(&namespace).await;
    let mut app = App::echo("hello", &[]).scaling(by_keda());
    app.container()["resources"] = json!({"requests": {"cpu": "10m"}});
    app.create(&namespace).await;
    let mut object = ScaledObject::of("hello", gateway.scaler());
    let triggers = object.object["spec"]["triggers"].as_array_mut().unwrap();
    triggers.insert(0, json!({"type": "cpu", "metricType": "Utilization", "metadata": {"value": "80"}}));
    object.create(&namespace).await;
    object.found_inactive(&namespace).await;
    let metrics = |found: Option<&HorizontalPodAutoscaler>| {
        let metrics = found.and_then(|found| found.spec.as_ref()).and_then(|spec| spec.metrics.as_ref());
        metrics.is_some_and(|metrics| metrics.len() == 2)
    };
    namespace.until("keda-hpa-hello", "it has both metrics", metrics).await;
    let requests = open(&gateway, &app.host(&namespace), 6).await;
    namespace.ready("hello", 3).await;
    object.found_active(&namespace, 3).await;
    assert_eq!(namespace.asked("hello").await.0, 3);
    drop(requests);
    object.found_inactive(&namespace).await;
    namespace.asks_for("hello", 0).await;

    // By the clock, whatever the requests are: from a minute of each hour on, to the same minute of the next one.
    let always = json!({"timezone": "UTC", "start": "0 * * * *", "end": "59 * * * *", "desiredReplicas": "2"});
    let rest = json!({"timezone": "UTC", "start": "58 * * * *", "end": "1 * * * *", "desiredReplicas": "2"});
    let triggers = object.object["spec"]["triggers"].as_array_mut().unwrap();
    triggers.extend([always, rest].map(|metadata| json!({"type": "cron", "metadata": metadata})));
    object.apply(&namespace).await;
    namespace.ready("hello", 2).await;
    assert_eq!(gateway.get(&app.host(&namespace), "/").await.status, 200);
    object.until(&namespace, "it is active", |status| condition(status, "Active") == Some("True")).await;
    assert_eq!(namespace.asked("hello").await.0, 2);
}

/// A trigger that cannot be asked leaves everything as it is.
#[tokio::test]
async fn a_mistake_in_the_trigger_is_told_by_keda() {
    let namespace = Namespace::new("keda-mistakes").await;
    let gateway = Gateway::of(&namespace).await;
    let app = App::echo("hello", &[]).scaling(by_keda());
    app.create(&namespace).await;
    let object = ScaledObject::of("hello", gateway.scaler()).metadata("app", "helo");
    object.apply(&namespace).await;
    object.until(&namespace, "it is refused", |status| condition(status, "Ready") == Some("False")).await;
    // The gateway wakes all the same, and nobody takes it back.
    assert_eq!(gateway.get(&app.host(&namespace), "/").await.status, 200);
    object.metadata("app", "hello").create(&namespace).await;
    assert_eq!(namespace.asked("hello").await.0, 1);
}
