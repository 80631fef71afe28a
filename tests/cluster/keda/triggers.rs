//! Triggers of both types, and several beside each other.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use serde_json::{Value, json};

use super::cycle::{asleep, by_keda, open};
use super::scaled_object::{ScaledObject, condition};
use crate::app::App;
use crate::gateway::Gateway;
use crate::namespace::Namespace;

/// Asked only, KEDA learns of a wake at its next poll, and does not take it back until then: what it asks says that it is active.
#[tokio::test]
async fn an_app_whose_trigger_is_only_asked_is_woken_and_stays() {
    let namespace = Namespace::new("keda-external").await;
    let gateway = Gateway::of(&namespace).await;
    let app = asleep(&namespace, &gateway, App::echo("hello", &[]).scaling(by_keda())).await;
    let object = ScaledObject::of("hello", gateway.scaler()).typed("external").polls_each(2);
    object.create(&namespace).await;
    object.found_inactive(&namespace).await;
    assert_eq!(gateway.get(&app.host(&namespace), "/").await.status, 200);
    object.found_active(&namespace, 3).await;
    assert_eq!(namespace.asked("hello").await, (1, 2), "one order");
    object.found_inactive(&namespace).await;
    namespace.asks_for("hello", 0).await;
}

/// The cluster has no metrics of CPU: as KEDA has it, that trigger has no say in whether there are any replicas, and its
/// HorizontalPodAutoscaler lowers nothing as long as it does not know them all. It raises, and KEDA puts to sleep.
#[tokio::test]
async fn beside_a_trigger_for_cpu_ours_does_its_part() {
    let namespace = Namespace::new("keda-cpu").await;
    let gateway = Gateway::of(&namespace).await;
    let mut app = App::echo("hello", &[]).scaling(by_keda());
    app.container()["resources"] = json!({"requests": {"cpu": "10m"}});
    let app = asleep(&namespace, &gateway, app).await;
    let mut object = ScaledObject::of("hello", gateway.scaler());
    let cpu = json!({"type": "cpu", "metricType": "Utilization", "metadata": {"value": "80"}});
    object.triggers().insert(0, cpu);
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
}

#[tokio::test]
async fn an_app_that_another_trigger_wants_stays_without_requests() {
    let namespace = Namespace::new("keda-cron").await;
    let gateway = Gateway::of(&namespace).await;
    let app = asleep(&namespace, &gateway, App::echo("hello", &[]).scaling(by_keda())).await;
    let mut object = ScaledObject::of("hello", gateway.scaler());
    object.create(&namespace).await;
    // The one or the other always, whatever the time is.
    let all = json!({"timezone": "UTC", "start": "0 * * * *", "end": "59 * * * *", "desiredReplicas": "2"});
    let rest = json!({"timezone": "UTC", "start": "58 * * * *", "end": "1 * * * *", "desiredReplicas": "2"});
    object.triggers().extend([all, rest].map(|metadata| json!({"type": "cron", "metadata": metadata})));
    object.apply(&namespace).await;
    namespace.ready("hello", 2).await;
    assert_eq!(gateway.get(&app.host(&namespace), "/").await.status, 200);
    let ours = |status: &Value, active: bool| {
        let activity = status["triggersActivity"].as_object().into_iter().flatten();
        activity.into_iter().any(|(name, it)| name.starts_with("s0-") && it["isActive"] == active)
    };
    object.until(&namespace, "ours is active", |status| ours(status, true)).await;
    object.until(&namespace, "ours is not active any more", |status| ours(status, false)).await;
    object.found_active(&namespace, 5).await;
    assert_eq!(namespace.asked("hello").await.0, 2, "the other one is");
    object.triggers().truncate(1);
    object.apply(&namespace).await;
    namespace.asks_for("hello", 0).await;
}

/// A trigger that cannot be asked leaves everything as it is.
#[tokio::test]
async fn a_mistake_in_the_trigger_is_told_by_keda() {
    let namespace = Namespace::new("keda-mistakes").await;
    let gateway = Gateway::of(&namespace).await;
    let app = asleep(&namespace, &gateway, App::echo("hello", &[]).scaling(by_keda())).await;
    let object = ScaledObject::of("hello", gateway.scaler()).metadata("app", "helo");
    object.apply(&namespace).await;
    object.until(&namespace, "it is refused", |status| condition(status, "Ready") == Some("False")).await;
    // The gateway wakes all the same, and nobody takes it back.
    assert_eq!(gateway.get(&app.host(&namespace), "/").await.status, 200);
    object.metadata("app", "hello").create(&namespace).await;
    assert_eq!(namespace.asked("hello").await.0, 1);
}
