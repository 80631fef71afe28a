//! Which endpoint a request goes to.

use std::collections::BTreeSet;

use http::Method;
use rustix::process::Signal;
use serde_json::Value;

use crate::client::{Client, Reply, empty, full, get, post, request};
use crate::document::{App, ZEROGATE};
use crate::gateway::Gateway;
use crate::processes::{is_alive, signal};
use crate::wait::until;

/// Sends as many requests at once as there are replicas with one slot each: the processes that answered.
async fn at_once(gateway: &Gateway, count: usize) -> BTreeSet<u64> {
    let requests: Vec<_> = (0..count).map(|_| gateway.spawn_get("hello.localhost", "/sleep?ms=150")).collect();
    let mut pids = BTreeSet::new();
    for request in requests {
        pids.insert(request.await.unwrap().json()["pid"].as_u64().unwrap());
    }
    pids
}

#[tokio::test]
async fn an_idle_endpoint_is_never_passed_over_when_each_has_one_slot() {
    let scaling = "scaling: {minReplicas: 4, maxReplicas: 4, concurrencyLimit: 1}";
    let gateway = Gateway::start(&[App::echo("hello").spec(scaling)]).await;
    gateway.ready("hello", 4).await;
    for _ in 0..8 {
        // One that is passed over leaves its request to wait for another: fewer than four answer.
        assert_eq!(at_once(&gateway, 4).await.len(), 4);
    }
    gateway.finish().await;
}

#[tokio::test]
async fn an_endpoint_is_never_given_more_than_its_limit() {
    let app = App::echo("hello").spec("scaling: {maxReplicas: 2, concurrencyLimit: 2, target: 2}");
    let gateway = Gateway::start(&[app]).await;
    let requests: Vec<_> = (0..20).map(|_| gateway.spawn_get("hello.localhost", "/sleep?ms=50")).collect();
    let finished = async { futures_util::future::join_all(requests).await };
    let mut finished = std::pin::pin!(finished);
    let replies = loop {
        tokio::select! {
            replies = &mut finished => break replies,
            app = gateway.app("hello") => for endpoint in app["endpoints"].as_array().unwrap() {
                assert!(endpoint["inFlight"].as_u64() <= Some(2), "{app}");
            },
        }
    };
    assert!(replies.into_iter().all(|reply| reply.unwrap().status == 200));
    gateway.finish().await;
}

#[tokio::test]
async fn a_request_that_could_not_be_sent_moves_on() {
    let scaling = "scaling: {minReplicas: 2, maxReplicas: 2}";
    let gateway = Gateway::start(&[App::echo("hello").spec(scaling)]).await;
    gateway.ready("hello", 2).await;
    let mut client = Client::http1(gateway.http).await;
    for _ in 0..3 {
        // Each time one of the two is killed, connections to it are in the pool, and the very next requests come at once.
        let victim = client.send(get("hello.localhost", "/")).await.json()["pid"].as_u64().unwrap();
        let victim = u32::try_from(victim).unwrap();
        signal(victim, Signal::KILL);
        until("it is dead", async || (!is_alive(victim)).then_some(())).await;
        for _ in 0..10 {
            let reply = client.send(get("hello.localhost", "/")).await;
            assert_eq!(reply.status, 200, "{reply:?}");
        }
        gateway
            .app_until("hello", "another has taken its place", |app| {
                replicas(app).len() == 2 && !replicas(app).contains(&victim.to_string())
            })
            .await;
    }
    gateway.finish().await;
}

#[tokio::test]
async fn the_last_endpoint_is_never_ejected() {
    let app = App::echo("hello").spec("scaling: {minReplicas: 1, maxReplicas: 1}").spec("timeouts: {connect: 100ms}");
    let gateway = Gateway::start(&[app]).await;
    gateway.ready("hello", 1).await;
    for _ in 0..3 {
        let broken = Client::http1(gateway.http).await.try_send(get("hello.localhost", "/close?after=10")).await;
        assert!(broken.is_err());
        assert_eq!(gateway.get("hello.localhost", "/hello").await.status, 200);
        assert_eq!(gateway.app("hello").await["replicas"]["ready"], 1);
    }
    gateway.finish().await;
}

#[tokio::test]
async fn nothing_is_sent_twice_once_a_body_byte_has_gone_out() {
    let scaling = "scaling: {minReplicas: 3, maxReplicas: 3}";
    let gateway = Gateway::start(&[App::echo("hello").spec(scaling)]).await;
    let before = replicas(&gateway.ready("hello", 3).await);
    let problem = gateway.send(post("hello.localhost", "/die", full("a body"))).await.problem(502);
    assert_eq!(problem["cause"], "connection_lost");
    let another = |app: &Value| replicas(app).len() == 3 && replicas(app) != before;
    let after = replicas(&gateway.app_until("hello", "another has taken its place", another).await);
    assert_eq!(before.intersection(&after).count(), 2, "one request, more than one death: {before:?} {after:?}");
    gateway.finish().await;
}

