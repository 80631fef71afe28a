//! Clients whose HTTP is a little odd.

use http::{Method, Request};
use serde_json::Value;

use crate::client::{Client, empty, request};
use crate::document::App;
use crate::gateway::{Gateway, Setup};
use crate::raw::Raw;

/// What the app says it has seen.
fn json(reply: &str) -> Value {
    let (head, body) = reply.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 ") || head.starts_with("HTTP/1.0 200 "), "{reply}");
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {reply}"))
}

#[tokio::test]
async fn http_1_0_without_a_host_is_for_an_app_that_takes_any() {
    let apps = [App::echo("hello"), App::echo("any").routes("[{hosts: ['*'], paths: [{prefix: /any}]}]")];
    let gateway = Gateway::start(&apps).await;
    let ask = async |request: &str| Raw::connect(gateway.http).await.exchange(request).await;
    assert_eq!(json(&ask("GET /any HTTP/1.0\r\n\r\n").await)["name"], "any");
    assert!(ask("GET / HTTP/1.0\r\n\r\n").await.contains(" 404 "), "no other has a route for any host");
    assert!(ask("GET /any HTTP/1.1\r\nConnection: close\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
    gateway.finish().await;
}

#[tokio::test]
async fn a_target_is_a_path_or_a_url_of_http() {
    let gateway = Gateway::start(&[App::echo("hello").routes("[{hosts: ['*']}]")]).await;
    let ask = async |target: &str| {
        let request = format!("{target} HTTP/1.1\r\nHost: hello.localhost\r\nConnection: close\r\n\r\n");
        Raw::connect(gateway.http).await.exchange(request).await
    };
    for bad in ["GET hello.localhost", "GET hello.localhost:80", "GET *", "GET ftp://hello.localhost/"] {
        let reply = ask(bad).await;
        assert!(reply.starts_with("HTTP/1.1 400 ") && reply.contains("bad_target"), "{bad}: {reply}");
    }
    for good in ["GET /", "GET http://hello.localhost", "GET https://hello.localhost/a?b", "OPTIONS *"] {
        json(&ask(good).await);
    }
    gateway.finish().await;
}

#[tokio::test]
async fn max_forwards_counts_proxies() {
    let gateway = Gateway::start(&[App::echo("hello"), App::echo("two").and_target("protocol: h2c")]).await;
    let asking = |method: Method, host: &str, count: &str| -> Request<_> {
        request(method, host, "/").header("max-forwards", count).body(empty()).unwrap()
    };
    for mut client in Client::both(gateway.http).await {
        for host in ["hello.localhost", "two.localhost"] {
            let seen = |reply: crate::client::Reply| {
                let headers = reply.json()["headers"].as_array().unwrap().clone();
                headers.into_iter().find(|pair| pair[0] == "max-forwards").map(|pair| pair[1].clone())
            };
            assert_eq!(seen(client.send(asking(Method::OPTIONS, host, "3")).await), Some("2".into()));
            assert_eq!(seen(client.send(asking(Method::GET, host, "0")).await), Some("0".into()), "for OPTIONS only");
            let reply = client.send(asking(Method::OPTIONS, host, "0")).await;
            assert_eq!((reply.status.as_u16(), reply.body.len()), (200, 0), "{host}");
        }
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_trace_that_goes_no_further_is_answered_with_what_came_and_no_secrets() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    for (number, mut client) in Client::both(gateway.http).await.into_iter().enumerate() {
        let trace = |count: &str| {
            let trace = request(Method::TRACE, "hello.localhost", "/a?b").header("max-forwards", count);
            trace.header("via", "1.1 fred").header("cookie", "a=b").header("x-internal", "c").body(empty()).unwrap()
        };
        let reply = client.send(trace("0")).await;
        assert_eq!((reply.status.as_u16(), reply.header("content-type")), (200, "message/http"), "{reply:?}");
        let seen = String::from_utf8(reply.body.to_vec()).unwrap();
        let (target, version) = [("/a?b", "HTTP/1.1"), ("http://hello.localhost/a?b", "HTTP/2")][number];
        assert!(seen.starts_with(&format!("TRACE {target} {version}\r\n")) && seen.ends_with("\r\n\r\n"), "{seen}");
        assert!(seen.contains("\r\nmax-forwards: 0\r\n") && seen.contains("\r\nvia: 1.1 fred\r\n"), "{seen}");
        assert!(!seen.contains("cookie") && !seen.contains("x-internal"), "{seen}");
        assert_eq!(gateway.app("hello").await["state"], "asleep", "it was not passed on");
    }
    // One that may go on does, with one hop less.
    let reply =
        gateway.send(request(Method::TRACE, "hello.localhost", "/").header("max-forwards", "1").body(empty()).unwrap());
    let headers = reply.await.json()["headers"].clone();
    assert!(headers.as_array().unwrap().contains(&serde_json::json!(["max-forwards", "0"])), "{headers}");
    gateway.finish().await;
}

#[tokio::test]
async fn a_later_minor_version_is_answered_as_1_1() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    for version in ["1.2", "1.9"] {
        let request = format!("GET /x HTTP/{version}\r\nHost: hello.localhost\r\nConnection: close\r\n\r\n");
        let reply = Raw::connect(gateway.http).await.exchange(&request).await;
        assert!(reply.starts_with("HTTP/1.1 200 "), "{version}: {reply}");
        // Cut anywhere.
        let mut raw = Raw::connect(gateway.http).await;
        for byte in request.as_bytes() {
            raw.send([*byte]).await.unwrap();
        }
        assert!(raw.until("\r\n").await.starts_with("HTTP/1.1 200 "), "{version}");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn what_a_target_may_not_have_is_refused_in_words_and_all_else_passes_as_it_is() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    let ask = async |target: &[u8]| {
        let request = [b"GET ", target, b" HTTP/1.1\r\nHost: hello.localhost\r\nConnection: close\r\n\r\n"].concat();
        Raw::connect(gateway.http).await.exchange(request).await
    };
    for refused in
        [&b"/?q={\"a\":1}"[..], b"/<", b"/>", b"/?a=<", b"/?a=>", b"/`", b"/\xff", b"/?\xff", b"/a b", b"/\x7f"]
    {
        let reply = ask(refused).await;
        let shown = refused.escape_ascii();
        let (head, body) = reply.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 400 ") && head.contains("application/problem+json"), "{shown}: {reply}");
        let problem: Value = serde_json::from_str(body).unwrap();
        assert_eq!(problem["cause"], "malformed", "{shown}");
        assert!(problem["detail"].as_str().unwrap().contains('%'), "{shown}: what to do: {problem}");
    }
    for passed in ["/?q={a:1}", "/|^", "/?`", "/?|^[]\\", "/\"", "/{}", "/\u{e4}", "/?\u{e4}=\u{1f600}"] {
        let reply = json(&ask(passed.as_bytes()).await);
        assert_eq!(reply["uri"], passed, "{reply}");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn what_is_no_request_is_told_why() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    let large = format!("GET / HTTP/1.1\r\nHost: hello.localhost\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let ok = "GET /hello HTTP/1.1\r\nHost: hello.localhost\r\n\r\n";
    for (bytes, cause) in [
        ("no http at all\r\n\r\n", "malformed"),
        ("GET /?q={\"a\":1} HTTP/1.1\r\nHost: hello.localhost\r\n\r\n", "malformed"),
        (&large, "headers_too_large"),
    ] {
        let reply = Raw::connect(gateway.http).await.exchange(bytes).await;
        let (head, body) = reply.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains("application/problem+json") && head.contains("\r\nconnection: close"), "{reply}");
        let problem: Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            (&problem["cause"], head.contains(&problem["status"].to_string())),
            (&cause.into(), true),
            "{reply}"
        );
    }
    // After another request it is hyper's bare answer.
    let reply = Raw::connect(gateway.http).await.exchange(format!("{ok}no http at all\r\n\r\n")).await;
    assert!(reply.starts_with("HTTP/1.1 200 ") && reply.contains("HTTP/1.1 400 "), "{reply}");
    gateway.finish().await;
}

/// Sends 2 MB in pieces as a slow line would, whatever comes meanwhile, and reads only then: the head of the answer, and all of it up
/// to `end`.
async fn upload(gateway: &Gateway, host: &str, end: &str) -> String {
    let mut raw = Raw::connect(gateway.http).await;
    let head = format!("PUT / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n", 32 << 16);
    raw.send(head).await.unwrap();
    for _ in 0..32 {
        raw.send(vec![b'x'; 1 << 16]).await.unwrap_or_else(|error| panic!("{host}: {error}"));
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let head = raw.until("\r\n\r\n").await;
    raw.until(end).await;
    head
}

#[tokio::test]
async fn an_answer_reaches_a_client_that_still_sends() {
    // Answers as soon as it has the head, closes its writing side, and reads on.
    let script = r#"
import os, socket, socketserver
class App(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.recv(65536)
        self.request.sendall(b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        self.request.shutdown(socket.SHUT_WR)
        while self.request.recv(65536):
            pass
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("127.0.0.1", int(os.environ["PORT"])), App).serve_forever()
"#;
    let apps = [
        App::command("full", &["python3", "-c", script]),
        App::echo("limited").spec("limits: {requestsPerSecond: 0.001, burst: 1}"),
        App::command("broken", &["zerogate", "echo", "--exit-code", "1"]),
    ];
    let gateway = Gateway::start(&apps).await;
    assert_eq!(gateway.get("limited.localhost", "/").await.status, 200);
    for _ in 0..5 {
        for (host, status) in
            [("nobody.localhost", 404), ("limited.localhost", 429), ("broken.localhost", 503), ("full.localhost", 413)]
        {
            let head = upload(&gateway, host, if status == 413 { "no" } else { "}" }).await;
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{host}: {head:?}");
            // The app's may have come when all was sent.
            assert!(status == 413 || head.contains("\r\nconnection: close\r\n"), "{host}: {head:?}");
        }
    }
    gateway.finish().await;
}

#[tokio::test]
async fn an_idle_connection_has_another_time_than_a_header_that_has_begun() {
    let ask = "GET /hello HTTP/1.1\r\nHost: hello.localhost\r\n\r\n";
    for (idle, header, then) in [("500ms", "1h", ""), ("1h", "500ms", "GET /hello HT")] {
        let setup = Setup::new(&[App::echo("hello")]).flag("--idle-timeout", idle).flag("--header-timeout", header);
        let gateway = setup.start().await;
        let mut raw = Raw::connect(gateway.http).await;
        for _ in 0..2 {
            raw.send(ask).await.unwrap();
            assert!(raw.until("\r\n\r\n").await.starts_with("HTTP/1.1 200 "));
            raw.until("world!").await;
        }
        raw.send(then).await.unwrap();
        let rest = raw.rest().await;
        assert!(!rest.contains("HTTP/1.1 200"), "{rest}");
        gateway.finish().await;
    }
}
