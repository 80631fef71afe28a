//! A fake API server on the loopback: plays what a test says, and keeps what it was asked.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::Config;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Clients, Version};

/// Runs until dropped.
pub(crate) struct FakeApi {
    address: SocketAddr,
    version: Version,
    shared: Arc<Shared>,
    accepting: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    /// Whether it can begin a watch with all there is. If not, it says so without bothering the test.
    streams: AtomicBool,
    asked: Mutex<Vec<Asked>>,
    connections: Mutex<JoinSet<()>>,
    accepted: Mutex<usize>,
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// An answer.
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    /// What follows, as long as its sender lives.
    more: Option<mpsc::UnboundedReceiver<Bytes>>,
}

// === impl FakeApi ===

impl FakeApi {
    /// One that answers as `answer` says, over HTTP/1.1.
    pub(crate) async fn start<F, R>(answer: F) -> Self
    where
        F: Fn(Asked) -> R + Send + Sync + 'static,
        R: Future<Output = Answer> + Send + 'static,
    {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), answer).await
    }

    /// The same at this address.
    pub(crate) async fn start_at<F, R>(address: SocketAddr, answer: F) -> Self
    where
        F: Fn(Asked) -> R + Send + Sync + 'static,
        R: Future<Output = Answer> + Send + 'static,
    {
        Self::speaking(address, Version::Negotiated, answer).await
    }

    /// The same over HTTP/2.
    pub(crate) async fn start_http2<F, R>(answer: F) -> Self
    where
        F: Fn(Asked) -> R + Send + Sync + 'static,
        R: Future<Output = Answer> + Send + 'static,
    {
        Self::speaking((Ipv4Addr::LOCALHOST, 0).into(), Version::Two, answer).await
    }

    async fn speaking<F, R>(address: SocketAddr, version: Version, answer: F) -> Self
    where
        F: Fn(Asked) -> R + Send + Sync + 'static,
        R: Future<Output = Answer> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.expect("bind");
        let address = listener.local_addr().expect("bound");
        let (shared, answer) = (Arc::<Shared>::default(), Arc::new(answer));
        let keeping = shared.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *keeping.accepted.lock() += 1;
                let (shared, answer) = (keeping.clone(), answer.clone());
                keeping.connections.lock().spawn(serve(stream, version, shared, answer));
            }
        });
        Self { address, version, shared, accepting }
    }

    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new(format!("http://{}", self.address).parse().expect("an address"));
        config.root_cert = Some(Vec::new());
        config
    }

    pub(crate) fn clients(&self) -> Clients {
        Clients::speaking(&self.config(), self.version).expect("a usable configuration")
    }

    /// What it was asked so far, but for the greeting that opens connections.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().iter().filter(|asked| asked.uri.path() != "/version").cloned().collect()
    }

    /// How often it was greeted, which is what opens a connection before there is an order.
    pub(crate) fn greeted(&self) -> usize {
        self.shared.asked.lock().iter().filter(|asked| asked.uri.path() == "/version").count()
    }

    /// How many connections were made to it.
    pub(crate) fn accepted(&self) -> usize {
        *self.shared.accepted.lock()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections to it are open.
    pub(crate) fn open(&self) -> usize {
        let mut connections = self.shared.connections.lock();
        while connections.try_join_next().is_some() {}
        connections.len()
    }

    /// Waits until so many connections were made to it.
    pub(crate) async fn until_accepted(&self, many: usize) {
        until(|| self.accepted() >= many).await;
    }

    /// The same, of a server that can begin a watch with all there is.
    pub(crate) fn streaming(self) -> Self {
        self.shared.streams.store(true, Ordering::Relaxed);
        self
    }

    /// Closes all connections in the midst of whatever they do.
    pub(crate) fn cut(&self) {
        self.shared.connections.lock().abort_all();
    }
}

impl Drop for FakeApi {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn serve<F, R>(stream: TcpStream, version: Version, shared: Arc<Shared>, answer: Arc<F>)
where
    F: Fn(Asked) -> R + Send + Sync + 'static,
    R: Future<Output = Answer> + Send + 'static,
{
    let call = service_fn(move |request: Request<Incoming>| {
        let (shared, answer) = (shared.clone(), answer.clone());
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let body = serde_json::from_slice(&body).unwrap_or_default();
            let asked = Asked { method: head.method, uri: head.uri, headers: head.headers, body };
            if asked.parameter("sendInitialEvents").is_some() && !shared.streams.load(Ordering::Relaxed) {
                return Ok(Answer::no(422, "Invalid", "sendInitialEvents is forbidden for watch").response());
            }
            shared.asked.lock().push(asked.clone());
            let answer = if asked.uri.path() == "/version" { Answer::of(json!({})) } else { answer(asked).await };
            Ok::<_, Infallible>(answer.response())
        }
    });
    let io = TokioIo::new(stream);
    match version {
        Version::Negotiated => drop(http1::Builder::new().serve_connection(io, call).await),
        Version::Two => drop(http2::Builder::new(TokioExecutor::new()).serve_connection(io, call).await),
    }
}

/// Waits until `holds`, for ten seconds at most.
pub(crate) async fn until(holds: impl Fn() -> bool) {
    let poll = async {
        while !holds() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), poll).await.expect("in time");
}

// === impl Asked ===

impl Asked {
    /// Whether it is the start of a watch.
    pub(crate) fn is_watch(&self) -> bool {
        self.parameter("watch").as_deref() == Some("true")
    }

    /// A parameter of its query.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = self.uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
    }
}

// === impl Answer ===

impl Answer {
    /// Yes: this.
    pub(crate) fn of(body: Value) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.to_string().into(), more: None }
    }

    /// Yes, in plain text.
    pub(crate) fn text(body: &'static [u8]) -> Self {
        Self { body: Bytes::from_static(body), ..Self::of(Value::Null) }
    }

    /// No, as the API server says it.
    pub(crate) fn no(status: u16, reason: &str, message: &str) -> Self {
        let body = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "reason": reason, "message": message,
        });
        Self { status, ..Self::of(body) }
    }

    pub(crate) fn with(mut self, header: &'static str, value: &str) -> Self {
        self.headers.push((header, value.into()));
        self
    }

    /// The events of a watch, which lasts as long as the sender.
    pub(crate) fn watch() -> (Self, Events) {
        let (sender, more) = mpsc::unbounded_channel();
        (Self { body: Bytes::new(), more: Some(more), ..Self::of(Value::Null) }, Events(sender))
    }

    fn response(self) -> Response<http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>> {
        let mut response = Response::builder().status(self.status).header("content-type", "application/json");
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        let first = Some(self.body).filter(|body| !body.is_empty());
        let frames = stream::unfold((first, self.more), |(first, mut more)| async move {
            let next = match first {
                Some(first) => first,
                None => more.as_mut()?.recv().await?,
            };
            Some((Ok::<_, Infallible>(Frame::data(next)), (None, more)))
        });
        response.body(StreamBody::new(frames).boxed_unsync()).expect("a response")
    }
}

/// The events of a watch that a client follows.
#[derive(Clone)]
pub(crate) struct Events(mpsc::UnboundedSender<Bytes>);

impl Events {
    pub(crate) fn send(&self, kind: &str, object: Value) {
        let line = format!("{}\n", json!({ "type": kind, "object": object }));
        // Nobody follows any more: that is for the test to notice.
        let _ = self.0.send(line.into());
    }

    /// Whether the watch was given up by its client.
    pub(crate) fn is_over(&self) -> bool {
        self.0.is_closed()
    }
}
