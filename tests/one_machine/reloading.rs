//! The file changes while requests are on their way.

use std::os::unix::fs::symlink;

use serde_json::Value;

use crate::client::{Client, fed, feed, get, next, post, whole};
use crate::document::{App, file};
use crate::gateway::{Gateway, Setup};
use crate::wait::{soon, until};

#[tokio::test]
async fn a_good_change_applies_without_dropping_a_request() {
    let gateway = Gateway::start(&[App::echo("hello"), App::echo_with("slow", "--never-listen")]).await;
    let mut client = Client::http1(gateway.http).await;
    let (feeder, body) = fed();
    feed(&feeder, "before").await;
    let mut open = soon("a header", client.start(post("hello.localhost", "/stream", body))).await.unwrap();
    assert_eq!(next(&mut open).await, "before");
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
    feed(&feeder, "after").await;
    drop(feeder);
    assert_eq!(whole(open).await.expect("a whole body").body, "after");
    gateway.finish().await;
}

/// Requests keep coming while `before` becomes `after`, until all of them come from the latter; none fails.
async fn replaced_under_load(before: App, after: App, is_after: impl Fn(&Value) -> bool) {
    let gateway = Gateway::start(&[before]).await;
    gateway.get("hello.localhost", "/").await.json();
    gateway.rewrite(&after.to_string());
    let clients = (0..8).map(|_| async {
        let mut client = Client::http1(gateway.http).await;
        until("the new one answers", async || {
            let reply = client.send(get("hello.localhost", "/sleep?ms=20")).await;
            assert_eq!(reply.status, 200, "{reply:?}");
            is_after(&reply.json()).then_some(())
        })
        .await;
    });
    futures_util::future::join_all(clients).await;
    gateway.ready("hello", 1).await;
    assert!(is_after(&gateway.get("hello.localhost", "/").await.json()));
    gateway.finish().await;
}

#[tokio::test]
async fn a_changed_process_is_replaced_without_dropping_a_request() {
    let echo = |value: &str| App::command("hello", &["zerogate", "echo", "--name", value]);
    replaced_under_load(echo("before"), echo("after"), |json| json["name"] == "after").await;
}

#[tokio::test]
async fn a_changed_protocol_drops_no_request() {
    let app = App::echo("hello");
    replaced_under_load(app.clone(), app.and_target("protocol: h2c"), |json| json["version"] == "HTTP/2").await;
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
async fn a_config_map_is_swapped_without_a_warning() {
    let setup = Setup::new(&[App::echo("hello")]);
    let folder = setup.folder().to_owned();
    let at = |name: &str| folder.join(name);
    std::fs::create_dir(at("..0")).unwrap();
    symlink("..0", at("..data")).unwrap();
    symlink("..data/apps.yaml", at("apps.yaml")).unwrap();
    let gateway = setup.start().await;
    for (n, name) in ["one", "two"].into_iter().enumerate() {
        // As the kubelet does it: the link is replaced, and what it led to is removed.
        let (old, new) = (at(&format!("..{n}")), format!("..{}", n + 1));
        std::fs::create_dir(at(&new)).unwrap();
        std::fs::write(at(&new).join("apps.yaml"), App::echo(name).to_string()).unwrap();
        symlink(&new, at("..data_tmp")).unwrap();
        std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
        std::fs::remove_dir_all(old).unwrap();
        let host = format!("{name}.localhost");
        until("the new app answers", async || (gateway.get(&host, "/hello").await.status == 200).then_some(())).await;
    }
    let output = gateway.output();
    assert!(!output.contains("WARN"), "{output}");
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

#[tokio::test]
async fn the_metrics_forget_apps_that_are_no_more() {
    let kept = App::echo("kept").spec("scaling: {minReplicas: 1}");
    let gateway = Gateway::start(&[App::echo_with("gone", "--never-listen"), kept]).await;
    let held = gateway.spawn_get("gone.localhost", "/");
    gateway.held("gone", 1).await;
    gateway.ready("kept", 1).await;
    let of = async |name: &str, app: &str| gateway.metric(name, &[("app", app)]).await;
    assert_eq!(of("zerogate_requests_held", "default/gone").await, 1.0);
    assert!(of("zerogate_replicas", "default/kept").await >= 2.0);
    gateway.rewrite(&App::echo("kept").spec("scaling: {idleTimeout: 1s}").to_string());
    soon("an answer", held).await.unwrap().problem(503);
    gateway.app_until("kept", "it sleeps", |app| app["replicas"]["wanted"] == 0 && app["replicas"]["ready"] == 0).await;
    for name in ["zerogate_requests_held", "zerogate_requests_in_flight", "zerogate_replicas"] {
        assert_eq!(of(name, "default/gone").await, 0.0, "{name}");
        assert_eq!(of(name, "default/kept").await, 0.0, "{name}");
    }
    gateway.finish().await;
}
