use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderValue;
use hyper::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpListener;

use super::*;
use crate::config::settings::Timeouts;
use crate::edge::body::UploadProgress;
use crate::edge::files::OpenFiles;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// How connections are made.
pub(super) fn way() -> Way {
    let clock = Clock::manual();
    let edge = crate::testing::edge(&clock);
    let text = "apiVersion: zerogate.dev/v1alpha1\nkind: HTTPApp\nmetadata: {name: a}\nspec: {routes: [{hosts: [a]}], target: {process: {command: [x]}}}";
    let mut loader = crate::config::Loader::new(crate::config::origin::Origin::Files);
    loader.text("a".to_owned(), std::path::Path::new("/"), text);
    crate::source::apply(&edge, &loader.finish().unwrap_or_else(|problems| panic!("{problems}")));
    let app = edge.registry.all().values().next().unwrap().clone();
    Way { app, connect: SECOND, files: files(), trust: Trusted::default() }
}

/// As many open files as anybody wants.
fn files() -> Arc<FileShare> {
    FileShare::new(OpenFiles::new(1 << 20, Arc::default()))
}

/// An app that answers every request on every connection with these bytes, and how many connections it has accepted.
async fn app(answer: &'static [u8]) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = accepted.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut read = Vec::new();
                while stream.read_buf(&mut read).await.is_ok_and(|n| n > 0) {
                    if read.ends_with(b"\r\n\r\n") {
                        read.clear();
                        stream.write_all(answer).await.unwrap();
                    }
                }
            });
        }
    });
    (address, accepted)
}

async fn open(address: SocketAddr) -> Connection {
    Connection::open(tcp(address).await.unwrap(), files().take().unwrap()).await.unwrap()
}

/// Sends the requests that come from `client` to `endpoint`, each on what the one before has given back.
async fn pass_on(client: DuplexStream, endpoint: &Arc<Endpoint>, clock: &Clock) {
    try_to_pass_on(client, endpoint, clock).await.unwrap();
}

/// The same, where one may come to nothing.
async fn try_to_pass_on(client: DuplexStream, endpoint: &Arc<Endpoint>, clock: &Clock) -> hyper::Result<()> {
    let way = &way();
    let service = service_fn(|request: Request<Incoming>| async move {
        let timeouts = Timeouts { connect: SECOND, response_header: MINUTE, idle: MINUTE, request: None };
        let upload = (!request.body().is_end_stream()).then(|| Arc::new(UploadProgress::new(Clock::running())));
        let mut patience = Patience::new(&timeouts, upload.clone(), Clock::running().instant(Timestamp::ZERO));
        let mut request = Some(request.map(|body| RequestBody::new(body.into(), MINUTE, upload)));
        match send(endpoint, &mut request, &mut patience, way, clock.now()).await {
            Ok(Answer { response, lease }) => {
                lease.expect("a connection of its own").give_back(endpoint, clock, clock.now());
                assert_eq!(response.status(), 200);
                Ok(Response::new(http_body_util::Empty::<&[u8]>::new()))
            }
            Err(_) => Err(io::Error::other("not sent")),
        }
    });
    http1::Builder::new().serve_connection(TokioIo::new(client), service).await
}

/// Sends `request` and reads the head of the answer.
async fn ask(client: &mut DuplexStream, request: &[u8]) {
    client.write_all(request).await.unwrap();
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        assert!(client.read_buf(&mut read).await.unwrap() > 0, "{}", String::from_utf8_lossy(&read));
    }
    assert!(read.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&read));
}

