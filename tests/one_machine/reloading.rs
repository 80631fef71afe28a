//! The file changes while requests are on their way.

use crate::client::{Client, get, next, whole};
use crate::document::{App, file};
use crate::gateway::Gateway;
use crate::wait::{soon, until};

#[tokio::test]
async fn a_good_change_applies_without_dropping_a_request() {
    let gateway = Gateway::start(&[App::echo("hello"), App::echo_with("slow", "--never-listen")]).await;
    let mut client = Client::http1(gateway.http).await;
    let mut open = soon("a header", client.start(get("hello.localhost", "/sse?n=2&ms=2000"))).await.unwrap();
    next(&mut open).await;
    let removed = gateway.spawn_get("slow.localhost", "/");
    gateway.held("slow", 1).await;
    let apps = [App::echo("hello").spec("limits: {requestsPerSecond: 1000}"), App::echo("new")];
    gateway.rewrite(&file(&apps));
    // Who waits for an app that is no more is told so.
    let reply = soon("an answer", removed).await.unwrap();
    assert_eq!(reply.problem(503)["cause"], "removed");
    until("the new app answers", async || (gateway.get("new.localhost", "/hello").await.status == 200).then_some(()))
        .await;
    gateway.get("slow.localhost", "/").await.problem(404);
    // The one that was on its way has not noticed.
    assert_eq!(whole(open).await.expect("a whole body").body, "id: 1\ndata: event 1\n\n");
    gateway.finish().await;
}

#[tokio::test]
async fn a_bad_change_is_reported_and_the_last_good_one_stays() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    for bad in ["a: [", &App::echo("hello").spec("scaling: {maxReplicas: 0}").to_string()] {
        let reports = async || gateway.metric("zerogate_config_reloads_total", &[("result", "refused")]).await;
        let before = reports().await;
        gateway.rewrite(bad);
        until("a report", async || (reports().await > before).then_some(())).await;
        assert_eq!(gateway.get("hello.localhost", "/hello").await.status, 200);
    }
    assert!(gateway.output().contains("spec.scaling.maxReplicas"));
    gateway.rewrite(&file(&[App::echo("hello"), App::echo("new")]));
    until("the new app answers", async || (gateway.get("new.localhost", "/hello").await.status == 200).then_some(()))
        .await;
    assert_eq!(gateway.get("hello.localhost", "/hello").await.status, 200);
    gateway.finish().await;
}

#[tokio::test]
async fn a_changed_limit_serves_those_who_wait() {
    let scaling = |limit| format!("scaling: {{concurrencyLimit: {limit}, maxReplicas: 1}}");
    let gateway = Gateway::start(&[App::echo("hello").spec(&scaling(1))]).await;
    let first = gateway.spawn_get("hello.localhost", "/sleep?ms=3600000");
    gateway.app_until("hello", "one at work", |app| app["endpoints"][0]["inFlight"] == 1).await;
    let second = gateway.spawn_get("hello.localhost", "/hello");
    gateway.held("hello", 1).await;
    gateway.rewrite(&App::echo("hello").spec(&scaling(2)).to_string());
    assert_eq!(soon("an answer", second).await.unwrap().status, 200);
    first.abort();
    gateway.finish().await;
}
