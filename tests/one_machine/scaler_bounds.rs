//! Clients of the scaler's address that ask for too much.

use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tonic::Code;

use crate::document::App;
use crate::gateway::Setup;
use crate::keda::object;
use crate::wait::{soon, until};

#[tokio::test]
async fn a_thousand_streams_are_refused_beyond_a_bound_and_harm_nobody() {
    let gateway = Setup::new(&[App::echo("hello"), App::echo("two")]).scaler().start().await;
    let hostile = gateway.keda().await;
    let mut open = Vec::new();
    let mut refused = 0;
    for _ in 0..1_000 {
        match hostile.listen(object("hello", &[])).await {
            Ok(stream) => open.push(stream),
            Err(status) => {
                assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
                refused += 1;
            }
        }
    }
    assert_eq!((open.len(), refused), (32, 968));
    let keda = gateway.keda().await;
    assert!(keda.is_active(object("hello", &[])).await.is_ok(), "calls are not streams");
    let _other = keda.listen(object("two", &[])).await.expect("another app's are its own");
    drop(open);
    until("there is room again", async || keda.listen(object("hello", &[])).await.ok()).await;
    gateway.finish().await;
}

#[tokio::test]
async fn calls_whose_message_never_comes_are_bounded() {
    let gateway = Setup::new(&[App::echo("hello")]).scaler().start().await;
    let socket = TcpStream::connect(gateway.scaler).await.unwrap();
    let (client, connection) = h2::client::handshake(socket).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut open = Vec::new();
    for _ in 0..700 {
        let mut client = soon("room for a stream", client.clone().ready()).await.unwrap();
        let request = http::Request::post("http://zerogate/externalscaler.ExternalScaler/IsActive");
        let request = request.header("content-type", "application/grpc").header("te", "trailers").body(()).unwrap();
        let (response, body): (_, h2::SendStream<Bytes>) = client.send_request(request, false).unwrap();
        open.push((response, body));
    }
    // Others' calls are answered meanwhile.
    let keda = gateway.keda().await;
    assert!(keda.is_active(object("hello", &[])).await.is_ok());
    let (responses, bodies): (Vec<_>, Vec<_>) = open.into_iter().unzip();
    let answers = soon("answers", futures_util::future::join_all(responses)).await;
    let codes: Vec<_> =
        answers.iter().map(|answer| answer.as_ref().unwrap().headers()["grpc-status"].clone()).collect();
    let count = |code: &str| codes.iter().filter(|other| *other == code).count();
    assert_eq!((count("8"), count("4")), (188, 512), "RESOURCE_EXHAUSTED at once, DEADLINE_EXCEEDED after ten seconds");
    assert!(keda.is_active(object("hello", &[])).await.is_ok());
    drop(bodies);
    connection.abort();
    gateway.finish().await;
}

#[tokio::test]
async fn too_many_connections_are_closed() {
    let gateway = Setup::new(&[App::echo("hello")]).scaler().start().await;
    let keda = gateway.keda().await;
    assert!(keda.is_active(object("hello", &[])).await.is_ok());
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(gateway.scaler).await.unwrap());
    }
    let mut closed = 0;
    for socket in &mut silent {
        let mut byte = [0];
        // Those that are over the bound are closed at once; those within may be silent for ten seconds.
        let read = tokio::io::AsyncReadExt::read(socket, &mut byte);
        closed +=
            usize::from(matches!(tokio::time::timeout(Duration::from_millis(200), read).await, Ok(Ok(0) | Err(_))));
    }
    assert!((137..200).contains(&closed), "{closed}");
    assert!(keda.is_active(object("hello", &[])).await.is_ok());
    drop(silent);
    until("there is room again", async || {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", gateway.scaler)).unwrap();
        let keda = crate::keda::Keda { channel: endpoint.connect().await.ok()? };
        keda.is_active(object("hello", &[])).await.ok()
    })
    .await;
    gateway.finish().await;
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused() {
    let gateway = Setup::new(&[App::echo("hello")]).scaler().start().await;
    let keda = gateway.keda().await;
    let large = "x".repeat(100_000);
    let status = keda.is_active(object("hello", &[("note", &large)])).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    assert!(keda.is_active(object("hello", &[])).await.is_ok());
    gateway.finish().await;
}
