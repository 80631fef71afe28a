//! What the gateway tells of itself on its admin address.

use serde_json::Value;

use crate::client::{Client, get};
use crate::document::App;
use crate::gateway::{Gateway, Setup};
use crate::wait::until;

#[tokio::test]
async fn health_and_apps_are_there() {
    let gateway = Gateway::start(&[App::echo("hello"), App::echo("other")]).await;
    for path in ["/livez", "/readyz"] {
        assert_eq!(gateway.admin_get(path).await.unwrap().status, 200);
    }
    assert_eq!(gateway.get("hello.localhost", "/hello").await.status, 200);
    let list = gateway.admin_get("/v1/apps").await.unwrap().json();
    let states: Vec<_> =
        list["apps"].as_array().unwrap().iter().map(|app| (app["name"].clone(), app["state"].clone())).collect();
    assert_eq!(states, [("hello".into(), "awake".into()), ("other".into(), "asleep".into())]);
    let app = gateway.app("hello").await;
    assert_eq!(app["replicas"]["ready"], 1, "{app}");
    assert!(app["endpoints"][0]["address"].as_str().unwrap().starts_with("127.0.0.1:"), "{app}");
    assert_eq!(app["endpoints"][0]["suspect"], false);
    assert!(!app["decisions"][0]["reason"].as_str().unwrap().is_empty());
    assert!(app["lastWake"]["startedMs"].is_number() && app["failure"].is_null(), "{app}");
    for only_in_a_cluster in ["podScheduledMs", "podIpMs", "readyByKubeletMs"] {
        assert_eq!(app["lastWake"].get(only_in_a_cluster), Some(&Value::Null), "{app}");
    }
    assert_eq!(app["targetReplicas"], 1, "{app}");
    assert_eq!((app.get("refusedOrder"), app.get("otherWriter")), (Some(&Value::Null), Some(&Value::Null)), "{app}");
    for path in ["/v1/apps/default/nobody", "/v1/apps/nowhere/hello", "/elsewhere"] {
        gateway.admin_get(path).await.unwrap().problem(404);
    }
    // The admin server is not the edge.
    assert_ne!(gateway.get(&gateway.admin.to_string(), "/livez").await.status, 200);
    gateway.finish().await;
}

#[tokio::test]
async fn metrics_tell_what_happened() {
    let gateway = Gateway::start(&[App::echo("hello"), App::echo_with("slow", "--never-listen")]).await;
    for _ in 0..3 {
        gateway.get("hello.localhost", "/hello").await;
    }
    gateway.get("hello.localhost", "/status/404").await;
    gateway.get("nobody.localhost", "/").await;
    let held = gateway.spawn_get("slow.localhost", "/");
    gateway.held("slow", 1).await;
    let hello = ("app", "default/hello");
    for (name, labels, value) in [
        ("zerogate_requests_total", [hello, ("code", "2xx")], 3.0),
        ("zerogate_requests_total", [hello, ("code", "4xx")], 1.0),
        ("zerogate_requests_in_flight", [hello, hello], 0.0),
        ("zerogate_requests_held", [("app", "default/slow"), ("app", "default/slow")], 1.0),
        ("zerogate_replicas", [hello, ("state", "ready")], 1.0),
        ("zerogate_replicas", [hello, ("state", "wanted")], 1.0),
        ("zerogate_replicas", [("app", "default/slow"), ("state", "starting")], 1.0),
        // A histogram and no summary: it has buckets.
        ("zerogate_wake_seconds_bucket", [("phase", "first_byte"), ("le", "+Inf")], 1.0),
        ("zerogate_wake_seconds_count", [hello, ("phase", "scale_call")], 1.0),
        ("zerogate_wake_seconds_count", [hello, ("phase", "started")], 1.0),
        ("zerogate_wake_seconds_count", [hello, ("phase", "listening")], 1.0),
        ("zerogate_wake_seconds_count", [hello, ("phase", "first_byte")], 1.0),
        ("zerogate_refused_total", [("cause", "no_route"), ("cause", "no_route")], 1.0),
    ] {
        assert_eq!(gateway.metric(name, &labels).await, value, "{name} {labels:?}");
    }
    assert!(gateway.metric("zerogate_decisions_total", &[hello, ("reason", "wake")]).await >= 1.0);
    assert_eq!(gateway.app("slow").await["state"], "waking");
    // A host that nobody declared must not become a label.
    let text = gateway.admin_get("/metrics").await.unwrap().body;
    assert!(!String::from_utf8_lossy(&text).contains("nobody"));
    held.abort();
    // Who leaves before there is an answer is counted as such.
    gateway.held("slow", 0).await;
    let aborted = [("app", "default/slow"), ("code", "aborted")];
    until("it is counted", async || (gateway.metric("zerogate_requests_total", &aborted).await == 1.0).then_some(()))
        .await;
    gateway.finish().await;
}

