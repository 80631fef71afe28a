//! Sides that take nothing of what they are sent: many of them are not to cost much memory.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::document::App;
use crate::gateway::Gateway;
use crate::processes::resident;
use crate::raw::Raw;

const CLIENTS: u64 = 100;
/// What is asked for, and sent: far more than fits anywhere.
const LARGE: u64 = 100_000_000;
/// What each may keep in the gateway: what waits for it, and the two connections themselves.
const MOST: u64 = 160 << 10;

/// What the gateway has come to keep for each client, once that grows no more.
async fn settled(gateway: &Gateway, before: u64) -> u64 {
    let (mut grown, mut looks) = (0, 0);
    while looks < 20 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = resident(gateway.pid()).saturating_sub(before);
        looks = if now > grown + (1 << 20) { 0 } else { looks + 1 };
        grown = grown.max(now);
        assert!(grown < CLIENTS * MOST, "{grown} bytes for {CLIENTS} clients");
    }
    grown / CLIENTS
}

#[tokio::test]
async fn clients_that_take_nothing_of_a_large_answer_cost_little() {
    let apps = || [App::echo("hello"), App::echo("two").and_target("protocol: h2c")];
    for host in ["hello.localhost", "two.localhost"] {
        for http2 in [false, true] {
            let gateway = Gateway::start(&apps()).await;
            assert_eq!(gateway.get(host, "/hello").await.status, 200);
            let before = resident(gateway.pid());
            let (mut plain, mut streams) = (Vec::new(), Vec::new());
            for _ in 0..CLIENTS {
                if http2 {
                    let stream = TcpStream::connect(gateway.http).await.unwrap();
                    let mut builder = h2::client::Builder::new();
                    builder.initial_window_size(1 << 30).initial_connection_window_size(1 << 30);
                    let (mut client, mut connection) = builder.handshake::<_, Bytes>(stream).await.unwrap();
                    let request = Request::get(format!("http://{host}/bytes?n={LARGE}")).body(()).unwrap();
                    let (answer, _) = client.send_request(request, true).unwrap();
                    // Until the answer has begun; nobody reads from the socket after that.
                    tokio::select! {
                        answer = answer => streams.push((client, answer.unwrap(), connection)),
                        _ = &mut connection => panic!("the connection has ended"),
                    }
                } else {
                    let mut raw = Raw::connect(gateway.http).await;
                    raw.send(format!("GET /bytes?n={LARGE} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await.unwrap();
                    plain.push(raw);
                }
            }
            let each = settled(&gateway, before).await;
            println!("{host}, HTTP/2 {http2}: {each} bytes each");
            drop((plain, streams));
            gateway.finish().await;
        }
    }
}

#[tokio::test]
async fn uploads_to_an_app_that_reads_nothing_cost_little() {
    let apps = || [App::echo("hello"), App::echo("two").and_target("protocol: h2c")];
    for host in ["hello.localhost", "two.localhost"] {
        for http2 in [false, true] {
            let gateway = Gateway::start(&apps()).await;
            assert_eq!(gateway.get(host, "/hello").await.status, 200);
            let before = resident(gateway.pid());
            let (mut plain, mut streams) = (Vec::new(), Vec::new());
            for _ in 0..CLIENTS {
                if http2 {
                    let stream = TcpStream::connect(gateway.http).await.unwrap();
                    // A proper end would wait behind what nobody reads.
                    stream.set_zero_linger().unwrap();
                    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
                    let connection = tokio::spawn(connection);
                    let request = Request::post(format!("http://{host}/sleep?ms=3600000")).body(()).unwrap();
                    let (answer, mut stream) = client.send_request(request, false).unwrap();
                    // As much as there is room for, now and later.
                    stream.send_data(vec![0; 1 << 20].into(), false).unwrap();
                    streams.push((client, answer, stream, connection));
                } else {
                    let mut raw = Raw::connect(gateway.http).await;
                    let head =
                        format!("POST /sleep?ms=3600000 HTTP/1.1\r\nHost: {host}\r\nContent-Length: {LARGE}\r\n\r\n");
                    raw.stream().set_zero_linger().unwrap();
                    raw.send(head).await.unwrap();
                    plain.push(tokio::spawn(async move {
                        let piece = vec![0; 1 << 20];
                        while raw.stream().write_all(&piece).await.is_ok() {}
                    }));
                }
            }
            let each = settled(&gateway, before).await;
            println!("{host}, HTTP/2 {http2}: {each} bytes each");
            plain.iter().for_each(|task| task.abort());
            streams.iter().for_each(|(.., connection)| connection.abort());
            drop((plain, streams));
            gateway.finish().await;
        }
    }
}
