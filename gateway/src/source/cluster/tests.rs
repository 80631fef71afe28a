use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Request, Response};
use http_body_util::Full;
use kube::client::Body;
use serde_json::json;

use super::*;

/// An API server without any `HTTPApp`, that cannot begin a watch with all there is, and that lets nobody read the namespace `closed` until it is opened.
fn client(open: Arc<AtomicBool>) -> Client {
    let service = tower::service_fn(move |request: Request<Body>| {
        let asks = |what| request.uri().query().is_some_and(|query| query.contains(what));
        let (is_watch, is_whole) = (asks("watch=true"), asks("sendInitialEvents=true"));
        let is_closed = request.uri().path().contains("/namespaces/closed/") && !open.load(Ordering::Relaxed);
        async move {
            let no =
                |code: u16| (code, json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}));
            let (code, body) = match is_closed {
                true => no(403),
                false if is_whole => no(400),
                false if is_watch => std::future::pending().await,
                false => (
                    200,
                    json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "7"}, "items": []}),
                ),
            };
            Ok::<_, Infallible>(Response::builder().status(code).body(Full::from(body.to_string())).unwrap())
        }
    });
    Client::new(service, "default")
}

#[tokio::test(start_paused = true)]
async fn one_namespace_that_may_not_be_read_is_given_up_after_a_while_and_taken_in_when_it_may() {
    let open = Arc::new(AtomicBool::new(false));
    let (clock, namespaces) = (Clock::running(), ["closed", "open"].map(str::to_owned));
    let (mut changes, mut scopes) = changes(&client(open.clone()), &clock, &namespaces);
    let begun = clock.now();
    let (scope, change) = changes.next().await.unwrap();
    assert_eq!(scope.as_deref(), Some("open"));
    assert!(matches!(change, Ok(Change::Restarted(all)) if all.is_empty()));
    scopes.hear(&scope);
    assert!(!scopes.are_known());

    let (scope, change) = changes.next().await.unwrap();
    assert_eq!(scope.as_deref(), Some("closed"));
    let Err(why) = change else { panic!("it may not be read") };
    assert!(why.to_string().contains("may not list httpapps.zerogate.dev in namespace closed"), "{why}");
    let waited = clock.now().since(begun);
    assert!((PATIENCE..PATIENCE * 2).contains(&waited), "{waited:?}");
    scopes.refuse(&scope, why);
    assert!(scopes.are_known());

    open.store(true, Ordering::Relaxed);
    let (scope, change) = changes.next().await.unwrap();
    assert_eq!(scope.as_deref(), Some("closed"));
    assert!(matches!(change, Ok(Change::Restarted(_))));
    scopes.hear(&scope);
    assert_eq!((scopes.are_known(), scopes.unreadable()), (true, 0));
}
