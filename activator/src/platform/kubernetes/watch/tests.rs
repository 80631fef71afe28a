use std::collections::VecDeque;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;
use crate::platform::kubernetes::client::fake::{Answer, Asked, Events, FakeApi, until};

/// What the server answers, one after the other, and nothing after that.
struct Script(Mutex<VecDeque<Answer>>);

impl Script {
    async fn play(answers: impl IntoIterator<Item = Answer>) -> FakeApi {
        let script = Arc::new(Self(Mutex::new(answers.into_iter().collect())));
        FakeApi::start(move |_| {
            let answer = script.0.lock().pop_front();
            async move {
                match answer {
                    Some(answer) => answer,
                    None => std::future::pending().await,
                }
            }
        })
        .await
    }
}

fn pod(name: &str, version: u32) -> Value {
    json!({ "metadata": { "name": name, "namespace": "shop", "resourceVersion": version.to_string() } })
}

fn list(version: u32, pods: &[Value], more: &str) -> Answer {
    let metadata = json!({ "resourceVersion": version.to_string(), "continue": more });
    Answer::of(json!({ "kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": pods }))
}

fn bookmark(version: u32) -> Value {
    json!({ "kind": "Pod", "apiVersion": "v1", "metadata": { "resourceVersion": version.to_string() } })
}

/// A watch that is open: the answer, and where its events come from.
fn following() -> (Answer, Events) {
    Answer::watch()
}

/// A watch that brings these events and ends.
fn brief(events: &[(&str, Value)]) -> Answer {
    let (answer, sender) = Answer::watch();
    for (kind, object) in events {
        sender.send(kind, object.clone());
    }
    answer
}

fn pods(api: &FakeApi) -> Watch<String> {
    pods_by(Clock::running(), api)
}

fn pods_by(clock: Clock, api: &FakeApi) -> Watch<String> {
    let api = Api::<Pod>::namespaced(api.clients().reads, "shop");
    watch(api, Selection::default(), clock, |pod| pod.name_any())
}

async fn next<S>(watch: &mut Watch<S>) -> Change<S> {
    let next = tokio::time::timeout(Duration::from_secs(10), watch.changes.recv()).await;
    next.expect("a change in time").expect("the watch lives")
}

fn applied(name: &str) -> Change<String> {
    Change::Applied(name.into())
}

fn restarted(names: &[&str]) -> Change<String> {
    Change::Restarted(names.iter().map(|name| (*name).to_owned()).collect())
}

fn versions(api: &FakeApi) -> Vec<Option<String>> {
    api.asked().iter().filter(|asked| asked.is_watch()).map(|asked| asked.parameter("resourceVersion")).collect()
}

#[tokio::test]
async fn a_list_of_many_pages_is_told_as_one_and_followed() {
    let (open, events) = following();
    let api = Script::play([list(7, &[pod("a", 1), pod("b", 2)], "next"), list(7, &[pod("c", 3)], ""), open]).await;
    let mut watch = pods(&api);
    assert_eq!(next(&mut watch).await, restarted(&["a", "b", "c"]));
    assert!(watch.health.is_synced());
    events.send("ADDED", pod("d", 8));
    events.send("MODIFIED", pod("a", 9));
    events.send("DELETED", pod("b", 10));
    assert_eq!(next(&mut watch).await, applied("d"));
    assert_eq!(next(&mut watch).await, applied("a"));
    assert_eq!(next(&mut watch).await, Change::Deleted("b".into()));
    assert_eq!(versions(&api), [Some("7".into())]);
    assert_eq!(api.asked()[1].parameter("continue"), Some("next".into()));
    assert_eq!(watch.health.trouble(), None);
}

#[tokio::test]
async fn a_watch_that_is_cut_is_resumed_where_it_was() {
    let (open, events) = following();
    let (second, more) = following();
    let api = Script::play([list(7, &[pod("a", 1)], ""), open, second]).await;
    let mut watch = pods(&api);
    assert_eq!(next(&mut watch).await, restarted(&["a"]));
    events.send("ADDED", pod("b", 8));
    assert_eq!(next(&mut watch).await, applied("b"));
    events.send("BOOKMARK", bookmark(20));
    events.send("ADDED", pod("c", 21));
    assert_eq!(next(&mut watch).await, applied("c"));
    api.cut();
    more.send("ADDED", pod("d", 22));
    assert_eq!(next(&mut watch).await, applied("d"));
    assert_eq!(versions(&api), [Some("7".into()), Some("21".into())]);
}