/// Sends `count` requests to `endpoint`, one after the other, each on what the one before has given back.
async fn send_some(endpoint: &Arc<Endpoint>, count: usize) {
    let clock = Clock::manual();
    let (mut client, server) = duplex(4096);
    let asking = async {
        for _ in 0..count {
            ask(&mut client, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        }
        drop(client);
    };
    tokio::join!(pass_on(server, endpoint, &clock), asking);
}

#[tokio::test]
async fn a_connection_that_is_not_done_with_a_body_is_not_waited_for_without_end() {
    let (address, accepted) = app(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let (endpoint, clock) = (Arc::new(Endpoint::new("a", address)), Clock::manual());
    let ([mut early, mut client], [first, second]) = {
        let [a, b] = [duplex(4096), duplex(4096)];
        ([a.0, b.0], [a.1, b.1])
    };
    let asking = async {
        // Answered although most of its body is still to come; the app reads on.
        ask(&mut early, b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n").await;
        ask(&mut client, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert_eq!(accepted.load(Ordering::SeqCst), 2);
        drop((early, client));
    };
    tokio::join!(pass_on(first, &endpoint, &clock), pass_on(second, &endpoint, &clock), asking);
}

#[tokio::test]
async fn requests_share_a_connection_that_the_app_keeps() {
    let (address, accepted) = app(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    send_some(&Arc::new(Endpoint::new("a", address)), 10).await;
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_connection_that_the_app_does_not_keep_is_not_used_again() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nkeep-alive: timeout=1\r\n\r\n",
    ] {
        let (address, accepted) = app(answer).await;
        send_some(&Arc::new(Endpoint::new("a", address)), 3).await;
        assert_eq!(accepted.load(Ordering::SeqCst), 3, "{}", String::from_utf8_lossy(answer));
    }
}

/// An app that closes each connection after `answers` answers, without word of it before; the last request on it it has read.
async fn closing_app(answers: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let count = count.clone();
            tokio::spawn(async move {
                let (mut read, mut left) = (Vec::new(), answers);
                while stream.read_buf(&mut read).await.is_ok_and(|n| n > 0) {
                    if read.ends_with(b"\r\n\r\n") {
                        count.fetch_add(1, Ordering::SeqCst);
                        read.clear();
                        if left == 0 {
                            return;
                        }
                        left -= 1;
                        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                    }
                }
            });
        }
    });
    (address, asked)
}

#[tokio::test]
async fn on_a_connection_that_ends_what_is_safe_goes_out_once_more() {
    for method in ["GET", "HEAD", "OPTIONS"] {
        let (address, asked) = closing_app(1).await;
        let (endpoint, clock) = (Arc::new(Endpoint::new("a", address)), Clock::manual());
        let (mut client, server) = duplex(4096);
        let asking = async {
            for _ in 0..5 {
                ask(&mut client, format!("{method} /a?b HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).await;
            }
            drop(client);
        };
        tokio::join!(pass_on(server, &endpoint, &clock), asking);
        assert_eq!(asked.load(Ordering::SeqCst), 9, "{method}: all but the first went out twice");
    }
}

#[tokio::test]
async fn what_is_not_safe_or_was_on_a_new_connection_does_not() {
    for (answers, request) in [
        (1, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"),
        (1, "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n\r\n\r\n"),
        (0, "GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
    ] {
        let (address, asked) = closing_app(answers).await;
        let (endpoint, clock) = (Arc::new(Endpoint::new("a", address)), Clock::manual());
        let (mut client, server) = duplex(4096);
        let asking = async {
            for _ in 0..answers {
                ask(&mut client, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
            }
            client.write_all(request.as_bytes()).await.unwrap();
            let mut rest = Vec::new();
            client.read_to_end(&mut rest).await.unwrap();
            assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
        };
        let (passed, ()) = tokio::join!(try_to_pass_on(server, &endpoint, &clock), asking);
        assert!(passed.is_err(), "{request}");
        assert_eq!(asked.load(Ordering::SeqCst), answers + 1, "{request}");
    }
}

#[tokio::test]
async fn a_connection_goes_back_to_the_thread_that_opened_it() {
    let (address, _) = app(b"").await;
    let endpoint = Arc::new(Endpoint::new("1", address));
    let clock = Clock::manual();
    let now = clock.now();
    let put = |connection| Pool::put(&endpoint, Idle { connection, until: now + MINUTE }, &clock);
    let own = shards::home();
    put(open(address).await);
    let runtime = tokio::runtime::Handle::current();
    let elsewhere = || {
        std::thread::scope(|scope| {
            let borrow = scope.spawn(|| {
                let _runtime = runtime.enter();
                assert_ne!(shards::home(), own);
                let pool = endpoint.attachment(Pool::new);
                let mut loans = 0;
                // It takes what is there, and gives it back to whose it is.
                while let Some(connection) = pool.take(now, || false) {
                    assert_eq!(connection.home(), own);
                    put(connection);
                    loans += 1;
                    assert!(loans < 1000, "for ever");
                }
                assert!(pool.take(now, || false).is_some(), "after one of its own it borrows again");
                loans
            });
            borrow.join().unwrap()
        })
    };
    assert!(elsewhere() >= 16, "an app sees few connections as long as there are few requests");
}

#[tokio::test]
async fn an_app_that_takes_few_connections_is_spared() {
    let (address, _) = app(b"").await;
    let endpoint = Arc::new(Endpoint::new("1", address));
    let clock = Clock::manual();
    let now = clock.now();
    Pool::put(&endpoint, Idle { connection: open(address).await, until: now + MINUTE }, &clock);
    let runtime = tokio::runtime::Handle::current();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _runtime = runtime.enter();
            for _ in 0..200 {
                let connection = endpoint.attachment(Pool::new).take(now, || true).expect("the other one's");
                Pool::put(&endpoint, Idle { connection, until: now + MINUTE }, &clock);
            }
        });
    });
}

#[tokio::test]
async fn a_connection_is_of_one_endpoint_whatever_the_address() {
    let (address, _) = app(b"").await;
    let [before, after] = ["1", "2"].map(|name| Arc::new(Endpoint::new(name, address)));
    let connection = open(address).await;
    let clock = Clock::manual();
    Pool::put(&before, Idle { connection, until: clock.now() + SECOND }, &clock);
    assert!(after.attachment(Pool::new).take(clock.now(), || false).is_none());
    assert!(before.attachment(Pool::new).take(clock.now(), || false).is_some());
    assert!(before.attachment(Pool::new).take(clock.now(), || false).is_none(), "it is there once");
}

#[tokio::test]
async fn a_connection_is_used_again_until_its_time_is_up() {
    let (address, _) = app(b"").await;
    let endpoint = Arc::new(Endpoint::new("1", address));
    let pool = endpoint.attachment(Pool::new);
    let clock = Clock::manual();
    let until = clock.now() + SECOND;
    let put = async || {
        Pool::put(&endpoint, Idle { connection: open(address).await, until }, &clock);
    };
    put().await;
    assert!(pool.take(Timestamp::from_millis(999), || false).is_some());
    put().await;
    assert!(pool.take(Timestamp::from_millis(1000), || false).is_none());
    put().await;
    assert_eq!(pool.sweep(Timestamp::from_millis(999), false), 1);
    assert_eq!(pool.sweep(Timestamp::from_millis(1000), false), 0);
    put().await;
    assert_eq!(pool.sweep(Timestamp::ZERO, true), 0, "an endpoint that is closed keeps none");
}

#[test]
fn a_connection_is_kept_less_long_than_the_app_keeps_it() {
    let kept = |value: Option<&'static str>| {
        let mut headers = HeaderMap::new();
        headers
            .extend(value.map(|value| (http::HeaderName::from_static("keep-alive"), HeaderValue::from_static(value))));
        keep_alive(&headers)
    };
    for (said, kept_for) in [
        (None, IDLE),
        (Some("timeout=5, max=100"), 4 * SECOND),
        (Some("max=100, timeout=2"), SECOND),
        (Some("timeout=1"), Duration::ZERO),
        (Some("timeout=0"), Duration::ZERO),
        (Some("timeout=86400"), MOST_IDLE),
        (Some("timeout=soon"), IDLE),
    ] {
        assert_eq!(kept(said), kept_for, "{said:?}");
    }
}
