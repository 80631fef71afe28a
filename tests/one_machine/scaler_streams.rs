//! KEDA listens: the edge, repeats, slow readers, the end.

use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use rustix::process::Signal;
use tokio::net::TcpStream;
use tonic::Code;

use crate::document::App;
use crate::gateway::{Gateway, Setup};
use crate::keda::{IsActiveResponse, end, next, object};
use crate::wait::{soon, until};

async fn start(apps: &[App]) -> Gateway {
    Setup::new(apps).scaler().start().await
}

#[tokio::test]
async fn the_edge_is_told_once() {
    let gateway = start(&[App::echo("hello"), App::echo("quiet")]).await;
    let keda = gateway.keda().await;
    let mut stream = keda.listen(object("hello", &[])).await.unwrap();
    let mut quiet = keda.listen(object("quiet", &[])).await.unwrap();
    for _ in 0..5 {
        assert_eq!(gateway.get("hello.localhost", "/hello").await.status, 200);
    }
    assert!(next(&mut stream).await.result);
    // A repeat comes after most of a minute, and of the other there is nothing to tell.
    assert!(tokio::time::timeout(Duration::from_secs(3), stream.message()).await.is_err());
    assert!(tokio::time::timeout(Duration::from_millis(1), quiet.message()).await.is_err());
    gateway.finish().await;
}

#[tokio::test]
async fn one_who_begins_to_listen_while_it_is_active_is_told() {
    let gateway = start(&[App::echo("hello")]).await;
    assert_eq!(gateway.get("hello.localhost", "/hello").await.status, 200);
    let keda = gateway.keda().await;
    for _ in 0..2 {
        let mut stream = keda.listen(object("hello", &[])).await.unwrap();
        assert!(next(&mut stream).await.result);
    }
    gateway.finish().await;
}

#[tokio::test]
async fn streams_end_with_ok_when_the_gateway_stops() {
    let mut gateway = Setup::new(&[App::echo("hello")]).scaler().flag("--lame-duck", "1s").start().await;
    let keda = gateway.keda().await;
    let mut activity = keda.listen(object("hello", &[])).await.unwrap();
    let mut specs = keda.specs(object("hello", &[])).await.unwrap();
    next(&mut specs).await;
    gateway.signal(Signal::TERM);
    until("not ready", async || (gateway.admin_get("/readyz").await?.status == 503).then_some(())).await;
    // For the lame-duck time it goes on as before: nobody else knows better.
    let during = keda.is_active(object("hello", &[])).await;
    assert!(during.is_ok(), "{during:?}");
    assert_eq!((end(&mut activity).await, end(&mut specs).await), (Code::Ok, Code::Ok));
    assert_eq!(gateway.ended().await.code(), Some(0));
    let after = keda.is_active(object("hello", &[])).await.unwrap_err();
    assert_eq!(after.code(), Code::Unavailable);
    gateway.nothing_is_left().await;
}

#[tokio::test]
async fn streams_end_with_ok_at_once_though_requests_are_still_being_answered() {
    let mut gateway = Setup::new(&[App::echo("hello")]).scaler().start().await;
    let keda = gateway.keda().await;
    let mut activity = keda.listen(object("hello", &[])).await.unwrap();
    let slow = gateway.spawn_get("hello.localhost", "/sleep?ms=3000");
    gateway.in_flight("hello", 1).await;
    gateway.signal(Signal::TERM);
    assert_eq!(end(&mut activity).await, Code::Ok);
    assert!(!slow.is_finished());
    assert_eq!(soon("an answer", slow).await.unwrap().status, 200);
    assert_eq!(gateway.ended().await.code(), Some(0));
    gateway.nothing_is_left().await;
}

#[tokio::test]
async fn who_takes_nothing_gets_the_latest_and_holds_up_nobody() {
    let gateway = start(&[App::echo("hello"), App::echo("two")]).await;
    let socket = TcpStream::connect(gateway.scaler).await.unwrap();
    // There is no room for as much as one message, until there is.
    let handshake = h2::client::Builder::new().initial_window_size(0).handshake::<_, Bytes>(socket);
    let (mut client, mut connection) = handshake.await.unwrap();
    let (room, given) = tokio::sync::oneshot::channel::<()>();
    let connection = tokio::spawn(async move {
        tokio::select! {
            ended = &mut connection => return ended,
            given = given => given.unwrap(),
        }
        connection.set_initial_window_size(65_535).unwrap();
        connection.await
    });
    let request = http::Request::post("http://zerogate/externalscaler.ExternalScaler/StreamIsActive");
    let request = request.header("content-type", "application/grpc").header("te", "trailers").body(()).unwrap();
    let (response, mut body) = client.send_request(request, false).unwrap();
    let message = object("hello", &[]).encode_to_vec();
    let frame = [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), &message].concat();
    body.send_data(frame.into(), true).unwrap();
    let response = soon("a header", response).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut data = response.into_body();

    assert_eq!(gateway.get("hello.localhost", "/hello").await.status, 200);
    let keda = gateway.keda().await;
    let mut other = keda.listen(object("hello", &[])).await.unwrap();
    assert!(next(&mut other).await.result);
    assert!(keda.is_active(object("two", &[])).await.is_ok());
    let nothing = tokio::time::timeout(Duration::from_secs(1), data.data()).await;
    assert!(nothing.is_err(), "{nothing:?}");
    room.send(()).unwrap();
    let one = [&[0, 0, 0, 0, 2][..], &IsActiveResponse { result: true }.encode_to_vec()].concat();
    assert_eq!(soon("a message", data.data()).await.unwrap().unwrap(), one);
    let more = tokio::time::timeout(Duration::from_secs(1), data.data()).await;
    assert!(more.is_err(), "{more:?}");
    connection.abort();
    gateway.finish().await;
}
