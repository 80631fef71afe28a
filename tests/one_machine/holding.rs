//! Requests that wait for an app.

use std::collections::BTreeMap;

use http::Method;

use crate::client::{Client, empty, fed, full, get, grpc, post, request};
use crate::document::App;
use crate::gateway::{Gateway, Setup};

/// Runs, but takes no request within a test's time.
fn never_ready(name: &str) -> App {
    App::echo_with(name, "--never-listen")
}

#[tokio::test]
async fn many_first_requests_wake_the_app_once_and_all_are_answered() {
    let app = App::echo_with("hello", "--start-delay 300ms").spec("scaling: {target: 1000}");
    let gateway = Gateway::start(&[app]).await;
    let requests: Vec<_> = (0..300).map(|_| gateway.spawn_get("hello.localhost", "/")).collect();
    let mut pids = BTreeMap::<u64, u32>::new();
    for request in requests {
        let reply = request.await.unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
        *pids.entry(reply.json()["pid"].as_u64().unwrap()).or_default() += 1;
    }
    assert_eq!(pids.values().copied().collect::<Vec<_>>(), [300]);
    let scaled = [("app", "default/hello"), ("phase", "scale_call")];
    assert_eq!(gateway.metric("zerogate_wake_seconds_count", &scaled).await, 1.0);
    gateway.finish().await;
}

#[tokio::test]
async fn beyond_the_apps_bound_is_503_at_once() {
    let gateway = Gateway::start(&[never_ready("slow").spec("hold: {maxRequests: 3}"), App::echo("other")]).await;
    let held: Vec<_> = (0..3).map(|_| gateway.spawn_get("slow.localhost", "/")).collect();
    gateway.held("slow", 3).await;
    for mut client in Client::both(gateway.http).await {
        let reply = client.send(get("slow.localhost", "/")).await;
        assert_eq!(reply.problem(503)["cause"], "line_full");
        reply.retry_after();
    }
    // It harms no other.
    assert_eq!(gateway.get("other.localhost", "/hello").await.status, 200);
    gateway.held("slow", 3).await;
    assert_eq!(gateway.metric("zerogate_requests_held", &[("app", "default/slow")]).await, 3.0);
    assert_eq!(gateway.metric("zerogate_refused_total", &[("cause", "line_full")]).await, 2.0);
    held.iter().for_each(|task| task.abort());
    gateway.finish().await;
}

#[tokio::test]
async fn beyond_the_gateways_bounds_is_503_at_once() {
    let apps = [never_ready("one"), never_ready("two")];
    let setup = Setup::new(&apps).flag("--max-held-requests", "2").flag("--max-held-bytes", "32KiB");
    let gateway = setup.start().await;
    let held = ["one.localhost", "two.localhost"].map(|host| gateway.spawn_get(host, "/"));
    gateway.held("one", 1).await;
    gateway.held("two", 1).await;
    let refused = gateway.get("two.localhost", "/").await;
    assert_eq!(refused.problem(503)["cause"], "gateway_full");
    refused.retry_after();
    held.iter().for_each(|task| task.abort());
    gateway.quiet().await;
    // The same by bytes of headers.
    let large = |host| {
        let request = request(Method::GET, host, "/").header("x-large", "x".repeat(24 * 1024));
        gateway.spawn(request.body(empty()).unwrap())
    };
    let held = large("one.localhost");
    gateway.held("one", 1).await;
    assert_eq!(large("one.localhost").await.unwrap().problem(503)["cause"], "gateway_full");
    held.abort();
    gateway.finish().await;
}

