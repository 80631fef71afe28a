//! What the API server makes of an `HTTPApp`: its rules and defaults, as `manifests/crd.yaml` has them.

use kube::api::PostParams;
use serde_json::{Value, json};

use crate::cluster::kubectl;
use crate::namespace::Namespace;

/// An app with these fields of `spec` in place of the usual.
fn app(fields: Value) -> Value {
    let mut app = json!({
        "apiVersion": "zerogate.dev/v1alpha1", "kind": "HTTPApp", "metadata": {"name": "a"},
        "spec": {"routes": [{"hosts": ["a.example"]}], "target": target(json!({}))},
    });
    for (name, value) in fields.as_object().unwrap() {
        app["spec"][name] = value.clone();
    }
    app
}

/// A target with these fields in place of the usual.
fn target(fields: Value) -> Value {
    let mut target = json!({"scaleTargetRef": {"name": "a"}, "service": {"name": "a"}});
    for (name, value) in fields.as_object().unwrap() {
        target[name] = value.clone();
    }
    target
}

/// What becomes of it, or what is said against it; nothing is kept.
async fn offer(namespace: &Namespace, app: &Value) -> Result<Value, String> {
    let params = PostParams { dry_run: true, ..PostParams::default() };
    let object = serde_json::from_value(app.clone()).unwrap();
    match namespace.api_of(app).create(&params, &object).await {
        Ok(object) => Ok(serde_json::to_value(object).unwrap()),
        Err(error) => Err(error.to_string()),
    }
}

#[tokio::test]
async fn what_can_be_meant_is_taken() {
    let namespace = Namespace::new("resource").await;
    for fields in [
        json!({}),
        json!({"scaling": {"by": "hpa", "minReplicas": 1, "scaleDownDelay": 0}, "hold": {"maxRequests": 0}}),
        json!({"timeouts": {"request": 0, "idle": "1h30m"}}),
        json!({"limits": {"requestsPerSecond": 5, "burst": 1, "perClient": {"requestsPerSecond": 0.5}}}),
        json!({"limits": {"perClient": {"requestsPerSecond": 1, "by": "header", "header": "X-API-Key"}}}),
        json!({"routes": [{
            "hosts": ["*", "*.a.example", "A.example.", "[::1]", "127.0.0.1", "a_b"],
            "paths": [{"prefix": "/"}, {"prefix": "/a/b/"}, {"prefix": "/v2/%41"}, {"prefix": "/a.b/.x/...y"}],
            "headers": [{"name": "X-A", "value": ""}],
        }]}),
        json!({"target": target(json!({"service": {"name": "a", "port": 80}, "protocol": "h2c"}))}),
        json!({"target": target(json!({"service": {"name": "a", "port": "web"}, "readiness": {"tcpSocket": {}}}))}),
        json!({"target": target(json!({"readiness": {"httpGet": {"path": "/h?x"}}, "earlyReadiness": false}))}),
    ] {
        offer(&namespace, &app(fields)).await.unwrap_or_else(|error| panic!("{error}"));
    }
}

