//! What the cluster is told of each `HTTPApp`: conditions, numbers, events; and how seldom.

use futures_util::future::join_all;
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::core::DynamicObject;
use serde_json::{Value, json};

use crate::app::App;
use crate::client::{Client, get};
use crate::cluster::kubectl;
use crate::gateway::Gateway;
use crate::namespace::Namespace;
use crate::wait::until;

/// The status, once this is so of it.
async fn status_until(namespace: &Namespace, app: &App, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    let api = namespace.api_of(&app.http_app);
    let last = parking_lot::Mutex::new(Value::Null);
    let status = async || {
        let object = api.get(&app.name).await.ok()?;
        *last.lock() = object.data["status"].clone();
        Some(object.data["status"].clone()).filter(&holds)
    };
    let found = tokio::time::timeout(crate::wait::DEADLINE, until(what, status)).await;
    found.unwrap_or_else(|_| panic!("not in time: {what}: {:#}", last.lock()))
}

/// Status and reason of a condition.
fn condition<'a>(status: &'a Value, kind: &str) -> (&'a str, &'a str) {
    let all = status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = all.iter().find(|condition| condition["type"] == kind);
    found.map_or(("", ""), |it| (it["status"].as_str().unwrap(), it["reason"].as_str().unwrap()))
}

fn message<'a>(status: &'a Value, kind: &str) -> &'a str {
    let found = status["conditions"].as_array().unwrap().iter().find(|condition| condition["type"] == kind);
    found.unwrap()["message"].as_str().unwrap()
}

