use std::convert::Infallible;
use std::time::Duration;

use activator::app::Shared;
use activator::platform::kubernetes::Found;
use activator::platform::{Observation, Observer, SpecReplicas};
use activator::settings::{Hold, Target};
use activator::{AppSettings, Endpoint, HoldBudget};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::super::testing::{declared, id};
use super::super::{Accepted, Declaration};
use super::*;
use crate::testing::deployment;

/// What the API server was asked.
struct Asked {
    call: String,
    content_type: String,
    body: Value,
    answer: oneshot::Sender<(u16, Value)>,
}

/// A writer with a fake API server, on paused time.
struct World {
    asked: UnboundedReceiver<Asked>,
    declarations: Declarations,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    running: tokio::task::JoinHandle<()>,
}

fn client(asked: UnboundedSender<Asked>) -> Client {
    let service = tower::service_fn(move |request: Request<Body>| {
        let asked = asked.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.expect("a body").to_bytes();
            let (answer, answered) = oneshot::channel();
            let content_type = head.headers.get("content-type").and_then(|it| it.to_str().ok()).unwrap_or_default();
            let call = Asked {
                call: format!("{} {}", head.method, head.uri),
                content_type: content_type.to_owned(),
                body: serde_json::from_slice(&body).expect("JSON"),
                answer,
            };
            let _ = asked.send(call);
            let (status, body) = match answered.await {
                Ok(answer) => answer,
                Err(_) => std::future::pending().await,
            };
            let answer = Response::builder().status(status).body(Full::from(body.to_string())).expect("an answer");
            Ok::<_, Infallible>(answer)
        }
    });
    Client::new(service, "default")
}

impl World {
    fn new() -> Self {
        let (sender, asked) = unbounded_channel();
        let clock = Clock::running();
        let (news, told) = unbounded_channel();
        let findings = Findings { target: Found::Yes, service: Found::Yes, ..Findings::default() };
        let findings = Box::new(move |_| Some(findings.clone()));
        let (writer, declarations) =
            StatusWriter::finding(client(sender), "zerogate-abc", findings, clock.clone(), told);
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(writer.run(async move {
            let _ = stopped.await;
        }));
        let (pokes, _) = unbounded_channel();
        let budget = HoldBudget::new(100, 1 << 20);
        let shared = Arc::new(Shared {
            clock,
            budget,
            pokes,
            news: Some(news),
            leaving: Default::default(),
            fleet: Default::default(),
        });
        Self { asked, declarations, shared, stop: Some(stop), running }
    }

    fn app(&self, name: &str) -> Arc<App> {
        let target = deployment("default", name);
        let settings =
            AppSettings { target: Target::Scale(Arc::new(target)), scaling: Arc::default(), hold: Hold::default() };
        App::new(id(name), settings, self.shared.clone())
    }

    /// An app that is declared and asleep.
    fn asleep(&self, name: &str) -> Arc<App> {
        let app = self.app(name);
        self.declarations.set(id(name), declared(Accepted::InForce));
        app.observed(seen(0, 1));
        app
    }

    /// The next call, within `limit` seconds.
    async fn next_within(&mut self, limit: u64) -> Option<Asked> {
        tokio::time::timeout(Duration::from_secs(limit), self.asked.recv()).await.ok().flatten()
    }

    async fn next(&mut self) -> Asked {
        self.next_within(60).await.expect("a call")
    }
}

impl Asked {
    fn yes(self) {
        let _ = self.answer.send((200, json!({})));
    }

    fn no(self, code: u16, message: &str) {
        let body = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message, "reason": "No",
        });
        let _ = self.answer.send((code, body));
    }
}

fn seen(replicas: u32, version: u64) -> Observation {
    Observation { spec: Some(SpecReplicas { replicas, version, writer: None }), ..Observation::default() }
}

fn awake(replicas: u32, version: u64) -> Observation {
    let endpoints = (0..replicas).map(|n| Arc::new(Endpoint::new(n.to_string(), ([127, 0, 0, 1], 1).into())));
    Observation { endpoints: endpoints.collect(), ..seen(replicas, version) }
}

#[tokio::test(start_paused = true)]
async fn a_status_is_merged_into_the_object_whole() {
    let mut world = World::new();
    let _app = world.asleep("hello");
    let asked = world.next().await;
    assert_eq!(
        asked.call,
        "PATCH /apis/zerogate.dev/v1alpha1/namespaces/default/httpapps/hello/status?&fieldManager=zerogate"
    );
    assert_eq!(asked.content_type, "application/merge-patch+json");
    let status = &asked.body["status"];
    assert_eq!(status["conditions"].as_array().map(Vec::len), Some(3));
    let mut rest = status.clone();
    rest.as_object_mut().expect("an object").remove("conditions");
    let expected = json!({
        "observedGeneration": 3, "state": "asleep", "replicas": 0, "readyReplicas": 0, "inFlight": 0,
        "lastWake": null, "lastDecision": null, "failure": null,
    });
    assert_eq!(rest, expected);
    asked.yes();
    assert!(world.next_within(3600).await.is_none(), "and then nothing is written");
}

