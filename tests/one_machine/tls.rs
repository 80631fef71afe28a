//! TLS: who gets which certificate, what apps and clients are told, and who is turned away.

use std::path::Path;
use std::time::Duration;

use http::Request;
use rustix::process::Signal;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::rustls;

use crate::authority::{Authority, Signed};
use crate::client::{Client, fed, feed, full, get, next, post, tls, tls_on, whole};
use crate::document::App;
use crate::forwarding::seen;
use crate::gateway::Setup;
use crate::raw::Raw;
use crate::wait::{soon, until};

/// One whose only app is at `hello.localhost`, with a certificate of its own.
fn setup(authority: &Authority, fields: &str) -> Setup {
    let app = App::echo("hello").spec(&format!("tls: {{certificate: own.crt, key: own.key{fields}}}"));
    let setup = Setup::new(&[app]).https();
    authority.sign("hello.localhost").write(setup.folder(), "own");
    setup
}

/// With a folder of certificates.
fn with_folder(setup: Setup, fill: impl FnOnce(&Path)) -> Setup {
    let folder = setup.folder().join("certificates");
    std::fs::create_dir(&folder).unwrap();
    fill(&folder);
    setup.flag("--tls-folder", folder.to_str().unwrap())
}

/// Whether the connection was made with `signed`.
fn shows(stream: &tokio_rustls::client::TlsStream<TcpStream>, signed: &Signed) -> bool {
    let shown = &stream.get_ref().1.peer_certificates().unwrap()[0];
    *shown == CertificateDer::from_pem_slice(signed.certificate.as_bytes()).unwrap()
}

#[tokio::test]
async fn both_versions_are_served_and_the_app_is_told() {
    let authority = Authority::new("authority");
    for threads in ["1", "2"] {
        let gateway = setup(&authority, ", hsts: 8760h").flag("--threads", threads).start().await;
        for http2 in [false, true] {
            let mut client = Client::tls(gateway.https, "hello.localhost", &[&authority], http2).await.unwrap();
            for _ in 0..3 {
                let reply = client.send(get("hello.localhost", "/")).await;
                assert_eq!(reply.status, 200, "{reply:?}");
                assert_eq!(reply.header("strict-transport-security"), "max-age=31536000");
                let json = reply.json();
                assert_eq!(seen(&json, "x-forwarded-proto"), ["https"], "{json}");
                assert_eq!(seen(&json, "forwarded"), ["for=127.0.0.1;host=hello.localhost;proto=https"]);
            }
            // Large ones each way.
            let body = "0123456789abcdef".repeat(20_000);
            let reply = client.send(post("hello.localhost", "/stream", full(body.clone()))).await;
            assert!(reply.body == body, "{} of {} bytes", reply.body.len(), body.len());
            let reply = client.send(get("hello.localhost", "/bytes?n=1000000")).await;
            assert_eq!(reply.body.len(), 1_000_000);
            // And as it comes.
            let (feeder, body) = fed();
            feed(&feeder, "first").await;
            let mut response = soon("a header", client.start(post("hello.localhost", "/stream", body))).await.unwrap();
            assert_eq!(next(&mut response).await, "first");
            feed(&feeder, "last").await;
            drop(feeder);
            assert_eq!(whole(response).await.unwrap().body, "last");
        }
        let plain = gateway.get("hello.localhost", "/").await;
        assert_eq!(seen(&plain.json(), "x-forwarded-proto"), ["http"]);
        assert_eq!(plain.header("strict-transport-security"), "");
        assert_eq!(gateway.metric("zerogate_tls_handshakes_total", &[("kind", "full")]).await, 2.0);
        let days = gateway.metric("zerogate_tls_certificate_expiry_days", &[("of", "app default/hello")]).await;
        assert!(days > 365.0, "{days}");
        gateway.finish().await;
    }
}

#[tokio::test]
async fn the_certificate_goes_by_the_name_that_is_asked_for() {
    let authority = Authority::new("authority");
    let [exact, wildcard, default] =
        ["a.example.org", "*.example.org", "other.example"].map(|name| authority.sign(name));
    let setup = with_folder(setup(&authority, ""), |folder| {
        exact.write(folder, "exact");
        // A folder for each does too.
        std::fs::create_dir(folder.join("wildcard")).unwrap();
        wildcard.write(&folder.join("wildcard"), "tls");
    });
    let gateway = setup.start().await;
    let connect = async |name: &str| tls(gateway.https, name, &[&authority], &["http/1.1"]).await;
    assert!(shows(&connect("a.example.org").await.unwrap(), &exact));
    assert!(shows(&connect("b.example.org").await.unwrap(), &wildcard));
    connect("hello.localhost").await.unwrap();
    // Nobody has one for these.
    for name in ["example.org", "x.b.example.org", "127.0.0.1"] {
        let why = connect(name).await.unwrap_err().to_string();
        assert!(why.contains("AccessDenied"), "{why}");
    }
    assert_eq!(gateway.metric("zerogate_tls_handshake_failures_total", &[("cause", "no_certificate")]).await, 3.0);
    // Until there is one for all.
    default.write(&gateway.folder().join("certificates"), "default");
    until("it is used", async || connect("other.example").await.ok()).await;
    let reply = gateway.admin_get("/v1/certificates").await.unwrap().json();
    let owners: Vec<_> =
        reply["certificates"].as_array().unwrap().iter().map(|it| it["of"].as_str().unwrap()).collect();
    let folders = ["default", "exact", "wildcard"].map(|name| format!("{name} of --tls-folder"));
    assert_eq!(owners, ["app default/hello".to_owned()].into_iter().chain(folders).collect::<Vec<_>>());
    gateway.finish().await;
}

