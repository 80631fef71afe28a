//! What serves an app, and whether it can be used.

use serde_json::json;

use super::*;
use crate::admission::removal::Removal;
use crate::failure::FailureCause;
use crate::platform::contract::SpecReplicas;
use crate::platform::kubernetes::state::findings::Found;
use crate::settings::Protocol;

fn addresses(view: &View) -> Vec<String> {
    view.candidates.iter().map(|candidate| candidate.identity.address.to_string()).collect()
}

#[test]
fn nothing_is_said_before_everything_was_told() {
    let mut told = Told::nothing();
    let mut views = vec![told.view()];
    told.cluster.replace_pods(None, vec![pod("a", ready())], &mut told.touched);
    views.push(told.view());
    told.cluster.replace_services(None, Vec::new(), &mut told.touched);
    views.push(told.view());
    told.cluster.replace_slices(None, Vec::new(), &mut told.touched);
    views.push(told.view());
    for view in views {
        assert!(view.spec.is_none() && view.candidates.is_empty() && view.failure.is_none());
    }
    told.touches();
    told.cluster.replace_targets(&kind(), None, Vec::new(), &mut told.touched);
    assert!(told.touches());
    assert!(matches!(told.view().failure, Some(FailureCause::TargetMissing { .. })));
}

#[test]
fn what_was_told_of_one_namespace_says_nothing_of_another() {
    let mut told = Told::hello(1);
    told.settings(|settings| settings.namespace = "other".into());
    assert!(matches!(told.view().failure, Some(FailureCause::TargetMissing { .. })));

    let mut told = Told::nothing();
    told.cluster.replace_targets(&kind(), Some("other"), Vec::new(), &mut told.touched);
    assert!(!told.touches());
    assert_eq!(told.view().findings.target, Found::Unknown);
}

#[test]
fn a_pod_is_usable_by_kubernetes_word_until_it_takes_it_back() {
    let mut told = Told::hello(1);
    assert!(told.pod(pod("a", ready())));
    assert_eq!(told.standing(), Standing::Ready);
    assert_eq!(addresses(&told.view()), ["10.88.0.7:8080"]);

    assert!(told.pod(pod("a", json!({}))));
    assert_eq!(told.standing(), Standing::Wait, "its probe has failed, the kubelet's to take back");
    assert!(told.pod(pod("a", json!({ "metadata": { "labels": { "app": "hello", "other": "label" } } }))));
    assert_eq!(told.standing(), Standing::Wait, "still");

    told.pod(pod("a", ready()));
    assert_eq!(told.standing(), Standing::Ready);
}

#[test]
fn a_container_that_was_started_again_is_tried_again() {
    let mut told = Told::hello(1);
    told.pod(pod("a", ready()));
    let mut again = status("app", json!({ "running": {} }));
    again["restartCount"] = json!(1);
    told.pod(pod("a", json!({ "status": { "containerStatuses": [again] } })));
    assert!(matches!(told.standing(), Standing::Check(_)));
    assert_eq!(told.view().candidates[0].incarnation, 1);
}

#[test]
fn a_pod_that_is_to_go_is_none_at_once() {
    let mut told = Told::hello(1);
    told.pod(pod("a", ready()));
    let deleting = json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" } });
    assert!(told.pod(pod("a", merged(ready(), deleting))));
    assert_eq!((told.view().candidates.len(), told.view().pods), (0, 0));
}

#[test]
fn pods_that_have_ended_are_none() {
    let mut told = Told::hello(1);
    told.pod(pod("a", json!({ "status": { "phase": "Failed" } })));
    assert_eq!(told.view().pods, 0);
}

#[test]
fn a_list_replaces_what_was_known_without_a_flap() {
    let mut told = Told::hello(2);
    let at = |ip: &str| merged(ready(), json!({ "status": { "podIP": ip } }));
    told.pod(pod("a", at("10.88.0.1")));
    told.pod(pod("b", at("10.88.0.2")));
    let before = told.view();

    let same = vec![pod("b", at("10.88.0.2")), pod("a", at("10.88.0.1"))];
    told.cluster.replace_pods(None, same, &mut told.touched);
    assert!(!told.touches(), "nothing has changed");
    assert_eq!(told.view().candidates, before.candidates);

    told.cluster.replace_pods(None, vec![pod("b", at("10.88.0.2")), pod("c", at("10.88.0.3"))], &mut told.touched);
    assert!(told.touches());
    assert_eq!(addresses(&told.view()), ["10.88.0.2:8080", "10.88.0.3:8080"]);
}