/// An app whose replica goes on as a process when its server is gone, so that it stays in rotation and refuses connections;
/// with `again` another server takes its place.
fn refusing(again: bool) -> App {
    let then = if again { "exec \"$ZEROGATE\" echo" } else { "exec sleep 3600" };
    let script = format!("\"$ZEROGATE\" echo; {then}");
    App::command("hello", &["sh", "-c", &script]).process(&format!("env: {{ZEROGATE: {ZEROGATE}}}"))
}

/// Ends the server that answered, and waits until nothing listens where it did.
async fn end_server(reply: &Reply) {
    let server = u32::try_from(reply.json()["pid"].as_u64().unwrap()).unwrap();
    signal(server, Signal::KILL);
    until("it is dead", async || (!is_alive(server)).then_some(())).await;
}

#[tokio::test]
async fn an_endpoint_that_refuses_connections_is_passed_over_and_stays() {
    let app = refusing(false).spec("scaling: {minReplicas: 2, maxReplicas: 2}");
    let gateway = Gateway::start(&[app]).await;
    gateway.ready("hello", 2).await;
    let first = gateway.get("hello.localhost", "/").await;
    end_server(&first).await;
    for _ in 0..20 {
        let reply = gateway.get("hello.localhost", "/").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_ne!(reply.json()["pid"], first.json()["pid"]);
    }
    let app = gateway.app("hello").await;
    let suspects: Vec<bool> =
        app["endpoints"].as_array().unwrap().iter().map(|e| e["suspect"].as_bool().unwrap()).collect();
    assert_eq!(suspects.len(), 2, "{app}");
    gateway.finish().await;
}

#[tokio::test]
async fn the_only_endpoint_is_tried_again_and_never_ejected() {
    let gateway = Gateway::start(&[refusing(false)]).await;
    let first = gateway.get("hello.localhost", "/").await;
    let before = replicas(&gateway.app("hello").await);
    end_server(&first).await;
    let reply = gateway.get("hello.localhost", "/").await;
    assert_eq!(reply.problem(502)["cause"], "cannot_connect");
    assert!(reply.retry_after() >= 1 && !String::from_utf8_lossy(&reply.body).contains("127.0.0.1"), "{reply:?}");
    let app = gateway.app("hello").await;
    assert_eq!(replicas(&app), before);
    assert_eq!(app["endpoints"][0]["suspect"], true, "{app}");
    gateway.finish().await;
}

#[tokio::test]
async fn a_server_that_is_back_in_time_is_reached_by_the_same_request() {
    let gateway = Gateway::start(&[refusing(true)]).await;
    let first = gateway.get("hello.localhost", "/").await;
    let before = replicas(&gateway.app("hello").await);
    end_server(&first).await;
    assert_eq!(gateway.get("hello.localhost", "/").await.status, 200);
    assert_eq!(replicas(&gateway.app("hello").await), before);
    gateway.finish().await;
}

