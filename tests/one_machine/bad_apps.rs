//! Apps that do not start, do not answer, or die.

use std::time::Duration;

use crate::client::{Client, get};
use crate::document::{App, ZEROGATE};
use crate::gateway::Gateway;
use crate::raw::Raw;
use crate::wait::until;

#[tokio::test]
async fn an_app_that_exits_at_start_says_why() {
    let script = "echo the first line; echo no database at db:5432 >&2; exit 3";
    let gateway = Gateway::start(&[App::command("hello", &["sh", "-c", script])]).await;
    let waiting: Vec<_> = (0..20).map(|_| gateway.spawn_get("hello.localhost", "/")).collect();
    for task in waiting {
        let reply = task.await.unwrap();
        let problem = reply.problem(503);
        assert_eq!(problem["cause"], "exited");
        assert!(problem["detail"].as_str().unwrap().contains("exit code 3"), "{problem}");
        assert!(problem["output"].to_string().contains("no database at db:5432"), "{problem}");
        reply.retry_after();
    }
    let app = gateway.app("hello").await;
    assert_eq!(app["failure"]["cause"], "exited", "{app}");
    gateway.finish().await;
}

#[tokio::test]
async fn an_app_that_never_listens_is_given_up() {
    let app = App::echo_with("hello", "--never-listen").and_target("startTimeout: 1s");
    let gateway = Gateway::start(&[app]).await;
    let problem = gateway.get("hello.localhost", "/").await.problem(503);
    assert_eq!(problem["cause"], "never_ready");
    gateway.finish().await;
}

#[tokio::test]
async fn an_app_that_listens_but_never_gets_ready_is_given_up() {
    let apps = [
        App::echo_with("unready", "--unready-for 3600s").and_target("startTimeout: 1s"),
        App::echo_with("hangs", "--hang").and_target("startTimeout: 1s"),
        App::echo_with("garbles", "--garbage").and_target("startTimeout: 1s"),
        App::echo_with("no-grpc", "--hang").target("readiness: {grpc: {}}").and_target("startTimeout: 1s"),
    ];
    let gateway = Gateway::start(&apps).await;
    let waiting = ["unready", "hangs", "garbles", "no-grpc"];
    let waiting = waiting.map(|name| (name, gateway.spawn_get(&format!("{name}.localhost"), "/")));
    for (name, task) in waiting {
        let problem = task.await.unwrap().problem(503);
        assert_eq!(problem["cause"], "never_ready", "{name}");
        if name == "unready" {
            assert!(problem["detail"].as_str().unwrap().contains("503"), "{problem}");
        }
    }
    gateway.finish().await;
}

