//! Clients that break the rules or just leave.

use tokio::io::AsyncWriteExt;

use crate::client::{Client, fed, feed, get, next, post};
use crate::document::App;
use crate::gateway::{Gateway, Setup};
use crate::raw::Raw;
use crate::wait::soon;

/// How many requests have reached the app.
async fn reached(gateway: &Gateway) -> u64 {
    gateway.get("hello.localhost", "/").await.json()["number"].as_u64().unwrap() - 1
}

/// Sends bytes that are no proper request: answered with `status` or not at all, the connection is closed, the app never
/// sees it.
async fn refused(gateway: &Gateway, bytes: &[u8], status: &str) {
    let before = reached(gateway).await;
    let reply = Raw::connect(gateway.http).await.exchange(bytes).await;
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
    assert!(reply.starts_with(&format!("HTTP/1.1 {status}")), "{shown:?}: {reply:?}");
    assert_eq!(reply.matches("HTTP/1.1 ").count(), 1, "{shown:?}: more than one answer: {reply:?}");
    assert_eq!(reached(gateway).await, before + 1, "{shown:?} reached the app");
}

#[tokio::test]
async fn malformed_requests_get_400() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    for bytes in [
        &b"no http at all\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1 more\r\nHost: hello.localhost\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: hello.localhost\r\n\r\n",
        b"GE T / HTTP/1.1\r\nHost: hello.localhost\r\n\r\n",
        b"GET /\x01 HTTP/1.1\r\nHost: hello.localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: hello.localhost\r\nNo colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: hello.localhost\r\nSpaced : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: hello.localhost\r\nX: a\0b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: hello.localhost\r\nX: a\r\n folded\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello\r\n\r\n",
    ] {
        refused(&gateway, bytes, "400").await;
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_request_without_exactly_one_good_host_gets_400() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    for (target, hosts) in [
        ("/", ""),
        ("/", "Host:\r\n"),
        ("/", "Host: hello.localhost\r\nHost: other.localhost\r\n"),
        ("/", "Host: a@hello.localhost\r\n"),
        ("/", "Host: hello.localhost:abc?evil#\r\n"),
        ("/", "Host: hello.localhost:8\t0\r\n"),
        ("http://hello.localhost:abc/", "Host: hello.localhost\r\n"),
        ("http://a@hello.localhost/", "Host: hello.localhost\r\n"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
        refused(&gateway, request.as_bytes(), "400").await;
    }
    gateway.finish().await;
}

#[tokio::test]
async fn smuggling_is_refused() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: hello.localhost\r\n\r\n";
    for framing in [
        format!("Content-Length: 4\r\nContent-Length: 60\r\n\r\nabcd{smuggled}"),
        format!("Content-Length: 4, 60\r\n\r\nabcd{smuggled}"),
        format!("Content-Length: +4\r\n\r\nabcd{smuggled}"),
        format!("Content-Length: 0x4\r\n\r\nabcd{smuggled}"),
        format!("Content-Length: -1\r\n\r\n{smuggled}"),
        format!("Content-Length: 99999999999999999999999\r\n\r\n{smuggled}"),
        format!("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n{smuggled}"),
    ] {
        refused(&gateway, format!("POST / HTTP/1.1\r\nHost: hello.localhost\r\n{framing}").as_bytes(), "400").await;
    }
    gateway.finish().await;
}

#[tokio::test]
async fn content_length_beside_chunked_smuggles_nothing() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    for framing in
        ["Content-Length: 5\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 5"]
    {
        let before = reached(&gateway).await;
        let request = format!(
            "POST / HTTP/1.1\r\nHost: hello.localhost\r\n{framing}\r\n\r\n0\r\n\r\n\
             GET /smuggled HTTP/1.1\r\nHost: hello.localhost\r\n\r\n"
        );
        // RFC 9112, 6.3: refused, or taken as chunked; either way the connection ends with it.
        let reply = Raw::connect(gateway.http).await.exchange(request).await;
        assert!(reply.starts_with("HTTP/1.1 400") || reply.contains("\r\nconnection: close\r\n"), "{reply}");
        assert_eq!(reply.matches("HTTP/1.1 ").count(), 1, "{reply}");
        // The app was not told a length besides.
        assert!(!reply.contains("\"content-length\",\n      \"5\""), "{reply}");
        assert!(reached(&gateway).await <= before + 2, "/smuggled reached the app");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn a_coding_besides_chunks_is_501_before_anything_is_woken() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    let request = "POST / HTTP/1.1\r\nHost: hello.localhost\r\nTransfer-Encoding: gzip, chunked\r\nConnection: close\r\n\r\n\
                   2\r\nab\r\n0\r\n\r\n";
    let reply = Raw::connect(gateway.http).await.exchange(request).await;
    assert!(reply.starts_with("HTTP/1.1 501 ") && reply.contains("\"transfer_coding\""), "{reply}");
    assert_eq!(gateway.app("hello").await["state"], "asleep");
    gateway.finish().await;
}