#[test]
fn a_list_of_one_namespace_leaves_the_others_alone() {
    let mut told = Told::hello(1);
    told.pod(pod("a", ready()));
    told.cluster.replace_pods(Some("other"), Vec::new(), &mut told.touched);
    told.cluster.replace_services(Some("other"), Vec::new(), &mut told.touched);
    told.cluster.replace_targets(&kind(), Some("other"), Vec::new(), &mut told.touched);
    assert!(!told.touches());
    assert_eq!(told.view().candidates.len(), 1);
}

#[test]
fn one_of_the_same_name_is_another_pod() {
    let mut told = Told::hello(1);
    told.pod(pod("web-0", ready()));
    let old = pod("web-0", ready());
    let first = told.view().candidates[0].identity.clone();
    told.pod(pod("web-0", merged(ready(), json!({ "metadata": { "uid": "another" } }))));
    let second = told.view().candidates[0].identity.clone();
    assert_eq!(first.address, second.address);
    assert_ne!(first, second);

    told.cluster.delete_pod(&old, &mut told.touched);
    assert_eq!(told.view().candidates.len(), 1, "that the first one is gone says nothing about the second");
}

#[test]
fn named_ports_may_differ_between_pods() {
    let mut told = Told::hello(2);
    told.service(service(json!({ "spec": { "ports": [{ "port": 80, "targetPort": "http" }] } })));
    let with_port = |ip: &str, port: u16| {
        let container = json!({ "name": "app", "ports": [{ "name": "http", "containerPort": port }],
            "readinessProbe": { "tcpSocket": { "port": "http" } } });
        json!({ "spec": { "containers": [container] }, "status": { "podIP": ip } })
    };
    told.pod(pod("a", with_port("10.88.0.1", 8080)));
    told.pod(pod("b", with_port("10.88.0.2", 9090)));
    assert_eq!(addresses(&told.view()), ["10.88.0.1:8080", "10.88.0.2:9090"]);

    let nameless = json!({ "spec": { "containers": [{ "name": "app" }] }, "status": { "podIP": "10.88.0.3" } });
    told.pod(pod("c", nameless));
    let view = told.view();
    assert_eq!((view.candidates.len(), view.pods, view.failing), (2, 3, 1));
    let why = "no container of its pods has the port `http` that it names".to_owned();
    assert_eq!(view.failure, Some(FailureCause::ServiceUnusable { service: "default/hello".to_owned(), why }));
}

#[test]
fn the_protocol_is_the_settings_or_the_service_s() {
    let mut told = Told::hello(1);
    told.pod(pod("a", ready()));
    let says = |protocol: &str| service(json!({ "spec": { "ports": [{ "port": 80, "appProtocol": protocol }] } }));
    for (said, protocol) in [
        ("kubernetes.io/h2c", Protocol::H2c),
        ("kubernetes.io/ws", Protocol::Http1),
        ("http", Protocol::Http1),
        ("grpc", Protocol::H2c),
        ("https", Protocol::Https),
        ("kubernetes.io/wss", Protocol::Https),
    ] {
        told.service(says(said));
        assert_eq!(told.view().candidates[0].protocol, protocol, "{said}");
    }
    told.settings(|settings| settings.protocol = Some(Protocol::Http1));
    let view = told.view();
    assert_eq!((view.candidates[0].protocol, view.findings.protocol), (Protocol::Http1, Some(Protocol::Http1)));
}

#[test]
fn a_service_without_selector_leads_where_its_slices_say() {
    let mut told = Told::hello(1);
    told.service(without_selector());
    assert!(told.slice(slice(
        "a",
        json!([
            { "addresses": ["10.0.0.1"], "conditions": { "ready": true } },
            { "addresses": ["10.0.0.2"], "conditions": { "ready": false } },
            { "addresses": ["10.0.0.3"] },
            { "addresses": ["10.0.0.4"], "conditions": { "ready": true, "terminating": true } },
            { "addresses": ["10.0.0.5"], "conditions": { "ready": false, "serving": true, "terminating": true } },
        ])
    )));
    let view = told.view();
    assert_eq!(addresses(&view), ["10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.3:8080"]);
    let standings: Vec<_> = view.candidates.into_iter().map(|candidate| candidate.standing).collect();
    assert_eq!(standings, [Standing::Ready, Standing::Wait, Standing::Wait]);
    assert!(!view.counted);
}

