//! What keeps an app from being served.

use serde_json::json;

use super::*;
use crate::failure::FailureCause;
use crate::platform::kubernetes::state::findings::Found;

fn waiting(reason: &str, message: &str) -> Value {
    let state = json!({ "waiting": { "reason": reason, "message": message } });
    json!({ "status": { "containerStatuses": [status("app", state)] } })
}

fn failure(told: &mut Told, change: Value) -> Option<FailureCause> {
    told.pod(pod("a", change));
    told.view().failure
}

#[test]
fn of_images() {
    let mut told = Told::hello(1);
    for reason in ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"] {
        let cause = failure(&mut told, waiting(reason, "registry says no"));
        let expected = FailureCause::ImagePull { container: "app".to_owned(), reason: reason.to_owned() };
        assert_eq!(cause, Some(expected));
    }
    assert_eq!((told.view().pods, told.view().failing), (1, 1));
}

#[test]
fn of_containers_that_cannot_be_made() {
    let mut told = Told::hello(1);
    for (reason, message, words) in [
        (
            "CreateContainerConfigError",
            "secret \"key\" not found",
            "CreateContainerConfigError: secret \"key\" not found",
        ),
        (
            "CreateContainerConfigError",
            "couldn't find key a in ConfigMap default/b",
            "CreateContainerConfigError: couldn't find key a in ConfigMap default/b",
        ),
        (
            "CreateContainerConfigError",
            "failed to prepare subPath for volumeMount \"secret\" of container \"app\"",
            "CreateContainerConfigError",
        ),
        ("RunContainerError", "error mounting \"/var/lib/kubelet/pods/1/secret\" to rootfs", "RunContainerError"),
        ("CreateContainerError", "", "CreateContainerError"),
    ] {
        assert_eq!(failure(&mut told, waiting(reason, message)), None, "it may pass");
        let cause = FailureCause::Container { container: "app".to_owned(), reason: words.to_owned() };
        let view = told.view();
        assert_eq!(view.troubled, [Troubled { uid: "uid-of-a".into(), cause }]);
        assert_eq!((view.pods, view.failing, view.candidates.len(), view.pending.len()), (1, 0, 0, 0));
    }
}

#[test]
fn a_pod_that_goes_is_none() {
    let mut told = Told::hello(1);
    let goes = json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" } });
    for reason in ["RunContainerError", "ErrImagePull", "CrashLoopBackOff"] {
        assert_eq!(failure(&mut told, merged(waiting(reason, ""), goes.clone())), None);
        let view = told.view();
        assert_eq!((view.pods, view.failing, view.troubled.len(), view.crash), (0, 0, 0, None));
    }
}

#[test]
fn what_is_on_its_way_is_no_failure() {
    let mut told = Told::hello(1);
    for change in [
        waiting("ContainerCreating", ""),
        waiting("PodInitializing", ""),
        waiting("", ""),
        json!({ "status": { "containerStatuses": [] } }),
        json!({ "status": { "containerStatuses": [status("app", json!({ "terminated": { "exitCode": 1 } }))] } }),
    ] {
        assert_eq!(failure(&mut told, change), None);
    }
}

#[test]
fn of_containers_that_keep_ending() {
    let mut told = Told::hello(1);
    let ends = |end: Value| {
        let mut status = status("app", json!({ "waiting": { "reason": "CrashLoopBackOff" } }));
        status["lastState"] = json!({ "terminated": end });
        status["restartCount"] = json!(3);
        json!({ "status": { "containerStatuses": [status] } })
    };
    for (end, how) in [
        (json!({ "exitCode": 7, "reason": "Error" }), "exit code 7"),
        (json!({ "exitCode": 137, "reason": "OOMKilled" }), "OOMKilled"),
        (json!({ "exitCode": 0, "reason": "Completed" }), "exit code 0"),
        (json!({ "exitCode": 139, "signal": 11, "reason": "Error" }), "signal 11"),
        (json!({ "exitCode": 128, "reason": "StartError" }), "exit code 128 (StartError)"),
    ] {
        let cause = failure(&mut told, ends(end));
        assert_eq!(cause, Some(FailureCause::CrashLoop { container: "app".to_owned(), how: how.to_owned() }));
    }
    let crash = told.view().crash.unwrap();
    assert_eq!((&*crash.container, crash.restarts, crash.pod.to_string()), ("app", 3, "default/a".to_owned()));
}

#[test]
fn of_init_containers() {
    let mut told = Told::hello(1);
    let init = |state: Value| {
        json!({
            "spec": { "initContainers": [{ "name": "migrate" }] },
            "status": { "initContainerStatuses": [status("migrate", state)], "podIP": null },
        })
    };
    assert_eq!(failure(&mut told, init(json!({ "running": {} }))), None);
    assert_eq!(failure(&mut told, init(json!({ "terminated": { "exitCode": 0 } }))), None);
    let cause = failure(&mut told, init(json!({ "terminated": { "exitCode": 2, "reason": "Error" } })));
    let how = "exit code 2".to_owned();
    assert_eq!(cause, Some(FailureCause::InitContainer { container: "migrate".to_owned(), how }));
    assert_eq!(told.view().crash, None, "it has ended once, it does not keep ending");
    let cause = failure(&mut told, init(json!({ "waiting": { "reason": "CrashLoopBackOff" } })));
    assert!(matches!(cause, Some(FailureCause::InitContainer { .. })));
    assert!(told.view().crash.is_some());
}

