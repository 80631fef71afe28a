//! What stays open: events, WebSockets, raw upgrades; and who has to wait for whom.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Client, fed, get, next, post, whole};
use crate::document::App;
use crate::gateway::{Gateway, Setup};
use crate::processes::resident;
use crate::raw::Raw;
use crate::wait::{soon, until};

/// An open WebSocket at `/ws` of a host.
pub async fn websocket(gateway: &Gateway, host: &str) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(gateway.http).await.unwrap();
    soon("a WebSocket", tokio_tungstenite::client_async(format!("ws://{host}/ws"), stream)).await.unwrap().0
}

#[tokio::test]
async fn events_pass_one_by_one() {
    let gateway = Gateway::start(&[App::echo("hello"), App::echo("two").and_target("protocol: h2c")]).await;
    for host in ["hello.localhost", "two.localhost"] {
        for mut client in Client::both(gateway.http).await {
            // The second event is an hour away: the first one has to come by itself.
            let mut response = soon("a header", client.start(get(host, "/sse?n=2&ms=3600000"))).await.unwrap();
            assert_eq!(response.headers()["content-type"], "text/event-stream");
            assert_eq!(next(&mut response).await, "id: 0\ndata: event 0\n\n");
        }
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_websocket_counts_until_it_closes() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    let mut socket = websocket(&gateway, "hello.localhost").await;
    for text in ["one", "two"] {
        socket.send(Message::text(text)).await.unwrap();
        assert_eq!(soon("an echo", socket.next()).await.unwrap().unwrap(), Message::text(text));
    }
    let large = Message::binary(vec![7; 300_000]);
    socket.send(large.clone()).await.unwrap();
    assert_eq!(soon("an echo", socket.next()).await.unwrap().unwrap(), large);
    let app = gateway.in_flight("hello", 1).await;
    assert_eq!(app["endpoints"][0]["inFlight"], 1, "{app}");
    socket.close(None).await.unwrap();
    while let Some(Ok(_)) = soon("the end", socket.next()).await {}
    gateway.in_flight("hello", 0).await;
    // One that just goes away.
    let socket = websocket(&gateway, "hello.localhost").await;
    gateway.in_flight("hello", 1).await;
    drop(socket);
    gateway.in_flight("hello", 0).await;
    gateway.finish().await;
}

#[tokio::test]
async fn an_upgrade_passes_raw_bytes_from_the_first_one_on() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    let mut raw = Raw::connect(gateway.http).await;
    // The first bytes of the new protocol come along with the request.
    raw.send("GET /upgrade HTTP/1.1\r\nHost: hello.localhost\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\nabc")
        .await
        .unwrap();
    let head = raw.until("\r\n\r\n").await.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101 ") && head.contains("upgrade: chat"), "{head}");
    assert_eq!(raw.until("abc").await, "abc");
    raw.send("\0\x01def").await.unwrap();
    assert_eq!(raw.until("def").await, "\0\x01def");
    gateway.in_flight("hello", 1).await;
    raw.stream().shutdown().await.unwrap();
    assert_eq!(raw.rest().await, "");
    gateway.finish().await;
}

#[tokio::test]
async fn an_upgrade_that_the_app_declines_is_a_plain_answer() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    let mut raw = Raw::connect(gateway.http).await;
    for _ in 0..2 {
        let request = "GET /hello HTTP/1.1\r\nHost: hello.localhost\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n";
        raw.send(request).await.unwrap();
        assert!(raw.until("\r\n\r\n").await.starts_with("HTTP/1.1 200 "));
        raw.until("Hello, world!").await;
    }
    gateway.finish().await;
}

