use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

use super::*;

const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    echo: EchoArgs,
}

/// An echo app in this process.
struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(flags: &str) -> Self {
        let cli = Cli::try_parse_from(std::iter::once("echo").chain(flags.split_whitespace())).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let echo = Arc::new(Echo::new(&cli.echo, address.port(), std::time::SystemTime::now(), None));
        let stop_asked = async {
            let _ = stopped.await;
        };
        let task = tokio::spawn(server::serve(listener, echo, stop_asked, DEADLINE));
        Self { address, stop: Some(stop), task }
    }

    fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn send<B>(&self, request: Request<B>) -> hyper::Result<Response<Incoming>>
    where
        B: hyper::body::Body<Data = Bytes, Error = std::convert::Infallible> + Send + Unpin + 'static,
    {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(self.connect().await)).await?;
        tokio::spawn(connection);
        sender.send_request(request).await
    }

    async fn send_h2<B>(&self, request: Request<B>) -> hyper::Result<Response<Incoming>>
    where
        B: hyper::body::Body<Data = Bytes, Error = std::convert::Infallible> + Send + Unpin + 'static,
    {
        let io = TokioIo::new(self.connect().await);
        let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
        tokio::spawn(connection);
        sender.send_request(request).await
    }

    async fn get(&self, path: &str) -> (StatusCode, Bytes) {
        let response = self.send(get(path)).await.unwrap();
        (response.status(), response.into_body().collect().await.unwrap().to_bytes())
    }
}

fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(path).header("host", "echo.localhost").body(Full::default()).unwrap()
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("in time")
}

fn trailers(name: &'static str, value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
}

#[tokio::test]
async fn shows_the_request_as_json() {
    let echo = Running::start("--name blue").await;
    let request = Request::post("/some/path?a=b").header("host", "x").header("x-twice", "1").header("x-twice", "2");
    let response = echo.send(request.body(Full::from("hello")).unwrap()).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(json["method"], "POST");
    assert_eq!(json["uri"], "/some/path?a=b");
    assert_eq!(json["version"], "HTTP/1.1");
    assert_eq!(json["body"]["length"], 5);
    assert_eq!(json["body"]["text"], "hello");
    assert_eq!(json["body"]["fnv1a"], "a430d84680aabd0b");
    assert_eq!((&json["name"], &json["number"]), (&"blue".into(), &1.into()));
    let since = humantime::parse_rfc3339(json["listening_since"].as_str().unwrap()).unwrap();
    assert!(since.elapsed().unwrap() < Duration::from_secs(60), "{json}");
    assert_eq!(json["port"], echo.address.port());
    let twice: Vec<_> = json["headers"].as_array().unwrap().iter().filter(|pair| pair[0] == "x-twice").collect();
    assert_eq!(twice, [&serde_json::json!(["x-twice", "1"]), &serde_json::json!(["x-twice", "2"])]);
}

#[tokio::test]
async fn speaks_http2_on_the_same_port_and_shows_trailers() {
    let echo = Running::start("").await;
    let frames = [Ok(Frame::data(Bytes::from("ab"))), Ok(Frame::trailers(trailers("x-sum", "7")))];
    let body = StreamBody::new(futures_util::stream::iter(frames));
    let request = Request::post(format!("http://{}/t", echo.address)).body(body).unwrap();
    let response = echo.send_h2(request).await.unwrap();
    let json: serde_json::Value =
        serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(json["version"], "HTTP/2");
    assert_eq!(json["trailers"], serde_json::json!([["x-sum", "7"]]));
}

#[tokio::test]
async fn answers_what_the_path_asks_for() {
    let echo = Running::start("").await;
    assert_eq!(echo.get("/hello").await, (StatusCode::OK, Bytes::from("Hello, world!")));
    assert_eq!(echo.get("/status/503").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(echo.get("/bytes?n=200000").await.1.len(), 200_000);
    assert_eq!(echo.get("/sleep?ms=1").await.0, StatusCode::OK);
    assert_eq!(echo.get("/sse?n=2&ms=1").await.1, Bytes::from("id: 0\ndata: event 0\n\nid: 1\ndata: event 1\n\n"));
    assert_eq!(echo.get("/healthz").await.0, StatusCode::OK);
}

#[tokio::test]
async fn answers_head_without_a_body_in_both_versions() {
    let echo = Running::start("").await;
    let head = || Request::head(format!("http://{}/hello", echo.address)).header("host", "x").body(Full::default());
    for response in [echo.send(head().unwrap()).await.unwrap(), echo.send_h2(head().unwrap()).await.unwrap()] {
        assert_eq!(response.headers()["content-length"], "13");
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "");
    }
}

#[tokio::test]
async fn a_bad_number_is_named() {
    let echo = Running::start("").await;
    let (status, why) = echo.get("/sleep?ms=-1").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(std::str::from_utf8(&why).unwrap().starts_with("ms: "), "{why:?}");
    assert_eq!(echo.get("/status/99").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(echo.get("/ws").await.0, StatusCode::UPGRADE_REQUIRED);
    assert_eq!(echo.get("/upgrade").await.0, StatusCode::UPGRADE_REQUIRED);
}

#[tokio::test]
async fn streams_each_chunk_back_before_the_next_comes() {
    let echo = Running::start("").await;
    let (chunks, receiver) = tokio::sync::mpsc::channel::<Frame<Bytes>>(1);
    let body = StreamBody::new(Box::pin(futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|frame| (Ok(frame), receiver))
    })));
    let request = Request::post("/stream").header("host", "x").header("te", "trailers").header("trailer", "x-sum");
    let mut response = soon(echo.send(request.body(body).unwrap())).await.unwrap();
    for chunk in ["one", "two"] {
        chunks.send(Frame::data(Bytes::from(chunk))).await.unwrap();
        let frame = soon(response.body_mut().frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), chunk);
    }
    chunks.send(Frame::trailers(trailers("x-sum", "2"))).await.unwrap();
    drop(chunks);
    let rest = soon(response.into_body().collect()).await.unwrap();
    assert_eq!(rest.trailers(), Some(&trailers("x-sum", "2")));
}

