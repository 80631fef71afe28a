//! What is kept of the API server's objects.

use kube::core::DynamicObject;
use serde_json::json;

use super::*;
use crate::platform::kubernetes::state::object::{PortRef, Scheduled};

#[test]
fn who_has_written_replicas() {
    let entry = |manager: &str, time: &str, fields: Value| json!({ "manager": manager, "operation": "Update", "time": time, "fieldsType": "FieldsV1", "fieldsV1": fields });
    let replicas = || json!({ "f:spec": { "f:replicas": {} } });
    let with = |entries: Value| deployment_with(json!({ "metadata": { "managedFields": entries } })).writer;
    assert_eq!(with(json!([])), None);
    let template = entry("kubectl", "2026-01-02T00:00:00Z", json!({ "f:spec": { "f:template": {} } }));
    let hpa = entry("kube-controller-manager", "2026-01-01T00:00:00Z", replicas());
    assert_eq!(with(json!([template, hpa])).as_deref(), Some("kube-controller-manager"));
    let mut ours = entry("zerogate", "2026-01-03T00:00:00Z", replicas());
    ours["subresource"] = json!("scale");
    assert_eq!(with(json!([ours, hpa])).as_deref(), Some("zerogate"));
}

#[test]
fn replicas_that_are_not_said_are_one_or_not_known() {
    assert_eq!(deployment_with(json!({ "spec": { "replicas": null } })).replicas, Some(1));
    let rollout = |spec: Value| {
        let object = json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": { "namespace": "default", "name": "hello", "uid": "r", "resourceVersion": "7" }, "spec": spec });
        TargetObject::from(serde_json::from_value::<DynamicObject>(object).unwrap())
    };
    assert_eq!(rollout(json!({ "replicas": 3 })).replicas, Some(3));
    assert_eq!(rollout(json!({ "size": 3 })).replicas, None);
    assert_eq!(rollout(json!({})).version, 7);
}

#[test]
fn target_ports() {
    let port = |port: Value| service(json!({ "spec": { "ports": [port] } })).ports[0].target.clone();
    assert_eq!(port(json!({ "port": 80 })), PortRef::Number(80));
    assert_eq!(port(json!({ "port": 80, "targetPort": 0 })), PortRef::Number(80));
    assert_eq!(port(json!({ "port": 80, "targetPort": 8080 })), PortRef::Number(8080));
    assert_eq!(port(json!({ "port": 80, "targetPort": "http" })), PortRef::Name("http".into()));
}

#[test]
fn how_far_the_scheduler_has_come() {
    let scheduled = |node: Value, condition: Value| {
        pod("a", json!({ "spec": { "nodeName": node }, "status": { "conditions": [condition] } })).scheduled
    };
    let waiting = json!({ "type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": "gated" });
    assert_eq!(scheduled(Value::Null, waiting), Scheduled::No);
    let no =
        json!({ "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "x ".repeat(1000) });
    let Scheduled::Impossible(why) = scheduled(Value::Null, no.clone()) else { panic!() };
    assert!(why.len() <= 256 && why.ends_with('…'), "{why}");
    assert_eq!(scheduled(json!("node"), no), Scheduled::Yes);
}

#[test]
fn what_a_pod_costs() {
    let cost = |value: &str| {
        pod("a", json!({ "metadata": { "annotations": { "controller.kubernetes.io/pod-deletion-cost": value } } }))
            .deletion_cost
    };
    assert_eq!((cost("-2147483648"), cost("5"), cost("many")), (Some(i32::MIN), Some(5), None));
}

#[test]
fn addresses_that_make_no_sense_are_none() {
    assert_eq!(pod("a", json!({ "status": { "podIP": "" } })).ip, None);
    assert_eq!(slice("s", json!([{ "addresses": ["example.org"] }, { "addresses": ["::1"] }])).endpoints.len(), 1);
}