#[tokio::test]
async fn an_upload_waits_for_an_app_that_does_not_read() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    let mut raw = Raw::connect(gateway.http).await;
    let head = "POST /sleep?ms=3600000 HTTP/1.1\r\nHost: hello.localhost\r\nContent-Length: 10000000000\r\n\r\n";
    raw.send(head).await.unwrap();
    gateway.in_flight("hello", 1).await;
    let chunk = vec![0; 1 << 20];
    let mut taken = 0_usize;
    // What sockets between here and the app keep is a few MiB at most.
    while let Ok(sent) = tokio::time::timeout(Duration::from_secs(1), raw.stream().write(&chunk)).await {
        taken += sent.unwrap();
        assert!(taken < 64 << 20, "the gateway takes what the app does not");
    }
    // A proper end would wait behind what nobody reads.
    raw.stream().set_zero_linger().unwrap();
    drop(raw);
    gateway.finish().await;
}

#[tokio::test]
async fn a_download_waits_for_a_client_that_does_not_read() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    let before = resident(gateway.pid());
    for mut client in Client::both(gateway.http).await {
        let mut response =
            soon("a header", client.start(get("hello.localhost", "/bytes?n=100000000000"))).await.unwrap();
        next(&mut response).await;
        for _ in 0..50 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let grown = resident(gateway.pid()).saturating_sub(before);
            assert!(grown < 64 << 20, "the gateway keeps {grown} bytes for a client that does not read");
        }
    }
    gateway.finish().await;
}

#[tokio::test]
async fn the_body_of_a_held_request_stays_with_the_client() {
    let app = App::echo_with("slow", "--start-delay 3600s");
    let gateway = Gateway::start(&[app]).await;
    let before = resident(gateway.pid());
    let mut raws = Vec::new();
    for _ in 0..8 {
        let mut raw = Raw::connect(gateway.http).await;
        let head = "POST / HTTP/1.1\r\nHost: slow.localhost\r\nContent-Length: 10000000000\r\n\r\n";
        raw.send(head).await.unwrap();
        raws.push(raw);
    }
    gateway.held("slow", 8).await;
    let chunk = Bytes::from(vec![0; 1 << 20]);
    for raw in &mut raws {
        while let Ok(sent) = tokio::time::timeout(Duration::from_millis(100), raw.stream().write(&chunk)).await {
            sent.unwrap();
        }
    }
    let grown = resident(gateway.pid()).saturating_sub(before);
    assert!(grown < 8 << 20, "the gateway keeps {grown} bytes of bodies that nobody can take");
    // A proper end would wait behind what nobody reads.
    raws.iter_mut().for_each(|raw| raw.stream().set_zero_linger().unwrap());
    drop(raws);
    gateway.finish().await;
}

#[tokio::test]
async fn readers_that_take_nothing_keep_no_answer_from_others() {
    let app = App::echo("hello").and_target("protocol: h2c");
    let gateway = Gateway::start(&[app]).await;
    let mut stalled = Vec::new();
    for _ in 0..16 {
        let mut raw = Raw::connect(gateway.http).await;
        raw.send("GET /bytes?n=50000000 HTTP/1.1\r\nHost: hello.localhost\r\n\r\n").await.unwrap();
        raw.until("\r\n\r\n").await;
        stalled.push(raw);
    }
    gateway.in_flight("hello", 16).await;
    for _ in 0..3 {
        let reply = soon("an answer", gateway.get("hello.localhost", "/bytes?n=100000")).await;
        assert_eq!((reply.status.as_u16(), reply.body.len()), (200, 100_000));
    }
    // None of them had to be cut off first.
    gateway.in_flight("hello", 16).await;
    drop(stalled);
    gateway.in_flight("hello", 0).await;
    gateway.finish().await;
}

