use std::time::Duration;

use activator::settings::{Protocol, Readiness, ScaleTarget, ScaledBy, ServicePort, Target};
use serde_json::{Value, json};

use super::from_object;
use crate::config::problem::Finding;
use crate::config::settings::CertificateSource;

/// An app as the API server gives it.
fn object(target: Value) -> Value {
    json!({
        "apiVersion": "zerogate.dev/v1alpha1", "kind": "HTTPApp",
        "metadata": {
            "name": "hello", "namespace": "shop", "uid": "u", "resourceVersion": "7", "generation": 2,
            "creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": [{"manager": "kubectl"}], "finalizers": [],
            "annotations": {"a": "b"},
        },
        "spec": {"routes": [{"hosts": ["hello.example"]}], "target": target},
        "status": {"state": "asleep", "conditions": []},
    })
}

fn scale_target(target: Value) -> ScaleTarget {
    let (id, config) = from_object(&object(target)).unwrap_or_else(|found| panic!("{found:?}"));
    assert_eq!(id.to_string(), "shop/hello");
    let Target::Scale(target) = &config.activator.target else { panic!("a scale target") };
    ScaleTarget::clone(target)
}

fn refused(object: &Value) -> Vec<String> {
    let found = from_object(object).expect_err("it was taken");
    assert!(found.iter().all(|finding| finding.line.is_none()), "{found:?}");
    found.iter().map(Finding::to_string).collect()
}

#[test]
fn a_short_target_gets_all_defaults() {
    assert_eq!(
        scale_target(json!({"scaleTargetRef": {"name": "hello"}, "service": {"name": "hello-svc"}})),
        ScaleTarget {
            namespace: "shop".into(),
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            name: "hello".into(),
            service: "hello-svc".into(),
            port: ServicePort::Only,
            protocol: None,
            readiness: None,
            early_readiness: true,
            start_timeout: Duration::from_secs(300),
        }
    );
}

#[test]
fn a_long_target_is_taken_as_written() {
    assert_eq!(
        scale_target(json!({
            "scaleTargetRef": {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "hello.v2"},
            "service": {"name": "hello", "port": "web"},
            "protocol": "h2c",
            "readiness": {"httpGet": {"path": "/healthz"}},
            "startTimeout": "30s",
            "earlyReadiness": false,
        })),
        ScaleTarget {
            namespace: "shop".into(),
            api_version: "argoproj.io/v1alpha1".into(),
            kind: "Rollout".into(),
            name: "hello.v2".into(),
            service: "hello".into(),
            port: ServicePort::Name("web".into()),
            protocol: Some(Protocol::H2c),
            readiness: Some(Readiness::HttpGet { path: "/healthz".into(), protocol: Protocol::H2c }),
            early_readiness: false,
            start_timeout: Duration::from_secs(30),
        }
    );
    let by_number = scale_target(json!({"scaleTargetRef": {"name": "a"}, "service": {"name": "a", "port": 8080}}));
    assert_eq!(by_number.port, ServicePort::Number(8080));
    let http1 = scale_target(json!({"scaleTargetRef": {"name": "a"}, "service": {"name": "a"}, "protocol": "http1"}));
    assert_eq!(http1.protocol, Some(Protocol::Http1));
}

#[test]
fn another_may_decide_about_a_scale_target() {
    for (by, expected) in [("keda", ScaledBy::Keda), ("hpa", ScaledBy::Hpa), ("zerogate", ScaledBy::Zerogate)] {
        let mut app = object(json!({"scaleTargetRef": {"name": "a"}, "service": {"name": "a"}}));
        app["spec"]["scaling"] = json!({"by": by});
        assert_eq!(from_object(&app).unwrap().1.activator.scaling.by, expected);
    }
}