#[tokio::test]
async fn a_malformed_chunk_ends_the_connection_and_nothing_follows_it() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    for chunks in ["zz\r\nab\r\n0\r\n\r\n", "2\r\nabc\r\n0\r\n\r\n", "2;\nab\r\n0\r\n\r\n", "ffffffffffffffffff\r\n"] {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: hello.localhost\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}\
             GET /smuggled HTTP/1.1\r\nHost: hello.localhost\r\n\r\n"
        );
        let reply = Raw::connect(gateway.http).await.exchange(request).await;
        assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 400"), "{chunks:?}: {reply:?}");
        assert!(!reply.contains("/smuggled"), "{chunks:?}: {reply:?}");
    }
    gateway.finish().await;
}

#[tokio::test]
async fn headers_too_large_get_431() {
    let gateway = Setup::new(&[App::echo("hello")]).flag("--max-header-size", "16KiB").start().await;
    let long = "x".repeat(10 * 1024);
    let one = format!("GET / HTTP/1.1\r\nHost: hello.localhost\r\nX-Long: {long}\r\n\r\n");
    let mut raw = Raw::connect(gateway.http).await;
    raw.send(&one).await.unwrap();
    assert!(raw.until("\r\n").await.starts_with("HTTP/1.1 200 "));
    let two = format!("GET / HTTP/1.1\r\nHost: hello.localhost\r\nX-Long: {long}\r\nX-Longer: {long}\r\n\r\n");
    refused(&gateway, two.as_bytes(), "431").await;
    let many: String = (0..1000).map(|n| format!("X-{n}: 1\r\n")).collect();
    refused(&gateway, format!("GET / HTTP/1.1\r\nHost: hello.localhost\r\n{many}\r\n").as_bytes(), "431").await;
    let mut client = Client::http2(gateway.http).await;
    let mut large = get("hello.localhost", "/");
    large.headers_mut().insert("x-long", "x".repeat(64 * 1024).parse().unwrap());
    // hyper's client keeps to the size that the gateway has announced, or gets its answer; either way the app does not see it.
    let before = reached(&gateway).await;
    let reply = client.try_send(large).await;
    assert!(reply.is_err() || reply.as_ref().is_ok_and(|reply| reply.status == 431), "{reply:?}");
    assert_eq!(reached(&gateway).await, before + 1);
    gateway.finish().await;
}

#[tokio::test]
async fn a_dripped_header_is_not_waited_for() {
    let gateway = Setup::new(&[App::echo("hello")]).flag("--header-timeout", "1s").start().await;
    let mut raw = Raw::connect(gateway.http).await;
    raw.send("GET / HTTP/1.1\r\nHost: hello.localhost\r\n").await.unwrap();
    // Each byte comes well within the timeout; all of them would take for ever.
    let mut drips = 0;
    while raw.send("X").await.is_ok() {
        drips += 1;
        assert!(drips < 300, "still open");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    // The same for one that says nothing at all.
    assert_eq!(Raw::connect(gateway.http).await.rest().await, "");
    gateway.finish().await;
}

#[tokio::test]
async fn bytes_beyond_content_length_are_not_the_body() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    let request = "POST / HTTP/1.1\r\nHost: hello.localhost\r\nContent-Length: 5\r\n\r\nhello and more\r\n\r\n";
    let reply = Raw::connect(gateway.http).await.exchange(request).await;
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
    assert!(reply.contains(r#""text": "hello""#), "{reply}");
    // What follows is no request either.
    assert_eq!(reply.matches("HTTP/1.1 200").count(), 1, "{reply}");
    gateway.finish().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    let one = |path| format!("GET {path} HTTP/1.1\r\nHost: hello.localhost\r\n\r\n");
    let last = "GET /status/203 HTTP/1.1\r\nHost: hello.localhost\r\nConnection: close\r\n\r\n";
    let requests = [&one("/status/201"), &one("/status/202"), last].map(|request: &str| request.to_owned()).concat();
    let reply = Raw::connect(gateway.http).await.exchange(requests).await;
    let statuses: Vec<_> = reply.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["201", "202", "203"]);
    gateway.finish().await;
}

#[tokio::test]
async fn connect_and_strange_targets_reach_no_app() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    let before = reached(&gateway).await;
    for head in
        ["CONNECT hello.localhost:80 HTTP/1.1\r\nHost: hello.localhost:80", "OPTIONS * HTTP/1.1\r\nHost: nobody"]
    {
        let reply = Raw::connect(gateway.http).await.exchange(format!("{head}\r\nConnection: close\r\n\r\n")).await;
        assert!(reply.starts_with("HTTP/1.1 4"), "{head}: {reply}");
    }
    assert_eq!(reached(&gateway).await, before + 1);
    gateway.finish().await;
}