#[tokio::test]
async fn an_app_that_never_answers_is_504() {
    let app = App::command("hello", &["zerogate", "echo", "--hang"]).spec("timeouts: {responseHeader: 300ms}");
    let gateway = Gateway::start(&[app]).await;
    for mut client in Client::both(gateway.http).await {
        assert_eq!(client.send(get("hello.localhost", "/")).await.problem(504)["cause"], "answer_timeout");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn an_app_that_answers_garbage_is_502() {
    let apps = [
        App::command("one", &["zerogate", "echo", "--garbage"]),
        App::command("two", &["zerogate", "echo", "--garbage"]).target("protocol: h2c"),
    ];
    let gateway = Gateway::start(&apps).await;
    for host in ["one.localhost", "two.localhost"] {
        for mut client in Client::both(gateway.http).await {
            let problem = client.send(get(host, "/")).await.problem(502);
            // In HTTP/2 it is a broken connection, whatever broke it.
            let cause = if host.starts_with("one") { "bad_answer" } else { "connection_lost" };
            assert_eq!(problem["cause"], cause, "{host}");
        }
    }
    gateway.finish().await;
}

#[tokio::test]
async fn an_answer_with_a_coding_besides_chunks_is_502() {
    let script = r#"
import os, socketserver
class App(socketserver.BaseRequestHandler):
    def handle(self):
        if self.request.recv(65536):
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\nConnection: close\r\n\r\n"
            self.request.sendall(head + b"2\r\nab\r\n0\r\n\r\n")
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("127.0.0.1", int(os.environ["PORT"])), App).serve_forever()
"#;
    let gateway = Gateway::start(&[App::command("hello", &["python3", "-c", script])]).await;
    for mut client in Client::both(gateway.http).await {
        assert_eq!(client.send(get("hello.localhost", "/")).await.problem(502)["cause"], "bad_answer");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn an_app_that_answers_early_and_keeps_the_connection_holds_up_nobody_else() {
    // It tells each connection's requests by their heads, and answers with how many connections there have been.
    let script = r#"
import itertools, os, socketserver
count = itertools.count(1)
class App(socketserver.BaseRequestHandler):
    def handle(self):
        me = b"%3d" % next(count)
        while part := self.request.recv(65536):
            if b"\r\n\r\n" in part:
                self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + me)
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("127.0.0.1", int(os.environ["PORT"])), App).serve_forever()
"#;
    let app = App::command("hello", &["python3", "-c", script]);
    let gateway = Gateway::start(&[app.spec("timeouts: {connect: 60s}")]).await;
    let first = gateway.get("hello.localhost", "/").await.body;
    assert_eq!(
        gateway.get("hello.localhost", "/").await.body,
        first,
        "a connection without a body on its way is used again"
    );
    let mut early = Raw::connect(gateway.http).await;
    early.send("POST / HTTP/1.1\r\nHost: hello.localhost\r\nContent-Length: 1000\r\n\r\nsome").await.unwrap();
    early.until(std::str::from_utf8(&first).unwrap()).await;
    // The rest of the first body is to come on that connection: nobody else's request can.
    let second = tokio::time::timeout(Duration::from_secs(30), gateway.get("hello.localhost", "/")).await;
    let second = second.expect("an answer before the connection is given up");
    assert_eq!(second.status, 200, "{second:?}");
    assert_ne!(second.body, first);
    drop(early);
    gateway.finish().await;
}

#[tokio::test]
async fn an_answer_to_a_body_that_the_app_does_not_read_gets_to_the_client() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    let mut request =
        b"POST /status/413 HTTP/1.1\r\nHost: hello.localhost\r\nContent-Length: 20000000\r\n\r\n".to_vec();
    request.resize(request.len() + 20_000_000, b'x');
    // Which of the app's answer and its refusal to read is seen first is a matter of luck.
    for n in 0..20 {
        let reply = Raw::connect(gateway.http).await.exchange(&request).await;
        assert!(reply.starts_with("HTTP/1.1 413 "), "{n}: {reply}");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_never_looks_whole() {
    let gateway = Gateway::start(&[App::echo("hello"), App::echo("two").and_target("protocol: h2c")]).await;
    for host in ["hello.localhost", "two.localhost"] {
        for mut client in Client::both(gateway.http).await {
            let broken = client.try_send(get(host, "/close?after=100000")).await;
            assert!(broken.is_err(), "{host}: {broken:?}");
        }
        assert_eq!(gateway.get(host, "/hello").await.status, 200);
    }
    gateway.finish().await;
}

#[tokio::test]
async fn an_app_that_dies_with_50_in_flight_leaves_50_clear_errors() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    assert_eq!(gateway.get("hello.localhost", "/hello").await.status, 200);
    let waiting: Vec<_> = (0..49).map(|_| gateway.spawn_get("hello.localhost", "/sleep?ms=3600000")).collect();
    // In flight they are before the app has them, and one that could not be sent is not lost but waits for the next
    // process: the app numbers what has come to it, the first one and these questions with it.
    let mut asked = 1;
    until("the app to have them all", async || {
        asked += 1;
        (gateway.get("hello.localhost", "/").await.json()["number"] == asked + 49).then_some(())
    })
    .await;
    gateway.get("hello.localhost", "/die").await.problem(502);
    for task in waiting {
        assert_eq!(task.await.unwrap().problem(502)["cause"], "connection_lost");
    }
    gateway.in_flight("hello", 0).await;
    // It was not its start that failed: the next one is answered.
    until("an answer", async || (gateway.get("hello.localhost", "/hello").await.status == 200).then_some(())).await;
    gateway.finish().await;
}

/// Answers one request, like CGI, and is gone.
const ONCE: &str = r#"
import http.server, os
class App(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"%d" % os.getpid()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        os._exit(0)
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), App).serve_forever()
"#;

