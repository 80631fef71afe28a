//! SIGTERM: in good order, bounded, and at once when told twice.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use rustix::process::Signal;
use tokio::net::TcpStream;

use crate::client::{Client, fed, feed, get, next, post, whole};
use crate::document::{App, ZEROGATE};
use crate::gateway::{Gateway, Setup};
use crate::raw::Raw;
use crate::streaming::websocket;
use crate::wait::{soon, until};

async fn readiness(gateway: &Gateway) -> Option<u16> {
    Some(gateway.admin_get("/readyz").await?.status.as_u16())
}

#[tokio::test]
async fn it_goes_on_for_the_lame_duck_time_but_is_not_ready() {
    let mut gateway = Setup::new(&[App::echo("hello")]).flag("--lame-duck", "2s").start().await;
    assert_eq!(gateway.get("hello.localhost", "/hello").await.status, 200);
    gateway.signal(Signal::TERM);
    until("not ready", async || (readiness(&gateway).await? == 503).then_some(())).await;
    // New connections too.
    assert_eq!(gateway.get("hello.localhost", "/hello").await.status, 200);
    assert_eq!(gateway.ended().await.code(), Some(0));
    gateway.nothing_is_left().await;
}

#[tokio::test]
async fn requests_in_flight_finish_and_processes_stop() {
    let apps = [App::echo("hello"), App::echo("two").and_target("protocol: h2c")];
    let mut gateway = Gateway::start(&apps).await;
    let mut open = Vec::new();
    for host in ["hello.localhost", "two.localhost"] {
        for mut client in Client::both(gateway.http).await {
            let mut response = soon("a header", client.start(get(host, "/sse?n=2&ms=1500"))).await.unwrap();
            assert!(next(&mut response).await.contains("event 0"));
            open.push((client, response));
        }
    }
    gateway.signal(Signal::TERM);
    for (_client, response) in open {
        let rest = whole(response).await.expect("a whole body");
        assert_eq!(rest.body, "id: 1\ndata: event 1\n\n");
    }
    assert_eq!(gateway.ended().await.code(), Some(0));
    gateway.nothing_is_left().await;
}

#[tokio::test]
async fn held_requests_are_answered_when_their_app_wakes_in_time() {
    let script = format!("until [ -e go ]; do sleep 0.02; done; exec {ZEROGATE} echo");
    let mut gateway = Gateway::start(&[App::command("hello", &["sh", "-c", &script])]).await;
    let held = gateway.spawn_get("hello.localhost", "/hello");
    gateway.held("hello", 1).await;
    gateway.signal(Signal::TERM);
    until("not ready", async || (readiness(&gateway).await? == 503).then_some(())).await;
    std::fs::write(gateway.folder().join("go"), "").unwrap();
    assert_eq!(soon("an answer", held).await.unwrap().status, 200);
    assert_eq!(gateway.ended().await.code(), Some(0));
    gateway.nothing_is_left().await;
}

#[tokio::test]
async fn held_requests_are_told_at_the_deadline() {
    let setup = Setup::new(&[App::echo_with("slow", "--never-listen")]).flag("--drain-timeout", "500ms");
    let mut gateway = setup.start().await;
    let held = [gateway.spawn_get("slow.localhost", "/"), gateway.spawn_get("slow.localhost", "/")];
    gateway.held("slow", 2).await;
    gateway.signal(Signal::TERM);
    for task in held {
        let reply = task.await.unwrap();
        assert_eq!(reply.problem(503)["cause"], "stopping");
        reply.retry_after();
    }
    assert_eq!(gateway.ended().await.code(), Some(0));
    gateway.nothing_is_left().await;
}

#[tokio::test]
async fn what_does_not_end_is_cut_at_the_deadline() {
    let setup = Setup::new(&[App::echo("hello")]).flag("--drain-timeout", "500ms");
    let mut gateway = setup.start().await;
    let mut socket = websocket(&gateway, "hello.localhost").await;
    let mut client = Client::http1(gateway.http).await;
    let endless = tokio::spawn(async move { client.try_send(get("hello.localhost", "/sleep?ms=3600000")).await.ok() });
    gateway.in_flight("hello", 2).await;
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.ended().await.code(), Some(0));
    while let Some(Ok(_)) = soon("the end of the WebSocket", socket.next()).await {}
    // Cut or told, but not left waiting.
    let answer = soon("its end", endless).await.unwrap();
    assert!(answer.is_none_or(|reply| reply.status.is_server_error()));
    gateway.nothing_is_left().await;
}

#[tokio::test]
async fn idle_connections_do_not_delay_the_end() {
    let mut gateway = Setup::new(&[App::echo("hello")]).flag("--drain-timeout", "3600s").start().await;
    let mut idle = Vec::new();
    for mut client in Client::both(gateway.http).await {
        assert_eq!(client.send(get("hello.localhost", "/hello")).await.status, 200);
        idle.push(client);
    }
    let silent = Raw::connect(gateway.http).await;
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.ended().await.code(), Some(0));
    drop((idle, silent));
    gateway.nothing_is_left().await;
}

