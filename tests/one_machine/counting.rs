//! Every request is counted until it ends, whatever its end is.

use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Client, fed, feed, get, next, post};
use crate::document::App;
use crate::gateway::Gateway;
use crate::raw::Raw;
use crate::streaming::websocket;
use crate::wait::soon;

#[tokio::test]
async fn after_any_mixture_of_ends_every_count_is_0_again() {
    let apps = [
        App::echo("hello").spec("scaling: {maxReplicas: 2, target: 4}"),
        App::echo("two").and_target("protocol: h2c"),
        App::command("broken", &["zerogate", "echo", "--exit-code", "1"]),
        App::command("garbage", &["zerogate", "echo", "--garbage"]),
    ];
    let gateway = Gateway::start(&apps).await;
    let http = gateway.http;
    for host in ["hello.localhost", "two.localhost"] {
        assert_eq!(gateway.get(host, "/hello").await.status, 200);
    }
    let mut mixture = Vec::new();
    for round in 0..40 {
        let host = if round % 2 == 0 { "hello.localhost" } else { "two.localhost" };
        mixture.push(tokio::spawn(async move {
            for mut client in Client::both(http).await {
                match round % 10 {
                    // Answers of every kind.
                    0 | 1 => drop(client.try_send(get(host, "/status/500")).await),
                    2 | 3 => drop(client.try_send(get(host, "/close?after=1000")).await),
                    4 => drop(client.try_send(get("broken.localhost", "/")).await),
                    5 => drop(client.try_send(get("garbage.localhost", "/")).await),
                    // Gone while the app works, while it sends, while the client sends.
                    6 => drop(tokio::time::timeout(MOMENT, client.start(get(host, "/sleep?ms=60000"))).await),
                    7 => drop(client.start(get(host, "/bytes?n=10000000000")).await),
                    8 => {
                        let (feeder, body) = fed();
                        feed(&feeder, "a").await;
                        let mut response = soon("a header", client.start(post(host, "/stream", body))).await.unwrap();
                        next(&mut response).await;
                        if client_breaks(round) {
                            let _ = feeder.send(Err(std::io::Error::other("broken off"))).await;
                        }
                    }
                    _ => drop(client.try_send(get("nobody.localhost", "/")).await),
                }
            }
        }));
    }
    let mut sockets = Vec::new();
    for _ in 0..4 {
        let mut socket = websocket(&gateway, "hello.localhost").await;
        socket.send(Message::text("x")).await.unwrap();
        sockets.push(socket);
    }
    // One closes, one is just gone, one dies with its app, one is cut when everything ends.
    sockets.pop().unwrap().close(None).await.unwrap();
    drop(sockets.pop());
    for task in mixture {
        soon("each ends", task).await.unwrap();
    }
    gateway.in_flight("hello", 2).await;
    let _ = Client::http1(http).await.try_send(get("hello.localhost", "/die")).await;
    drop(sockets);
    gateway.quiet().await;
    for name in ["hello", "two"] {
        let app = gateway.app(name).await;
        for endpoint in app["endpoints"].as_array().unwrap() {
            assert_eq!(endpoint["inFlight"], 0, "{app}");
        }
        let app = format!("default/{name}");
        assert_eq!(gateway.metric("zerogate_requests_in_flight", &[("app", &app)]).await, 0.0);
    }
    assert!(gateway.metric("zerogate_requests_total", &[("app", "default/hello"), ("code", "5xx")]).await >= 8.0);
    gateway.finish().await;
}

const MOMENT: std::time::Duration = std::time::Duration::from_millis(100);

fn client_breaks(round: u32) -> bool {
    round.is_multiple_of(20)
}

#[tokio::test]
async fn a_request_is_in_flight_until_its_last_byte_is_sent() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    let mut raw = Raw::connect(gateway.http).await;
    raw.send("GET /sse?n=2&ms=3600000 HTTP/1.1\r\nHost: hello.localhost\r\n\r\n").await.unwrap();
    raw.until("event 0").await;
    let app = gateway.in_flight("hello", 1).await;
    assert_eq!((&app["held"], &app["endpoints"][0]["inFlight"]), (&0.into(), &1.into()), "{app}");
    assert_eq!(gateway.metric("zerogate_requests_in_flight", &[("app", "default/hello")]).await, 1.0);
    drop(raw);
    gateway.finish().await;
}