#[tokio::test]
async fn an_app_that_ends_after_each_answer_answers_every_request() {
    let app = App::command("hello", &["python3", "-c", ONCE]).spec("scaling: {concurrencyLimit: 1, maxReplicas: 1}");
    let gateway = Gateway::start(&[app]).await;
    let mut processes = std::collections::BTreeSet::new();
    for mut client in Client::both(gateway.http).await {
        for n in 0..10 {
            let reply = client.send(get("hello.localhost", "/")).await;
            assert_eq!(reply.status, 200, "{n}: {reply:?}");
            processes.insert(reply.body);
        }
    }
    assert_eq!(processes.len(), 20, "each from one of its own");
    assert_eq!(gateway.app("hello").await["failure"], serde_json::Value::Null);
    gateway.finish().await;
}

/// Answers once on each connection, and closes it when the next request has come.
const CLOSES: &str = r#"
import os, socketserver
class App(socketserver.BaseRequestHandler):
    def handle(self):
        if self.request.recv(65536):
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            self.request.recv(65536)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 128
Server(("127.0.0.1", int(os.environ["PORT"])), App).serve_forever()
"#;

#[tokio::test]
async fn an_app_that_closes_its_connections_loses_no_request_that_is_safe() {
    let gateway = Gateway::start(&[App::command("hello", &["python3", "-c", CLOSES])]).await;
    let clients: Vec<_> = (0..5)
        .map(|n| {
            let to = gateway.http;
            tokio::spawn(async move {
                let mut client = if n % 2 == 0 { Client::http1(to).await } else { Client::http2(to).await };
                for _ in 0..150 {
                    let reply = client.send(get("hello.localhost", "/")).await;
                    assert_eq!((reply.status.as_u16(), &reply.body[..]), (200, &b"ok"[..]), "{reply:?}");
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let again = gateway.metric("zerogate_closed_retries_total", &[("app", "default/hello")]).await;
    assert!(again > 100.0, "{again} of 750");
    gateway.finish().await;
}

#[tokio::test]
async fn to_end_well_after_an_answer_is_no_crash() {
    let gateway = Gateway::start(&[App::command("hello", &["python3", "-c", ONCE])]).await;
    // What comes beside its last answer is lost with it, unless the one before has shown what it does.
    let mut answered = 0;
    for _ in 0..10 {
        let reply = gateway.get("hello.localhost", "/").await;
        if reply.status != 200 {
            assert_eq!(reply.problem(502)["cause"], "connection_lost");
        } else {
            answered += 1;
        }
    }
    assert!(answered >= 9, "{answered} of 10");
    gateway.finish().await;
}

#[tokio::test]
async fn an_app_that_prints_without_end_is_logged_in_part() {
    let script = r#"while :; do echo a line that says nothing; done & exec "$ZEROGATE" echo"#;
    let app = App::command("hello", &["sh", "-c", script]).process(&format!("env: {{ZEROGATE: {ZEROGATE}}}"));
    let gateway = Gateway::start(&[app]).await;
    assert_eq!(gateway.get("hello.localhost", "/").await.status, 200);
    until("it is said how much was left out", async || gateway.output().contains("left out ").then_some(())).await;
    gateway.finish().await;
}

#[tokio::test]
async fn an_app_that_cannot_start_harms_no_other() {
    let broken = App::command("broken", &["zerogate", "echo", "--exit-code", "1"]);
    let stuck = App::echo_with("stuck", "--never-listen").spec("hold: {maxRequests: 50}");
    let gateway = Gateway::start(&[App::echo("hello"), broken, stuck]).await;
    let waiting: Vec<_> = (0..50).map(|_| gateway.spawn_get("stuck.localhost", "/")).collect();
    gateway.held("stuck", 50).await;
    for _ in 0..20 {
        gateway.get("broken.localhost", "/").await.problem(503);
        gateway.get("stuck.localhost", "/").await.problem(503);
        assert_eq!(gateway.get("hello.localhost", "/hello").await.status, 200);
    }
    waiting.iter().for_each(|task| task.abort());
    gateway.finish().await;
}
