//! Apps that nobody uses go to sleep, and of several pods the one goes that has least to do; nothing in flight is lost.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::app::App;
use crate::client::{Client, get, next};
use crate::gateway::Gateway;
use crate::namespace::Namespace;
use crate::wait::{soon, until};

#[tokio::test]
async fn what_is_open_keeps_an_app_awake() {
    let namespace = Namespace::new("open").await;
    let [socket, events] = ["socket", "events"].map(|name| {
        App::echo(name, &[]).scaling(json!({"idleTimeout": "1s", "stableWindow": "2s", "panicWindow": "1s"}))
    });
    socket.create(&namespace).await;
    events.create(&namespace).await;
    let gateway = Gateway::of(&namespace).await;
    let mut websocket = gateway.websocket(&socket.host(&namespace)).await;
    let mut client = Client::http1(gateway.http).await;
    let mut stream = soon("a header", client.start(get(&events.host(&namespace), "/sse?n=1000&ms=500"))).await.unwrap();
    // Several times as long as it takes to fall asleep.
    for n in 0..10 {
        assert_eq!(next(&mut stream).await, format!("id: {n}\ndata: event {n}\n\n"));
        websocket.send(Message::text("hello")).await.unwrap();
        assert_eq!(soon("an echo", websocket.next()).await.unwrap().unwrap(), Message::text("hello"));
    }
    for name in ["socket", "events"] {
        assert_eq!(namespace.asked(name).await, (1, 2), "{name} is awake");
    }
    websocket.close(None).await.unwrap();
    drop((client, stream));
    for name in ["socket", "events"] {
        namespace.asks_for(name, 0).await;
    }
}

#[tokio::test]
async fn of_two_pods_the_idle_one_goes() {
    let namespace = Namespace::new("victim").await;
    let scaling = json!({
        "target": 1, "utilization": 100, "concurrencyLimit": 1, "maxReplicas": 2,
        "idleTimeout": "1s", "stableWindow": "4s", "panicWindow": "1s",
    });
    let app = App::echo("hello", &[]).scaling(scaling);
    app.create(&namespace).await;
    let gateway = Gateway::of(&namespace).await;
    let host = app.host(&namespace);
    let mut clients = [Client::http1(gateway.http).await, Client::http1(gateway.http).await];
    let path = "/sse?n=10000&ms=200";
    let mut first = soon("a header", clients[0].start(get(&host, path))).await.unwrap();
    next(&mut first).await;
    let older = namespace.pods("hello").await[0].metadata.name.clone().unwrap();
    let mut second = soon("a header", clients[1].start(get(&host, path))).await.unwrap();
    next(&mut second).await;
    let pods = namespace.pods("hello").await.into_iter().map(|pod| pod.metadata.name.unwrap());
    let younger = pods.into_iter().find(|name| *name != older).expect("a second pod");
    // By itself Kubernetes takes the younger one, which is the busy one.
    let [one, other] = clients;
    drop((first, one));
    namespace.asks_for("hello", 1).await;
    until("one pod is left", async || (namespace.pods("hello").await.len() == 1).then_some(())).await;
    assert_eq!(namespace.pods("hello").await[0].metadata.name.as_ref(), Some(&younger));
    for _ in 0..5 {
        next(&mut second).await;
    }
    drop((second, other));
    namespace.asks_for("hello", 0).await;
}

#[tokio::test]
async fn fewer_and_fewer_pods_lose_no_long_request() {
    let namespace = Namespace::new("fewer").await;
    let scaling = json!({
        "target": 2, "utilization": 100, "concurrencyLimit": 2, "maxReplicas": 6,
        "idleTimeout": "1s", "stableWindow": "1s", "panicWindow": "1s",
    });
    let app = App::echo("hello", &[]).scaling(scaling);
    app.create(&namespace).await;
    let gateway = Gateway::of(&namespace).await;
    let host = app.host(&namespace);
    let requests: Vec<_> = (1..=12).map(|n| gateway.spawn_get(&host, &format!("/sleep?ms={}", n * 1000))).collect();
    namespace.asks_for("hello", 6).await;
    let most = Duration::from_secs(60);
    for request in requests {
        let reply = tokio::time::timeout(most, request).await.expect("an answer in time").unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    namespace.asks_for("hello", 0).await;
    // One step to six and one to none would have been no test.
    let (_, written) = namespace.asked("hello").await;
    assert!(written >= 5, "it went in steps: {written} orders");
}