#[tokio::test]
async fn what_http2_lets_in_of_held_bodies_is_bounded_too() {
    let apps = [never_ready("one"), never_ready("two")];
    let gateway = Setup::new(&apps).flag("--max-held-bytes", "200KiB").start().await;
    let to = gateway.http;
    let post = move |host: &str, body| {
        let request = post(host, "/", body);
        tokio::spawn(async move { Client::http2(to).await.send(request).await })
    };
    let (_feed, endless) = fed();
    let mut held = vec![post("one.localhost", endless)];
    gateway.held("one", 1).await;
    held.push(post("one.localhost", full(vec![0; 1 << 20])));
    gateway.held("one", 2).await;
    let bytes = gateway.metric("zerogate_held_header_bytes", &[]).await;
    assert!((131_072.0..140_000.0).contains(&bytes), "two windows and little more: {bytes}");
    let refused = post("one.localhost", full("a little")).await.unwrap();
    assert_eq!(refused.problem(503)["cause"], "share_full");
    // There is room for another app.
    let (_feed, endless) = fed();
    held.push(post("two.localhost", endless));
    gateway.held("two", 1).await;
    let refused = post("two.localhost", full(vec![0; 1 << 20])).await.unwrap();
    assert_eq!(refused.problem(503)["cause"], "gateway_full");
    held.iter().for_each(|task| task.abort());
    gateway.quiet().await;
    assert_eq!(gateway.metric("zerogate_held_header_bytes", &[]).await, 0.0);
    gateway.finish().await;
}

#[tokio::test]
async fn an_app_that_never_starts_does_not_take_all_that_may_be_held() {
    let apps = [never_ready("one"), never_ready("two")];
    let gateway = Setup::new(&apps).flag("--max-held-requests", "4").start().await;
    let mut held: Vec<_> = (0..2).map(|_| gateway.spawn_get("one.localhost", "/")).collect();
    gateway.held("one", 2).await;
    let refused = gateway.get("one.localhost", "/").await;
    assert_eq!(refused.problem(503)["cause"], "share_full");
    refused.retry_after();
    held.push(gateway.spawn_get("two.localhost", "/"));
    gateway.held("two", 1).await;
    held.iter().for_each(|task| task.abort());
    gateway.finish().await;
}

#[tokio::test]
async fn the_deadline_is_504_with_what_the_app_was_doing() {
    let app = never_ready("slow").spec("hold: {timeout: 500ms}");
    let busy = App::echo("busy").spec("hold: {timeout: 500ms}").spec("scaling: {concurrencyLimit: 1, maxReplicas: 1}");
    let gateway = Gateway::start(&[app, busy]).await;
    let reply = gateway.get("slow.localhost", "/").await;
    let problem = reply.problem(504);
    assert_eq!(problem["cause"], "hold_deadline");
    assert!(problem["detail"].as_str().unwrap().contains("starting"), "{problem}");
    reply.retry_after();
    let first = gateway.spawn_get("busy.localhost", "/sleep?ms=3600000");
    gateway.app_until("busy", "one at work", |app| app["endpoints"][0]["inFlight"] == 1).await;
    let problem = gateway.get("busy.localhost", "/").await.problem(504);
    assert!(problem["detail"].as_str().unwrap().contains("limit"), "{problem}");
    first.abort();
    gateway.finish().await;
}

#[tokio::test]
async fn grpc_clients_are_refused_in_grpc() {
    let apps = [
        never_ready("late").spec("hold: {timeout: 300ms}"),
        never_ready("full").spec("hold: {maxRequests: 0}").spec("scaling: {minReplicas: 1}"),
        App::command("broken", &["zerogate", "echo", "--exit-code", "3"]),
    ];
    let gateway = Gateway::start(&apps).await;
    let mut client = Client::http2(gateway.http).await;
    for (host, status) in [
        ("late.localhost", "4"),
        ("full.localhost", "8"),
        ("broken.localhost", "14"),
        // As gRPC says of a method that nobody implements.
        ("nobody.localhost", "12"),
    ] {
        let reply = client.send(grpc(host, "/echo.Echo/Say", b"hi")).await;
        assert_eq!((reply.status.as_u16(), reply.grpc_status()), (200, status), "{host}: {reply:?}");
        assert_eq!(reply.header("content-type"), "application/grpc");
        assert!(reply.headers.contains_key("grpc-status") && reply.body.is_empty(), "not trailers-only: {reply:?}");
        assert!(!reply.header("grpc-message").is_empty());
    }
    gateway.finish().await;
}