#[tokio::test]
async fn a_request_is_for_the_host_that_the_handshake_was_for() {
    let authority = Authority::new("authority");
    let apps = ["hello", "other"].map(|name| App::echo(name).spec("tls: {redirect: false}"));
    let setup = with_folder(Setup::new(&apps).https(), |folder| authority.sign("hello.localhost").write(folder, "x"));
    let gateway = setup.start().await;
    for http2 in [false, true] {
        let mut client = Client::tls(gateway.https, "hello.localhost", &[&authority], http2).await.unwrap();
        let problem = client.send(get("other.localhost", "/")).await.problem(421);
        assert_eq!(problem["cause"], "misdirected");
        for host in ["hello.localhost", "HELLO.localhost", &format!("hello.localhost:{}", gateway.https.port())] {
            assert_eq!(client.send(get(host, "/hello")).await.status, 200, "{host}");
        }
    }
    gateway.finish().await;
}

#[tokio::test]
async fn apps_that_want_tls_send_there_who_comes_without() {
    let authority = Authority::new("authority");
    let gateway = setup(&authority, ", redirect: true, hsts: 1h").flag("--trusted-proxies", "127.0.0.1").start().await;
    let port = gateway.https.port();
    for mut client in Client::both(gateway.http).await {
        let reply = client.send(get("hello.localhost:8080", "/a/b?c=d")).await;
        assert_eq!(reply.problem(308)["cause"], "needs_tls");
        assert_eq!(reply.header("location"), format!("https://hello.localhost:{port}/a/b?c=d"));
        assert_eq!(reply.header("strict-transport-security"), "", "it counts only when it comes by TLS");
        // Behind one who has spoken TLS already, that would go round for ever.
        let request = |proto: &str| {
            Request::get("http://hello.localhost/")
                .header("x-forwarded-proto", proto)
                .body(crate::client::empty())
                .unwrap()
        };
        assert_eq!(client.send(request("https")).await.status, 200);
        assert_eq!(client.send(request("http")).await.status, 308);
    }
    let mut client = Client::tls(gateway.https, "hello.localhost", &[&authority], true).await.unwrap();
    assert_eq!(client.send(get("hello.localhost", "/")).await.status, 200);
    gateway.finish().await;

    let gateway = setup(&authority, ", redirect: true").flag("--https-public-port", "443").start().await;
    assert_eq!(gateway.get("hello.localhost", "/").await.header("location"), "https://hello.localhost/");
    gateway.finish().await;
}