#[tokio::test]
async fn a_stream_is_not_cut_for_the_silence_of_the_other_direction() {
    let timeouts = "timeouts: {idle: 1s}";
    let gateway = Gateway::start(&[
        App::echo("hello").spec(timeouts),
        App::echo("two").and_target("protocol: h2c").spec(timeouts),
    ])
    .await;
    for host in ["hello.localhost", "two.localhost"] {
        for mut client in Client::both(gateway.http).await {
            // The upload stays open and silent while events go on for three times as long as either may be silent alone.
            let (feeder, body) = fed();
            let mut response = soon("a header", client.start(post(host, "/sse?n=12&ms=250", body))).await.unwrap();
            for event in 0..12 {
                assert!(next(&mut response).await.starts_with(&format!("id: {event}\n")));
            }
            drop(feeder);
        }
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_stream_that_is_silent_both_ways_is_cut() {
    let gateway = Gateway::start(&[App::echo("hello").spec("timeouts: {idle: 1s}")]).await;
    for mut client in Client::both(gateway.http).await {
        let (_feeder, body) = fed();
        let path = "/sse?n=2&ms=3600000";
        let mut response = soon("a header", client.start(post("hello.localhost", path, body))).await.unwrap();
        next(&mut response).await;
        assert!(soon("the cut", whole(response)).await.is_err());
    }
    let _socket = websocket(&gateway, "hello.localhost").await;
    gateway.in_flight("hello", 0).await;
    gateway.finish().await;
}

#[tokio::test]
async fn the_whole_request_has_to_be_over_in_time() {
    let gateway = Gateway::start(&[App::echo("hello").spec("timeouts: {request: 1s}")]).await;
    let problem = gateway.get("hello.localhost", "/sleep?ms=3600000").await.problem(504);
    assert!(problem["detail"].as_str().unwrap().contains("timeouts.request"), "{problem}");
    for mut client in Client::both(gateway.http).await {
        // It ends in an error, never as if it were complete.
        let response = soon("a header", client.start(get("hello.localhost", "/sse?n=1000000&ms=100"))).await.unwrap();
        assert!(soon("the cut", whole(response)).await.is_err());
    }
    gateway.in_flight("hello", 0).await;
    gateway.finish().await;
}

#[tokio::test]
async fn upgraded_connections_count_as_connections() {
    let gateway = Setup::new(&[App::echo("hello")]).flag("--max-connections", "4").start().await;
    // Readiness was tried with a connection, which may not have ended yet.
    let mut sockets = Vec::new();
    until("four are open", async || {
        let stream = TcpStream::connect(gateway.http).await.ok()?;
        let opened = tokio_tungstenite::client_async("ws://hello.localhost/ws", stream).await;
        sockets.extend(opened.ok().map(|opened| opened.0));
        (sockets.len() == 4).then_some(())
    })
    .await;
    let mut refused = Raw::connect(gateway.http).await;
    let _ = refused.send("GET /hello HTTP/1.1\r\nHost: hello.localhost\r\n\r\n").await;
    assert_eq!(refused.rest().await, "");
    sockets.pop();
    gateway.in_flight("hello", 3).await;
    until("there is room again", async || {
        let mut raw = Raw::connect(gateway.http).await;
        raw.send("GET /hello HTTP/1.1\r\nHost: hello.localhost\r\nConnection: close\r\n\r\n").await.ok()?;
        raw.rest().await.starts_with("HTTP/1.1 200 ").then_some(())
    })
    .await;
    drop(sockets);
    gateway.finish().await;
}

#[tokio::test]
async fn the_whole_request_has_to_be_over_though_its_client_takes_nothing() {
    let spec = "timeouts: {request: 1s}";
    let gateway = Gateway::start(&[App::echo("hello").spec(spec)]).await;
    let mut raw = Raw::connect(gateway.http).await;
    raw.send("GET /bytes?n=50000000 HTTP/1.1\r\nHost: hello.localhost\r\n\r\n").await.unwrap();
    raw.until("\r\n\r\n").await;
    gateway.in_flight("hello", 1).await;
    gateway.in_flight("hello", 0).await;
    // A client that gives an HTTP/2 stream no room, on a connection that lives.
    let stream = TcpStream::connect(gateway.http).await.unwrap();
    let handshake = h2::client::Builder::new().initial_window_size(0).handshake::<_, Bytes>(stream);
    let (mut client, connection) = handshake.await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get("http://hello.localhost/bytes?n=20000000").body(()).unwrap();
    let response = soon("a header", client.send_request(request, true).unwrap().0).await.unwrap();
    gateway.in_flight("hello", 1).await;
    gateway.in_flight("hello", 0).await;
    drop((raw, response, client));
    connection.abort();
    gateway.finish().await;
}
