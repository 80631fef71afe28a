use std::sync::Arc;

use futures_util::future::join_all;
use http::Method;
use serde_json::Value;

use super::*;
use crate::platform::kubernetes::client::fake::{Answer, Asked as Seen, FakeApi, until};
use crate::settings::ServicePort;

fn target(api_version: &str, kind: &str) -> ScaleTarget {
    ScaleTarget {
        namespace: "shop".into(),
        api_version: api_version.into(),
        kind: kind.into(),
        name: "hello".into(),
        service: "hello".into(),
        port: ServicePort::Only,
        protocol: None,
        readiness: None,
        early_readiness: true,
        start_timeout: Duration::from_secs(60),
    }
}

fn deployment() -> ScaleTarget {
    target("apps/v1", "Deployment")
}

fn scaled() -> Answer {
    Answer::of(json!({ "kind": "Scale", "metadata": { "name": "hello", "resourceVersion": "4711" } }))
}

fn orders(api: &FakeApi) -> Orders {
    Orders::new(api.clients(), Clock::running())
}

/// The kinds of a made-up group.
fn kinds() -> Answer {
    let resource = |name: &str, kind: &str| json!({ "name": name, "kind": kind, "namespaced": true, "singularName": "", "verbs": [] });
    Answer::of(json!({ "kind": "APIResourceList", "groupVersion": "argoproj.io/v1alpha1", "resources": [
        resource("rollouts/scale", "Scale"), resource("rollouts", "Rollout"), resource("rollouts/status", "Rollout"),
        resource("analyses", "Analysis"),
    ] }))
}

fn is_discovery(seen: &Seen) -> bool {
    seen.method == Method::GET
}

#[tokio::test]
async fn scaling_is_one_patch_and_nothing_else() {
    let api = FakeApi::start(|_| async { scaled() }).await;
    let orders = orders(&api);
    for urgent in [true, false] {
        assert_eq!(orders.scale(&deployment(), 3, urgent, Condition::Always).await, Ok(Accepted { version: 4711 }));
    }
    let asked = api.asked();
    assert_eq!(asked.len(), 2);
    for asked in asked {
        assert_eq!(asked.method, Method::PATCH);
        let path = "/apis/apps/v1/namespaces/shop/deployments/hello/scale?fieldManager=zerogate";
        assert_eq!(asked.uri.path_and_query().expect("a path"), path);
        assert_eq!(asked.headers["content-type"], "application/merge-patch+json");
        assert_eq!(asked.body, json!({ "spec": { "replicas": 3 } }));
    }
}

#[tokio::test]
async fn an_order_may_be_bound_to_what_it_was_decided_on() {
    let api = FakeApi::start(|_| async { Answer::no(409, "Conflict", "the object has been modified") }).await;
    let refused =
        orders(&api).scale(&deployment(), 3, false, Condition::UnchangedSince(4710)).await.expect_err("changed");
    assert!(refused.passing && !refused.in_doubt, "{refused:?}");
    let change = json!({ "metadata": { "resourceVersion": "4710" }, "spec": { "replicas": 3 } });
    assert_eq!(api.asked()[0].body, change);
}

#[tokio::test]
async fn refusals_say_what_they_mean() {
    let api_server = |why: &str| FailureCause::ApiServer { why: why.into() };
    let unusable = |why: &str| FailureCause::TargetUnusable { target: "Deployment shop/hello".into(), why: why.into() };
    let forbidden = || FailureCause::Forbidden {
        verb: "patch".into(),
        resource: "deployments.apps/scale".into(),
        namespace: "shop".into(),
    };
    let missing = FailureCause::TargetMissing { target: "Deployment shop/hello".into() };
    let rbac = r#"deployments.apps "hello" is forbidden: User "u" cannot patch resource "deployments/scale" in API group "apps""#;
    let webhook = "admission webhook \"w\" denied the request";
    // Status, reason, message; cause, passing, in doubt.
    let cases = [
        (404, "NotFound", "deployments.apps \"hello\" not found", missing, false, false),
        (403, "Forbidden", rbac, forbidden(), false, false),
        (403, "Forbidden", webhook, unusable(webhook), false, false),
        (422, "Invalid", "must be\nless", unusable("must be less"), false, false),
        (400, "BadRequest", "no", unusable("no"), false, false),
        (405, "MethodNotAllowed", "no", unusable("no"), false, false),
        (401, "Unauthorized", "Unauthorized", api_server("401 Unauthorized"), true, false),
        (409, "Conflict", "changed", api_server("409 Conflict"), true, false),
        (429, "TooManyRequests", "slow down", api_server("429 TooManyRequests"), true, false),
        (500, "InternalError", "oops", api_server("500 InternalError"), true, true),
        (503, "ServiceUnavailable", "later", api_server("503 ServiceUnavailable"), true, false),
        (504, "Timeout", "late", api_server("504 Timeout"), true, true),
    ];
    for (status, reason, message, cause, passing, in_doubt) in cases {
        let api = FakeApi::start(move |_| async move { Answer::no(status, reason, message) }).await;
        let refused = NotAccepted { cause, in_doubt, passing, retry_after: None };
        assert_eq!(orders(&api).scale(&deployment(), 1, true, Condition::Always).await, Err(refused));
    }
}