#[test]
fn where_readiness_is_absent_the_pod_says_it() {
    let mut told = Told::hello(1);
    told.service(without_selector());
    let uid = json!({ "kind": "Pod", "namespace": "default", "name": "a", "uid": "uid-of-a" });
    told.slice(slice("a", json!([{ "addresses": ["10.88.0.7"], "targetRef": uid }])));
    assert_eq!(told.standing(), Standing::Wait, "nobody has said anything yet");
    assert!(told.pod(pod("a", json!({ "metadata": { "labels": { "app": "other" } } }))));
    assert!(matches!(told.standing(), Standing::Check(_)), "it can be tried");
    assert!(told.pod(pod("a", ready())));
    assert_eq!(told.standing(), Standing::Ready);

    told.pod(pod("a", merged(ready(), json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" } }))));
    assert_eq!(told.view().candidates.len(), 0, "the pod is faster than the slice");
}

#[test]
fn more_than_a_thousand_endpoints_come_in_several_slices_and_count_once() {
    let mut told = Told::hello(1);
    told.service(without_selector());
    let endpoint =
        |n: usize| json!({ "addresses": [format!("10.1.{}.{}", n / 250, n % 250)], "conditions": { "ready": true } });
    told.slice(slice("a", (0..1000).map(endpoint).collect()));
    told.slice(slice("b", (990..1500).map(endpoint).collect()));
    assert_eq!(told.view().candidates.len(), 1500);
    told.cluster.delete_slice(&slice("b", json!([])), &mut told.touched);
    assert!(told.touches());
    assert_eq!(told.view().candidates.len(), 1000);
}

#[test]
fn a_pod_with_addresses_of_two_families_counts_once() {
    let mut told = Told::hello(1);
    told.service(without_selector());
    let of = |ip: &str, pod: &str| {
        let pod = json!({ "kind": "Pod", "namespace": "default", "name": pod, "uid": format!("uid-of-{pod}") });
        json!({ "addresses": [ip], "conditions": { "ready": true }, "targetRef": pod })
    };
    told.slice(slice("a", json!([of("10.88.0.7", "a"), of("10.88.0.8", "b")])));
    told.slice(slice("b", json!([of("fd00::7", "a"), of("fd00::8", "b"), of("fd00::9", "c")])));
    assert_eq!(addresses(&told.view()), ["10.88.0.7:8080", "10.88.0.8:8080", "[fd00::9]:8080"]);
    assert_eq!(told.view().pods, 3);
}

#[test]
fn more_than_a_thousand_pods_count_once_each() {
    let mut told = Told::hello(1500);
    for n in 0..1500 {
        let ip = json!({ "status": { "podIP": format!("10.1.{}.{}", n / 250, n % 250) } });
        told.pod(pod(&format!("p{n}"), merged(ready(), ip)));
    }
    assert_eq!((told.view().candidates.len(), told.view().pods), (1500, 1500));
}

#[test]
fn pods_of_others_that_the_service_chooses_count_for_nothing_but_serve() {
    let mut told = Told::hello(1);
    told.pod(pod("a", ready()));
    let made_by = |owner: Value| json!({ "metadata": { "ownerReferences": owner } });
    let others = [
        made_by(json!([])),
        made_by(json!([owner("ReplicaSet", "hello-canary-1")])),
        made_by(json!([owner("ReplicaSet", "hello-2")])),
        made_by(json!([owner("Job", "hello-1")])),
        json!({ "metadata": { "labels": { "pod-template-hash": "2" } } }),
    ];
    for (n, other) in others.into_iter().enumerate() {
        let at = json!({ "status": { "podIP": format!("10.88.1.{n}") } });
        let name = &*format!("b{n}");
        told.pod(pod(name, merged(merged(ready(), at), other)));
        let view = told.view();
        let removals: Vec<_> = view.candidates.iter().map(|candidate| candidate.removal).collect();
        assert_eq!((view.pods, &removals[..]), (1, &[Removal::AsTold, Removal::Never][..]), "{name}");
        assert_eq!(told.cluster.costs(APP).count(), 1);
        told.cluster.delete_pod(&pod(name, json!({})), &mut told.touched);
    }
    let mut fails = status("app", json!({ "waiting": { "reason": "CrashLoopBackOff" } }));
    fails["restartCount"] = json!(7);
    let change = json!({ "metadata": { "ownerReferences": [] }, "status": { "containerStatuses": [fails] } });
    told.pod(pod("b", change));
    let view = told.view();
    assert_eq!((view.pods, view.failing, view.failure, view.candidates.len()), (1, 0, None, 1));
}

#[test]
fn a_stateful_set_s_pods_are_ranked_by_their_ordinals() {
    let of_set = Kind { api_version: "apps/v1".into(), kind: "StatefulSet".into() };
    for (start, ranks) in [(None, [0, 1, 10]), (Some(1), [0, 0, 9])] {
        let mut told = Told::hello(3);
        told.settings(|settings| settings.kind = "StatefulSet".into());
        let set = json!({
            "metadata": { "namespace": "default", "name": "hello", "uid": "s-1", "resourceVersion": "10" },
            "spec": {
                "replicas": 3, "selector": {}, "template": {}, "serviceName": "hello",
                "ordinals": start.map(|start: u32| json!({ "start": start })),
            },
        });
        let set = TargetObject::from(serde_json::from_value::<wire::StatefulSet>(set).unwrap());
        told.cluster.replace_targets(&of_set, None, vec![set], &mut told.touched);
        for ordinal in ["0", "1", "10"] {
            let made = json!({ "metadata": { "ownerReferences": [owner("StatefulSet", "hello")] } });
            let at = json!({ "status": { "podIP": format!("10.88.1.{ordinal}") } });
            told.pod(pod(&format!("hello-{ordinal}"), merged(made, at)));
        }
        told.pod(pod("hello-9", json!({ "metadata": { "ownerReferences": [owner("StatefulSet", "other")] } })));
        let view = told.view();
        let removals: Vec<_> = view.candidates.iter().map(|candidate| candidate.removal).collect();
        let ranked = ranks.map(Removal::Ranked);
        assert_eq!((view.pods, &removals[..3], removals[3]), (3, &ranked[..], Removal::Never));
        assert_eq!(told.cluster.costs(APP).count(), 0, "they have no say in which goes first");
    }
}

#[test]
fn a_headless_service_leads_to_its_pods_all_the_same() {
    let mut told = Told::hello(1);
    told.service(service(json!({ "spec": { "clusterIP": "None" } })));
    told.pod(pod("a", ready()));
    assert_eq!(addresses(&told.view()), ["10.88.0.7:8080"]);
}

#[test]
fn a_service_that_publishes_what_is_not_ready_needs_somebody_who_listens() {
    let mut told = Told::hello(1);
    told.service(service(json!({ "spec": { "publishNotReadyAddresses": true } })));
    told.pod(pod(
        "a",
        json!({ "spec": { "containers": [
        { "name": "app", "readinessProbe": { "exec": { "command": ["false"] } } }] } }),
    ));
    let Standing::Check(checks) = told.standing() else { panic!("not to be used unseen") };
    assert_eq!(checks, [crate::platform::kubernetes::state::check::connect("10.88.0.7:8080".parse().unwrap())]);
}

#[test]
fn several_apps_may_share_a_service_and_a_target() {
    let mut told = Told::hello(1);
    told.cluster.observe(AppKey(2), &settings());
    told.cluster.apply_pod(pod("a", ready()), &mut told.touched);
    assert_eq!(std::mem::take(&mut told.touched), [APP, AppKey(2)].into());
    told.cluster.forget(APP);
    told.cluster.apply_target(&kind(), deployment(3, 11), &mut told.touched);
    assert_eq!(std::mem::take(&mut told.touched), [AppKey(2)].into());
    assert_eq!(told.cluster.view(AppKey(2), false).candidates.len(), 1);
    assert!(told.view().spec.is_none());
}

#[test]
fn a_target_s_replicas_do_not_go_back_in_time() {
    let mut told = Told::hello(0);
    told.cluster.accepted(&settings(), 1, 12, &mut told.touched);
    assert!(told.touches());
    let spec = |replicas, version| Some(SpecReplicas { replicas, version, writer: None });
    assert_eq!(told.view().spec, spec(1, 12));
    assert!(!told.target(deployment(0, 11)), "from before the order");
    assert_eq!(told.view().spec, spec(1, 12));
    told.cluster.replace_targets(&kind(), None, vec![deployment(0, 11)], &mut told.touched);
    assert_eq!(told.view().spec, spec(1, 12), "not even in a list");
    assert!(told.target(deployment(5, 13)));
    told.cluster.accepted(&settings(), 1, 12, &mut told.touched);
    assert_eq!(told.view().spec, spec(5, 13), "the answer is later than what came after it");
}

#[test]
fn after_a_setback_lower_versions_are_later() {
    let mut told = Told::hello(3);
    told.cluster.set_back(&kind(), Some("other"));
    told.cluster.replace_targets(&kind(), None, vec![deployment(0, 4)], &mut told.touched);
    let spec = |replicas, version| Some(SpecReplicas { replicas, version, writer: None });
    assert_eq!(told.view().spec, spec(3, 10));
    told.cluster.set_back(&kind(), None);
    told.cluster.replace_targets(&kind(), None, vec![deployment(0, 4)], &mut told.touched);
    assert!(told.touches());
    assert_eq!(told.view().spec, spec(0, 4));
}

#[test]
fn a_target_of_the_same_name_is_another_one() {
    let mut told = Told::hello(3);
    let old = deployment(3, 10);
    let new =
        deployment_with(json!({ "metadata": { "uid": "d-2", "resourceVersion": "5" }, "spec": { "replicas": 0 } }));
    assert!(told.target(new));
    assert_eq!(told.view().spec.map(|spec| spec.replicas), Some(0));
    told.cluster.delete_target(&kind(), &old, &mut told.touched);
    assert!(!told.touches(), "late word of the first one");
    assert!(told.view().spec.is_some());
}

#[test]
fn a_target_that_is_deleted_is_not_known_to_be_at_zero() {
    let mut told = Told::hello(1);
    told.pod(pod("a", ready()));
    told.cluster.delete_target(&kind(), &deployment(1, 10), &mut told.touched);
    assert!(told.touches());
    let view = told.view();
    assert_eq!((view.spec, view.hopeless), (None, true));
    let target = "Deployment default/hello".to_owned();
    assert_eq!(view.failure, Some(FailureCause::TargetMissing { target }));
    assert_eq!(view.candidates.len(), 1, "its pods serve for as long as they are there");
    told.target(deployment(1, 20));
    assert_eq!(told.view().failure, None);
}

#[test]
fn word_of_a_kind_that_the_api_server_does_not_know_is_taken_back() {
    let mut told = Told::hello(1);
    told.cluster.kind_known(&kind(), false, &mut told.touched);
    assert!(told.touches());
    assert!(matches!(told.view().failure, Some(FailureCause::TargetUnusable { .. })));
    told.cluster.replace_targets(&kind(), None, vec![deployment(1, 11)], &mut told.touched);
    assert!(told.touches());
    assert_eq!(told.view().failure, None);
}

#[test]
fn a_target_that_does_not_show_its_replicas_is_asked_after_each_change() {
    let shy = |version: u64| TargetObject { replicas: None, unread: true, version, ..deployment(0, 0) };
    let mut told = Told::hello(0);
    told.cluster.delete_target(&kind(), &deployment(0, 10), &mut told.touched);
    told.target(shy(11));
    assert_eq!((told.view().spec, told.view().unread), (None, true));
    told.cluster.scale_read(&settings(), 2, 11, &mut told.touched);
    assert!(told.touches());
    let spec = |replicas, version| Some(SpecReplicas { replicas, version, writer: None });
    assert_eq!((told.view().spec, told.view().unread), (spec(2, 11), false));
    assert!(!told.target(shy(11)), "the same as before");
    told.target(shy(12));
    assert_eq!(
        (told.view().spec, told.view().unread),
        (spec(2, 11), true),
        "nobody has read what it is in that version"
    );
    told.cluster.scale_read(&settings(), 3, 11, &mut told.touched);
    assert!(!told.touches() && told.view().unread, "that is from before");
    told.cluster.accepted(&settings(), 5, 13, &mut told.touched);
    assert_eq!((told.view().spec, told.view().unread), (spec(5, 13), false));
    // The watch is faster than the answer to an order.
    told.target(shy(15));
    told.cluster.accepted(&settings(), 6, 14, &mut told.touched);
    assert!(told.touches());
    assert_eq!((told.view().spec, told.view().unread), (spec(6, 14), true));
}