/// Waits for an event of the app with this reason, and gives its note.
async fn event(namespace: &Namespace, app: &App, reason: &str) -> Value {
    let events: Api<k8s_openapi::api::events::v1::Event> = namespace.api();
    until(&format!("the event {reason}"), async || {
        let events = events.list(&ListParams::default()).await.ok()?.items;
        let is = |event: &&k8s_openapi::api::events::v1::Event| {
            event.regarding.as_ref().and_then(|it| it.name.as_deref()) == Some(&*app.name)
                && event.reason.as_deref() == Some(reason)
        };
        events.iter().find(is).map(|event| serde_json::to_value(event).unwrap())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_tells_what_an_app_does() {
    let namespace = Namespace::new("status").await;
    let gateway = Gateway::start(&["--namespaces", &namespace.name]).await;
    let app = App::echo("hello", &[]).with("scaling", json!({"idleTimeout": "3s"}));
    app.create(&namespace).await;
    let asleep = |status: &Value| condition(status, "Ready") == ("True", "Asleep");
    let status = status_until(&namespace, &app, "it sleeps", asleep).await;
    assert_eq!(condition(&status, "Accepted"), ("True", "InForce"), "{status}");
    assert_eq!(condition(&status, "TargetFound"), ("True", "Found"), "{status}");
    assert_eq!((&status["observedGeneration"], &status["replicas"]), (&json!(1), &json!(0)), "{status}");

    assert_eq!(gateway.get(&app.host(&namespace), "/").await.status, 200);
    let awake = |status: &Value| condition(status, "Ready") == ("True", "Awake");
    let status = status_until(&namespace, &app, "it is awake", awake).await;
    assert_eq!(status["replicas"], 1, "{status}");
    assert!(status["lastWake"].is_string(), "{status}");
    let woken = event(&namespace, &app, "Woken").await;
    assert!(woken["note"].as_str().unwrap().contains("wake: 1 held"), "{woken}");
    let printed = kubectl(&["get", "httpapps", "--namespace", &namespace.name], "").await;
    let head = printed.lines().next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(head, "NAME STATE REPLICAS IN-FLIGHT LAST WAKE AGE");
    let row: Vec<_> = printed.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..3], ["hello", "awake", "1"], "{printed}");

    let status = status_until(&namespace, &app, "it sleeps again", asleep).await;
    let decision = &status["lastDecision"];
    assert_eq!(decision["replicas"], 0, "{status}");
    assert!(decision["reason"].as_str().unwrap().contains("idle"), "{status}");
    event(&namespace, &app, "Slept").await;
    let told = kubectl(&["get", "events", "--namespace", &namespace.name], "").await;
    assert!(told.lines().any(|line| line.contains("httpapp/hello") && line.contains("Woken")), "{told}");

    let change = json!({"spec": {"scaling": {"idleTimeout": "5m"}}});
    let api = namespace.api_of(&app.http_app);
    api.patch("hello", &PatchParams::default(), &Patch::Merge(change)).await.unwrap();
    status_until(&namespace, &app, "the change is seen", |status| status["observedGeneration"] == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_tells_what_is_wrong() {
    let namespace = Namespace::new("status").await;
    let gateway = Gateway::start(&["--namespaces", &namespace.name]).await;
    let missing = App::echo("missing", &[]);
    missing.create(&namespace).await;
    namespace.delete(&missing.deployment).await;
    let mut unpulled = App::echo("unpulled", &[]);
    unpulled.container()["image"] = json!("localhost/none:1");
    unpulled.container()["imagePullPolicy"] = json!("Never");
    unpulled.create(&namespace).await;
    let status = status_until(&namespace, &missing, "it is missed", |status| {
        condition(status, "TargetFound") == ("False", "TargetMissing")
    })
    .await;
    assert_eq!(condition(&status, "Ready"), ("False", "TargetMissing"), "{status}");
    assert_eq!(condition(&status, "Accepted").0, "True", "{status}");

    status_until(&namespace, &unpulled, "it is known", |status| condition(status, "Ready").0 == "True").await;
    gateway.get(&unpulled.host(&namespace), "/").await.problem(503);
    let status =
        status_until(&namespace, &unpulled, "it has failed", |status| condition(status, "Ready").0 == "False").await;
    assert_eq!(condition(&status, "Ready").1, "ImagePull", "{status}");
    assert!(status["failure"].as_str().unwrap().contains("ErrImageNeverPull"), "{status}");
    let failed = event(&namespace, &unpulled, "ImagePull").await;
    assert_eq!(failed["type"], "Warning", "{failed}");

    // The younger of two with one host says who has it.
    let first = App::echo("first", &[]);
    first.create(&namespace).await;
    status_until(&namespace, &first, "it is accepted", |status| condition(status, "Accepted").0 == "True").await;
    let route = json!([{"hosts": [first.host(&namespace)]}]);
    let second = App::echo("second", &[]).with("routes", route);
    second.create(&namespace).await;
    let status =
        status_until(&namespace, &second, "it is told", |status| condition(status, "Accepted").0 == "False").await;
    assert_eq!(condition(&status, "Accepted").1, "RoutesTaken", "{status}");
    assert!(message(&status, "Accepted").contains(&format!("{}/first", namespace.name)), "{status}");
    namespace.delete(&first.http_app).await;
    status_until(&namespace, &second, "the route is its own", |status| condition(status, "Accepted").0 == "True").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_a_write() {
    let namespace = Namespace::new("writes").await;
    let gateway = Gateway::start(&["--namespaces", &namespace.name]).await;
    let app = App::echo("hello", &[]);
    app.create(&namespace).await;
    let host = app.host(&namespace);
    gateway.app_until(&namespace, "hello", "the gateway knows it", |_| true).await;
    assert_eq!(gateway.get(&host, "/").await.status, 200);
    status_until(&namespace, &app, "it is awake", |status| condition(status, "Ready").1 == "Awake").await;

    // Every version of the object while requests come and go, quick ones and slow ones, for some seconds.
    let api: Api<DynamicObject> = namespace.api_of(&app.http_app);
    let version = async || api.get("hello").await.unwrap().resource_version();
    let clock = activator::Clock::running();
    let begin = clock.now();
    let seen = parking_lot::Mutex::new(std::collections::BTreeSet::from([version().await]));
    let traffic = join_all((0..8).map(async |n| {
        let mut client = Client::http1(gateway.http).await;
        for _ in 0..60 {
            let request = get(&host, &format!("/sleep?ms={}", n * 10));
            assert_eq!(client.send(request).await.status, 200);
        }
    }));
    let watch = async {
        loop {
            let version = version().await;
            seen.lock().insert(version);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        _ = traffic => {}
        () = watch => unreachable!(),
    }
    let seconds = clock.now().since(begin).as_secs_f64();
    let writes = seen.lock().len() - 1;
    assert!(seconds > 4.0 && writes as f64 <= seconds + 1.0, "{writes} writes in {seconds} s with 480 requests");
}
