use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::{Body, Frame};
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

use super::*;

/// Serves each connection by `serve` until the test ends.
async fn server<F: Future<Output = ()> + Send + 'static>(
    mut serve: impl FnMut(TcpStream) -> F + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("bind");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// Answers `GET /path` over HTTP/1.1 or HTTP/2 with `status` if it is asked as it should be, else with 500.
async fn answering(status: u16, http2: bool) -> SocketAddr {
    server(move |stream| async move {
        let answer = service_fn(move |request: Request<_>| async move {
            let agent = request.headers()["user-agent"].to_str().is_ok_and(|a| a.starts_with("zerogate-readiness/"));
            let host = request.uri().host() == Some("localhost") || request.headers()["host"] == "localhost";
            let asked = agent && host && request.uri().path() == "/ok" && request.uri().query() == Some("full=1");
            let response = Response::builder().status(if asked { status } else { 500 });
            let _: Request<hyper::body::Incoming> = request;
            Ok::<_, Infallible>(response.body(Empty::<Bytes>::new()).expect("a response"))
        });
        let io = TokioIo::new(stream);
        if http2 {
            let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, answer).await;
        } else {
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, answer).await;
        }
    })
    .await
}

/// A health service: the message it answers with, and its status, among the headers if there is no message.
async fn health(message: Option<&'static [u8]>, status: &'static str) -> SocketAddr {
    server(move |stream| async move {
        let answer = service_fn(move |request: Request<hyper::body::Incoming>| async move {
            assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
            assert_eq!(request.headers()["te"], "trailers");
            let response = Response::builder().header("content-type", "application/grpc");
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", status.parse().expect("a header"));
            let response = match message {
                Some(_) => response,
                None => response.header("grpc-status", status),
            };
            let frames = message.map(|message| [Frame::data(Bytes::from_static(message)), Frame::trailers(trailers)]);
            let body = Frames(frames.into_iter().flatten().collect());
            Ok::<_, Infallible>(response.body(body).expect("a response"))
        });
        let io = TokioIo::new(stream);
        let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, answer).await;
    })
    .await
}

async fn check(readiness: Readiness, address: SocketAddr) -> Result<(), String> {
    Probe::new(readiness, address).check().await.map_err(|why| why.to_string())
}

fn get(http2: bool) -> Readiness {
    let protocol = if http2 { Protocol::H2c } else { Protocol::Http1 };
    Readiness::HttpGet { path: "/ok?full=1".into(), protocol }
}

fn grpc() -> Readiness {
    Readiness::Grpc { service: "a.Service".into() }
}

#[test]
fn pauses_grow_with_the_time_it_has_taken() {
    let micros = |millis| interval(Duration::from_millis(millis)).as_micros();
    assert_eq!([0, 100, 200, 400, 1_000, 5_000, 9_999].map(micros), [1_000, 1_000, 1_000, 2_000, 5_000, 5_000, 5_000]);
    assert_eq!([10_000, 60_000, 200_000, 900_000].map(micros), [5_000, 30_000, 100_000, 100_000]);
}

#[tokio::test]
async fn tcp_socket_passes_once_somebody_listens() {
    let address = server(|_| async {}).await;
    assert_eq!(check(Readiness::TcpSocket, address).await, Ok(()));
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.and_then(|l| l.local_addr()).expect("a free port");
    let why = check(Readiness::TcpSocket, free).await.expect_err("nobody listens");
    assert!(why.starts_with("cannot connect: "), "{why}");
}

#[tokio::test]
async fn http_get_passes_with_200_to_399() {
    for http2 in [false, true] {
        for status in [200, 204, 302, 399] {
            assert_eq!(check(get(http2), answering(status, http2).await).await, Ok(()), "{status}");
        }
        for status in [404, 500, 503] {
            let why = check(get(http2), answering(status, http2).await).await.expect_err("not ready");
            assert!(why.starts_with(&format!("status {status}")), "{why}");
        }
    }
}

#[tokio::test]
async fn http_get_reads_an_answer_whose_connection_ends_with_it() {
    let address = server(|mut stream| async move {
        let mut head = [0; 512];
        let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut head).await;
        let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await;
    })
    .await;
    for _ in 0..50 {
        assert_eq!(check(get(false), address).await, Ok(()));
    }
}

#[tokio::test]
async fn garbage_is_not_an_answer() {
    let garbage = |mut stream: TcpStream| async move {
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"\0\0\0\0nothing of the kind\r\n\r\n").await;
    };
    let address = server(garbage).await;
    for readiness in [get(false), get(true), grpc()] {
        let why = check(readiness, address).await.expect_err("garbage");
        assert!(why.starts_with("no valid answer: "), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_app_that_never_answers_fails_one_try_after_a_second() {
    let address = server(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    for readiness in [get(false), get(true), grpc()] {
        assert_eq!(check(readiness, address).await, Err("no answer within 1 s".into()));
    }
}

#[tokio::test]
async fn grpc_passes_when_serving() {
    assert_eq!(check(grpc(), health(Some(&[0, 0, 0, 0, 2, 8, 1]), "0").await).await, Ok(()));
}

#[tokio::test]
async fn grpc_says_why_not() {
    for (message, status, why) in [
        (Some(&[0, 0, 0, 0, 2, 8, 2][..]), "0", "the health service says NOT_SERVING"),
        (Some(&[0, 0, 0, 0, 2, 8, 3]), "0", "the health service says SERVICE_UNKNOWN"),
        (Some(&[0, 0, 0, 0, 0]), "0", "the health service says UNKNOWN"),
        (Some(&[0, 0, 0, 0, 2, 8, 1]), "13", "the health check ended with gRPC status 13"),
        (Some(&[0, 0, 0]), "0", "the health service's answer is malformed"),
        (None, "12", "the health check ended with gRPC status 12"),
    ] {
        assert_eq!(check(grpc(), health(message, status).await).await, Err(why.into()));
    }
}

#[tokio::test]
async fn tries_until_it_passes_and_remembers_what_it_met() {
    let mut tries = 0;
    let address = server(move |mut stream| {
        tries += 1;
        let status = if tries < 5 { "503 Not Yet" } else { "200 OK" };
        async move {
            let mut head = [0; 512];
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut head).await;
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes()).await;
        }
    })
    .await;
    let mut probe = Probe::new(get(false), address);
    assert!(probe.last().is_none());
    tokio::time::timeout(Duration::from_secs(10), probe.ready(&Clock::running())).await.expect("ready in time");
    assert!(probe.last().is_some_and(|why| why.to_string().starts_with("status 503")));
}

/// A body of these frames.
struct Frames(VecDeque<Frame<Bytes>>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}
