//! Apps that speak TLS: what they are known by, what is spoken, and what clients are told when it comes to nothing.

use std::path::Path;
use std::process::Command;

use futures_util::{SinkExt, StreamExt};
use http::Request;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::authority::{Authority, Signed};
use crate::client::{Client, full, get, grpc, post};
use crate::document::{App, ZEROGATE};
use crate::gateway::{Gateway, Setup};
use crate::wait::{soon, until};

/// However busy the machine is, a handshake that comes to an end counts as what it is.
const PATIENT: &str = "timeouts: {connect: 50s}";

/// An app with the certificate `own`, known by `ca.crt`.
fn app(name: &str, flags: &str) -> App {
    App::echo_with(name, &format!("--tls-cert own.crt --tls-key own.key {flags}"))
        .and_target("protocol: https")
        .and_target("tls: {ca: ca.crt}")
        .spec(PATIENT)
}

fn write(folder: &Path, authority: &Authority, own: &Signed) {
    std::fs::write(folder.join("ca.crt"), authority.pem()).unwrap();
    own.write(folder, "own");
}

fn setup(apps: &[App]) -> Setup {
    let authority = Authority::new("authority");
    let setup = Setup::new(apps);
    write(setup.folder(), &authority, &authority.sign("localhost"));
    setup
}

async fn handshakes(gateway: &Gateway) -> f64 {
    gateway.metric("zerogate_app_tls_handshakes_total", &[]).await
}

#[tokio::test]
async fn what_the_app_chooses_is_spoken_on_connections_that_are_kept() {
    for (alpn, version) in [("h2,http/1.1", "HTTP/2"), ("http/1.1", "HTTP/1.1"), ("h2", "HTTP/2")] {
        let gateway = setup(&[app("hello", &format!("--tls-alpn {alpn} --keep-alive-timeout 60s"))])
            .flag("--threads", "1")
            .start()
            .await;
        for mut client in Client::both(gateway.http).await {
            for _ in 0..5 {
                let reply = client.send(get("hello.localhost", "/some?path")).await;
                assert_eq!(reply.status, 200, "{alpn}: {reply:?}");
                let json = reply.json();
                assert_eq!(json["version"], version, "{alpn}: {json}");
                assert!(json["uri"].as_str().unwrap().ends_with("/some?path"), "{json}");
                let host = json["headers"].as_array().unwrap().iter().find(|header| header[0] == "host");
                let authority = json["uri"].as_str().unwrap().contains("//hello.localhost/");
                assert!(authority || host.is_some_and(|host| host[1] == "hello.localhost"), "{json}");
            }
            let body = "0123456789abcdef".repeat(20_000);
            let reply = client.send(post("hello.localhost", "/stream", full(body.clone()))).await;
            assert!(reply.body == body, "{alpn}: {} of {} bytes", reply.body.len(), body.len());
            assert_eq!(client.send(get("hello.localhost", "/bytes?n=1000000")).await.body.len(), 1_000_000);
            let expects = Request::post("http://hello.localhost/stream").header("expect", "100-continue");
            let reply = client.send(expects.body(full("asked for")).unwrap()).await;
            assert_eq!((reply.status.as_u16(), &reply.body[..]), (200, &b"asked for"[..]), "{alpn}");
        }
        assert_eq!(handshakes(&gateway).await, 1.0, "{alpn}");
        gateway.finish().await;
    }
}

#[tokio::test]
async fn grpc_goes_over_tls_too() {
    let gateway = setup(&[app("hello", "")]).start().await;
    let reply = Client::http2(gateway.http).await.send(grpc("hello.localhost", "/echo.Echo/Say", b"hello")).await;
    assert_eq!((reply.status.as_u16(), reply.grpc_status()), (200, "0"), "{reply:?}");
    assert!(reply.body.ends_with(b"hello"), "{reply:?}");
    gateway.finish().await;
}

#[tokio::test]
async fn a_websocket_goes_through_to_an_app_that_would_rather_speak_http2() {
    let gateway = setup(&[app("hello", "")]).start().await;
    assert_eq!(gateway.get("hello.localhost", "/").await.json()["version"], "HTTP/2");
    let stream = TcpStream::connect(gateway.http).await.unwrap();
    let opened = soon("a WebSocket", tokio_tungstenite::client_async("ws://hello.localhost/ws", stream)).await;
    let mut socket = opened.unwrap().0;
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(soon("an echo", socket.next()).await.unwrap().unwrap(), Message::text("hello"));
    gateway.in_flight("hello", 1).await;
    drop(socket);
    gateway.finish().await;
}