#[tokio::test]
async fn the_access_log_has_a_line_per_request_when_asked_for() {
    let gateway = Setup::new(&[App::echo("hello")]).flag("--access-log", "json").start().await;
    gateway.get("hello.localhost", "/logged?x=1").await;
    gateway.get("hello.localhost", "/status/503").await;
    gateway.get("unknown.localhost", "/nowhere").await.problem(404);
    let lines = until("three lines", async || {
        let output = gateway.output();
        let lines: Vec<Value> = output.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        (lines.len() >= 3).then_some(lines)
    });
    let lines = lines.await;
    let first = lines.iter().find(|line| line["path"] == "/logged?x=1").expect("the request's line");
    assert_eq!(first["app"], "default/hello");
    assert_eq!(first["host"], "hello.localhost");
    assert_eq!(first["method"], "GET");
    assert_eq!(first["status"], 200);
    assert_eq!(first["client"], "127.0.0.1");
    assert!(first["heldMs"].as_f64() > Some(0.0), "{first}");
    let second = lines.iter().find(|line| line["path"] == "/status/503").expect("the request's line");
    assert_eq!((&second["status"], &second["heldMs"]), (&503.into(), &Value::Null));
    let unknown = lines.iter().find(|line| line["path"] == "/nowhere").expect("a line for what is for no app, too");
    assert_eq!(
        (&unknown["status"], &unknown["app"], &unknown["host"]),
        (&404.into(), &Value::Null, &"unknown.localhost".into())
    );
    gateway.finish().await;
}

#[tokio::test]
async fn the_access_log_tells_answers_that_did_not_go_out_whole() {
    let gateway = Setup::new(&[App::echo("hello")]).flag("--access-log", "json").start().await;
    // One client leaves before there is an answer, one in the middle of it.
    let waiting = gateway.spawn_get("hello.localhost", "/sleep?ms=3600000");
    let mut client = Client::http1(gateway.http).await;
    let response = client.start(get("hello.localhost", "/sse?n=2&ms=3600000")).await.unwrap();
    gateway.app_until("hello", "both at work", |app| app["endpoints"][0]["inFlight"] == 2).await;
    waiting.abort();
    drop((response, client));
    let line = async |path: &str| {
        until(path, async || {
            let output = gateway.output();
            let mut lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.find(|line| line["path"].as_str().is_some_and(|logged| logged.starts_with(path)))
        })
        .await
    };
    let line_of = [line("/sleep").await, line("/sse").await];
    let told: Vec<_> = line_of.iter().map(|line| (&line["status"], &line["complete"])).collect();
    assert_eq!(told, [(&Value::Null, &false.into()), (&200.into(), &false.into())]);
    gateway.finish().await;
}

#[tokio::test]
async fn the_log_is_json_lines_when_asked_for() {
    let gateway = Setup::new(&[App::echo("hello")]).flag("--log-format", "json").start().await;
    assert_eq!(gateway.get("hello.localhost", "/hello").await.status, 200);
    let started = until("a replica has started", async || {
        let output = gateway.output();
        let mut lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.find(|line| line["fields"]["message"] == "replica started")
    });
    let started = started.await;
    assert_eq!((&started["level"], &started["fields"]["app"]), (&"INFO".into(), &"default/hello".into()), "{started}");
    gateway.finish().await;
}

#[tokio::test]
async fn the_access_log_is_off_by_default() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    gateway.send(get("hello.localhost", "/never-logged")).await;
    gateway.quiet().await;
    assert!(!gateway.output().contains("never-logged"));
    gateway.finish().await;
}
