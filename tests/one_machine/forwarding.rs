//! What reaches the app, and what reaches the client.

use http::{Method, Request};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame};
use serde_json::{Value, json};

use crate::client::{Client, Sending, empty, fed, feed, full, get, grpc, next, post, request, whole};
use crate::document::App;
use crate::gateway::{Gateway, Setup};
use crate::raw::Raw;
use crate::wait::soon;

/// A header as the app saw it.
pub fn seen(json: &Value, name: &str) -> Vec<String> {
    let pairs = json["headers"].as_array().unwrap();
    pairs.iter().filter(|pair| pair[0] == name).map(|pair| pair[1].as_str().unwrap().to_owned()).collect()
}

/// One app of each protocol.
fn both_apps() -> [App; 2] {
    [App::echo("one"), App::echo("two").and_target("protocol: h2c")]
}

#[tokio::test]
async fn requests_pass_whole_between_all_versions() {
    let gateway = Gateway::start(&both_apps()).await;
    for (app, version) in [("one.localhost", "HTTP/1.1"), ("two.localhost", "HTTP/2")] {
        for mut client in Client::both(gateway.http).await {
            let json = client.send(post(app, "/a/b%20c?d=e&f=%2F", full("hello"))).await.json();
            assert_eq!(json["version"], version);
            assert_eq!(json["method"], "POST");
            assert!(json["uri"].as_str().unwrap().ends_with("/a/b%20c?d=e&f=%2F"), "{json}");
            assert_eq!(json["body"]["text"], "hello");
            let large = vec![b'x'; 3 << 20];
            let json = client.send(post(app, "/", full(large))).await.json();
            assert_eq!(json["body"]["length"], 3 << 20);
            let reply = client.send(get(app, "/bytes?n=3000000")).await;
            assert_eq!((reply.body.len(), reply.header("content-length")), (3_000_000, "3000000"));
            let head = client.send(request(Method::HEAD, app, "/hello").body(empty()).unwrap()).await;
            assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
            assert_eq!(client.send(get(app, "/status/503")).await.status, 503);
            let nothing = client.send(get(app, "/status/204")).await;
            assert_eq!((nothing.status.as_u16(), nothing.header("content-length")), (204, ""));
        }
    }
    gateway.finish().await;
}

