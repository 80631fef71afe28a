use super::super::testing::*;
use super::*;

/// All that waits, in words, with how often.
fn all(events: &mut Events) -> Vec<(String, u32)> {
    let line = |it: &Waiting| (format!("{} {}: {}", it.event.severity, it.event.reason, it.event.note), it.times);
    events.waiting.drain(..).map(|it| line(&it)).collect()
}

fn once(text: &str) -> Vec<(String, u32)> {
    vec![(text.into(), 1)]
}

#[test]
fn a_wake_is_told_once_when_it_is_over() {
    let mut events = Events::default();
    events.look(&Known { wake: woken(secs(10), None), ..waking() }, secs(10));
    assert!(!events.any());
    let awake = Known { wake: woken(secs(10), Some(Timestamp::from_millis(10_812))), ..awake(1) };
    events.look(&awake, secs(11));
    let words = "Normal Woken: awake after 812 ms, 1 replica asked for; wake: 2 held, wants 1";
    assert_eq!(all(&mut events), once(words));
    events.look(&awake, secs(12));
    assert!(!events.any());
}

#[test]
fn sleep_is_told_once_it_is_ordered() {
    let mut events = Events::default();
    events.look(&asleep(), secs(1));
    events.look(&awake(1), secs(2));
    assert!(!events.any(), "it was asleep when it was first seen");
    let decision = decided(secs(62), 0, "idle: nothing in flight for 60 s, wants 0");
    events.look(&Known { replicas: Some(1), decision: decision.clone(), ..asleep() }, secs(62));
    assert!(!events.any(), "it may still come back");
    events.look(&Known { decision: decision.clone(), ..asleep() }, secs(63));
    assert_eq!(all(&mut events), once("Normal Slept: put to sleep: idle: nothing in flight for 60 s, wants 0"));
    events.look(&Known { decision, ..asleep() }, secs(64));
    assert!(!events.any());
}

#[test]
fn each_failure_is_told_and_the_same_one_counted() {
    let mut events = Events::default();
    events.look(&failing(crash(), secs(1)), secs(1));
    events.look(&failing(crash(), secs(1)), secs(2));
    events.look(&failing(crash(), secs(11)), secs(11));
    let words = "Warning CrashLoop: the app cannot be started: its container `app` keeps ending, the last time with exit code 3";
    assert_eq!(all(&mut events), [(words.to_owned(), 2)]);
    events.look(&Known { state: AppState::Asleep, replicas: Some(0), ..failing(crash(), secs(11)) }, secs(12));
    assert!(!events.any(), "what never ran is not put to sleep");
}

#[test]
fn what_an_app_printed_is_in_the_note_as_far_as_it_fits() {
    let mut known = failing(crash(), secs(1));
    let failure = known.failure.as_mut().expect("it failed");
    std::sync::Arc::make_mut(&mut failure.failure).output = vec!["x".repeat(600), "y".repeat(600)];
    let mut events = Events::default();
    events.look(&known, secs(1));
    let note = &events.waiting[0].event.note;
    assert_eq!(note.len(), LONGEST_NOTE);
    assert!(note.contains("; it printed last: xxx") && note.ends_with("yyy…"), "{note}");
}

#[test]
fn another_writer_is_named_unless_it_is_the_one_that_is_meant_to_write() {
    let known = Known { other_writer: Some(written_by(Some("kubectl-scale"), 0, secs(1), secs(1))), ..asleep() };
    let mut events = Events::default();
    events.look(&awake(1), secs(0));
    events.look(&known, secs(1));
    events.look(&known, secs(2));
    let words = "Warning OtherWriter: another writer, `kubectl-scale`, has set 0 replicas";
    assert_eq!(all(&mut events), once(words), "and it is not the gateway that has put it to sleep");
    for by in [ScaledBy::Hpa, ScaledBy::Keda] {
        let mut events = Events::default();
        events.look(&Known { by, ..known.clone() }, secs(1));
        assert!(!events.any());
    }
}

