//! Far more requests than may wait.

use std::fmt::Write;

use crate::client::{Client, get};
use crate::document::App;
use crate::gateway::{Gateway, Setup};
use crate::processes::resident;
use crate::raw::Raw;
use crate::wait::soon;

const BOUND: usize = 1000;
const REQUESTS: usize = 100_000;
/// Requests written at once on each of the connections.
const PIPELINE: usize = 100;
const CONNECTIONS: usize = 10;

#[tokio::test]
async fn memory_stays_flat_under_100_000_requests_at_a_closed_app() {
    let app = App::echo_with("closed", "--never-listen").spec(&format!("hold: {{maxRequests: {BOUND}, timeout: 1h}}"));
    let gateway = Gateway::start(&[app]).await;
    let waiting: Vec<_> = (0..BOUND).map(|_| gateway.spawn_get("closed.localhost", "/")).collect();
    gateway.held("closed", BOUND as u64).await;
    flood(&gateway, REQUESTS / 10).await;
    let before = resident(gateway.pid());
    flood(&gateway, REQUESTS).await;
    let grown = resident(gateway.pid()).saturating_sub(before);
    assert!(grown < 8 << 20, "grown by {grown} bytes");
    let app = gateway.app("closed").await;
    assert_eq!((&app["held"], &app["inFlight"]), (&BOUND.into(), &BOUND.into()), "{app}");
    let refused = gateway.metric("zerogate_refused_total", &[("cause", "line_full")]).await;
    assert_eq!(refused, (REQUESTS + REQUESTS / 10) as f64);
    waiting.iter().for_each(|task| task.abort());
    gateway.finish().await;
}

#[tokio::test]
async fn open_files_that_one_app_takes_are_not_those_of_others() {
    let apps = [App::echo("slow").spec("scaling: {maxReplicas: 1}"), App::echo("hello"), App::echo("asleep")];
    let gateway = Setup::new(&apps).open_files(256).start().await;
    for host in ["slow.localhost", "hello.localhost"] {
        assert_eq!(gateway.get(host, "/hello").await.status, 200);
    }
    let clients = [(); 3].map(|()| Client::http2(gateway.http));
    let clients = futures_util::future::join_all(clients).await;
    let mut slow: Vec<_> = (0..300).map(|n| clients[n % 3].spawn(get("slow.localhost", "/sleep?ms=3600000"))).collect();
    // What is over the app's share is told what is short, and the rest is at work.
    let mut refused = 0;
    while refused < 150 {
        let (reply, at, _) = soon("a refusal", futures_util::future::select_all(&mut slow)).await;
        let reply = reply.unwrap();
        assert_eq!(reply.problem(503)["cause"], "open_files", "{reply:?}");
        assert!(reply.retry_after() >= 1);
        slow.swap_remove(at);
        refused += 1;
    }
    for mut client in Client::both(gateway.http).await {
        for host in ["hello.localhost", "asleep.localhost"] {
            let reply = client.send(get(host, "/hello")).await;
            assert_eq!(reply.status, 200, "{host}: {reply:?}");
        }
    }
    assert!(!gateway.output().contains("Too many open files"), "{}", gateway.output());
    slow.iter().for_each(|task| task.abort());
    drop(clients);
    gateway.in_flight("slow", 0).await;
    gateway.finish().await;
}

/// Sends requests as fast as they are refused.
async fn flood(gateway: &Gateway, requests: usize) {
    let batch = (0..PIPELINE).fold(String::new(), |mut batch, n| {
        let _ = write!(batch, "GET /{n} HTTP/1.1\r\nHost: closed.localhost\r\n\r\n");
        batch
    });
    let connections = (0..CONNECTIONS).map(|_| async {
        let mut raw = Raw::connect(gateway.http).await;
        for _ in 0..requests / CONNECTIONS / PIPELINE {
            raw.send(&batch).await.unwrap();
            for _ in 0..PIPELINE {
                let head = raw.until("\r\n\r\n").await;
                assert!(head.contains("HTTP/1.1 503 "), "{head}");
            }
        }
    });
    futures_util::future::join_all(connections).await;
}
