//! An event finds those that it concerns, and nobody else.

use serde_json::json;

use super::*;
use crate::platform::kubernetes::state::object::Name;

#[test]
fn a_pod_concerns_the_services_that_choose_it() {
    let mut told = Told::hello(1);
    let labelled = |labels: Value| pod("b", json!({ "metadata": { "labels": labels } }));
    assert!(told.pod(pod("a", json!({}))));
    assert!(!told.pod(pod("a", json!({}))), "nothing new");
    assert!(!told.pod(labelled(json!({ "app": "other" }))));
    assert!(told.pod(labelled(json!({ "app": "hello" }))), "now it does");
    assert!(told.pod(labelled(json!({ "app": "other" }))), "now it does not any more");
    assert_eq!(told.view().pods, 1);
}

#[test]
fn all_of_a_selector_has_to_match() {
    let mut told = Told::hello(1);
    told.service(service(json!({ "spec": { "selector": { "app": "hello", "track": "stable" } } })));
    assert!(!told.pod(pod("a", json!({}))));
    assert!(told.pod(pod("b", json!({ "metadata": { "labels": { "app": "hello", "track": "stable" } } }))));
    assert_eq!(told.view().pods, 1);
}

#[test]
fn a_selector_that_has_changed_chooses_others() {
    let mut told = Told::hello(1);
    told.pod(pod("a", json!({})));
    told.pod(pod("b", json!({ "metadata": { "labels": { "app": "other" } } })));
    assert!(told.service(service(json!({ "spec": { "selector": { "app": "other" } } }))));
    assert_eq!(told.view().candidates[0].pod.as_ref().unwrap().to_string(), "default/b");
    assert!(!told.pod(pod("a", ready())), "of no interest any more");
}

#[test]
fn objects_of_other_namespaces_are_others() {
    let mut told = Told::hello(1);
    assert!(!told.pod(pod("a", json!({ "metadata": { "namespace": "other" } }))));
    assert!(!told.service(service(json!({ "metadata": { "namespace": "other" } }))));
    assert!(!told.target(deployment_with(json!({ "metadata": { "namespace": "other" } }))));
    assert_eq!(told.view().pods, 0);
}

#[test]
fn what_came_before_the_app_is_known_to_it() {
    let mut told = Told::hello(1);
    told.pod(pod("a", ready()));
    told.cluster.forget(APP);
    assert!(!told.pod(pod("a", json!({}))), "nobody is interested");
    told.cluster.observe(APP, &settings());
    assert_eq!(told.view().pods, 1);
}

#[test]
fn nothing_is_left_of_what_is_gone() {
    let mut told = Told::hello(1);
    told.pod(pod("a", ready()));
    let reference = json!({ "kind": "Pod", "namespace": "default", "name": "a", "uid": "uid-of-a" });
    let twice = json!([
        { "addresses": ["10.0.0.1"], "targetRef": reference }, { "addresses": ["10.0.0.2"], "targetRef": reference },
    ]);
    told.slice(slice("s", twice));
    let touched = &mut told.touched;
    told.cluster.replace_pods(None, Vec::new(), touched);
    told.cluster.replace_services(None, Vec::new(), touched);
    told.cluster.replace_slices(None, Vec::new(), touched);
    told.cluster.replace_targets(&kind(), None, Vec::new(), touched);
    told.cluster.forget(APP);
    let cluster = &told.cluster;
    assert!(cluster.apps.is_empty() && cluster.by_service.is_empty() && cluster.pods.is_empty());
    assert!(cluster.pods_by_label.is_empty() && cluster.services_by_label.is_empty() && cluster.services.is_empty());
    assert!(cluster.slices.is_empty() && cluster.slices_by_service.is_empty() && cluster.slices_by_pod.is_empty());
}

/// With 5,000 apps whose Services share a label, a pod finds its own.
#[test]
fn a_label_that_all_services_share_is_not_what_pods_are_found_by() {
    let mut told = Told::hello(1);
    let labels = |n: usize| json!({ "app": format!("app-{n}"), "team": "shop", "part-of": "shop" });
    for n in 0..5_000 {
        let name = format!("app-{n}");
        let service = service(json!({ "metadata": { "name": name }, "spec": { "selector": null } }));
        let selector = serde_json::from_value::<std::collections::BTreeMap<String, String>>(labels(n)).unwrap();
        told.service(super::Service { selector: selector.into(), ..service });
    }
    let pod = pod("a", json!({ "metadata": { "labels": labels(7) } }));
    let candidates = told.cluster.services_by_label.of_any("default", &pod.labels).count();
    assert!(candidates <= 3, "{candidates} looked at");
    let own = Name::new("default", "app-7");
    assert!(told.cluster.services_by_label.of_any("default", &pod.labels).any(|name| **name == own));
}