#[tokio::test]
async fn a_pause_that_the_server_asks_for_is_passed_on_within_bounds() {
    for (says, expected) in [("7", Some(7)), ("86400", Some(60)), ("soon", None)] {
        let api = FakeApi::start(move |_| async move { Answer::no(429, "", "").with("retry-after", says) }).await;
        let refused = orders(&api).scale(&deployment(), 1, true, Condition::Always).await.expect_err("refused");
        assert_eq!(refused.retry_after, expected.map(Duration::from_secs), "{says}");
        assert_eq!(refused.cause, FailureCause::ApiServer { why: "429 Too Many Requests".into() });
    }
}

#[tokio::test]
async fn a_yes_that_cannot_be_read_is_in_doubt() {
    let api = FakeApi::start(|_| async { Answer::text(b"<html>") }).await;
    let refused = orders(&api).scale(&deployment(), 1, true, Condition::Always).await.expect_err("no version");
    assert!(refused.in_doubt && refused.passing, "{refused:?}");
}

#[tokio::test]
async fn other_kinds_are_looked_up_once_and_again_after_a_404() {
    let gone = Arc::new(parking_lot::Mutex::new(false));
    let playing = gone.clone();
    let api = FakeApi::start(move |seen| {
        let answer = match (is_discovery(&seen), *playing.lock()) {
            (true, _) => kinds(),
            (false, false) => scaled(),
            (false, true) => Answer::no(404, "NotFound", "gone"),
        };
        async move { answer }
    })
    .await;
    let (orders, rollout) = (orders(&api), target("argoproj.io/v1alpha1", "Rollout"));
    for _ in 0..3 {
        assert!(orders.scale(&rollout, 1, true, Condition::Always).await.is_ok());
    }
    let path = "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/hello/scale";
    assert_eq!(api.asked().iter().filter(|seen| seen.uri.path() == path).count(), 3);
    let looked_up = || api.asked().iter().filter(|seen| is_discovery(seen)).count();
    assert_eq!(looked_up(), 1);
    *gone.lock() = true;
    for _ in 0..2 {
        let refused = orders.scale(&rollout, 1, true, Condition::Always).await.expect_err("gone");
        assert!(matches!(refused.cause, FailureCause::TargetMissing { .. }));
    }
    assert_eq!(looked_up(), 2);
}

#[tokio::test]
async fn what_cannot_be_scaled_is_not_asked_to() {
    let api = FakeApi::start(|seen| async move {
        if seen.uri.path().contains("argoproj") { kinds() } else { Answer::no(404, "NotFound", "no such version") }
    })
    .await;
    let orders = orders(&api);
    for (target, expected) in [
        (target("argoproj.io/v1alpha1", "Analysis"), "the kind Analysis has no /scale"),
        (target("argoproj.io/v1alpha1", "Nothing"), "the cluster has no kind Nothing in argoproj.io/v1alpha1"),
        (target("gone.io/v1", "Rollout"), "the cluster has no kind Rollout in gone.io/v1"),
        (target("../secrets", "Rollout"), "`..` is not a name"),
        (ScaleTarget { name: "a/../../b".into(), ..deployment() }, "`a/../../b` is not a name"),
        (ScaleTarget { name: "a?b".into(), ..deployment() }, "`a?b` is not a name"),
    ] {
        let refused = orders.scale(&target, 1, true, Condition::Always).await.expect_err("cannot be scaled");
        assert!(!refused.passing && !refused.in_doubt);
        assert!(matches!(&refused.cause, FailureCause::TargetUnusable { why, .. } if why == expected), "{refused:?}");
    }
    assert!(api.asked().iter().all(is_discovery));
}

