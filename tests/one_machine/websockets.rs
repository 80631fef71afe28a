//! WebSockets where one side or both speak HTTP/2 (RFC 8441): as with HTTP/1.1 they are held, counted until they end, and end with
//! either side.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{Method, Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper::ext::Protocol;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::net::{Shutdown, shutdown};
use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::client::whole;
use crate::document::App;
use crate::gateway::Gateway;
use crate::raw::Raw;
use crate::streaming::websocket;
use crate::wait::{soon, until};

/// An HTTP/2 connection that may carry WebSockets.
struct Http2 {
    sender: SendRequest<Empty<Bytes>>,
    connection: JoinHandle<()>,
    socket: OwnedFd,
}

impl Http2 {
    async fn connect(gateway: &Gateway) -> Self {
        let stream = TcpStream::connect(gateway.http).await.unwrap();
        let socket = stream.as_fd().try_clone_to_owned().unwrap();
        let io = TokioIo::new(stream);
        let (sender, mut connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        until("the gateway allows it", async || {
            let _ = futures_util::poll!(&mut connection);
            connection.is_extended_connect_protocol_enabled().then_some(())
        })
        .await;
        Self { sender, connection: tokio::spawn(async { drop(connection.await) }), socket }
    }

    /// Asks for a tunnel for this protocol.
    async fn ask(&mut self, host: &str, path: &str, protocol: &'static str) -> Response<Incoming> {
        let request = Request::builder().method(Method::CONNECT).uri(format!("http://{host}{path}"));
        let request = request.header("sec-websocket-version", "13").extension(Protocol::from_static(protocol));
        let answer = self.sender.send_request(request.body(Empty::new()).unwrap());
        soon("an answer", answer).await.unwrap()
    }

    async fn websocket(&mut self, host: &str) -> WebSocketStream<TokioIo<Upgraded>> {
        let response = self.ask(host, "/ws", "websocket").await;
        assert_eq!(response.status(), 200, "{response:?}");
        let upgraded = hyper::upgrade::on(response).await.unwrap();
        WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// Both kinds of apps.
fn apps() -> [App; 2] {
    [App::echo("hello"), App::echo("two").and_target("protocol: h2c")]
}

/// Has messages of all sizes come back.
async fn echoes<S>(socket: &mut S)
where
    S: SinkExt<Message, Error = Error> + StreamExt<Item = Result<Message, Error>> + Unpin,
{
    for message in [Message::text("one"), Message::binary(vec![7; 300_000]), Message::text("two")] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(soon("an echo", socket.next()).await.unwrap().unwrap(), message);
    }
}

#[tokio::test]
async fn it_passes_between_all_versions_and_counts_until_it_closes() {
    let gateway = Gateway::start(&apps()).await;
    for app in ["hello", "two"] {
        let host = format!("{app}.localhost");
        // Held at first: the app is asleep.
        let mut http2 = Http2::connect(&gateway).await;
        let mut socket = http2.websocket(&host).await;
        echoes(&mut socket).await;
        gateway.in_flight(app, 1).await;
        let mut beside = http2.websocket(&host).await;
        echoes(&mut beside).await;
        gateway.in_flight(app, 2).await;
        socket.close(None).await.unwrap();
        while let Some(Ok(_)) = soon("the end", socket.next()).await {}
        gateway.in_flight(app, 1).await;
        // One that just goes away.
        drop(beside);
        gateway.in_flight(app, 0).await;
        let mut socket = websocket(&gateway, &host).await;
        echoes(&mut socket).await;
        gateway.in_flight(app, 1).await;
        drop(socket);
        gateway.in_flight(app, 0).await;
        // A whole connection that goes away.
        let mut socket = http2.websocket(&host).await;
        echoes(&mut socket).await;
        gateway.in_flight(app, 1).await;
        shutdown(&http2.socket, Shutdown::Both).unwrap();
        gateway.in_flight(app, 0).await;
    }
    gateway.finish().await;
}

#[tokio::test]
async fn one_that_waits_for_its_app_is_held_and_forgotten_when_its_client_leaves() {
    let gateway = Gateway::start(&[App::echo_with("slow", "--never-listen")]).await;
    let mut http2 = Http2::connect(&gateway).await;
    let asking = async {
        http2.ask("slow.localhost", "/ws", "websocket").await;
    };
    tokio::select! {
        () = asking => panic!("answered"),
        _ = gateway.held("slow", 1) => {}
    }
    drop(http2);
    gateway.held("slow", 0).await;
    gateway.finish().await;
}

#[tokio::test]
async fn one_that_is_silent_is_cut() {
    let gateway = Gateway::start(&apps().map(|app| app.spec("timeouts: {idle: 1s}"))).await;
    for app in ["hello", "two"] {
        let host = format!("{app}.localhost");
        let mut http2 = Http2::connect(&gateway).await;
        let mut socket = http2.websocket(&host).await;
        assert!(!matches!(soon("the cut", socket.next()).await, Some(Ok(_))));
        gateway.in_flight(app, 0).await;
        let _socket = websocket(&gateway, &host).await;
        gateway.in_flight(app, 0).await;
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_drain_lets_it_end_in_order() {
    for app in ["hello", "two"] {
        let gateway = Gateway::start(&apps()).await;
        let host = format!("{app}.localhost");
        let mut http2 = Http2::connect(&gateway).await;
        let mut socket = http2.websocket(&host).await;
        gateway.in_flight(app, 1).await;
        gateway.signal(Signal::TERM);
        until("it is not ready", async || (gateway.admin_get("/readyz").await?.status == 503).then_some(())).await;
        // It goes on until it is over.
        echoes(&mut socket).await;
        socket.close(None).await.unwrap();
        while let Some(Ok(_)) = soon("the end", socket.next()).await {}
        drop((socket, http2));
        gateway.finish().await;
    }
}

#[tokio::test]
async fn what_cannot_be_one_is_told_why() {
    let apps = [App::echo("hello"), App::echo_with("plain", "--no-extended-connect").and_target("protocol: h2c")];
    let gateway = Gateway::start(&apps).await;
    let mut http2 = Http2::connect(&gateway).await;
    // The app refuses, or takes it for something else.
    for (path, status, cause) in [("/status/403", 403, None), ("/hello", 502, Some("bad_answer"))] {
        let reply = whole(http2.ask("hello.localhost", path, "websocket").await).await.unwrap();
        assert_eq!(reply.status.as_u16(), status, "{reply:?}");
        if let Some(cause) = cause {
            assert_eq!(reply.problem(status)["cause"], cause);
        }
    }
    let reply = whole(http2.ask("hello.localhost", "/ws", "connect-udp").await).await.unwrap();
    assert_eq!(reply.problem(501)["cause"], "connect_protocol");
    // An app that lets HTTP/2 carry none.
    let reply = whole(http2.ask("plain.localhost", "/ws", "websocket").await).await.unwrap();
    let problem = reply.problem(501);
    assert_eq!(problem["cause"], "no_websocket");
    assert!(problem["detail"].as_str().unwrap().contains("protocol: h2c"), "{problem}");
    let upgrade = "GET /ws HTTP/1.1\r\nHost: plain.localhost\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let reply = Raw::connect(gateway.http).await.exchange(upgrade).await;
    assert!(reply.starts_with("HTTP/1.1 501 ") && reply.contains("no_websocket"), "{reply}");
    // Other requests have taken no harm.
    assert_eq!(gateway.get("plain.localhost", "/hello").await.status, 200);
    tokio::time::timeout(Duration::from_secs(60), gateway.finish()).await.unwrap();
}