#[tokio::test]
async fn a_cookie_leads_a_client_to_the_same_replica_while_it_lives_and_has_room() {
    let scaling = "scaling: {minReplicas: 3, maxReplicas: 3, concurrencyLimit: 2}";
    let gateway = Gateway::start(&[App::echo("hello").spec(scaling).spec("affinity: {by: cookie}")]).await;
    gateway.ready("hello", 3).await;
    for mut client in Client::both(gateway.http).await {
        let first = client.send(get("hello.localhost", "/")).await;
        let (cookie, attributes) = first.header("set-cookie").split_once(';').expect("a cookie");
        assert!(attributes.contains("HttpOnly") && attributes.contains("Path=/"), "{attributes}");
        let again = async |client: &mut Client, path: &str| {
            let request = request(Method::GET, "hello.localhost", path).header("cookie", format!("a=b; {cookie}"));
            client.send(request.body(empty()).unwrap()).await
        };
        for _ in 0..10 {
            let reply = again(&mut client, "/").await;
            assert_eq!((&reply.json()["pid"], reply.header("set-cookie")), (&first.json()["pid"], ""));
        }
        // It has no slot: another one serves, and the client stays with its own.
        let slow = [(); 2].map(|()| {
            let slow = request(Method::GET, "hello.localhost", "/sleep?ms=3600000").header("cookie", cookie);
            gateway.spawn(slow.body(empty()).unwrap())
        });
        let pid = first.json()["pid"].as_u64().unwrap();
        let name = pid.to_string();
        let is_busy =
            |app: &Value| app["endpoints"].as_array().unwrap().iter().any(|e| e["name"] == name && e["inFlight"] == 2);
        gateway.app_until("hello", "it is busy", is_busy).await;
        let reply = again(&mut client, "/").await;
        assert!(reply.json()["pid"] != pid && reply.header("set-cookie").is_empty(), "{reply:?}");
        slow.iter().for_each(|task| task.abort());
        // It is gone: the client is led to another from now on.
        signal(u32::try_from(pid).unwrap(), Signal::KILL);
        let gone = |app: &Value| replicas(app).len() == 3 && !replicas(app).contains(&name);
        gateway.app_until("hello", "another has taken its place", gone).await;
        let reply = again(&mut client, "/").await;
        assert!(!reply.header("set-cookie").is_empty() && !reply.header("set-cookie").starts_with(cookie), "{reply:?}");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_header_leads_clients_to_replicas_of_their_own() {
    let scaling = "scaling: {minReplicas: 3, maxReplicas: 3}";
    let affinity = "affinity: {by: header, header: X-Session}";
    let gateway = Gateway::start(&[App::echo("hello").spec(scaling).spec(affinity)]).await;
    gateway.ready("hello", 3).await;
    let mut led = BTreeSet::new();
    for mut client in Client::both(gateway.http).await {
        for session in 0..30 {
            let mut pids = BTreeSet::new();
            for _ in 0..3 {
                let request = request(Method::GET, "hello.localhost", "/").header("x-session", session);
                let reply = client.send(request.body(empty()).unwrap()).await;
                assert_eq!(reply.header("set-cookie"), "");
                pids.insert(reply.json()["pid"].as_u64().unwrap());
            }
            assert_eq!(pids.len(), 1, "session {session}");
            led.extend(pids);
        }
    }
    assert_eq!(led.len(), 3, "all of them serve");
    gateway.finish().await;
}

/// An app of two replicas, the first of which is `zerogate echo` with this flag.
fn one_of_two(flag: &str) -> App {
    let script = format!("mkdir first 2>/dev/null && exec \"$ZEROGATE\" echo {flag}; exec \"$ZEROGATE\" echo");
    App::command("hello", &["sh", "-c", &script])
        .process(&format!("env: {{ZEROGATE: {ZEROGATE}}}"))
        .spec("scaling: {minReplicas: 2, maxReplicas: 2}")
}

#[tokio::test]
async fn a_replica_that_fails_requests_is_left_for_longer_each_time() {
    for (flag, cause) in [("--hang", "answer_timeout"), ("--garbage", "bad_answer")] {
        let app = one_of_two(flag).spec("timeouts: {responseHeader: 300ms}");
        let gateway = Gateway::start(&[app]).await;
        gateway.ready("hello", 2).await;
        for mut client in Client::both(gateway.http).await {
            let mut failed = 0;
            for _ in 0..60 {
                let reply = client.send(get("hello.localhost", "/")).await;
                if reply.status != 200 {
                    assert_eq!(reply.json()["cause"], cause, "{reply:?}");
                    failed += 1;
                }
            }
            // Each time it is left for twice as long, 2 s at first.
            assert!(failed <= 4, "{flag}: {failed} of 60");
        }
        assert_eq!(replicas(&gateway.app("hello").await).len(), 2, "it stays");
        gateway.finish().await;
    }
}

#[tokio::test]
async fn a_replica_that_clients_give_up_on_is_left() {
    for http2 in [false, true] {
        let gateway = Gateway::start(&[one_of_two("--hang")]).await;
        gateway.ready("hello", 2).await;
        until("it is suspect", async || {
            let mut client = if http2 { Client::http2(gateway.http).await } else { Client::http1(gateway.http).await };
            let patience = std::time::Duration::from_millis(1200);
            let _ = tokio::time::timeout(patience, client.send(get("hello.localhost", "/"))).await;
            let app = gateway.app("hello").await;
            app["endpoints"].as_array().unwrap().iter().any(|one| one["suspect"] == true).then_some(())
        })
        .await;
        assert_eq!(gateway.get("hello.localhost", "/").await.status, 200, "others are preferred");
        gateway.finish().await;
    }
}

/// The processes that serve an app.
fn replicas(app: &Value) -> BTreeSet<String> {
    app["endpoints"].as_array().unwrap().iter().map(|e| e["name"].as_str().unwrap().to_owned()).collect()
}
