use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use activator::app::Shared;
use activator::platform::{
    Accepted, AppKey, NotAccepted, Observation, Observer, Order, Platform, SpecReplicas, Subject,
};
use activator::registry::Registry;
use activator::scaler::Scaler;
use activator::settings::Protocol;
use activator::{Clock, Endpoint, HoldBudget};
use bytes::Bytes;
use http::{HeaderValue, Method, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use tokio::net::TcpListener;

use super::*;
use crate::config::settings::Declared;
use crate::edge::forward::handle;
use crate::edge::headers::Peer;
use crate::edge::{Edge, EdgeOfConnection};
use crate::testing::edge_over;

/// A platform that does what the test says.
#[derive(Default)]
struct Cluster {
    subject: Mutex<Option<Subject>>,
    distrusted: Mutex<Vec<AppKey>>,
}

struct Told(Arc<Cluster>);

#[async_trait::async_trait]
impl Platform for Told {
    fn observe(&self, subject: Subject) {
        *self.0.subject.lock() = Some(subject);
    }

    async fn scale(&self, _: Order) -> Result<Accepted, NotAccepted> {
        std::future::pending().await
    }

    fn distrust_early(&self, key: AppKey) {
        self.0.distrusted.lock().push(key);
    }

    async fn stop(&self) {}
}

impl Cluster {
    fn observer(&self) -> Arc<dyn Observer> {
        self.subject.lock().as_ref().and_then(|subject| subject.observer.upgrade()).expect("an app")
    }

    /// Reports that these are there.
    fn there(&self, endpoints: &[&Arc<Endpoint>]) {
        let endpoints = endpoints.iter().map(|endpoint| Arc::clone(endpoint)).collect();
        let spec = Some(SpecReplicas { replicas: 1, version: 1, writer: None });
        self.observer().observed(Observation { spec, endpoints, ..Observation::default() });
    }

    /// Waits until it is told that its early word is not trusted.
    async fn until_distrusted(&self) {
        until("it is told", || !self.distrusted.lock().is_empty()).await;
    }
}

/// An app that answers as it is told: each request by its number with a status, or not at all.
struct App {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl App {
    async fn answering(statuses: &'static [Option<u16>]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let asked = counted.clone();
                let service = service_fn(move |request: Request<Incoming>| {
                    let number = asked.fetch_add(1, Ordering::SeqCst);
                    async move {
                        let status =
                            statuses[number.min(statuses.len() - 1)].ok_or(std::io::ErrorKind::ConnectionReset)?;
                        let said = request.headers().get("x-said").cloned();
                        let _ = request.into_body().collect().await;
                        let mut response = Response::new(Full::new(Bytes::from_static(b"said")));
                        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
                        response
                            .headers_mut()
                            .extend(said.map(|said| (http::HeaderName::from_static("x-heard"), said)));
                        Ok::<_, std::io::Error>(response)
                    }
                });
                tokio::spawn(async move {
                    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    // A connection that is to break ends in an error.
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { address, asked }
    }

    fn endpoint(&self, http2: bool, early: bool) -> Arc<Endpoint> {
        let endpoint =
            Arc::new(Endpoint::new("it", self.address).speaking(if http2 { Protocol::H2c } else { Protocol::Http1 }));
        if early {
            endpoint.begin_early();
        }
        endpoint
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// A gateway with one app, whose requests may be held for a second.
struct Gateway {
    edge: Arc<Edge>,
    cluster: Arc<Cluster>,
}

impl Gateway {
    fn start() -> Self {
        Self::scaled_by("zerogate")
    }

    fn scaled_by(by: &str) -> Self {
        let clock = Clock::running();
        let cluster = Arc::<Cluster>::default();
        let platform = Arc::new(Told(cluster.clone()));
        let (pokes, poked) = tokio::sync::mpsc::unbounded_channel();
        let budget = HoldBudget::new(100, 1 << 20);
        let shared = Shared {
            clock: clock.clone(),
            budget,
            pokes,
            news: None,
            leaving: Default::default(),
            fleet: Default::default(),
        };
        let registry = Arc::new(Registry::new(Arc::new(shared), platform.clone()));
        tokio::spawn(Scaler::new(clock.clone(), platform, poked).run(std::future::pending()));
        let object = serde_json::json!({
            "apiVersion": "zerogate.dev/v1alpha1", "kind": "HTTPApp", "metadata": {"name": "a", "namespace": "default"},
            "spec": {
                "routes": [{"hosts": ["a"]}], "hold": {"timeout": "1s"}, "scaling": {"by": by},
                "target": {"scaleTargetRef": {"name": "a"}, "service": {"name": "a"}},
            },
        });
        let (id, app) = crate::config::object::from_object(&object).unwrap();
        let edge = Arc::new(edge_over(registry.clone(), &clock));
        crate::source::apply(&edge, &Declared { apps: BTreeMap::from([(id, app)]) });
        Self { edge, cluster }
    }

    /// Sends a request as a client would, over a connection of its own.
    async fn send(&self, method: Method, body: &'static str, http2: bool) -> Response<Bytes> {
        let (client, server) = tokio::io::duplex(1 << 16);
        let peer = Arc::new(Peer::new(IpAddr::V4(Ipv4Addr::LOCALHOST), false));
        let edge = Arc::new(EdgeOfConnection(self.edge.clone()));
        let answer = service_fn(move |request: Request<Incoming>| {
            let answer = handle(edge.clone(), peer.clone(), request.map(Into::into));
            async move { Ok::<_, Infallible>(answer.await) }
        });
        tokio::spawn(async move {
            let server_of_clients = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            server_of_clients.serve_connection(TokioIo::new(server), answer).await.unwrap();
        });
        let mut request = Request::new(Full::new(Bytes::from_static(body.as_bytes())));
        *request.method_mut() = method;
        request.headers_mut().insert("x-said", HeaderValue::from_static("hello"));
        let response = if http2 {
            *request.uri_mut() = http::Uri::from_static("http://a/path?query");
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client)).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await
        } else {
            *request.uri_mut() = http::Uri::from_static("/path?query");
            request.headers_mut().insert("host", HeaderValue::from_static("a"));
            let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(client)).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await
        };
        let (head, body) = response.unwrap().into_parts();
        Response::from_parts(head, body.collect().await.unwrap().to_bytes())
    }

    fn app(&self) -> Arc<activator::App> {
        self.edge.registry.all().values().next().unwrap().clone()
    }
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let there = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), there).await.unwrap_or_else(|_| panic!("never came: {what}"));
}

/// A request meets an early endpoint that does not answer as it should, and is held until that is called ready.
async fn is_held_until_ready(statuses: &'static [Option<u16>], client_http2: bool, app_http2: bool) {
    let (gateway, app) = (Gateway::start(), App::answering(statuses).await);
    let early = app.endpoint(app_http2, true);
    gateway.cluster.there(&[&early]);
    let asks = gateway.send(Method::GET, "", client_http2);
    let becomes_ready = async {
        gateway.cluster.until_distrusted().await;
        // What was seen before it was told.
        gateway.cluster.there(&[&early]);
        until("it is held", || gateway.app().held() == 1).await;
        assert_eq!((app.asked(), gateway.app().endpoints().len(), early.in_flight()), (1, 0, 0));
        early.end_early();
        gateway.cluster.there(&[&early]);
    };
    let (answer, ()) = tokio::join!(asks, becomes_ready);
    assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &b"said"[..]));
    assert_eq!(answer.headers()["x-heard"], "hello");
    assert_eq!(app.asked(), 2);
    assert_eq!(gateway.cluster.distrusted.lock().len(), 1);
    until("it is counted down", || gateway.app().in_flight() == 0).await;
}

