//! How the gateway finds out by itself that a pod can take a request.

use serde_json::json;

use super::*;
use crate::platform::kubernetes::state::check::{Check, Try};
use crate::platform::kubernetes::state::findings::{Early, EarlyOff};
use crate::settings::{Protocol, Readiness, ScaleTarget};

fn container(probes: Value) -> Value {
    merged(json!({ "name": "app", "ports": [{ "containerPort": 8080, "name": "http" }] }), probes)
}

fn with(probes: Value) -> Value {
    json!({ "spec": { "containers": [container(probes)] } })
}

fn checks(told: &mut Told, change: Value) -> Vec<Check> {
    told.pod(pod("a", change));
    match told.standing() {
        Standing::Check(checks) => checks,
        other => panic!("{other:?}: {:?}", told.view().findings.early),
    }
}

/// Why it waits for Kubernetes, which it does.
fn waits(told: &mut Told, change: Value) -> EarlyOff {
    told.pod(pod("a", change));
    assert_eq!(told.standing(), Standing::Wait);
    match told.view().findings.early {
        Early::Off(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn as_the_kubelet_does() {
    let mut told = Told::hello(1);
    let get = json!({ "readinessProbe": {
        "httpGet": { "port": "http", "path": "/ready?x", "scheme": "HTTPS", "httpHeaders": [{ "name": "Host", "value": "hello" }] },
        "initialDelaySeconds": 3, "timeoutSeconds": 2,
    } });
    let check = Check {
        after: Duration::from_secs(3),
        timeout: Duration::from_secs(2),
        address: "10.88.0.7:8080".parse().unwrap(),
        try_: Try::HttpGet { path: "/ready?x".into(), https: true, headers: [("Host".into(), "hello".into())].into() },
    };
    assert_eq!(checks(&mut told, with(get)), [check]);

    let grpc = json!({ "readinessProbe": { "grpc": { "port": 9090, "service": "shop" } } });
    let second = Duration::from_secs(1);
    let address = "10.88.0.7:9090".parse().unwrap();
    let asked = Check { after: Duration::ZERO, timeout: second, address, try_: Try::Grpc { service: "shop".into() } };
    assert_eq!(checks(&mut told, with(grpc)), [asked]);

    let tcp = json!({ "readinessProbe": { "tcpSocket": { "port": 9090 } } });
    let asked = Check { after: Duration::ZERO, timeout: second, address, try_: Try::TcpSocket };
    assert_eq!(checks(&mut told, with(tcp)), [asked]);
    assert_eq!(told.view().findings.early, Early::On);
}

#[test]
fn the_start_comes_first() {
    let mut told = Told::hello(1);
    let both = json!({
        "startupProbe": { "tcpSocket": { "port": 8080 } },
        "readinessProbe": { "httpGet": { "port": 8080 } },
    });
    let mut starts = status("app", json!({ "running": {} }));
    starts["started"] = json!(false);
    let starting = json!({ "status": { "containerStatuses": [starts] } });
    let kinds =
        |checks: Vec<Check>| checks.into_iter().map(|check| matches!(check.try_, Try::TcpSocket)).collect::<Vec<_>>();
    assert_eq!(kinds(checks(&mut told, merged(with(both.clone()), starting.clone()))), [true, false]);
    assert_eq!(kinds(checks(&mut told, with(both))), [false], "it has started");
    let startup = json!({ "startupProbe": { "tcpSocket": { "port": 8080 } } });
    assert_eq!(kinds(checks(&mut told, merged(with(startup), starting))), [true]);
}

#[test]
fn all_containers_have_to_be_ready() {
    let mut told = Told::hello(1);
    let sidecar = json!({ "name": "proxy", "readinessProbe": { "httpGet": { "port": 15021 } } });
    let app = container(json!({ "readinessProbe": { "tcpSocket": { "port": 8080 } } }));
    let ports = checks(&mut told, json!({ "spec": { "containers": [app, sidecar] } }));
    assert_eq!(ports.iter().map(|check| check.address.port()).collect::<Vec<_>>(), [8080, 15021]);
}

#[test]
fn what_only_kubernetes_can_tell_it_has_to_tell() {
    let probe = |probe: Value| with(json!({ "readinessProbe": probe }));
    let tcp = || json!({ "tcpSocket": { "port": 8080 } });
    let app = container(json!({}));
    let several = json!({ "spec": { "containers": [
        { "name": "one", "readinessProbe": tcp() }, { "name": "two" }] } });
    for (change, why) in [
        (probe(json!({ "exec": { "command": ["true"] } })), EarlyOff::Exec),
        (probe(json!({ "httpGet": { "port": 80, "host": "example.org" } })), EarlyOff::OtherHost),
        (probe(json!({ "tcpSocket": { "port": 80, "host": "10.0.0.1" } })), EarlyOff::OtherHost),
        (probe(json!({ "tcpSocket": { "port": 80 }, "successThreshold": 3 })), EarlyOff::Successes),
        (probe(json!({ "tcpSocket": { "port": "web" } })), EarlyOff::NoSuchPort),
        (merged(probe(tcp()), json!({ "spec": { "readinessGates": [{ "conditionType": "lb" }] } })), EarlyOff::Gates),
        (with(json!({ "readinessProbe": null })), EarlyOff::NoProbe),
        (json!({ "spec": { "containers": [app, { "name": "b", "readinessProbe": tcp() }] } }), EarlyOff::NoProbe),
        (several, EarlyOff::Ambiguous),
    ] {
        assert_eq!(waits(&mut Told::hello(1), change), why);
    }
    let mut told = Told::hello(1);
    told.settings(|settings| settings.early_readiness = false);
    assert_eq!(waits(&mut told, probe(tcp())), EarlyOff::Settings);
}

#[test]
fn an_app_that_failed_after_an_early_try_waits_for_kubernetes() {
    let mut told = Told::hello(1);
    told.pod(pod("a", json!({})));
    let view = told.cluster.view(APP, true);
    assert_eq!(
        (&view.candidates[0].standing, view.findings.early),
        (&Standing::Wait, Early::Off(EarlyOff::Distrusted))
    );
}

#[test]
fn where_kubernetes_has_checked_nothing_somebody_has_to_listen() {
    let mut told = Told::hello(1);
    let address = "10.88.0.7:8080".parse().unwrap();
    let connects = [Check { after: Duration::ZERO, timeout: Duration::from_secs(1), address, try_: Try::TcpSocket }];
    let unchecked = with(json!({ "readinessProbe": null }));
    assert_eq!(waits(&mut told, unchecked.clone()), EarlyOff::NoProbe);
    assert_eq!(checks(&mut told, merged(unchecked, ready())), connects);
}

#[test]
fn the_app_s_own_check_takes_the_place_of_the_pod_s() {
    let mut told = Told::hello(1);
    let own = Readiness::HttpGet { path: "/up".to_owned(), protocol: Protocol::H2c };
    let speaks = |settings: &mut ScaleTarget| {
        (settings.readiness, settings.protocol) = (Some(own.clone()), Some(Protocol::H2c));
    };
    told.settings(speaks);
    let exec = with(json!({ "readinessProbe": { "exec": { "command": ["true"] } } }));
    let is_own =
        |checks: Vec<Check>| matches!(&checks[..], [Check { try_: Try::Own(readiness), .. }] if *readiness == own);
    assert!(is_own(checks(&mut told, exec.clone())));
    assert!(is_own(checks(&mut told, merged(exec.clone(), ready()))), "whatever Kubernetes says");

    let mut told = Told::hello(1);
    told.settings(|settings| {
        speaks(settings);
        settings.early_readiness = false;
    });
    assert_eq!(waits(&mut told, exec.clone()), EarlyOff::Settings);
    assert!(is_own(checks(&mut told, merged(exec, ready()))), "after Kubernetes' word");
}

#[test]
fn a_delay_begins_when_the_container_runs() {
    let mut told = Told::hello(1);
    let delayed = with(json!({ "readinessProbe": { "tcpSocket": { "port": 8080 }, "initialDelaySeconds": 5 } }));
    let creating = json!({ "status": { "containerStatuses": [status("app", json!({ "waiting": {} }))] } });
    told.pod(pod("a", merged(delayed.clone(), creating)));
    assert_eq!(told.standing(), Standing::Wait);
    assert_eq!(checks(&mut told, delayed)[0].after, Duration::from_secs(5));
}