#[tokio::test]
async fn the_app_sees_the_host_and_whom_it_serves() {
    let gateway = Setup::new(&both_apps()).flag("--trusted-proxies", "10.0.0.0/8").start().await;
    for app in ["one.localhost:81", "two.localhost:81"] {
        for mut client in Client::both(gateway.http).await {
            let request = request(Method::GET, app, "/").header("x-forwarded-for", "6.6.6.6").header("x-kept", "1");
            let json = client.send(request.body(empty()).unwrap()).await.json();
            let host = if app.starts_with("one") { seen(&json, "host") } else { vec![app.to_owned()] };
            assert_eq!(host, [app]);
            assert!(app.starts_with("one") || json["uri"].as_str().unwrap().starts_with(&format!("http://{app}/")));
            // An unknown client is not believed.
            assert_eq!(seen(&json, "x-forwarded-for"), ["127.0.0.1"]);
            assert_eq!(seen(&json, "x-forwarded-host"), [app]);
            assert_eq!(seen(&json, "x-forwarded-proto"), ["http"]);
            assert_eq!(seen(&json, "forwarded"), [format!("for=127.0.0.1;host=\"{app}\";proto=http")]);
            assert_eq!(seen(&json, "x-kept"), ["1"]);
        }
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_trusted_proxys_word_is_extended() {
    let setup = Setup::new(&[App::echo("hello")]).flag("--trusted-proxies", "127.0.0.0/8,10.0.0.0/8");
    let gateway = setup.start().await;
    let request = request(Method::GET, "hello.localhost", "/")
        .header("x-forwarded-for", "192.0.2.1, 10.0.0.1")
        .header("x-forwarded-proto", "https")
        .header("x-forwarded-host", "shop.example")
        .header("forwarded", "for=192.0.2.1;proto=https");
    let json = gateway.send(request.body(empty()).unwrap()).await.json();
    assert_eq!(seen(&json, "x-forwarded-for"), ["192.0.2.1, 10.0.0.1, 127.0.0.1"]);
    assert_eq!(seen(&json, "x-forwarded-proto"), ["https"]);
    assert_eq!(seen(&json, "x-forwarded-host"), ["shop.example"]);
    let forwarded = "for=192.0.2.1;proto=https, for=127.0.0.1;host=hello.localhost;proto=http";
    assert_eq!(seen(&json, "forwarded"), [forwarded]);
    gateway.finish().await;
}

#[tokio::test]
async fn hop_by_hop_headers_end_at_the_gateway() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    let mut raw = Raw::connect(gateway.http).await;
    let request = "GET / HTTP/1.1\r\nHost: hello.localhost\r\nConnection: keep-alive, X-Secret\r\nX-Secret: 1\r\n\
                   Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\n\
                   TE: gzip\r\nX-Kept: 1\r\n\r\n";
    raw.send(request).await.unwrap();
    let head = raw.until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let json: Value = serde_json::from_str(&raw.until("\n}\n").await).unwrap();
    for name in ["x-secret", "keep-alive", "proxy-connection", "proxy-authorization", "te", "upgrade"] {
        assert_eq!(seen(&json, name), [""; 0], "{name}");
    }
    assert_eq!(seen(&json, "x-kept"), ["1"]);
    gateway.finish().await;
}

#[tokio::test]
async fn hop_by_hop_headers_of_answers_end_at_the_gateway() {
    let gateway = Gateway::start(&[App::echo_with("hello", "--keep-alive-timeout 5s")]).await;
    let reply = Raw::connect(gateway.http)
        .await
        .exchange("GET /hello HTTP/1.1\r\nHost: hello.localhost\r\nConnection: close\r\n\r\n")
        .await;
    assert!(reply.starts_with("HTTP/1.1 200 ") && !reply.to_lowercase().contains("keep-alive"), "{reply}");
    gateway.finish().await;
}

#[tokio::test]
async fn each_chunk_passes_before_the_next_one_comes() {
    let gateway = Gateway::start(&both_apps()).await;
    for app in ["one.localhost", "two.localhost"] {
        for mut client in Client::both(gateway.http).await {
            let (feeder, body) = fed();
            feed(&feeder, "first").await;
            let mut response = soon("a header", client.start(post(app, "/stream", body))).await.unwrap();
            assert_eq!(next(&mut response).await, "first");
            feed(&feeder, "second").await;
            assert_eq!(next(&mut response).await, "second");
            drop(feeder);
            assert_eq!(whole(response).await.unwrap().body.len(), 0);
        }
    }
    gateway.finish().await;
}

#[tokio::test]
async fn an_app_gets_the_host_and_the_headers_that_it_wants() {
    let wants = "forwarding: {headers: none, host: 'localhost:8888'}";
    let gateway = Gateway::start(&both_apps().map(|app| app.spec(wants))).await;
    for app in ["one.localhost", "two.localhost"] {
        for mut client in Client::both(gateway.http).await {
            let request = request(Method::GET, app, "/").header("x-forwarded-for", "6.6.6.6");
            let json = client.send(request.body(empty()).unwrap()).await.json();
            let host = if app.starts_with("one") { seen(&json, "host") } else { vec!["localhost:8888".to_owned()] };
            assert_eq!(host, ["localhost:8888"]);
            assert!(app.starts_with("one") || json["uri"] == "http://localhost:8888/", "{json}");
            for name in ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"] {
                assert_eq!(seen(&json, name), [""; 0], "{name}");
            }
        }
    }
    gateway.finish().await;
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let gateway = Gateway::start(&both_apps()).await;
    for app in ["one.localhost", "two.localhost"] {
        for mut client in Client::both(gateway.http).await {
            for path in ["/", "/stream"] {
                let (feeder, body) = fed();
                let request = request(Method::POST, app, path).header("te", "trailers").header("trailer", "x-sum");
                let sending = tokio::spawn(async move {
                    feed(&feeder, "data").await;
                    let trailers = [("x-sum".parse().unwrap(), "7".parse().unwrap())].into_iter().collect();
                    feeder.send(Ok(Frame::trailers(trailers))).await.unwrap();
                });
                let reply = client.send(request.body(body).unwrap()).await;
                sending.await.unwrap();
                if path == "/" {
                    assert_eq!(reply.json()["trailers"], json!([["x-sum", "7"]]), "{app}");
                } else {
                    assert_eq!(reply.trailers.as_ref().map(|t| &t["x-sum"]), Some(&"7".parse().unwrap()), "{app}");
                }
            }
        }
    }
    gateway.finish().await;
}

