//! Connections that do nothing, and clients that have too many.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::client::{Client, get};
use crate::document::App;
use crate::gateway::{Gateway, Setup};
use crate::wait::{soon, until};

#[tokio::test]
async fn a_client_that_only_says_that_it_is_there_is_let_go() {
    let gateway = Setup::new(&[App::echo("hello")]).flag("--idle-timeout", "500ms").start().await;
    // One that never asks, and one that has asked. h2's client answers each PING.
    for asks in [false, true] {
        let stream = TcpStream::connect(gateway.http).await.unwrap();
        let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        if asks {
            let request = Request::get("http://hello.localhost/hello").body(()).unwrap();
            let (answer, _) = client.send_request(request, true).unwrap();
            let mut body = soon("an answer", answer).await.unwrap().into_body();
            while let Some(piece) = soon("its body", body.data()).await {
                piece.unwrap();
            }
        }
        soon("the end", connection).await.unwrap().unwrap();
        drop(client);
    }
    // A request may take longer than nothing at all.
    let mut client = Client::http2(gateway.http).await;
    assert_eq!(client.send(get("hello.localhost", "/sleep?ms=2000")).await.status, 200);
    gateway.finish().await;
}

/// A connection from this address of the machine, after these bytes were sent on it; none if the gateway closes it.
async fn connect(gateway: &Gateway, from: [u8; 4], first: &str) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((IpAddr::V4(Ipv4Addr::from(from)), 0))).unwrap();
    let mut stream = socket.connect(gateway.http).await.unwrap();
    let request = format!("{first}GET /hello HTTP/1.1\r\nHost: hello.localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = [0; 12];
    soon("an answer or the end", stream.read_exact(&mut answer)).await.ok()?;
    assert_eq!(&answer, b"HTTP/1.1 200");
    Some(stream)
}

#[tokio::test]
async fn one_address_has_a_share_of_all_connections() {
    let setup = Setup::new(&[App::echo("hello")]).flag("--max-connections-per-address", "3");
    let gateway = setup.flag("--trusted-proxies", "127.0.0.3").start().await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(connect(&gateway, [127, 0, 0, 1], "").await.expect("a connection"));
    }
    assert!(connect(&gateway, [127, 0, 0, 1], "").await.is_none(), "one too many");
    assert!(connect(&gateway, [127, 0, 0, 2], "").await.is_some(), "another's");
    for _ in 0..5 {
        // A proxy's are many clients'.
        open.push(connect(&gateway, [127, 0, 0, 3], "").await.expect("a connection"));
    }
    let refused = gateway.metric("zerogate_refused_total", &[("cause", "too_many_connections_of_address")]).await;
    assert_eq!(refused, 1.0);
    drop(open.remove(0));
    until("there is room again", async || connect(&gateway, [127, 0, 0, 1], "").await).await;
    drop(open);
    gateway.finish().await;
}

#[tokio::test]
async fn behind_a_balancer_each_client_has_its_share() {
    let setup = Setup::new(&[App::echo("hello")]).flag("--max-connections-per-address", "2");
    let gateway = setup.flag("--trusted-proxies", "").flag("--proxy-protocol", "127.0.0.1").start().await;
    let header = |client: u8| format!("PROXY TCP4 192.0.2.{client} 192.0.2.9 4000 80\r\n");
    let mut open = Vec::new();
    for client in [1, 1, 2, 2, 3] {
        open.push(connect(&gateway, [127, 0, 0, 1], &header(client)).await.expect("a connection"));
    }
    for client in [1, 2] {
        assert!(connect(&gateway, [127, 0, 0, 1], &header(client)).await.is_none(), "one too many");
    }
    for _ in 0..4 {
        open.push(connect(&gateway, [127, 0, 0, 1], "PROXY UNKNOWN\r\n").await.expect("the balancer's own"));
    }
    drop(open);
    tokio::time::timeout(Duration::from_secs(60), gateway.finish()).await.unwrap();
}
