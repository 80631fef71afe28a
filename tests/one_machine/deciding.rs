//! How many replicas there are, and why.

use crate::document::App;
use crate::gateway::Gateway;

#[tokio::test]
async fn load_scales_out_and_silence_puts_to_sleep() {
    let scaling =
        "scaling: {target: 1, utilization: 100, maxReplicas: 3, stableWindow: 2s, panicWindow: 1s, idleTimeout: 1s}";
    let gateway = Gateway::start(&[App::echo("hello").spec(scaling)]).await;
    assert_eq!(gateway.app("hello").await["state"], "asleep");
    // More than three replicas are meant for.
    let load: Vec<_> = (0..5).map(|_| gateway.spawn_get("hello.localhost", "/sse?n=2&ms=3600000")).collect();
    let app = gateway.ready("hello", 3).await;
    assert_eq!(app["replicas"]["wanted"], 3, "{app}");
    load.iter().for_each(|task| task.abort());
    let app = gateway.state("hello", "asleep").await;
    assert_eq!(app["replicas"], serde_json::json!({"wanted": 0, "starting": 0, "ready": 0}));
    let decisions = app["decisions"].as_array().unwrap();
    assert!(decisions.iter().any(|decision| decision["replicas"] == 3), "{app}");
    assert_eq!(decisions.last().unwrap()["replicas"], 0, "{app}");
    for decision in decisions {
        assert!(decision["reason"].as_str().unwrap().contains(' '), "no words: {decision}");
    }
    // And all over again.
    assert_eq!(gateway.get("hello.localhost", "/hello").await.status, 200);
    gateway.finish().await;
}

#[tokio::test]
async fn the_first_decision_is_made_from_what_is_held() {
    let app = App::echo_with("hello", "--never-listen").spec("scaling: {target: 1, utilization: 100, maxReplicas: 4}");
    let gateway = Gateway::start(&[app]).await;
    let held: Vec<_> = (0..4).map(|_| gateway.spawn_get("hello.localhost", "/")).collect();
    let app = gateway.app_until("hello", "a decision", |app| app["decisions"][0].is_object()).await;
    // However many of the four had come by then, at least the first.
    let wanted = app["decisions"][0]["replicas"].as_u64().unwrap();
    assert!((1..=4).contains(&wanted), "{app}");
    let reason = format!("wake: {wanted} held, target 1 each, wants {wanted}");
    assert_eq!(app["decisions"][0]["reason"], reason);
    held.iter().for_each(|task| task.abort());
    gateway.finish().await;
}

#[tokio::test]
async fn minimum_and_activation_replicas_are_kept() {
    let apps = [
        App::echo("always").spec("scaling: {minReplicas: 2, idleTimeout: 1s}"),
        App::echo("pair").spec("scaling: {activationReplicas: 2, maxReplicas: 4}"),
        App::echo("idle").spec("scaling: {idleTimeout: 1s}"),
    ];
    let gateway = Gateway::start(&apps).await;
    gateway.ready("always", 2).await;
    assert_eq!(gateway.get("pair.localhost", "/hello").await.status, 200);
    gateway.ready("pair", 2).await;
    // By the time another one fell asleep the minimum would have gone too.
    assert_eq!(gateway.get("idle.localhost", "/hello").await.status, 200);
    gateway.state("idle", "asleep").await;
    assert_eq!(gateway.app("always").await["replicas"]["ready"], 2);
    gateway.finish().await;
}

#[tokio::test]
async fn the_request_rate_can_steer() {
    let scaling = "scaling: {metric: requestRate, target: 5, utilization: 100, maxReplicas: 3, stableWindow: 2s, \
                   panicWindow: 1s, idleTimeout: 1s}";
    let gateway = Gateway::start(&[App::echo("hello").spec(scaling)]).await;
    // Never more than one in flight: by concurrency one replica would do.
    let load = async {
        let mut client = crate::client::Client::http1(gateway.http).await;
        loop {
            assert_eq!(client.send(crate::client::get("hello.localhost", "/hello")).await.status, 200);
        }
    };
    tokio::select! {
        () = load => {}
        _ = gateway.ready("hello", 3) => {}
    }
    gateway.state("hello", "asleep").await;
    gateway.finish().await;
}