#[tokio::test(start_paused = true)]
async fn no_answer_in_time_is_in_doubt() {
    let api = FakeApi::start(|_| std::future::pending()).await;
    let clock = Clock::running();
    let refused = orders(&api).scale(&deployment(), 1, true, Condition::Always).await;
    let cause = FailureCause::NoAnswer { after: CALL };
    assert_eq!(refused, Err(NotAccepted { cause, in_doubt: true, passing: true, retry_after: None }));
    assert!(clock.now().since(crate::clock::Timestamp::ZERO) < CALL + Duration::from_secs(1));
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_it_in_doubt_and_one_that_is_refused_does_not() {
    let api = FakeApi::start_http2(|_| std::future::pending()).await;
    let (sending, patched) = (orders(&api), deployment());
    let order = tokio::spawn(async move { sending.scale(&patched, 1, true, Condition::Always).await });
    until(|| !api.asked().is_empty()).await;
    api.cut();
    let refused = order.await.expect("no panic").expect_err("cut");
    assert!(refused.in_doubt && refused.passing, "{refused:?}");

    let orders = orders(&api);
    drop(api);
    until_refused(&orders).await;
}

/// Until a connection that was open is known to be closed, an order may still go out on it.
async fn until_refused(orders: &Orders) {
    for _ in 0..1000 {
        let refused = orders.scale(&deployment(), 1, true, Condition::Always).await.expect_err("nobody there");
        assert!(refused.passing);
        if !refused.in_doubt {
            assert!(
                matches!(&refused.cause, FailureCause::ApiServer { why } if why.starts_with("no connection to it"))
            );
            return;
        }
    }
    panic!("always in doubt");
}

#[tokio::test]
async fn orders_that_nobody_waits_for_hold_up_none_that_somebody_does() {
    let api = FakeApi::start_http2(|seen| async move {
        if seen.body["spec"]["replicas"] == 0 { std::future::pending().await } else { scaled() }
    })
    .await;
    let clients = api.clients();
    api.until_accepted(1).await;
    let orders = Arc::new(Orders::new(clients, Clock::manual()));
    let ordinary: Vec<_> = (0..100)
        .map(|_| {
            let orders = orders.clone();
            tokio::spawn(async move { orders.scale(&deployment(), 0, false, Condition::Always).await })
        })
        .collect();
    until(|| api.asked().len() >= 40).await;
    let target = deployment();
    let urgent = join_all((0..URGENT * 2).map(|_| orders.scale(&target, 1, true, Condition::Always))).await;
    assert!(urgent.iter().all(Result::is_ok));
    assert_eq!(api.accepted(), 2);
    // 40 at once, and as many as can wait; the others are told to come again.
    until(|| ordinary.iter().filter(|order| order.is_finished()).count() >= 20).await;
    let refused = join_all(ordinary.into_iter().filter(|order| order.is_finished())).await;
    for order in refused {
        let refused = order.expect("no panic").expect_err("too many");
        assert!(refused.passing && !refused.in_doubt && refused.retry_after.is_some(), "{refused:?}");
    }
}

#[tokio::test]
async fn deletion_costs_are_annotations_of_pods_that_may_be_gone() {
    let api = FakeApi::start(|seen| async move {
        if seen.uri.path().ends_with("/gone") { Answer::no(404, "NotFound", "gone") } else { Answer::of(json!({})) }
    })
    .await;
    let orders = orders(&api);
    assert_eq!(orders.set_deletion_cost("shop", "a-1", Some(-5)).await, Ok(()));
    assert_eq!(orders.set_deletion_cost("shop", "a-1", None).await, Ok(()));
    assert_eq!(orders.set_deletion_cost("shop", "gone", Some(1)).await, Ok(()));
    let costs: Vec<_> =
        api.asked().iter().map(|seen| seen.body["metadata"]["annotations"][DELETION_COST].clone()).collect();
    assert_eq!(costs, [json!("-5"), Value::Null, json!("1")]);
    assert_eq!(api.asked()[0].uri.path(), "/api/v1/namespaces/shop/pods/a-1");
    let refused = orders.set_deletion_cost("shop", "a/../b", Some(1)).await.expect_err("no name");
    assert!(matches!(refused.cause, FailureCause::TargetUnusable { .. }));
    assert_eq!(api.asked().len(), 3);
}

#[tokio::test]
async fn a_wake_bound_to_zero_is_sent_again_if_something_else_has_changed() {
    for (replicas, patches) in [(0, 3), (2, 2)] {
        let api = FakeApi::start(move |seen| async move {
            match seen.body["metadata"]["resourceVersion"].as_str() {
                Some("4710") => Answer::no(409, "Conflict", "the object has been modified"),
                _ => Answer::of(json!({
                    "kind": "Scale",
                    "metadata": { "name": "hello", "resourceVersion": "4711" },
                    "spec": { "replicas": replicas },
                })),
            }
        })
        .await;
        let answer = orders(&api).scale(&deployment(), 1, true, Condition::StillZero(4710)).await;
        assert_eq!(answer.is_ok(), replicas == 0, "{answer:?}");
        let asked: Vec<_> = api.asked().into_iter().map(|seen| (seen.method, seen.body)).collect();
        assert_eq!(asked.len(), patches);
        assert_eq!(asked[1], (Method::PATCH, json!({})), "which needs no other right");
        if let Some((_, last)) = asked.get(2) {
            assert_eq!(last["metadata"]["resourceVersion"], "4711");
        }
    }
}