#[tokio::test]
async fn expect_100_continue_is_answered_when_the_body_is_wanted() {
    let gateway = Gateway::start(&[App::echo_with("hello", "--start-delay 300ms")]).await;
    let mut raw = Raw::connect(gateway.http).await;
    let head = "POST /x HTTP/1.1\r\nHost: hello.localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    raw.send(head).await.unwrap();
    assert_eq!(raw.until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    // It was not asked for while the app was still starting.
    assert_eq!(gateway.app("hello").await["state"], "awake");
    raw.send("hello").await.unwrap();
    assert!(raw.until("\r\n\r\n").await.starts_with("HTTP/1.1 200 "));
    let json: Value = serde_json::from_str(&raw.until("\n}\n").await).unwrap();
    assert_eq!(json["body"]["text"], "hello");
    assert_eq!(seen(&json, "expect"), ["100-continue"]);
    gateway.finish().await;
}

/// Reads the head of a request, and answers by its path before it reads any further.
const SAYS: &str = r#"
import os, socketserver
class App(socketserver.StreamRequestHandler):
    def handle(self):
        path = self.rfile.readline().split()[1]
        while self.rfile.readline().strip():
            pass
        if path == b"/refuse":
            return self.wfile.write(b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        if path == b"/want":
            self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
        body = self.rfile.read(5)
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n" + body)
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer(("127.0.0.1", int(os.environ["PORT"])), App).serve_forever()
"#;

#[tokio::test]
async fn whether_a_body_is_wanted_is_for_the_app_to_say() {
    let gateway = Gateway::start(&[App::command("hello", &["python3", "-c", SAYS])]).await;
    let ask = async |path: &str| {
        let mut raw = Raw::connect(gateway.http).await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: hello.localhost\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n"
        );
        raw.send(head).await.unwrap();
        raw
    };
    let reply = ask("/refuse").await.rest().await;
    assert!(reply.starts_with("HTTP/1.1 413 ") && reply.ends_with("\r\n\r\nno"), "{reply}");
    // One that says nothing is not waited for without end.
    for path in ["/want", "/say-nothing"] {
        let mut raw = ask(path).await;
        assert_eq!(raw.until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n", "{path}");
        raw.send("hello").await.unwrap();
        assert!(raw.until("\r\n\r\n").await.starts_with("HTTP/1.1 200 "), "{path}");
        assert_eq!(raw.until("hello").await, "hello", "{path}");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn an_http_1_0_client_is_served() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    let reply =
        Raw::connect(gateway.http).await.exchange("GET /bytes?n=10 HTTP/1.0\r\nHost: hello.localhost\r\n\r\n").await;
    assert!(reply.starts_with("HTTP/1.0 200 ") || reply.starts_with("HTTP/1.1 200 "), "{reply}");
    assert!(reply.ends_with("\r\n\r\nzzzzzzzzzz"), "{reply}");
    gateway.finish().await;
}

#[tokio::test]
async fn grpc_passes_with_status_and_trailers() {
    let app = App::echo("grpc").target("readiness: {grpc: {}}").and_target("protocol: h2c");
    let gateway = Gateway::start(&[app]).await;
    let mut client = Client::http2(gateway.http).await;
    let said = client.send(grpc("grpc.localhost", "/echo.Echo/Say", b"hi")).await;
    assert_eq!((said.status.as_u16(), said.body.as_ref()), (200, &b"\0\0\0\0\x02hi"[..]));
    assert_eq!(said.trailers.as_ref().map(|t| &t["grpc-status"]), Some(&"0".parse().unwrap()));
    let response = soon("an answer", client.start(grpc("grpc.localhost", "/echo.Echo/Fail", b""))).await.unwrap();
    // Trailers-only has to stay so: the status is in the header block, and the stream ends with it.
    assert_eq!(response.headers()["grpc-status"], "5");
    assert_eq!(response.headers()["grpc-message"], "not found, as told");
    assert!(response.body().is_end_stream());
    // Messages of a stream pass one by one.
    let (feeder, body) = fed();
    let mut call: Request<Sending> = grpc("grpc.localhost", "/echo.Echo/Say", b"");
    *call.body_mut() = body;
    feed(&feeder, &b"\0\0\0\0\x01a"[..]).await;
    let mut response = soon("an answer", client.start(call)).await.unwrap();
    assert_eq!(next(&mut response).await, "\0\0\0\0\x01a");
    feed(&feeder, &b"\0\0\0\0\x01b"[..]).await;
    assert_eq!(next(&mut response).await, "\0\0\0\0\x01b");
    drop(feeder);
    let end = soon("trailers", response.body_mut().frame()).await.unwrap().unwrap().into_trailers().unwrap();
    assert_eq!(end["grpc-status"], "0");
    gateway.finish().await;
}

#[tokio::test]
async fn an_app_that_closes_idle_connections_is_never_seen_to() {
    // The app says how long it keeps them. Each request comes just about when it closes the one that was used before.
    let gateway = Gateway::start(&[App::echo_with("hello", "--keep-alive-timeout 2s")]).await;
    let clients = (0..20).map(|n| {
        let http = gateway.http;
        async move {
            let mut client = Client::http1(http).await;
            for _ in 0..3 {
                let reply = client.send(get("hello.localhost", "/hello")).await;
                assert_eq!(reply.status, 200, "{reply:?}");
                tokio::time::sleep(std::time::Duration::from_millis(1990 + n)).await;
            }
        }
    });
    futures_util::future::join_all(clients).await;
    gateway.finish().await;
}

#[tokio::test]
async fn an_answer_before_the_end_of_an_upload_holds_up_nobody_else() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    let mut early = Raw::connect(gateway.http).await;
    // Answered before its body has come, which stays where it is.
    let head = "POST /status/401 HTTP/1.1\r\nHost: hello.localhost\r\nContent-Length: 1000\r\n\r\nsome";
    early.send(head).await.unwrap();
    early.until("HTTP/1.1 401 ").await;
    for _ in 0..3 {
        assert_eq!(gateway.get("hello.localhost", "/hello").await.status, 200);
    }
    drop(early);
    gateway.finish().await;
}

#[tokio::test]
async fn a_body_of_unknown_length_passes_with_any_method() {
    let gateway = Gateway::start(&both_apps()).await;
    for app in ["one.localhost", "two.localhost"] {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {app}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        );
        let reply = Raw::connect(gateway.http).await.exchange(request).await;
        assert!(reply.contains(r#""text": "hello""#), "{app}: {reply}");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn split_cookies_are_one_header_before_http1() {
    let gateway = Gateway::start(&both_apps()).await;
    let mut client = Client::http2(gateway.http).await;
    let request = request(Method::GET, "one.localhost", "/").header("cookie", "a=1").header("cookie", "b=2");
    let json = client.send(request.body(empty()).unwrap()).await.json();
    assert_eq!(seen(&json, "cookie"), ["a=1; b=2"]);
    gateway.finish().await;
}

#[tokio::test]
async fn what_comes_round_again_and_again_is_told_so() {
    let gateway = Gateway::start(&both_apps()).await;
    for (app, apps_version) in [("one.localhost", "1.1"), ("two.localhost", "2")] {
        for (mut client, version) in Client::both(gateway.http).await.into_iter().zip(["1.1", "2"]) {
            let reply = client.send(get(app, "/")).await;
            let [own] = &seen(&reply.json(), "via")[..] else { panic!("{reply:?}") };
            let name = own.strip_prefix(&format!("{version} zerogate-")).unwrap_or_else(|| panic!("{own}"));
            assert_eq!(reply.header("via"), format!("{apps_version} zerogate-{name}"));
            // What others add is kept.
            let with = |via: &str| request(Method::GET, app, "/").header("via", via).body(empty()).unwrap();
            let json = client.send(with("1.0 fred")).await.json();
            assert_eq!(seen(&json, "via"), [format!("1.0 fred, {own}")]);
            let times = |count: usize| vec![own.as_str(); count].join(", ");
            let json = client.send(with(&times(5))).await.json();
            assert_eq!(seen(&json, "via"), [times(6)]);
            let problem = client.send(with(&times(6))).await.problem(508);
            assert_eq!(problem["cause"], "loop");
        }
    }
    gateway.finish().await;
}
