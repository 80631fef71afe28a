//! The files in examples/ work as they stand.

use std::path::{Path, PathBuf};
use std::process::Command;

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Client, full, get, grpc, next, post};
use crate::document::ZEROGATE;
use crate::gateway::{Gateway, Setup};
use crate::streaming::websocket;
use crate::wait::soon;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

async fn start(name: &str) -> Gateway {
    Setup::with_yaml(std::fs::read_to_string(folder().join(name)).unwrap()).start().await
}

#[test]
fn all_pass_check() {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        let output = Command::new(ZEROGATE).arg("check").arg(&file).output().unwrap();
        assert!(output.status.success(), "{file:?}: {output:?}");
    }
}

#[tokio::test]
async fn quickstart() {
    let gateway = start("quickstart.yaml").await;
    assert_eq!(gateway.app("hello").await["state"], "asleep");
    let hello = gateway.get("hello.localhost", "/").await;
    assert_eq!((hello.status.as_u16(), &hello.json()["method"]), (200, &"GET".into()));
    let slow = gateway.get("slow.localhost", "/").await;
    assert_eq!(slow.status, 200);
    assert!(slow.header("server-timing").contains("wake;dur="), "{slow:?}");
    gateway.finish().await;
}

#[tokio::test]
async fn python() {
    let gateway = start("python.yaml").await;
    let listing = gateway.get("files.localhost", "/").await;
    assert_eq!(listing.status, 200);
    assert!(String::from_utf8_lossy(&listing.body).contains("apps.yaml"), "{listing:?}");
    gateway.finish().await;
}

#[tokio::test]
async fn streaming() {
    let gateway = start("streaming.yaml").await;
    let mut client = Client::http1(gateway.http).await;
    let mut events = soon("a header", client.start(get("events.localhost", "/sse?n=5&ms=1000"))).await.unwrap();
    assert!(next(&mut events).await.contains("event 0"));
    let reply = gateway.send(post("events.localhost", "/stream", full("typed"))).await;
    assert_eq!(reply.body, "typed");
    let mut socket = websocket(&gateway, "events.localhost").await;
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(soon("an echo", socket.next()).await.unwrap().unwrap(), Message::text("hello"));
    drop((events, client, socket));
    gateway.finish().await;
}

#[tokio::test]
async fn slow_start() {
    let gateway = start("slow-start.yaml").await;
    assert_eq!(gateway.get("jvm.localhost", "/").await.status, 200);
    gateway.finish().await;
}

#[tokio::test]
async fn grpc_app() {
    let gateway = start("grpc.yaml").await;
    let mut client = Client::http2(gateway.http).await;
    let said = client.send(grpc("grpc.localhost", "/echo.Echo/Say", b"hi")).await;
    assert_eq!((said.body.as_ref(), said.grpc_status()), (&b"\0\0\0\0\x02hi"[..], "0"));
    let health = client.send(grpc("grpc.localhost", "/grpc.health.v1.Health/Check", b"")).await;
    assert_eq!(health.body.as_ref(), [0, 0, 0, 0, 2, 8, 1]);
    gateway.finish().await;
}

#[tokio::test]
async fn limits() {
    let gateway = start("limits.yaml").await;
    let six: Vec<_> = (0..6).map(|_| gateway.spawn_get("two.localhost", "/sleep?ms=1000")).collect();
    for task in six {
        assert_eq!(task.await.unwrap().status, 200);
    }
    let mut refused = 0;
    for _ in 0..200 {
        let mut request = get("two.localhost", "/hello");
        request.headers_mut().insert("x-api-key", "me".parse().unwrap());
        refused += u32::from(gateway.send(request).await.status == 429);
    }
    assert!(refused > 0);
    gateway.finish().await;
}
