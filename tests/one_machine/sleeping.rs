//! Going to sleep, and going from n replicas to fewer, without losing a request.

use std::time::Duration;

use crate::client::{Client, full, get, post};
use crate::document::App;
use crate::gateway::Gateway;

#[tokio::test]
async fn a_request_between_rotation_and_stop_is_answered() {
    let app = App::echo("hello").spec("scaling: {idleTimeout: 1s}");
    let gateway = Gateway::start(&[app]).await;
    // Requests come just when the app goes to sleep: a little before, meanwhile, a little after.
    for client in 0..3_u64 {
        let mut client = (Client::http1(gateway.http).await, client);
        for step in 0..5 {
            let reply = client.0.send(post("hello.localhost", "/", full("body"))).await;
            assert_eq!(reply.status, 200, "{reply:?}");
            assert_eq!(reply.json()["body"]["text"], "body");
            let pause = 900 + 60 * step + 20 * client.1;
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }
    gateway.state("hello", "asleep").await;
    gateway.finish().await;
}

#[tokio::test]
async fn an_open_request_keeps_the_app_awake() {
    let app = App::echo("hello").spec("scaling: {idleTimeout: 1s, stableWindow: 1s, panicWindow: 1s}");
    let gateway = Gateway::start(&[app, App::echo("other").spec("scaling: {idleTimeout: 2s}")]).await;
    let pid = gateway.get("hello.localhost", "/").await.json()["pid"].clone();
    let slow = gateway.spawn_get("hello.localhost", "/sleep?ms=4000");
    gateway.in_flight("hello", 1).await;
    // By the time another one with a longer timeout is asleep it would have gone too.
    gateway.get("other.localhost", "/").await;
    gateway.state("other", "asleep").await;
    assert_eq!(gateway.app("hello").await["state"], "awake");
    assert_eq!(slow.await.unwrap().json()["pid"], pid);
    gateway.state("hello", "asleep").await;
    gateway.finish().await;
}

#[tokio::test]
async fn fewer_replicas_lose_no_request() {
    let scaling = "scaling: {target: 2, utilization: 100, maxReplicas: 4, stableWindow: 2s, panicWindow: 1s}";
    let gateway = Gateway::start(&[App::echo("hello").spec(scaling)]).await;
    let burst: Vec<_> = (0..8).map(|_| gateway.spawn_get("hello.localhost", "/sse?n=2&ms=3600000")).collect();
    gateway.ready("hello", 4).await;
    let http = gateway.http;
    // Quick requests all the way down, and slow ones that end after their replica was told to go.
    let quick = tokio::spawn(async move {
        let mut client = Client::http1(http).await;
        let mut served = 0;
        loop {
            let reply = client.send(get("hello.localhost", "/")).await;
            assert_eq!(reply.status, 200, "{reply:?}");
            served += 1;
            if served % 64 == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    let slow: Vec<_> = (0..4).map(|_| gateway.spawn_get("hello.localhost", "/sleep?ms=5000")).collect();
    burst.iter().for_each(|task| task.abort());
    for task in slow {
        assert_eq!(task.await.unwrap().status, 200);
    }
    gateway
        .app_until("hello", "one replica is left", |app| {
            app["replicas"]["ready"] == 1 && app["replicas"]["wanted"] == 1
        })
        .await;
    assert!(!quick.is_finished(), "a quick request was lost: {:?}", quick.await);
    quick.abort();
    gateway.finish().await;
}