#[tokio::test]
async fn an_absolute_target_is_its_own_host() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    let request = "GET http://hello.localhost/x HTTP/1.1\r\nHost: other.localhost\r\nConnection: close\r\n\r\n";
    let reply = Raw::connect(gateway.http).await.exchange(request).await;
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
    // RFC 9112, 3.2.2: the Host that was received is to be replaced.
    assert!(!reply.contains("other.localhost"), "{reply}");
    gateway.finish().await;
}

#[tokio::test]
async fn a_client_that_hangs_up_is_forgotten_at_once() {
    let apps = [App::echo("hello"), App::echo_with("slow", "--never-listen")];
    let gateway = Gateway::start(&apps).await;
    assert_eq!(gateway.get("hello.localhost", "/hello").await.status, 200);
    // While it is held, its body half sent.
    let mut raw = Raw::connect(gateway.http).await;
    raw.send("POST / HTTP/1.1\r\nHost: slow.localhost\r\nContent-Length: 10\r\n\r\nabc").await.unwrap();
    gateway.held("slow", 1).await;
    drop(raw);
    gateway.held("slow", 0).await;
    for mut client in Client::both(gateway.http).await {
        // While the app works.
        let mut waiting = Box::pin(client.start(get("hello.localhost", "/sleep?ms=3600000")));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        tokio::select! {
            _ = &mut waiting => panic!("answered"),
            _ = gateway.in_flight("hello", 1) => {}
        }
        drop(waiting);
        drop(client);
        gateway.in_flight("hello", 0).await;
    }
    for mut client in Client::both(gateway.http).await {
        // While it sends.
        let (feeder, body) = fed();
        feed(&feeder, "a").await;
        let response = soon("a header", client.start(post("hello.localhost", "/stream", body))).await.unwrap();
        gateway.in_flight("hello", 1).await;
        drop((response, client, feeder));
        gateway.in_flight("hello", 0).await;
    }
    for mut client in Client::both(gateway.http).await {
        // While it receives.
        let mut response =
            soon("a header", client.start(get("hello.localhost", "/bytes?n=10000000000"))).await.unwrap();
        next(&mut response).await;
        gateway.in_flight("hello", 1).await;
        drop((response, client));
        gateway.in_flight("hello", 0).await;
    }
    // A reset in place of a proper close.
    let mut raw = Raw::connect(gateway.http).await;
    raw.send("GET /sleep?ms=3600000 HTTP/1.1\r\nHost: hello.localhost\r\n\r\n").await.unwrap();
    gateway.in_flight("hello", 1).await;
    raw.stream().set_zero_linger().unwrap();
    drop(raw);
    gateway.in_flight("hello", 0).await;
    gateway.finish().await;
}

#[tokio::test]
async fn an_upload_that_breaks_off_never_looks_whole_to_the_app() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    for framing in ["Content-Length: 10\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"] {
        let mut raw = Raw::connect(gateway.http).await;
        raw.send(format!("POST /x HTTP/1.1\r\nHost: hello.localhost\r\n{framing}")).await.unwrap();
        gateway.in_flight("hello", 1).await;
        raw.stream().shutdown().await.unwrap();
        let reply = raw.rest().await;
        assert!(!reply.starts_with("HTTP/1.1 2"), "{reply}");
        gateway.in_flight("hello", 0).await;
    }
    gateway.finish().await;
}
