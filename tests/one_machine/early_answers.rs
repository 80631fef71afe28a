//! Answers to uploads that are not over: they reach clients that still send, whatever becomes of the rest.

use std::process::Stdio;

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::Request;
use tokio::net::TcpStream;

use crate::document::App;
use crate::gateway::Gateway;
use crate::raw::Raw;
use crate::wait::soon;

/// Answers as soon as it has the head, as the path says, and closes its writing side; then reads on, or closes at `/deaf`.
const EARLY: &str = r#"
import os, socket, socketserver
class App(socketserver.BaseRequestHandler):
    def handle(self):
        path = self.request.recv(65536).split(b" ")[1]
        status = path[1:4].decode()
        close = "Connection: close\r\n" if b"close" in path else ""
        self.request.sendall(f"HTTP/1.1 {status} Early\r\nContent-Length: 2\r\n{close}\r\nno".encode())
        if b"deaf" in path:
            return
        self.request.shutdown(socket.SHUT_WR)
        while self.request.recv(65536):
            pass
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("127.0.0.1", int(os.environ["PORT"])), App).serve_forever()
"#;
/// Hosts that answer early, with what.
const HOSTS: [(&str, u16); 4] =
    [("nobody.localhost", 404), ("limited.localhost", 429), ("broken.localhost", 503), ("early.localhost", 413)];

async fn gateway() -> Gateway {
    let apps = [
        App::command("early", &["python3", "-c", EARLY]),
        App::echo("limited").spec("limits: {requestsPerSecond: 0.001, burst: 1}"),
        App::command("broken", &["zerogate", "echo", "--exit-code", "1"]),
        App::echo("hello"),
    ];
    let gateway = Gateway::start(&apps).await;
    assert_eq!(gateway.get("limited.localhost", "/").await.status, 200);
    gateway
}

/// Sends this much, in as many pieces as the other side lets it.
///
/// # Errors
/// The stream was reset.
async fn send(stream: &mut SendStream<Bytes>, mut left: usize) -> Result<(), h2::Error> {
    while left > 0 {
        stream.reserve_capacity(left.min(1 << 16));
        let room = soon("room for more", std::future::poll_fn(|cx| stream.poll_capacity(cx))).await;
        let Some(room) = room.transpose()? else { return Err(Reason::STREAM_CLOSED.into()) };
        let piece = room.min(left);
        stream.send_data(vec![0; piece].into(), false)?;
        left -= piece;
    }
    Ok(())
}

#[tokio::test]
async fn a_stream_is_reset_only_when_its_client_has_had_the_answer_for_a_while() {
    let gateway = gateway().await;
    for (host, status) in HOSTS {
        let (mut client, connection) =
            h2::client::handshake(TcpStream::connect(gateway.http).await.unwrap()).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = || Request::put(format!("http://{host}/413")).body(()).unwrap();
        // One sends on and ends in order; more than fits into any window.
        let (answer, mut stream) = client.send_request(request(), false).unwrap();
        send(&mut stream, 1000).await.unwrap();
        let (head, mut body) = soon("an answer", answer).await.unwrap().into_parts();
        assert_eq!(head.status.as_u16(), status, "{host}");
        while let Some(piece) = soon("its body", body.data()).await {
            let length = piece.unwrap().len();
            body.flow_control().release_capacity(length).unwrap();
        }
        send(&mut stream, 2 << 20).await.unwrap_or_else(|error| panic!("{host}: {error}"));
        stream.send_data(Bytes::new(), true).unwrap();
        // One falls silent, and is told that nobody waits for it.
        let (answer, mut stream) = client.send_request(request(), false).unwrap();
        send(&mut stream, 1000).await.unwrap();
        assert_eq!(soon("an answer", answer).await.unwrap().status().as_u16(), status, "{host}");
        let reset = soon("a reset", std::future::poll_fn(|cx| stream.poll_reset(cx))).await.unwrap();
        assert_eq!(reset, Reason::NO_ERROR, "{host}");
        drop((client, stream));
        connection.abort();
    }
    gateway.finish().await;
}

/// The status that curl shows for an upload with HTTP/2.
async fn curl(gateway: &Gateway, host: &str, file: &str) -> String {
    let url = format!("http://{}/413", gateway.http);
    let mut curl = tokio::process::Command::new("curl");
    curl.args(["--silent", "--show-error", "--http2-prior-knowledge", "--max-time", "50", "--output", "-"]).args([
        "--write-out",
        "%{http_code}",
        "--upload-file",
        file,
        "--header",
        &format!("Host: {host}"),
        &url,
    ]);
    let output = soon("curl ends", curl.stdin(Stdio::null()).kill_on_drop(true).output()).await.unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout))
}

#[tokio::test]
async fn curl_gets_the_answer_to_a_large_upload_with_http2() {
    let version = std::process::Command::new("curl").arg("--version").output();
    if !version.is_ok_and(|version| String::from_utf8_lossy(&version.stdout).contains("HTTP2")) {
        eprintln!("left out: there is no curl with HTTP/2");
        return;
    }
    let gateway = gateway().await;
    let file = gateway.folder().join("upload");
    std::fs::write(&file, vec![0; 8 << 20]).unwrap();
    for (host, status) in HOSTS {
        for _ in 0..5 {
            let said = curl(&gateway, host, file.to_str().unwrap()).await;
            assert!(said.ends_with(&status.to_string()), "{host}: {said}");
        }
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_connection_that_ends_with_an_early_answer_says_so_and_any_other_goes_on() {
    let gateway = gateway().await;
    let [half, other_half] = [1 << 16; 2];
    for round in 0..30 {
        for (host, path) in [
            ("early.localhost", "/413"),
            ("early.localhost", "/413/deaf"),
            ("early.localhost", "/200"),
            ("early.localhost", "/200/close"),
            ("early.localhost", "/200/deaf"),
            ("early.localhost", "/200/close/deaf"),
            ("nobody.localhost", "/"),
        ] {
            // What is small need not end a connection, whether it is there or not.
            for (half, other_half) in [(half, other_half), (3, 7)] {
                let mut raw = Raw::connect(gateway.http).await;
                let length = half + other_half;
                raw.send(format!("PUT {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n"))
                    .await
                    .unwrap();
                raw.send(vec![b'x'; half]).await.unwrap();
                let head = raw.until("\r\n\r\n").await;
                if head.contains("\r\nconnection: close\r\n") {
                    raw.send(vec![b'x'; other_half]).await.unwrap();
                    raw.rest().await;
                    continue;
                }
                raw.send(vec![b'x'; other_half]).await.unwrap();
                raw.send("GET /hello HTTP/1.1\r\nHost: hello.localhost\r\n\r\n").await.unwrap();
                let next = raw.until("Hello, world!").await;
                assert!(next.contains("HTTP/1.1 200 "), "{round} {host}{path}, {length}: {head}{next}");
            }
        }
    }
    gateway.finish().await;
}

#[tokio::test]
async fn who_waits_to_be_asked_for_its_body_is_told_that_nobody_will() {
    let gateway = gateway().await;
    let request = "PUT / HTTP/1.1\r\nHost: nobody.localhost\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    let reply = Raw::connect(gateway.http).await.exchange(request).await;
    assert!(reply.starts_with("HTTP/1.1 404 ") && reply.contains("\r\nconnection: close\r\n"), "{reply}");
    gateway.finish().await;
}