#[tokio::test]
async fn breaks_off_after_half_of_what_it_promised() {
    let echo = Running::start("").await;
    let mut response = echo.send(get("/close?after=10")).await.unwrap();
    assert_eq!(response.headers()["content-length"], "20");
    let first = soon(response.body_mut().frame()).await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap().len(), 10);
    assert!(soon(response.body_mut().frame()).await.unwrap().is_err());
}

#[tokio::test]
async fn speaks_enough_grpc() {
    let echo = Running::start("--unready-for 1h").await;
    let call = |path: &str| {
        let uri = format!("http://{}{path}", echo.address);
        Request::post(uri).header("content-type", "application/grpc").body(Full::from(&b"\0\0\0\0\x02hi"[..])).unwrap()
    };
    let said = echo.send_h2(call("/echo.Echo/Say")).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(said.trailers(), Some(&trailers("grpc-status", "0")));
    assert_eq!(said.to_bytes(), &b"\0\0\0\0\x02hi"[..]);
    let failed = echo.send_h2(call("/echo.Echo/Fail")).await.unwrap();
    assert_eq!(failed.headers()["grpc-status"], "5");
    assert!(hyper::body::Body::is_end_stream(failed.body()));
    let health = echo.send_h2(call("/grpc.health.v1.Health/Check")).await.unwrap();
    assert_eq!(health.into_body().collect().await.unwrap().to_bytes(), &[0, 0, 0, 0, 2, 8, 2][..]);
    assert_eq!(echo.get("/healthz").await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn echoes_websocket_messages_and_says_goodbye() {
    let mut echo = Running::start("").await;
    let stream = echo.connect().await;
    let (mut socket, _) = soon(tokio_tungstenite::client_async("ws://echo.localhost/ws", stream)).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(soon(socket.next()).await.unwrap().unwrap(), Message::text("hello"));
    echo.stop();
    assert!(
        matches!(soon(socket.next()).await, Some(Ok(Message::Close(Some(frame)))) if u16::from(frame.code) == 1001)
    );
    assert!(soon(socket.next()).await.is_none());
    soon(echo.task).await.unwrap();
}

#[tokio::test]
async fn echoes_raw_bytes_after_an_upgrade() {
    let echo = Running::start("").await;
    let mut stream = echo.connect().await;
    stream
        .write_all(b"GET /upgrade HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: raw\r\n\r\nabc")
        .await
        .unwrap();
    let mut received = Vec::new();
    while !received.ends_with(b"\r\n\r\nabc") {
        assert_ne!(soon(stream.read_buf(&mut received)).await.unwrap(), 0, "{received:?}");
    }
    assert!(received.starts_with(b"HTTP/1.1 101 "));
    stream.shutdown().await.unwrap();
    assert_eq!(soon(stream.read_buf(&mut received)).await.unwrap(), 0);
}

#[tokio::test]
async fn lets_a_request_in_flight_finish_when_it_stops() {
    let mut echo = Running::start("--concurrency 1").await;
    let mut held = echo.send(get("/sse?n=2&ms=300")).await.unwrap();
    let first = soon(held.body_mut().frame()).await.unwrap().unwrap();
    assert!(first.is_data());
    echo.stop();
    let rest = soon(held.into_body().collect()).await.unwrap().to_bytes();
    assert_eq!(rest, "id: 1\ndata: event 1\n\n");
    soon(echo.task).await.unwrap();
}

#[tokio::test]
async fn serves_no_more_at_a_time_than_told_but_health() {
    let echo = Running::start("--concurrency 1").await;
    let mut first = echo.send(get("/sse?n=2&ms=600000")).await.unwrap();
    assert!(soon(first.body_mut().frame()).await.unwrap().is_ok());
    assert_eq!(soon(echo.get("/healthz")).await.0, StatusCode::OK);
    let second = tokio::time::timeout(Duration::from_millis(100), echo.get("/hello")).await;
    assert!(second.is_err(), "served beside the first");
    drop(first);
    assert_eq!(soon(echo.get("/hello")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn closes_idle_connections_when_told() {
    let echo = Running::start("--keep-alive-timeout 50ms").await;
    let mut stream = echo.connect().await;
    stream.write_all(b"GET /sleep?ms=200 HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut received = Vec::new();
    soon(stream.read_to_end(&mut received)).await.unwrap();
    assert!(received.ends_with(b"}\n"), "{received:?}");
}

#[tokio::test]
async fn misbehaves_when_told() {
    let echo = Running::start("--garbage").await;
    assert!(soon(echo.send(get("/"))).await.is_err());
    let echo = Running::start("--hang").await;
    let answer = tokio::time::timeout(Duration::from_millis(100), echo.send(get("/"))).await;
    assert!(answer.is_err(), "answered");
}