#[test]
fn of_nodes() {
    let mut told = Told::hello(1);
    let unschedulable = json!({
        "spec": { "nodeName": null },
        "status": { "phase": "Pending", "podIP": null, "containerStatuses": [], "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/3 nodes are available: 3 Insufficient cpu. no new claims to deallocate, preemption: 0/3 nodes are available: 3 No victims.",
        }] },
    });
    let why = "0/3 nodes are available: 3 Insufficient cpu".to_owned();
    assert_eq!(failure(&mut told, unschedulable), Some(FailureCause::Unschedulable { why }));
}

#[test]
fn of_quotas_while_pods_are_asked_for_and_that_is_current() {
    let mut told = Told::hello(1);
    let refused = |replicas: u32, generation: u32, version: &str| {
        deployment_with(json!({
            "metadata": { "generation": generation, "resourceVersion": version },
            "spec": { "replicas": replicas },
            "status": { "conditions": [{ "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
                "message": "pods \"hello-x\" is forbidden: exceeded quota: compute" }] },
        }))
    };
    told.target(refused(1, 1, "11"));
    let why = "pods \"hello-x\" is forbidden: exceeded quota: compute".to_owned();
    assert_eq!(told.view().failure, Some(FailureCause::PodsRefused { why }));
    assert!(told.view().refused);
    told.target(refused(1, 2, "12"));
    assert_eq!(told.view().failure, None, "said before the latest change was seen");
    told.target(refused(0, 1, "13"));
    assert_eq!(told.view().failure, None, "nobody asks for pods");
}

#[test]
fn of_a_target_that_is_being_deleted() {
    for replicas in [0, 1] {
        let mut told = Told::hello(replicas);
        told.pod(pod("a", ready_condition()));
        told.target(deployment_with(json!({
            "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["foregroundDeletion"],
                "resourceVersion": "11" },
            "spec": { "replicas": replicas },
        })));
        let (target, why) = ("Deployment default/hello".to_owned(), "it is being deleted, and makes no more pods");
        let cause = FailureCause::TargetUnusable { target, why: why.to_owned() };
        let view = told.view();
        assert_eq!(view.failure, Some(cause.clone()));
        assert_eq!(view.findings.target, Found::No(Box::new(cause)));
        assert_eq!((view.hopeless, view.candidates.len()), (true, 1), "its pods serve for as long as they are there");
        assert_eq!(view.spec.map(|spec| spec.replicas), Some(replicas));
    }
}

#[test]
fn of_services() {
    let mut told = Told::hello(0);
    let unusable =
        |why: &str| Some(FailureCause::ServiceUnusable { service: "default/hello".to_owned(), why: why.to_owned() });
    told.service(service(json!({ "spec": { "type": "ExternalName", "selector": {}, "externalName": "example.org" } })));
    assert_eq!(told.view().failure, unusable("it is of type ExternalName, which leads out of the cluster"));

    let two =
        json!([{ "port": 80, "name": "http" }, { "port": 9000, "name": "admin" }, { "port": 53, "protocol": "UDP" }]);
    told.service(service(json!({ "spec": { "ports": two } })));
    assert_eq!(told.view().failure, unusable("it has 2 ports (80 `http`, 9000 `admin`); say which one"));
    told.settings(|settings| settings.port = ServicePort::Number(8080));
    assert_eq!(told.view().failure, unusable("it has no port 8080, but 80 `http`, 9000 `admin`"));
    told.settings(|settings| settings.port = ServicePort::Name("web".into()));
    assert_eq!(told.view().failure, unusable("it has no port `web`, but 80 `http`, 9000 `admin`"));
    assert!(told.view().hopeless);
    told.settings(|settings| settings.port = ServicePort::Name("admin".into()));
    assert_eq!(told.view().failure, None);

    told.cluster.delete_service(&service(json!({})), &mut told.touched);
    assert!(told.touches());
    assert_eq!(told.view().failure, Some(FailureCause::ServiceMissing { service: "default/hello".to_owned() }));
    assert_eq!(told.view().spec.map(|spec| spec.replicas), Some(0), "that is known all the same");
}

#[test]
fn what_pods_lack_is_not_missed_while_none_are_asked_for() {
    let mut told = Told::hello(0);
    assert_eq!(failure(&mut told, waiting("ErrImagePull", "")), None);
}

#[test]
fn a_pod_that_is_ready_has_no_trouble() {
    let mut told = Told::hello(1);
    assert_eq!(failure(&mut told, merged(waiting("CrashLoopBackOff", ""), ready_condition())), None);
}

fn ready_condition() -> Value {
    json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }] } })
}
