//! Apps whose HTTP is a little odd.

use http::Method;
use serde_json::{Value, json};

use crate::client::{Client, empty, get, request};
use crate::document::App;
use crate::gateway::{Gateway, Setup};
use crate::raw::Raw;

/// Answers every request with the same bytes.
fn answering(name: &str, answer: &str) -> App {
    let script = r#"
import os, socketserver
class App(socketserver.BaseRequestHandler):
    def handle(self):
        while self.request.recv(65536):
            self.request.sendall(os.environb[b"ANSWER"])
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("127.0.0.1", int(os.environ["PORT"])), App).serve_forever()
"#;
    let answer = serde_json::to_string(answer).unwrap();
    App::command(name, &["python3", "-c", script]).process(&format!("env: {{ANSWER: {answer}}}"))
}

#[tokio::test]
async fn of_an_apps_trailers_clients_get_what_may_stand_there() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, Connection, Set-Cookie\r\n\r\n2\r\nab\r\n0\r\n";
    let bad = "Content-Length: 0\r\nConnection: close\r\nKeep-Alive: timeout=5\r\nTransfer-Encoding: chunked\r\nSet-Cookie: a=b\r\n";
    let apps =
        [answering("some", &format!("{head}X-Sum: 7\r\n{bad}\r\n")), answering("none", &format!("{head}{bad}\r\n"))];
    let gateway = Gateway::start(&apps).await;
    for mut client in Client::both(gateway.http).await {
        for (host, expected) in [("some.localhost", vec![("x-sum", "7")]), ("none.localhost", vec![])] {
            // Twice: the connection goes on.
            for _ in 0..2 {
                let asked = request(Method::GET, host, "/").header("te", "trailers").body(empty()).unwrap();
                let reply = client.send(asked).await;
                assert_eq!((reply.status.as_u16(), &reply.body[..]), (200, &b"ab"[..]), "{host}");
                let trailers = reply.trailers.unwrap_or_default();
                let trailers: Vec<_> =
                    trailers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
                assert_eq!(trailers, expected, "{host}");
            }
        }
    }
    gateway.finish().await;
}

#[tokio::test]
async fn of_a_clients_trailers_apps_get_what_may_stand_there() {
    let gateway = Gateway::start(&[App::echo("one"), App::echo("two").and_target("protocol: h2c")]).await;
    for app in ["one", "two"] {
        let mut raw = Raw::connect(gateway.http).await;
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {app}.localhost\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, Forwarded\r\n\r\n"
        );
        let end = "2\r\nab\r\n0\r\nX-Sum: 7\r\nContent-Length: 0\r\nConnection: close\r\nAuthorization: b\r\nForwarded: for=_a\r\n\r\n";
        raw.send(format!("{head}{end}")).await.unwrap();
        assert!(raw.until("\r\n\r\n").await.starts_with("HTTP/1.1 200 "), "{app}");
        let json: Value = serde_json::from_str(&raw.until("\n}\n").await).unwrap();
        assert_eq!(json["trailers"], json!([["x-sum", "7"]]), "{app}");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn answers_that_other_proxies_pass_are_passed() {
    let ok = "HTTP/1.1 200 OK\r\n";
    let apps = [
        answering("space", &format!("{ok}X-Odd : 1\r\nContent-Length : 2\r\n\r\nab")),
        answering("folded", &format!("{ok}X-Odd: 1,\r\n 2\r\nContent-Length: 2\r\n\r\nab")),
        answering("list", &format!("{ok}X-Odd: 1\r\nContent-Length: 2, 2\r\n\r\nab")),
        answering("twice", &format!("{ok}X-Odd: 1\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab")),
    ];
    let gateway = Gateway::start(&apps).await;
    for (name, odd) in [("space", "1"), ("folded", "1,"), ("list", "1"), ("twice", "1")] {
        for mut client in Client::both(gateway.http).await {
            let reply = client.send(get(&format!("{name}.localhost"), "/")).await;
            assert_eq!((reply.status.as_u16(), &reply.body[..]), (200, &b"ab"[..]), "{name}");
            let lengths: Vec<_> = reply.headers.get_all("content-length").iter().collect();
            assert_eq!(lengths, ["2"], "{name}");
            assert!(reply.header("x-odd").starts_with(odd), "{name}: {reply:?}");
            assert!(name != "folded" || reply.header("x-odd").ends_with('2'), "{reply:?}");
        }
    }
    gateway.finish().await;
}

#[tokio::test]
async fn an_answer_with_too_many_headers_is_called_that() {
    let headers: String = (0..150).map(|n| format!("X-{n}: {n}\r\n")).collect();
    let many = format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: 0\r\n\r\n");
    let gateway = Gateway::start(&[answering("hello", &many)]).await;
    for mut client in Client::both(gateway.http).await {
        let problem = client.send(get("hello.localhost", "/")).await.problem(502);
        assert_eq!(problem["cause"], "bad_answer");
        assert!(problem["detail"].as_str().unwrap().contains("100 lines"), "{problem}");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_loop_ends_by_the_bound_of_what_an_app_may_have_in_flight() {
    // Asks the gateway for itself, and keeps nothing of the request that could tell.
    let script = r#"
import http.client, http.server, os
class App(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        connection = http.client.HTTPConnection(os.environ["GATEWAY"])
        connection.request("GET", "/", headers={"Host": "hello.localhost"})
        answer = connection.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), App).serve_forever()
"#;
    let setup = Setup::new(&[]);
    let app =
        App::command("hello", &["python3", "-c", script]).process(&format!("env: {{GATEWAY: '{}'}}", setup.http()));
    let app = app.spec("limits: {inFlight: 30}").spec("scaling: {maxReplicas: 1}");
    let gateway = setup.yaml(&[app, App::echo("other")]).start().await;
    for mut client in Client::both(gateway.http).await {
        let problem = client.send(get("hello.localhost", "/")).await.json();
        assert_eq!((&problem["cause"], &problem["status"]), (&"too_many_in_flight".into(), &503.into()), "{problem}");
        assert_eq!(client.send(get("other.localhost", "/")).await.status, 200);
    }
    gateway.in_flight("hello", 0).await;
    gateway.finish().await;
}