#[tokio::test]
async fn who_connects_while_others_finish_and_is_silent_does_not_delay_the_end() {
    let setup = Setup::new(&[App::echo("hello")]).flag("--drain-timeout", "3600s").flag("--header-timeout", "3600s");
    let mut gateway = setup.start().await;
    let mut client = Client::http1(gateway.http).await;
    let (feeder, body) = fed();
    feed(&feeder, "first").await;
    let mut response = soon("a header", client.start(post("hello.localhost", "/stream", body))).await.unwrap();
    assert_eq!(next(&mut response).await, "first");
    gateway.signal(Signal::TERM);
    let mut silent = Vec::new();
    until("the drain has begun", async || {
        silent.push(Raw::connect(gateway.http).await);
        let mut raw = Raw::connect(gateway.http).await;
        raw.send("GET /hello HTTP/1.1\r\nHost: hello.localhost\r\n\r\n").await.unwrap();
        raw.until("\r\n\r\n").await.contains("connection: close").then_some(())
    })
    .await;
    // Silent, or with its request half sent.
    let mut half = Raw::connect(gateway.http).await;
    half.send("G").await.unwrap();
    silent.extend([half, Raw::connect(gateway.http).await]);
    drop(feeder);
    assert!(whole(response).await.is_ok());
    assert_eq!(gateway.ended().await.code(), Some(0));
    drop(silent);
    gateway.nothing_is_left().await;
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let setup = Setup::new(&[App::echo("hello")]).flag("--drain-timeout", "3600s").flag("--lame-duck", "3600s");
    let mut gateway = setup.start().await;
    let mut client = Client::http1(gateway.http).await;
    let mut response = soon("a header", client.start(get("hello.localhost", "/sse?n=2&ms=3600000"))).await.unwrap();
    next(&mut response).await;
    gateway.signal(Signal::TERM);
    until("not ready", async || (readiness(&gateway).await? == 503).then_some(())).await;
    gateway.signal(Signal::TERM);
    gateway.ended().await;
    assert!(whole(response).await.is_err());
    until("all processes are gone", async || gateway.children().is_empty().then_some(())).await;
}

#[tokio::test]
async fn who_comes_while_others_finish_is_answered_and_told_to_close() {
    let mut gateway = Setup::new(&[App::echo("hello")]).flag("--lame-duck", "0s").start().await;
    let mut client = Client::http1(gateway.http).await;
    let (feeder, body) = fed();
    feed(&feeder, "first").await;
    let mut response = soon("a header", client.start(post("hello.localhost", "/stream", body))).await.unwrap();
    assert_eq!(next(&mut response).await, "first");
    gateway.signal(Signal::TERM);
    // Not ready comes a moment before the drain: the first who come may still be kept.
    until("who comes is told to close", async || {
        let mut raw = Raw::connect(gateway.http).await;
        raw.send("GET /hello HTTP/1.1\r\nHost: hello.localhost\r\n\r\n").await.unwrap();
        let head = raw.until("\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        head.contains("connection: close").then_some(())
    })
    .await;
    // Only now do the others finish.
    feed(&feeder, "last").await;
    drop(feeder);
    assert_eq!(whole(response).await.unwrap().body, "last");
    assert_eq!(gateway.ended().await.code(), Some(0));
    gateway.nothing_is_left().await;
}

#[tokio::test]
async fn an_answer_that_its_client_takes_slowly_is_not_cut_off() {
    let mut gateway = Setup::new(&[App::echo("hello")]).flag("--lame-duck", "0s").start().await;
    let stream = TcpStream::connect(gateway.http).await.unwrap();
    let handshake = h2::client::Builder::new().initial_window_size(16_384).handshake::<_, Bytes>(stream);
    let (mut client, connection) = handshake.await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get("http://hello.localhost/bytes?n=30000").body(()).unwrap();
    let response = soon("a header", client.send_request(request, true).unwrap().0).await.unwrap();
    drop(client);
    // All of it has left the app, but the client has room for half of it.
    gateway.in_flight("hello", 0).await;
    gateway.signal(Signal::TERM);
    until("the gateway says so", async || gateway.output().contains("stopping").then_some(())).await;
    until("its app may stop", async || (readiness(&gateway).await? == 503).then_some(())).await;
    let mut body = response.into_body();
    let mut received = 0;
    while let Some(data) = soon("data", body.data()).await {
        let data = data.unwrap();
        received += data.len();
        // The client's way, not a wait for something: without it the rest would come before the gateway could end.
        tokio::time::sleep(Duration::from_millis(200)).await;
        body.flow_control().release_capacity(data.len()).unwrap();
    }
    assert_eq!(received, 30_000);
    drop(body);
    assert_eq!(gateway.ended().await.code(), Some(0));
    let _ = connection.await;
}