#[tokio::test]
async fn who_came_too_early_is_held_until_the_cluster_says_ready() {
    for statuses in [&[Some(500), Some(200)], &[Some(503), Some(200)], &[None, Some(200)]] {
        for (client_http2, app_http2) in [(false, false), (true, false), (false, true), (true, true)] {
            is_held_until_ready(statuses, client_http2, app_http2).await;
        }
    }
}

#[tokio::test]
async fn or_goes_to_another_at_once() {
    let (gateway, early, ready) =
        (Gateway::start(), App::answering(&[Some(502)]).await, App::answering(&[Some(200)]).await);
    gateway.cluster.there(&[&early.endpoint(false, true)]);
    let another = ready.endpoint(false, false);
    let asks = gateway.send(Method::HEAD, "", false);
    let another_is_ready = async {
        gateway.cluster.until_distrusted().await;
        gateway.cluster.there(&[&another]);
    };
    let (answer, ()) = tokio::join!(asks, another_is_ready);
    assert_eq!((answer.status().as_u16(), early.asked(), ready.asked()), (200, 1, 1));
}

#[tokio::test]
async fn what_is_not_safe_gets_what_the_app_said() {
    for (method, body) in [(Method::POST, ""), (Method::POST, "body"), (Method::DELETE, ""), (Method::GET, "body")] {
        let (gateway, app) = (Gateway::start(), App::answering(&[Some(500), Some(200)]).await);
        gateway.cluster.there(&[&app.endpoint(false, true)]);
        let answer = gateway.send(method, body, false).await;
        assert_eq!((answer.status().as_u16(), &answer.body()[..], app.asked()), (500, &b"said"[..], 1));
        gateway.cluster.until_distrusted().await;
    }
}