#[tokio::test]
async fn clients_are_told_why_no_tls_can_be_spoken() {
    let (good, other) = (Authority::new("good"), Authority::new("other"));
    let known_by = |name: &str, fields: &str| {
        App::echo_with(name, &format!("--tls-cert {name}.crt --tls-key {name}.key"))
            .and_target("protocol: https")
            .and_target(&format!("tls: {{{fields}}}"))
            .spec(PATIENT)
    };
    let apps = [
        known_by("named", "ca: ca.crt, serverName: app.internal"),
        known_by("untrusted", "ca: ca.crt"),
        known_by("system", "serverName: localhost"),
        known_by("otherwise", "ca: ca.crt"),
        known_by("expired", "ca: ca.crt"),
        known_by("missing", "ca: no-such.crt"),
        App::echo("plain").target("protocol: https\n    tls: {ca: ca.crt}").spec(PATIENT),
        App::echo_with("hangs", "--hang").target("protocol: https\n    tls: {ca: ca.crt}"),
    ];
    let setup = Setup::new(&apps);
    let folder = setup.folder();
    std::fs::write(folder.join("ca.crt"), good.pem()).unwrap();
    good.sign("app.internal").write(folder, "named");
    for name in ["untrusted", "system"] {
        other.sign("localhost").write(folder, name);
    }
    good.sign("other.example").write(folder, "otherwise");
    good.sign("localhost").write(folder, "missing");
    good.sign_expired("localhost").write(folder, "expired");
    let folder = folder.to_str().unwrap().to_owned();
    let gateway = setup.start().await;
    assert_eq!(gateway.get("named.localhost", "/hello").await.status, 200);
    for (app, status, cause, words) in [
        ("untrusted", 502, "untrusted", "signed by none of those that it is to be known by"),
        ("otherwise", 502, "wrong_name", "for another name; set target.tls.serverName"),
        ("expired", 502, "expired", "has expired; renew it"),
        ("missing", 502, "no_authority", "known by cannot be read"),
        ("hangs", 504, "timeout", "within timeouts.connect"),
    ] {
        let problem = gateway.get(&format!("{app}.localhost"), "/").await.problem(status);
        assert_eq!(problem["cause"], "app_tls", "{app}: {problem}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{app}: {problem}");
        assert!(!detail.contains(&folder) && !detail.contains("127.0.0.1"), "{problem}");
        let labels = [("app", &*format!("default/{app}")), ("cause", cause)];
        assert_eq!(gateway.metric("zerogate_app_tls_failures_total", &labels).await, 1.0, "{app}");
    }
    // Whether this machine knows any authority or none.
    let problem = gateway.get("system.localhost", "/").await.problem(502);
    assert_eq!(problem["cause"], "app_tls", "{problem}");
    // One that speaks something else says so, or only ends the connection.
    let problem = gateway.get("plain.localhost", "/").await.problem(502);
    assert_eq!(problem["cause"], "app_tls", "{problem}");
    gateway.finish().await;
}

#[tokio::test]
async fn authorities_change_while_running_and_bad_ones_do_not_count() {
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    // Each answer on a connection of its own.
    let setup = Setup::new(&[app("hello", "--tls-alpn http/1.1 --keep-alive-timeout 1s")]);
    write(setup.folder(), &first, &first.sign("localhost"));
    let gateway = setup.start().await;
    assert_eq!(gateway.get("hello.localhost", "/hello").await.status, 200);
    let ca = gateway.folder().join("ca.crt");
    std::fs::write(&ca, "no certificate").unwrap();
    until("it is told", async || gateway.output().contains("holds no certificate in PEM").then_some(())).await;
    assert_eq!(gateway.get("hello.localhost", "/hello").await.status, 200);
    std::fs::write(&ca, second.pem()).unwrap();
    until("the new one counts", async || {
        let reply = gateway.get("hello.localhost", "/hello").await;
        (reply.status == 502 && reply.problem(502)["cause"] == "app_tls").then_some(())
    })
    .await;
    std::fs::write(&ca, [first.pem(), second.pem()].concat()).unwrap();
    until("both count", async || (gateway.get("hello.localhost", "/hello").await.status == 200).then_some(())).await;
    gateway.finish().await;
}

#[tokio::test]
async fn a_surge_at_a_sleeping_app_is_answered() {
    for alpn in ["h2,http/1.1", "http/1.1"] {
        let gateway = setup(&[app("hello", &format!("--tls-alpn {alpn}"))]).start().await;
        let waiting: Vec<_> = (0..100).map(|_| gateway.spawn_get("hello.localhost", "/hello")).collect();
        for task in waiting {
            assert_eq!(task.await.unwrap().status, 200, "{alpn}");
        }
        gateway.finish().await;
    }
}

#[test]
fn check_names_an_authority_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("apps.yaml"), app("hello", "").to_string()).unwrap();
    let check = || {
        let output = Command::new(ZEROGATE).arg("check").arg(folder.path().join("apps.yaml")).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, said) = check();
    let named = said.contains("spec.target.tls.ca: ") && said.contains("ca.crt cannot be read");
    assert!(code == Some(1) && named, "{said}");
    std::fs::write(folder.path().join("ca.crt"), Authority::new("authority").pem()).unwrap();
    let (code, said) = check();
    assert_eq!(code, Some(0), "{said}");
}