#[test]
fn a_target_that_cannot_be_meant_is_refused_with_the_reason() {
    let reference = json!({"name": "a"});
    for (target, expected) in [
        (
            json!({"process": {"command": ["x"]}}),
            "spec.target.process: runs on one machine without Kubernetes only; in a cluster write `scaleTargetRef` and `service`",
        ),
        (
            json!({"process": {"command": ["x"]}, "scaleTargetRef": reference, "service": reference}),
            "spec.target: has `process` and `scaleTargetRef`; give one of them only",
        ),
        (
            json!({}),
            "spec.target: does not say what is scaled; it has to have `scaleTargetRef` and `service`, such as `{scaleTargetRef: {name: hello}, service: {name: hello}}`",
        ),
        (
            json!({"scaleTargetRef": reference}),
            "spec.target.service: is missing; `scaleTargetRef` says what is scaled, and the Service leads to its pods, such as `{name: hello}`",
        ),
        (
            json!({"scaleTargetRef": {"name": "A"}, "service": reference}),
            "spec.target.scaleTargetRef.name: `A` has `A`; a name has lower-case letters, digits, `-` and `.` only",
        ),
        (
            json!({"scaleTargetRef": {"name": "a", "kind": "../x"}, "service": reference}),
            "spec.target.scaleTargetRef.kind: `../x` is no kind of object, such as `Deployment`",
        ),
        (
            json!({"scaleTargetRef": {"name": "a", "apiVersion": "apps/v1/x"}, "service": reference}),
            "spec.target.scaleTargetRef.apiVersion: `apps/v1/x` is no version of an API, such as `apps/v1`",
        ),
        (
            json!({"scaleTargetRef": reference, "service": {"name": "a.b"}}),
            "spec.target.service.name: `a.b` is no name of a Service: it has lower-case letters, digits and `-` only",
        ),
        (
            json!({"scaleTargetRef": reference, "service": {"name": "a", "port": "Web"}}),
            "spec.target.service.port: `Web` is no name of a port: it has lower-case letters, digits and `-` only",
        ),
        (
            json!({"scaleTargetRef": reference, "service": {"name": "a", "port": 0}}),
            "spec.target.service.port: `0` is out of range; it has to be a whole number from 1 to 65535",
        ),
        (
            json!({"scaleTargetRef": reference, "service": {"name": "a", "port": true}}),
            "spec.target.service.port: `true` is a boolean; it has to be text or a whole number from 1 to 65535",
        ),
        (
            json!({"scaleTargetRef": reference, "service": reference, "earlyReadiness": "yes"}),
            "spec.target.earlyReadiness: `yes` is text; it has to be `true` or `false`",
        ),
    ] {
        assert_eq!(refused(&object(target)), [expected]);
    }
}

#[test]
fn fields_of_a_newer_definition_are_passed_over_and_nothing_else_is() {
    let mut app = object(json!({"scaleTargetRef": {"name": "a", "new": 1}, "service": {"name": "a"}, "new": {}}));
    app["spec"]["routes"][0]["new"] = json!([]);
    app["spec"]["new"] = json!("x");
    app["new"] = json!("x");
    from_object(&app).unwrap();
    app["spec"]["scaling"] = json!({"maxReplicas": 0, "new": 1});
    assert_eq!(
        refused(&app),
        ["spec.scaling.maxReplicas: `0` is out of range; it has to be a whole number from 1 to 1000"]
    );
    assert!(!refused(&json!({})).is_empty());
    assert!(!refused(&json!(null)).is_empty());
    assert!(!refused(&json!([1])).is_empty());
}

#[test]
fn a_certificate_is_in_a_secret() {
    let target = json!({"scaleTargetRef": {"name": "hello"}, "service": {"name": "hello"}});
    let mut object = object(target);
    object["spec"]["tls"] = json!({"secretName": "hello-tls", "redirect": true});
    let (_, config) = from_object(&object).unwrap();
    let tls = config.edge.tls.as_ref().unwrap();
    assert_eq!(tls.certificate, Some(CertificateSource::Secret("hello-tls".into())));
    assert!(tls.redirect && tls.hsts.is_none());
    object["spec"]["tls"] = json!({"certificate": "a.crt", "key": "a.key"});
    let words =
        "is a file on one machine; in a cluster write `secretName`, the name of a Secret of type kubernetes.io/tls";
    assert_eq!(refused(&object), [format!("spec.tls.certificate: {words}"), format!("spec.tls.key: {words}")]);
    object["spec"]["tls"] = json!({});
    assert_eq!(from_object(&object).unwrap().1.edge.tls, None);
}