#[tokio::test]
async fn first_in_is_first_out() {
    let app = App::echo_with("hello", "--start-delay 4s").spec("scaling: {concurrencyLimit: 1, maxReplicas: 1}");
    let gateway = Gateway::start(&[app]).await;
    let mut held = Vec::new();
    for n in 1..=10 {
        held.push(gateway.spawn_get("hello.localhost", &format!("/sleep?ms=20&n={n}")));
        // In line, not only counted.
        gateway.held("hello", n).await;
    }
    for (n, task) in (1_u64..).zip(held) {
        assert_eq!(task.await.unwrap().json()["number"], n);
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_client_that_leaves_gives_up_its_place_at_once() {
    let gateway = Gateway::start(&[never_ready("slow").spec("hold: {maxRequests: 4}")]).await;
    let over_http1: Vec<_> = (0..2).map(|_| gateway.spawn_get("slow.localhost", "/")).collect();
    let mut client = Client::http2(gateway.http).await;
    // Two streams of one connection: the one leaves, the other stays.
    let mut left = Box::pin(client.start(get("slow.localhost", "/")));
    assert!(futures_util::poll!(&mut left).is_pending());
    gateway.held("slow", 3).await;
    drop(left);
    gateway.held("slow", 2).await;
    let staying = tokio::spawn(async move { client.send(get("slow.localhost", "/")).await });
    gateway.held("slow", 3).await;
    over_http1[0].abort();
    gateway.held("slow", 2).await;
    over_http1[1].abort();
    gateway.held("slow", 1).await;
    staying.abort();
    gateway.held("slow", 0).await;
    gateway.finish().await;
}

#[tokio::test]
async fn a_wake_serves_the_held_from_all_its_replicas() {
    let scaling = "scaling: {target: 2, utilization: 100, activationReplicas: 2, maxReplicas: 2}";
    let gateway = Gateway::start(&[App::echo_with("hello", "--start-delay 300ms").spec(scaling)]).await;
    let held: Vec<_> = (0..4).map(|_| gateway.spawn_get("hello.localhost", "/sleep?ms=500")).collect();
    let mut per_replica = BTreeMap::<u64, u32>::new();
    for task in held {
        *per_replica.entry(task.await.unwrap().json()["pid"].as_u64().unwrap()).or_default() += 1;
    }
    assert_eq!(per_replica.values().copied().collect::<Vec<_>>(), [2, 2]);
    gateway.finish().await;
}

#[tokio::test]
async fn an_answer_to_a_held_request_says_where_the_time_went() {
    let gateway = Gateway::start(&[App::echo_with("hello", "--start-delay 200ms")]).await;
    let woken = gateway.get("hello.localhost", "/").await;
    let timing = woken.header("server-timing");
    assert!(timing.contains("hold;dur=") && timing.contains("wake;dur="), "{woken:?}");
    let held: f64 = timing.split("hold;dur=").nth(1).unwrap().split([',', ' ', ';']).next().unwrap().parse().unwrap();
    assert!(held >= 200.0, "{timing}");
    let warm = gateway.get("hello.localhost", "/").await;
    assert_eq!(warm.header("server-timing"), "");
    gateway.finish().await;
}

#[tokio::test]
async fn an_app_that_takes_few_streams_refuses_none_of_those_that_woke_it() {
    let app = App::echo_with("hello", "--start-delay 300ms --max-streams 5").and_target("protocol: h2c");
    let gateway = Gateway::start(&[app]).await;
    let requests: Vec<_> = (0..40).map(|_| gateway.spawn_get("hello.localhost", "/sleep?ms=20")).collect();
    for request in requests {
        let reply = request.await.unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    gateway.finish().await;
}