#[test]
fn what_happens_again_is_the_same_event_with_a_count() {
    let (mut events, app) = (Events::default(), id("hello"));
    events.look(&failing(crash(), secs(1)), secs(1));
    let first = events.next(&app, wall(1)).expect("an event");
    assert_eq!((first.new, first.count, &*first.name), (true, 1, "hello.188672522994ca00"));
    events.told(first.clone(), secs(1));
    assert_eq!(events.next(&app, wall(1)), None);

    events.look(&failing(crash(), secs(11)), secs(11));
    let again = events.next(&app, wall(11)).expect("the same event");
    assert_eq!((again.new, again.count, &again.name), (false, 2, &first.name));
    let body = again.body(&app, "u1", "pod", wall(11));
    let expected = json!({ "series": { "count": 2, "lastObservedTime": "2026-01-01T00:00:11.000000Z" } });
    assert_eq!(body, expected);
    events.told(again, secs(11));

    events.look(&failing(missing(), secs(12)), secs(12));
    let other = events.next(&app, wall(12)).expect("another event");
    assert!(other.new);
    events.told(other, secs(12));

    let late = secs(11) + AGAIN_WITHIN;
    events.look(&failing(crash(), late), late);
    let anew = events.next(&app, at(late)).expect("an event");
    assert_eq!((anew.new, anew.count), (true, 1));
}

#[test]
fn one_that_is_gone_is_made_anew() {
    let (mut events, app) = (Events::default(), id("hello"));
    events.look(&failing(crash(), secs(1)), secs(1));
    let first = events.next(&app, wall(1)).expect("an event");
    events.told(first, secs(1));
    events.look(&failing(crash(), secs(11)), secs(11));
    let again = events.next(&app, wall(11)).expect("the same event");
    events.not_told(again, true);
    let anew = events.next(&app, wall(12)).expect("it is tried again");
    assert_eq!((anew.new, anew.count), (true, 1));
}

#[test]
fn an_event_has_all_that_kubernetes_asks_for() {
    let (mut events, app) = (Events::default(), AppId::new("shop", "hello"));
    let known = Known { wake: woken(secs(10), Some(secs(11))), ..awake(1) };
    events.look(&known, secs(11));
    events.look(&Known { wake: woken(secs(20), Some(secs(21))), ..known }, secs(21));
    let telling = events.next(&app, wall(21)).expect("an event");
    let expected = json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": { "name": telling.name, "namespace": "shop" },
        "eventTime": "2026-01-01T00:00:21.000000Z",
        "type": "Normal",
        "reason": "Woken",
        "action": "Wake",
        "note": "awake after 1000 ms, 1 replica asked for; wake: 2 held, wants 1",
        "reportingController": "zerogate.dev/gateway",
        "reportingInstance": "zerogate-abc",
        "regarding": {
            "apiVersion": "zerogate.dev/v1alpha1",
            "kind": "HTTPApp",
            "namespace": "shop",
            "name": "hello",
            "uid": "u1",
        },
        "series": { "count": 2, "lastObservedTime": "2026-01-01T00:00:21.000000Z" },
    });
    assert_eq!(telling.body(&app, "u1", "zerogate-abc", wall(21)), expected);
}

#[test]
fn a_long_name_is_cut_where_a_name_may_end() {
    let name = format!("{}.{}", "a".repeat(199), "b".repeat(40));
    let mut events = Events::default();
    events.look(&failing(crash(), secs(1)), secs(1));
    let telling = events.next(&AppId::new("n", name), wall(1)).expect("an event");
    assert_eq!(telling.name, format!("{}.188672522994ca00", "a".repeat(199)));
}

#[test]
fn what_waits_and_what_is_remembered_is_bounded() {
    let (mut events, app) = (Events::default(), id("hello"));
    let nth = |n: u64| failing(activator::failure::FailureCause::Unschedulable { why: n.to_string() }, secs(n));
    (1..=20).for_each(|n| events.look(&nth(n), secs(n)));
    assert_eq!(events.waiting.len(), MOST_WAITING);
    assert!(events.waiting[0].event.note.ends_with(" 13"), "the oldest are given up");
    for n in 21..=40 {
        events.look(&nth(n), secs(n));
        let telling = events.next(&app, wall(n)).expect("an event");
        events.told(telling, secs(n));
    }
    assert_eq!(events.remembered.len(), MOST_REMEMBERED);
}