#[tokio::test]
async fn who_does_not_come_to_the_point_is_turned_away() {
    let authority = Authority::new("authority");
    let setup = setup(&authority, "").flag("--header-timeout", "400ms");
    let gateway = setup.start().await;
    // A handshake that drips.
    let mut drips = Raw::connect(gateway.https).await;
    drips.send([22, 3, 1]).await.unwrap();
    assert_eq!(drips.rest().await, "");
    // A whole one, and then nothing.
    let mut silent = tls(gateway.https, "hello.localhost", &[&authority], &["h2"]).await.unwrap();
    let _ = soon("the end", silent.read_to_end(&mut Vec::new())).await;
    // One that agrees on HTTP/2 and speaks another.
    let mut liar = tls(gateway.https, "hello.localhost", &[&authority], &["h2"]).await.unwrap();
    liar.write_all(b"GET / HTTP/1.1\r\nHost: hello.localhost\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    let _ = soon("the end", liar.read_to_end(&mut said)).await;
    assert_eq!(String::from_utf8_lossy(&said), "");
    let said = Raw::connect(gateway.https).await.exchange("GET / HTTP/1.1\r\nHost: hello.localhost\r\n\r\n").await;
    assert!(!said.contains("HTTP/1.1"), "{said}");
    let failures = async |cause| gateway.metric("zerogate_tls_handshake_failures_total", &[("cause", cause)]).await;
    assert_eq!((failures("timeout").await, failures("malformed").await), (1.0, 1.0));

    gateway.finish().await;
}

#[tokio::test]
async fn only_so_many_handshakes_are_made_at_once() {
    let authority = Authority::new("authority");
    let gateway = setup(&authority, "").flag("--max-handshakes", "2").start().await;
    let connect = async || tls(gateway.https, "hello.localhost", &[&authority], &["h2"]).await;
    until("one is too many", async || {
        // They have some seconds.
        let dripping = [Raw::connect(gateway.https).await, Raw::connect(gateway.https).await];
        let made = connect().await;
        drop(dripping);
        made.is_err().then_some(())
    })
    .await;
    assert!(gateway.metric("zerogate_tls_handshake_failures_total", &[("cause", "too_many")]).await > 0.0);
    until("there is room", async || connect().await.ok()).await;
    gateway.finish().await;
}

#[tokio::test]
async fn a_held_upload_ends_with_its_client_and_idle_connections_hold_up_no_end() {
    let authority = Authority::new("authority");
    let slow = App::echo_with("slow", "--never-listen").spec("tls: {certificate: slow.crt, key: slow.key}");
    let setup = Setup::new(&[slow]).https().flag("--drain-timeout", "3600s");
    authority.sign("slow.localhost").write(setup.folder(), "slow");
    let mut gateway = setup.start().await;
    let mut client = Client::tls(gateway.https, "slow.localhost", &[&authority], false).await.unwrap();
    let (feeder, body) = fed();
    let held = tokio::spawn(async move { drop(client.start(post("slow.localhost", "/", body)).await) });
    gateway.held("slow", 1).await;
    held.abort();
    drop(feeder);
    gateway.held("slow", 0).await;
    let idle = [
        Client::tls(gateway.https, "slow.localhost", &[&authority], false).await.unwrap(),
        Client::tls(gateway.https, "slow.localhost", &[&authority], true).await.unwrap(),
    ];
    let begun = Raw::connect(gateway.https).await;
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.ended().await.code(), Some(0));
    drop((idle, begun));
    gateway.nothing_is_left().await;
}

#[tokio::test]
async fn a_surge_of_clients_at_a_sleeping_app_is_answered() {
    let authority = Authority::new("authority");
    let app = App::echo("hello").spec("hold: {maxRequests: 1000}").spec("tls: {certificate: own.crt, key: own.key}");
    let setup = Setup::new(&[app]).https();
    authority.sign("hello.localhost").write(setup.folder(), "own");
    let gateway = setup.start().await;
    let to = gateway.https;
    let pem = std::sync::Arc::new(authority);
    let clients: Vec<_> = (0..300)
        .map(|n| {
            let authority = pem.clone();
            tokio::spawn(async move {
                let mut client = Client::tls(to, "hello.localhost", &[&authority], n % 2 == 0).await.unwrap();
                client.send(get("hello.localhost", "/hello")).await.status
            })
        })
        .collect();
    for client in clients {
        assert_eq!(tokio::time::timeout(Duration::from_secs(120), client).await.unwrap().unwrap(), 200);
    }
    assert_eq!(gateway.metric("zerogate_tls_handshakes_total", &[]).await, 300.0);
    gateway.finish().await;
}

#[tokio::test]
async fn a_balancer_says_whose_connection_it_is_on_both_ports() {
    let authority = Authority::new("authority");
    let gateway =
        setup(&authority, "").flag("--proxy-protocol", "127.0.0.1").flag("--trusted-proxies", "").start().await;
    let header = b"PROXY TCP4 192.0.2.7 10.0.0.1 1 2\r\n";
    let mut raw = Raw::connect(gateway.http).await;
    raw.send(header).await.unwrap();
    raw.send("GET / HTTP/1.1\r\nHost: hello.localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let said = raw.rest().await;
    assert!(said.starts_with("HTTP/1.1 200 ") && said.contains("for=192.0.2.7;"), "{said}");
    let mut socket = TcpStream::connect(gateway.https).await.unwrap();
    socket.write_all(header).await.unwrap();
    let stream = tls_on(socket, "hello.localhost", &[&authority], &["h2"]).await.unwrap();
    let json = Client::on_tls(stream).await.send(get("hello.localhost", "/")).await.json();
    assert_eq!(seen(&json, "x-forwarded-for"), ["192.0.2.7"]);
    // Without one it is closed.
    assert_eq!(Raw::connect(gateway.http).await.exchange("GET / HTTP/1.1\r\nHost: hello.localhost\r\n\r\n").await, "");
    assert!(tls(gateway.https, "hello.localhost", &[&authority], &["h2"]).await.is_err());
    assert_eq!(gateway.metric("zerogate_refused_total", &[("cause", "no_proxy_header")]).await, 2.0);
    gateway.finish().await;

    // Who is no balancer cannot say that he is somebody else.
    let gateway = setup(&authority, "").flag("--proxy-protocol", "192.0.2.1").start().await;
    let mut raw = Raw::connect(gateway.http).await;
    raw.send(header).await.unwrap();
    let said = raw.exchange("GET / HTTP/1.1\r\nHost: hello.localhost\r\n\r\n").await;
    assert!(said.starts_with("HTTP/1.1 400 "), "{said}");
    gateway.finish().await;
}