#[tokio::test(start_paused = true)]
async fn many_news_are_one_write_a_second() {
    let mut world = World::new();
    let app = world.asleep("hello");
    world.next().await.yes();
    let clock = world.shared.clock.clone();
    let written = tokio::spawn(async move {
        let mut written = Vec::new();
        while let Some(asked) = world.asked.recv().await {
            if asked.call.contains("/httpapps/hello/status") {
                written.push(world.shared.clock.now());
            }
            asked.yes();
            if written.len() == 9 {
                break;
            }
        }
        written
    });
    let begun = clock.now();
    for version in 2..1000u64 {
        app.observed(awake(1 + u32::try_from(version % 7).expect("few"), version));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let written = written.await.expect("nine writes");
    let apart = written.windows(2).map(|two| two[1].since(two[0]));
    assert!(apart.clone().all(|apart| apart >= Duration::from_secs(1)), "{written:?}");
    assert!(written[8].since(begun) < Duration::from_secs(10), "and no less than that: {written:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_one_without_an_app_is_told_too() {
    let mut world = World::new();
    let refused = Accepted::Refused { problems: vec!["spec.hold: no".into()], last_good: false };
    world.declarations.set(id("bad"), Declaration { ..declared(refused) });
    let asked = world.next().await;
    assert_eq!(asked.body["status"]["conditions"][0]["reason"], "Invalid");
    asked.yes();
}

#[tokio::test(start_paused = true)]
async fn another_writer_has_its_event() {
    let mut world = World::new();
    let app = world.asleep("hello");
    world.next().await.yes();
    let other = SpecReplicas { replicas: 2, version: 2, writer: Some("kubectl-scale".into()) };
    app.observed(Observation { spec: Some(other), ..awake(2, 2) });
    let (a, b) = (world.next().await, world.next().await);
    let (status, event) = if a.call.starts_with("PATCH") { (a, b) } else { (b, a) };
    let ready = status.body["status"]["conditions"][2]["message"].as_str().expect("words");
    assert_eq!(ready, "replicas take requests; another writer, `kubectl-scale`, has set 2 replicas");
    assert_eq!(event.call, "POST /apis/events.k8s.io/v1/namespaces/default/events?&fieldManager=zerogate");
    assert_eq!(
        (&event.body["reason"], &event.body["reportingInstance"]),
        (&json!("OtherWriter"), &json!("zerogate-abc"))
    );
    let name = event.body["metadata"]["name"].as_str().expect("a name").to_owned();
    status.yes();
    event.yes();

    let again = SpecReplicas { replicas: 3, version: 3, writer: Some("kubectl-scale".into()) };
    app.observed(Observation { spec: Some(again), ..awake(3, 3) });
    let (a, b) = (world.next().await, world.next().await);
    let (_status, event) = if a.call.contains("httpapps") { (a, b) } else { (b, a) };
    assert_eq!(
        event.call,
        format!("PATCH /apis/events.k8s.io/v1/namespaces/default/events/{name}?&fieldManager=zerogate")
    );
    assert_eq!(event.body["series"]["count"], 2);
}

#[tokio::test(start_paused = true)]
async fn at_most_eight_are_written_at_a_time_and_one_that_hangs_is_given_up() {
    let mut world = World::new();
    let _apps: Vec<_> = (0..20).map(|n| world.asleep(&format!("app-{n}"))).collect();
    let mut hanging = Vec::new();
    while let Some(asked) = world.next_within(1).await {
        hanging.push(asked);
    }
    assert_eq!(hanging.len(), 8);
    let begun = world.shared.clock.now();
    hanging.push(world.next().await);
    let waited = world.shared.clock.now().since(begun);
    assert!(waited <= Duration::from_secs(5), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_refused_is_tried_again_and_stands_in_nobodys_way() {
    let mut world = World::new();
    let _app = world.asleep("hello");
    world.next().await.no(422, "httpapps.zerogate.dev \"hello\" is invalid");
    let _other = world.asleep("other");
    let asked = world.next().await;
    assert!(asked.call.contains("/other/"), "{}", asked.call);
    asked.yes();
    let asked = world.next().await;
    assert!(asked.call.contains("/hello/"), "{}", asked.call);
    asked.yes();
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_it_one_app_tries_for_all_of_its_namespace() {
    let mut world = World::new();
    let _apps: Vec<_> = (0..50).map(|n| world.asleep(&format!("app-{n}"))).collect();
    let begun = world.shared.clock.now();
    let mut tries = 0;
    while world.shared.clock.now().since(begun) < Duration::from_secs(600) {
        world.next_within(100).await.expect("a try").no(403, "forbidden");
        tries += 1;
    }
    assert!((15..30).contains(&tries), "{tries} in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_not_found_is_tried_again_a_minute_later() {
    let mut world = World::new();
    let app = world.asleep("hello");
    world.next().await.no(404, "not found");
    let begun = world.shared.clock.now();
    app.observed(awake(1, 2));
    // With the event of what somebody else has written.
    let (a, b) = (world.next_within(3600).await.expect("another try"), world.next().await);
    assert!(world.shared.clock.now().since(begun) >= Duration::from_secs(60));
    let status = if a.call.contains("/httpapps/hello/status") { a } else { b };
    assert_eq!(status.body["status"]["replicas"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_removed_one_is_not_written_any_more() {
    let mut world = World::new();
    let app = world.asleep("hello");
    world.next().await.yes();
    app.close(activator::Refusal::Removed);
    world.declarations.remove(&id("hello"));
    app.observed(awake(1, 2));
    assert!(world.next_within(3600).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn it_ends_at_once_though_a_call_hangs() {
    let mut world = World::new();
    let _app = world.asleep("hello");
    let _hanging = world.next().await;
    let begun = world.shared.clock.now();
    drop(world.stop.take());
    world.running.await.expect("it ends");
    assert_eq!(world.shared.clock.now(), begun);
}
