//! What KEDA's own end-to-end tests of external scalers ask for (tests/scalers/external_*), asked of ours.

use activator::Clock;
use k8s_openapi::api::batch::v1::Job;
use kube::api::ListParams;
use serde_json::json;

use super::course::Course;
use super::cycle::{asleep, by_keda, open};
use super::scaled_object::ScaledObject;
use crate::app::{App, IMAGE};
use crate::gateway::Gateway;
use crate::namespace::Namespace;
use crate::wait::until;

/// The ScaledObject of those tests.
fn as_keda_s(name: &str, gateway: &Gateway, most: u32) -> ScaledObject {
    let object = ScaledObject::of(name, gateway.scaler()).polls_each(5).with("cooldownPeriod", 10);
    object.with("idleReplicaCount", 0).with("minReplicaCount", 1).with("maxReplicaCount", most)
}

/// Asleep, one for what one is meant for, two for twice that, asleep.
async fn case(namespace: &Namespace, gateway: &Gateway, clock: &Clock, object: ScaledObject, values: &[(usize, i32)]) {
    let name = &object.name;
    // It leaves alone what KEDA does: the target is the ScaledObject's.
    let app = asleep(namespace, gateway, App::echo(name, &[]).scaling(by_keda())).await;
    object.create(namespace).await;
    namespace.asks_for(name, 0).await;
    let course = Course::of(namespace, name, clock).await;
    let mut requests = Vec::new();
    for (value, replicas) in values {
        requests.extend(open(gateway, &app.host(namespace), value - requests.len()).await);
        namespace.ready(name, *replicas).await;
    }
    drop(requests);
    object.found_inactive(namespace).await;
    namespace.asks_for(name, 0).await;
    let last = values.last().unwrap().1;
    assert!(course.numbers().iter().all(|replicas| *replicas <= last), "{:?}", course.numbers());
}

#[tokio::test]
async fn keda_s_own_cases_hold() {
    let clock = Clock::running();
    let namespace = &Namespace::new("keda-cases").await;
    let gateway = &Gateway::of(namespace).await;
    let pull = as_keda_s("pull", gateway, 2).typed("external").metadata("target", "10");
    let push = as_keda_s("push", gateway, 3).metadata("target", "6.111");
    tokio::join!(
        case(namespace, gateway, &clock, pull, &[(10, 1), (20, 2)]),
        case(namespace, gateway, &clock, push, &[(6, 1), (22, 3)]),
    );
}

#[tokio::test]
async fn a_scaled_job_gets_as_many_jobs_as_requests_want() {
    let namespace = Namespace::new("keda-jobs").await;
    let gateway = Gateway::of(&namespace).await;
    let app = asleep(&namespace, &gateway, App::echo("hello", &[]).scaling(by_keda())).await;
    let metadata = json!({"scalerAddress": gateway.scaler().to_string(), "app": "hello", "pollingInterval": "2"});
    let container = json!({"name": "job", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "args": ["echo"]});
    let jobs = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledJob", "metadata": {"name": "jobs"},
        "spec": {
            "pollingInterval": 2, "maxReplicaCount": 3,
            "jobTargetRef": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
            "triggers": [{"type": "external", "metadata": metadata}],
        },
    });
    namespace.apply(&jobs).await;
    let _requests = open(&gateway, &app.host(&namespace), 4).await;
    // Two requests each.
    let count = async || namespace.api::<Job>().list(&ListParams::default()).await.unwrap().items.len();
    until("there are two jobs", async || (count().await == 2).then_some(())).await;
}
