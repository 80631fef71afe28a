use activator::resource::LastDecision;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::super::Accepted;
use super::super::before::Change;
use super::super::testing::*;
use super::*;

fn first(known: &Known) -> Told {
    tell(Some(known), Says::Everything, &declared(Accepted::InForce), &Before::default(), wall(100))
}

fn then(known: &Known, before: &Told, seconds: u64) -> Told {
    tell(Some(known), Says::Everything, &declared(Accepted::InForce), &Before::of(before), wall(seconds))
}

fn time(text: &str) -> Time {
    Time(text.parse().expect("a time"))
}

#[test]
fn a_status_has_all_there_is_to_know() {
    let known = Known {
        wake: woken(secs(80), Some(secs(81))),
        decision: decided(secs(95), 2, "stable: 12 in flight over 60 s, target 7 each, wants 2"),
        ..awake(2)
    };
    let status = first(&known).status;
    let expected = serde_json::json!({
        "conditions": status.conditions,
        "observedGeneration": 3,
        "state": "awake",
        "replicas": 2,
        "readyReplicas": 2,
        "inFlight": 1,
        "lastWake": "2026-01-01T00:01:20Z",
        "lastDecision": {
            "at": "2026-01-01T00:01:35Z",
            "replicas": 2,
            "reason": "stable: 12 in flight over 60 s, target 7 each, wants 2",
        },
    });
    assert_eq!(serde_json::to_value(&status).expect("JSON"), expected);
}

#[test]
fn a_failure_is_told_as_long_as_it_stands() {
    let known = failing(crash(), secs(95));
    let told = first(&known);
    let words = "the app cannot be started: its container `app` keeps ending, the last time with exit code 3";
    assert_eq!(told.status.failure.as_deref(), Some(words));
    assert_eq!(told.status.state.as_deref(), Some("failing"));
    assert_eq!(then(&awake(1), &told, 110).status.failure, None);
}

#[test]
fn what_is_not_known_is_left_out() {
    let known = Known { replicas: None, findings: Default::default(), ..asleep() };
    let status = first(&known).status;
    assert_eq!((status.state, status.replicas), (None, None));
    let refused = declared(Accepted::Refused { problems: vec!["no".into()], last_good: false });
    let status = tell(None, Says::Everything, &refused, &Before::default(), wall(1)).status;
    assert_eq!((status.state, status.replicas, status.ready_replicas, status.in_flight), (None, None, None, None));
    assert_eq!(status.observed_generation, Some(3));
}

#[test]
fn what_happened_before_the_gateway_was_started_stays() {
    let decision = LastDecision { at: time("2025-12-31T23:00:00Z"), replicas: 0, reason: "idle".into() };
    let before = HttpAppStatus {
        last_wake: Some(time("2025-12-31T22:00:00Z")),
        last_decision: Some(decision.clone()),
        ..HttpAppStatus::default()
    };
    let told = then(&asleep(), &Told { status: before.clone(), wake: None, decision: None }, 5).status;
    assert_eq!((told.last_wake, told.last_decision), (before.last_wake, Some(decision)));
}

#[test]
fn a_time_that_was_told_stays_though_the_time_of_day_is_corrected() {
    let known =
        Known { wake: woken(secs(80), None), decision: decided(secs(80), 1, "wake: 2 held, wants 1"), ..waking() };
    let before = first(&known);
    let corrected = Wall { now: secs(110), ..wall(113) };
    let told = tell(Some(&known), Says::Everything, &declared(Accepted::InForce), &Before::of(&before), corrected);
    assert_eq!(Before::of(&before).change(&told.status), Change::Nothing);
    let again = Known { wake: woken(secs(105), None), ..known };
    let told = tell(Some(&again), Says::Everything, &declared(Accepted::InForce), &Before::of(&before), corrected);
    assert_eq!(told.status.last_wake, Some(time("2026-01-01T00:01:48Z")));
}

#[test]
fn what_is_always_on_the_move_does_not_matter() {
    let known = Known { decision: decided(secs(95), 2, "stable: 12 in flight"), ..awake(2) };
    let before = first(&known);
    let moves = [
        Known { in_flight: 7, ..known.clone() },
        Known { decision: decided(secs(99), 2, "stable: 12 in flight"), ..known.clone() },
        Known { decision: decided(secs(99), 2, "stable: 13 in flight"), ..known.clone() },
        Known { other_writer: Some(written_by(Some("me"), 2, secs(99), secs(99))), ..known.clone() },
    ];
    for known in moves {
        assert_eq!(Before::of(&before).change(&then(&known, &before, 100).status), Change::Moves, "{known:?}");
    }
    assert_eq!(Before::of(&before).change(&then(&known, &before, 200).status), Change::Nothing);
}

#[test]
fn what_somebody_may_wait_for_matters() {
    let known = Known { decision: decided(secs(95), 2, "stable: 12 in flight"), ..awake(2) };
    let before = first(&known);
    let mut not_early = known.clone();
    not_early.findings.early =
        activator::platform::kubernetes::Early::Off(activator::platform::kubernetes::EarlyOff::Distrusted);
    let matters = [
        asleep(),
        Known { replicas: Some(3), ..known.clone() },
        Known { ready: 1, ..known.clone() },
        Known { wake: woken(secs(99), None), ..known.clone() },
        Known { decision: decided(secs(99), 3, "stable: 12 in flight"), ..known.clone() },
        failing(crash(), secs(99)),
        not_early,
    ];
    for known in matters {
        assert_eq!(Before::of(&before).change(&then(&known, &before, 100).status), Change::Matters, "{known:?}");
    }
    let newer = Declaration { generation: Some(4), ..declared(Accepted::InForce) };
    let told = tell(Some(&known), Says::Everything, &newer, &Before::of(&before), wall(100));
    assert_eq!(Before::of(&before).change(&told.status), Change::Matters);
}

#[test]
fn other_words_for_the_same_failure_do_not_matter_but_another_failure_does() {
    let never = |last: &str| activator::failure::FailureCause::NeverReady {
        after: std::time::Duration::from_secs(60),
        last: last.into(),
    };
    let before = first(&failing(never("503"), secs(90)));
    let told = |known: Known| then(&known, &before, 100).status;
    assert_eq!(Before::of(&before).change(&told(failing(never("no answer"), secs(99)))), Change::Moves);
    assert_eq!(Before::of(&before).change(&told(failing(crash(), secs(99)))), Change::Matters);
}

#[test]
fn what_changes_by_itself_is_looked_at_then() {
    assert_eq!(changes_by_itself(&awake(1), secs(100)), None);
    assert_eq!(changes_by_itself(&failing(crash(), secs(95)), secs(100)), Some(secs(105)));
    assert_eq!(changes_by_itself(&failing(crash(), secs(95)), secs(105)), None);
    let known = Known { other_writer: Some(written_by(None, 1, secs(100), secs(200))), ..awake(1) };
    assert_eq!(changes_by_itself(&known, secs(100)), Some(secs(200)));
    assert_eq!(changes_by_itself(&known, secs(200)), Some(secs(700)));
    assert_eq!(changes_by_itself(&known, secs(700)), None);
}