#[tokio::test]
async fn where_it_cannot_be_resumed_it_lists_anew_and_nothing_seems_deleted() {
    let gone = json!({ "kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old" });
    let (open, events) = following();
    let api = Script::play([
        list(7, &[pod("a", 1)], ""),
        brief(&[("ADDED", pod("b", 8)), ("ERROR", gone)]),
        list(30, &[pod("a", 1), pod("c", 29)], ""),
        Answer::no(410, "Expired", "too old"),
        list(40, &[pod("c", 29)], ""),
        open,
    ])
    .await;
    let mut watch = pods(&api);
    assert_eq!(next(&mut watch).await, restarted(&["a"]));
    assert_eq!(next(&mut watch).await, applied("b"));
    assert_eq!(next(&mut watch).await, restarted(&["a", "c"]));
    assert_eq!(next(&mut watch).await, restarted(&["c"]));
    events.send("ADDED", pod("d", 41));
    assert_eq!(next(&mut watch).await, applied("d"));
    assert_eq!(versions(&api), ["7", "30", "40"].map(|version| Some(version.into())));
}

#[tokio::test]
async fn where_it_keeps_failing_it_lists_anew_again_and_again() {
    let fails = || Answer::no(500, "InternalError", "not from there");
    let (open, events) = following();
    let api = Script::play([
        list(7, &[pod("a", 1)], ""),
        fails(),
        fails(),
        fails(),
        fails(),
        list(30, &[pod("b", 2)], ""),
        fails(),
        fails(),
        fails(),
        fails(),
        list(40, &[pod("c", 3)], ""),
        open,
    ])
    .await;
    let mut watch = pods(&api);
    for name in ["a", "b", "c"] {
        assert_eq!(next(&mut watch).await, restarted(&[name]));
    }
    events.send("ADDED", pod("d", 41));
    assert_eq!(next(&mut watch).await, applied("d"));
    assert_eq!(versions(&api), ["7", "7", "7", "7", "30", "30", "30", "30", "40"].map(|version| Some(version.into())));
}