/// Rules whose effort is bounded by how many there may be have to be affordable for as many.
#[tokio::test]
async fn the_largest_that_may_be_is_taken() {
    let namespace = Namespace::new("resource").await;
    let route = |route: usize| {
        let host = |host: usize| format!("h{host}.{route}.{}.example", "x".repeat(60));
        let path = |path: usize| json!({"prefix": format!("/{path}/{}", "y/".repeat(400))});
        json!({"hosts": (0..128).map(host).collect::<Vec<_>>(), "paths": (0..64).map(path).collect::<Vec<_>>()})
    };
    let routes: Vec<_> = (0..16).map(route).collect();
    offer(&namespace, &app(json!({"routes": routes}))).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_with_field_and_reason() {
    let namespace = Namespace::new("resource").await;
    let process = json!({"command": ["x"]});
    for (fields, field, reason) in [
        (json!({"scaling": {"minReplicas": 5, "maxReplicas": 2}}), "spec.scaling.minReplicas", "more than maxReplicas"),
        (json!({"scaling": {"activationReplicas": 11}}), "spec.scaling.activationReplicas", "more than maxReplicas"),
        (json!({"scaling": {"stableWindow": "5s"}}), "spec.scaling.panicWindow", "longer than stableWindow"),
        (json!({"scaling": {"stableWindow": "2h"}}), "spec.scaling.stableWindow", "of whole seconds from 1s to 1h"),
        (json!({"scaling": {"stableWindow": "61500ms"}}), "spec.scaling.stableWindow", "of whole seconds"),
        (json!({"scaling": {"scaleDownDelay": "2h"}}), "spec.scaling.scaleDownDelay", "from 0s to 1h"),
        (json!({"scaling": {"scaleDownDelay": 5}}), "spec.scaling.scaleDownDelay", "less than or equal to 0"),
        (json!({"scaling": {"idleTimeout": "1d"}}), "spec.scaling.idleTimeout", "from 1s to 24h, such as `1m`"),
        (json!({"scaling": {"target": 0}}), "spec.scaling.target", "0.01 at least"),
        (json!({"scaling": {"by": "knative"}}), "spec.scaling.by", "\"zerogate\", \"keda\", \"hpa\""),
        (json!({"hold": {"maxRequests": 0}}), "spec.hold.maxRequests", "none could wake the app"),
        (json!({"limits": {"requestsPerSecond": 0.0001}}), "spec.limits.requestsPerSecond", "0.001 at least"),
        (json!({"limits": {"burst": 1}}), "spec.limits.burst", "no effect without a rate"),
        (
            json!({"limits": {"perClient": {"requestsPerSecond": 1, "by": "header"}}}),
            "spec.limits.perClient.by",
            "needs the header's name",
        ),
        (
            json!({"limits": {"perClient": {"requestsPerSecond": 1, "header": "x"}}}),
            "spec.limits.perClient.header",
            "no effect unless `by` is `header`",
        ),
        (json!({"routes": []}), "spec.routes", "at least 1 item"),
        (json!({"routes": [{"hosts": ["http://a"]}]}), "spec.routes[0].hosts[0]", "without scheme, port and path"),
        (json!({"routes": [{"hosts": ["a:80"]}]}), "spec.routes[0].hosts[0]", "without scheme, port and path"),
        (json!({"routes": [{"paths": [{"prefix": "a"}]}]}), "spec.routes[0].paths[0].prefix", "begin with `/`"),
        (json!({"routes": [{"paths": [{"prefix": "/a/../b"}]}]}), "spec.routes[0].paths[0].prefix", "segments"),
        (json!({"routes": [{"paths": [{"prefix": "/a?b"}]}]}), "spec.routes[0].paths[0].prefix", "without query"),
        (json!({"routes": [{"headers": [{"name": "a b", "value": ""}]}]}), "spec.routes[0].headers[0].name", "name"),
        (json!({"target": {"process": process}}), "spec.target.process", "in a cluster write scaleTargetRef"),
        (json!({"target": target(json!({"process": process}))}), "spec.target", "exactly one of process and"),
        (json!({"target": {}}), "spec.target", "exactly one of process and scaleTargetRef"),
        (json!({"target": {"scaleTargetRef": {"name": "a"}}}), "spec.target", "belong together"),
        (
            json!({"target": target(json!({"readiness": {"tcpSocket": {}, "grpc": {}}}))}),
            "spec.target.readiness",
            "at most 1",
        ),
        (
            json!({"target": target(json!({"service": {"name": "a", "port": 0}}))}),
            "spec.target.service.port",
            "greater than or equal to 1",
        ),
        (
            json!({"target": {"process": process}, "scaling": {"by": "hpa"}}),
            "spec.scaling.by",
            "need a target.scaleTargetRef",
        ),
    ] {
        let app = app(fields);
        let said = offer(&namespace, &app).await.expect_err(&app.to_string());
        assert!(said.contains(field) && said.contains(reason), "{said}\n{app}");
    }
}

#[tokio::test]
async fn defaults_are_filled_in_and_explained() {
    let namespace = Namespace::new("resource").await;
    let taken = offer(&namespace, &app(json!({"hold": {"timeout": "5s"}}))).await.unwrap();
    let spec = &taken["spec"];
    assert_eq!(spec["scaling"]["maxReplicas"], 10);
    assert_eq!(spec["scaling"]["scaleDownDelay"], "0s");
    assert_eq!(spec["hold"], json!({"maxRequests": 1000, "timeout": "5s"}));
    assert_eq!(spec["limits"]["perClient"]["by"], "ip");
    assert_eq!(spec["routes"][0]["paths"], json!([{"prefix": "/"}]));
    assert_eq!(spec["target"]["scaleTargetRef"]["kind"], "Deployment");
    assert_eq!(spec["target"]["earlyReadiness"], true);
    let explained = kubectl(&["explain", "httpapp.spec.scaling"], "").await;
    let explained = explained.split_whitespace().collect::<Vec<_>>().join(" ");
    for word in ["maxReplicas", "Never more replicas than this", "Defaults to `10`.", "From 1s to 24h.", "`keda`: KEDA"]
    {
        assert!(explained.contains(word), "{word}: {explained}");
    }
}
