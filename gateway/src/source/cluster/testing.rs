//! An API server for tests.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{Request, Response};
use http_body_util::Full;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// An API server that lists `list`, and then tells one of `events` in each watch, when it is let; it has been asked for `asked`.
pub(super) fn client(
    list: Vec<Value>,
    events: Vec<Value>,
    may: Arc<Semaphore>,
    asked: Arc<parking_lot::Mutex<Vec<String>>>,
    code: u16,
) -> Client {
    let watches = Arc::new(AtomicUsize::new(0));
    let (list, events) = (Arc::new(list), Arc::new(events));
    let service = tower::service_fn(move |request: Request<Body>| {
        let (list, events, may, watches) = (list.clone(), events.clone(), may.clone(), watches.clone());
        let uri = request.uri().to_string();
        let (is_watch, is_whole) = (uri.contains("watch=true"), uri.contains("sendInitialEvents=true"));
        asked.lock().push(uri);
        async move {
            let (code, body) = if code != 200 {
                (code, json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}))
            } else if is_whole {
                (400, json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 400}))
            } else if is_watch {
                may.acquire().await.unwrap().forget();
                match events.get(watches.fetch_add(1, Ordering::Relaxed)) {
                    Some(event) => (200, event.clone()),
                    None => std::future::pending().await,
                }
            } else {
                let metadata = json!({"resourceVersion": "7"});
                (200, json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": *list}))
            };
            Ok::<_, Infallible>(Response::builder().status(code).body(Full::from(format!("{body}\n"))).unwrap())
        }
    });
    Client::new(service, "default")
}