#[tokio::test]
async fn what_is_forbidden_is_named_and_tried_until_it_is_not() {
    let no = || Answer::no(403, "Forbidden", "pods is forbidden");
    let (open, _events) = following();
    let (free, refuse) = (Arc::new(Mutex::new(false)), Arc::new(Mutex::new(VecDeque::from([list(7, &[], ""), open]))));
    let (allowed, answers) = (free.clone(), refuse.clone());
    let api = FakeApi::start(move |_| {
        let answer = if *allowed.lock() { answers.lock().pop_front() } else { Some(no()) };
        async move { answer.expect("no more than a list and a watch") }
    })
    .await;
    let mut watch = pods(&api);
    until(|| watch.health.trouble().is_some()).await;
    assert!(!watch.health.is_synced());
    let cause = watch.health.trouble().expect("in trouble").cause;
    let (verb, resource, namespace) = ("list".into(), "pods".into(), "shop".into());
    assert_eq!(cause, FailureCause::Forbidden { verb, resource, namespace });
    assert_eq!(watch.health.forbidden().await, cause);
    assert!(watch.health.is_forbidden());
    *free.lock() = true;
    watch.health.synced().await;
    assert!(!watch.health.is_forbidden(), "what it has listed once it knows, whatever comes");
    assert_eq!(next(&mut watch).await, restarted(&[]));
    until(|| watch.health.trouble().is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_in_trouble_is_asked_ever_more_rarely() {
    for answer in [|| Answer::no(500, "InternalError", ""), || Answer::text(b"nothing of the kind")] {
        let api = FakeApi::start(move |_| async move { answer() }).await;
        let watch = pods(&api);
        tokio::time::sleep(Duration::from_secs(120)).await;
        let asked = api.asked().len();
        // Every 5 s at the end, or every 2.5 s at the worst.
        assert!((24..60).contains(&asked), "{asked} requests in two minutes");
        let trouble = watch.health.trouble().expect("in trouble");
        assert!(trouble.since < crate::clock::Timestamp::from_millis(1000), "since it began");
        assert!(matches!(trouble.cause, FailureCause::ApiServer { .. }));
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_closed_at_once_is_no_reason_to_ask_without_pause() {
    let api = FakeApi::start(|asked| async move { if asked.is_watch() { brief(&[]) } else { list(7, &[], "") } }).await;
    let mut watch = pods(&api);
    assert_eq!(next(&mut watch).await, restarted(&[]));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let asked = api.asked().len();
    assert!((10..40).contains(&asked), "{asked} requests in a minute");
    assert!(watch.health.trouble().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_has_gone_silent_is_begun_anew() {
    let (first, _silent) = following();
    let (second, events) = following();
    let api = Script::play([list(7, &[], ""), first, second]).await;
    let mut watch = pods(&api);
    assert_eq!(next(&mut watch).await, restarted(&[]));
    tokio::time::sleep(Duration::from_secs(LONGEST_WATCH.into()) + OVERDUE + Duration::from_secs(1)).await;
    events.send("ADDED", pod("a", 8));
    assert_eq!(next(&mut watch).await, applied("a"));
}

#[tokio::test]
async fn a_cluster_that_was_set_back_is_told_as_such() {
    let gone = json!({ "kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old" });
    let (open, _events) = following();
    let api = Script::play([
        list(70, &[pod("a", 1)], ""),
        brief(&[("ADDED", pod("b", 71)), ("ERROR", gone)]),
        list(30, &[pod("a", 1)], ""),
        open,
    ])
    .await;
    let mut watch = pods(&api);
    for change in [restarted(&["a"]), applied("b"), Change::SetBack, restarted(&["a"])] {
        assert_eq!(next(&mut watch).await, change);
    }
    until(|| versions(&api) == ["70", "30"].map(|version| Some(version.into()))).await;
}

#[tokio::test]
async fn it_lists_anew_when_it_is_told_to() {
    let ((first, _first), (second, events)) = (following(), following());
    let api = Script::play([list(7, &[], ""), first, list(9, &[pod("a", 8)], ""), second]).await;
    let mut watch = pods(&api);
    assert_eq!(next(&mut watch).await, restarted(&[]));
    until(|| api.asked().len() == 2).await;
    watch.relist();
    assert_eq!(next(&mut watch).await, restarted(&["a"]));
    events.send("ADDED", pod("b", 10));
    assert_eq!(next(&mut watch).await, applied("b"));
    assert_eq!(watch.health.trouble(), None);
}

#[tokio::test]
async fn a_watch_that_brings_nothing_any_more_though_it_did_lists_anew() {
    let ((silent, brings_nothing), (open, events)) = (following(), following());
    let api =
        Script::play([list(70, &[], ""), brief(&[("ADDED", pod("a", 71))]), silent, list(30, &[], ""), open]).await;
    let clock = Clock::manual();
    let mut watch = pods_by(clock.clone(), &api);
    assert_eq!(next(&mut watch).await, restarted(&[]));
    assert_eq!(next(&mut watch).await, applied("a"));
    until(|| versions(&api).len() == 2).await;
    clock.advance(SILENT);
    drop(brings_nothing);
    assert_eq!(next(&mut watch).await, Change::SetBack);
    assert_eq!(next(&mut watch).await, restarted(&[]));
    events.send("ADDED", pod("b", 31));
    assert_eq!(next(&mut watch).await, applied("b"));
}

#[tokio::test]
async fn any_kind_can_be_watched_in_all_namespaces() {
    let (open, _events) = following();
    let api = Script::play([
        Answer::of(
            json!({ "metadata": { "resourceVersion": "5" }, "items": [{ "metadata": { "name": "x" }, "odd": 1 }] }),
        ),
        open,
    ])
    .await;
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("zerogate.dev", "v1alpha1", "HTTPApp"));
    let all = Api::<DynamicObject>::all_with(api.clients().reads, &kind);
    let selection = Selection { labels: Some("a=b".into()), ..Selection::default() };
    let mut watch = watch(all, selection, Clock::running(), |object| object.data["odd"].clone());
    assert_eq!(next(&mut watch).await, Change::Restarted(vec![json!(1)]));
    assert_eq!(api.asked()[0].uri.path(), "/apis/zerogate.dev/v1alpha1/httpapps");
    assert_eq!(api.asked()[0].parameter("labelSelector"), Some("a%3Db".into()));
}

#[tokio::test]
async fn a_kind_that_the_cluster_does_not_have_is_named() {
    let api = FakeApi::start(|_| async { Answer::no(404, "NotFound", "the server could not find the resource") }).await;
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("zerogate.dev", "v1alpha1", "HTTPApp"));
    let all = Api::<DynamicObject>::all_with(api.clients().reads, &kind);
    let watch = watch(all, Selection::default(), Clock::running(), |_| ());
    until(|| watch.health.trouble().is_some()).await;
    let why = watch.health.trouble().expect("in trouble").cause.to_string();
    assert!(why.ends_with("it has no httpapps.zerogate.dev; is the CRD installed?"), "{why}");
}

#[tokio::test]
async fn it_ends_when_it_is_dropped() {
    let (open, events) = following();
    let api = Script::play([list(7, &[], ""), open]).await;
    let mut watch = pods(&api);
    assert_eq!(next(&mut watch).await, restarted(&[]));
    until(|| api.asked().len() == 2).await;
    drop(watch);
    until(|| events.is_over()).await;
}

fn end_of_all(version: u32) -> Value {
    let annotations = json!({ "k8s.io/initial-events-end": "true" });
    let metadata = json!({ "resourceVersion": version.to_string(), "annotations": annotations });
    json!({ "kind": "Pod", "apiVersion": "v1", "metadata": metadata })
}

#[tokio::test]
async fn a_server_that_can_tells_all_there_is_by_the_watch_itself() {
    let (open, events) = following();
    let (second, more) = following();
    let api = Script::play([open, second]).await.streaming();
    let mut watch = pods(&api);
    for (name, version) in [("a", 3), ("b", 1)] {
        events.send("ADDED", pod(name, version));
    }
    // What happens before the end of it comes after it: one that is deleted and made anew is not mistaken for the one before.
    events.send("DELETED", pod("a", 8));
    events.send("ADDED", pod("a", 9));
    events.send("BOOKMARK", bookmark(9));
    events.send("BOOKMARK", end_of_all(9));
    assert_eq!(next(&mut watch).await, restarted(&["a", "b"]));
    assert_eq!(next(&mut watch).await, Change::Deleted("a".into()));
    assert_eq!(next(&mut watch).await, applied("a"));
    events.send("ADDED", pod("c", 10));
    assert_eq!(next(&mut watch).await, applied("c"));
    assert!(watch.health.is_synced());
    api.cut();
    more.send("ADDED", pod("d", 11));
    assert_eq!(next(&mut watch).await, applied("d"));
    assert_eq!(versions(&api), [Some(String::new()), Some("10".into())], "it is resumed where it was");
    assert!(api.asked().iter().all(Asked::is_watch), "and nothing was listed");
}

#[tokio::test]
async fn what_was_cut_before_its_end_is_begun_anew() {
    let (open, events) = following();
    let (second, more) = following();
    let api = Script::play([open, second]).await.streaming();
    let mut watch = pods(&api);
    events.send("ADDED", pod("a", 3));
    until(|| !api.asked().is_empty()).await;
    api.cut();
    more.send("ADDED", pod("b", 4));
    more.send("BOOKMARK", end_of_all(4));
    assert_eq!(next(&mut watch).await, restarted(&["b"]));
    assert_eq!(versions(&api), [Some(String::new()), Some(String::new())]);
}

#[tokio::test]
async fn a_refusal_to_begin_with_all_there_is_is_told_as_that_of_the_list() {
    let no = || Answer::no(403, "Forbidden", "no");
    let (open, events) = following();
    let api = Script::play([no(), no(), no(), list(7, &[pod("a", 1)], ""), open]).await.streaming();
    let mut watch = pods(&api);
    assert_eq!(next(&mut watch).await, restarted(&["a"]));
    events.send("ADDED", pod("b", 8));
    assert_eq!(next(&mut watch).await, applied("b"));
    let lists = api.asked().iter().map(|asked| !asked.is_watch()).collect::<Vec<_>>();
    assert_eq!(lists, [false, true, false, true, false]);
}

#[tokio::test]
async fn a_server_that_cannot_begin_with_all_there_is_is_not_asked_for_that_again() {
    let error = |code: u16| brief(&[("ERROR", json!({ "code": code, "reason": "no", "message": "no" }))]);
    let no = |code| Answer::no(code, "no", "no");
    for (code, no) in [(400, no(400)), (422, no(422)), (500, no(500)), (500, error(500))] {
        let answers = [no, list(7, &[pod("a", 1)], ""), error(410), list(9, &[], "")];
        let (open, _events) = following();
        let api = Script::play(answers.into_iter().chain([open])).await.streaming();
        let mut watch = pods(&api);
        assert_eq!(next(&mut watch).await, restarted(&["a"]), "{code}");
        assert_eq!(next(&mut watch).await, restarted(&[]), "{code}");
        let wholes = api.asked().iter().filter(|asked| asked.parameter("sendInitialEvents").is_some()).count();
        assert_eq!(wholes, 1, "{code}");
    }
}
