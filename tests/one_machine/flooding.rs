//! Far more requests than may wait.

use std::fmt::Write;

use crate::document::App;
use crate::gateway::Gateway;
use crate::processes::resident;
use crate::raw::Raw;

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