#[tokio::test]
async fn an_answer_is_an_answer_once_the_cluster_has_said_ready_or_if_it_is_the_clients_fault() {
    let (gateway, app) = (Gateway::start(), App::answering(&[Some(404), Some(500), Some(500)]).await);
    let endpoint = app.endpoint(false, true);
    gateway.cluster.there(&[&endpoint]);
    assert_eq!(gateway.send(Method::GET, "", false).await.status(), 404);
    endpoint.end_early();
    assert_eq!(gateway.send(Method::GET, "", false).await.status(), 500);
    assert_eq!((app.asked(), gateway.cluster.distrusted.lock().len()), (2, 0));
}

#[tokio::test]
async fn who_is_not_called_ready_in_time_is_told() {
    let (gateway, app) = (Gateway::start(), App::answering(&[Some(500)]).await);
    gateway.cluster.there(&[&app.endpoint(false, true)]);
    let answer = gateway.send(Method::GET, "", false).await;
    assert_eq!((answer.status().as_u16(), app.asked()), (504, 1));
    assert!(String::from_utf8_lossy(answer.body()).contains("hold_deadline"), "{answer:?}");
}

/// One at whose address nobody listens any more.
async fn vanished() -> Arc<Endpoint> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Arc::new(Endpoint::new("vanished", listener.local_addr().unwrap()))
}

#[tokio::test]
async fn a_request_that_meets_a_vanished_endpoint_waits_for_the_next_wake() {
    let (gateway, app) = (Gateway::start(), App::answering(&[Some(200)]).await);
    let vanished = vanished().await;
    gateway.cluster.there(&[&vanished]);
    let asks = gateway.send(Method::POST, "body", false);
    let next_wake = async {
        until("it has met it", || vanished.is_suspect(gateway.app().clock().now())).await;
        gateway.cluster.there(&[]);
        until("it is in line", || gateway.app().held() == 1).await;
        gateway.cluster.there(&[&app.endpoint(false, false)]);
    };
    let (answer, ()) = tokio::join!(asks, next_wake);
    assert_eq!((answer.status().as_u16(), app.asked()), (200, 1));
}

#[tokio::test]
async fn where_nothing_else_comes_it_is_told_when_it_may_be_held_no_longer() {
    let gateway = Gateway::start();
    let vanished = vanished().await;
    gateway.cluster.there(&[&vanished]);
    let begun = gateway.app().clock().now();
    let answer = gateway.send(Method::GET, "", false).await;
    assert_eq!(answer.status(), 502);
    assert!(String::from_utf8_lossy(answer.body()).contains("cannot_connect"), "{answer:?}");
    assert!(gateway.app().clock().now().since(begun) >= Duration::from_secs(1));
    assert_eq!(gateway.edge.registry.held(), 0);
}

/// A request to the only replica, which answers nothing; and another replica takes its place if it `goes`.
async fn lost(by: &str, method: Method, goes: bool) -> (u16, usize) {
    let (gateway, app, next) =
        (Gateway::scaled_by(by), App::answering(&[None]).await, App::answering(&[Some(200)]).await);
    let (first, next) = (app.endpoint(false, false), next.endpoint(false, false));
    gateway.cluster.there(&[&first]);
    let asks = gateway.send(method, "", false);
    let goes = async {
        until("it is asked", || app.asked() == 1).await;
        if goes {
            gateway.cluster.there(&[&next]);
        }
    };
    let (answer, ()) = tokio::join!(asks, goes);
    until("it is counted down", || gateway.app().in_flight() == 0).await;
    (answer.status().as_u16(), app.asked())
}

#[tokio::test]
async fn what_somebody_else_took_a_replica_from_is_sent_again_if_that_is_safe() {
    assert_eq!(lost("keda", Method::GET, true).await, (200, 1));
    assert_eq!(lost("keda", Method::POST, true).await, (502, 1), "it may have had an effect");
    assert_eq!(lost("keda", Method::GET, false).await, (502, 1), "it is the app that does not answer");
    assert_eq!(lost("zerogate", Method::GET, false).await, (502, 1));
}
