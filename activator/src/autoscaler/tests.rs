mod knative;
mod properties;

use super::*;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Steers for 7 in flight each.
fn sevens() -> Scaling {
    Scaling { target: 10.0, max_replicas: 100, ..Scaling::default() }
}

/// `demand` in both windows and now, `ready` replicas as they are wanted, nothing held or starting.
fn steady(demand: f64, ready: u32) -> Sample {
    Sample {
        stable: demand,
        panic: demand,
        in_flight: demand.ceil() as u32,
        held: 0,
        ready,
        starting: 0,
        wanted: ready,
        idle_for: Duration::ZERO,
        yields: false,
        follows: false,
        here: 0,
    }
}

/// Nothing in either window and nothing in flight for `idle_for`.
fn silent(idle_for: Duration, ready: u32) -> Sample {
    Sample { idle_for, ..steady(0.0, ready) }
}

/// `in_flight` requests that have just come to an app with no replica.
fn at_zero(in_flight: u32) -> Sample {
    Sample { in_flight, held: in_flight, ..steady(f64::from(in_flight), 0) }
}

/// An autoscaler that knows a stable window already.
fn seasoned() -> Autoscaler {
    Autoscaler::new(Timestamp::ZERO, Begin::Found(0))
}

/// One decision of a fresh autoscaler: the number and the words.
fn once(scaling: &Scaling, sample: &Sample) -> (u32, String) {
    decide(&mut seasoned(), scaling, sample, 1_000)
}

fn decide(autoscaler: &mut Autoscaler, scaling: &Scaling, sample: &Sample, seconds: u64) -> (u32, String) {
    let decision = autoscaler.decide(scaling, sample, at(seconds));
    (decision.replicas, decision.reason.to_string())
}

#[track_caller]
fn assert_decides(is: (u32, String), replicas: u32, words: &str) {
    assert_eq!((is.0, is.1.as_str()), (replicas, words));
}

#[test]
fn calm_demand_is_shared_by_as_many_as_it_takes() {
    for (demand, ready, replicas, words) in [
        (48.0, 7, 7, "stable: 48 in flight over 60 s, target 7 each, wants 7"),
        (49.0, 7, 7, "stable: 49 in flight over 60 s, target 7 each, wants 7"),
        (49.01, 7, 8, "stable: 49.01 in flight over 60 s, target 7 each, wants 8"),
        (7.000_000_1, 1, 1, "stable: 7 in flight over 60 s, target 7 each, wants 1"),
        (7.000_001, 1, 2, "stable: 7 in flight over 60 s, target 7 each, wants 2"),
        (0.001, 1, 1, "stable: under 0.01 in flight over 60 s, target 7 each, wants 1"),
    ] {
        let sample = Sample { panic: 0.0, ..steady(demand, ready) };
        assert_decides(once(&sevens(), &sample), replicas, words);
    }
}

#[test]
fn the_target_is_capacity_times_utilization() {
    let limited = Scaling { concurrency_limit: Some(4), ..sevens() };
    assert_decides(once(&limited, &steady(28.0, 10)), 10, "stable: 28 in flight over 60 s, target 2.8 each, wants 10");
    let tiny = Scaling { target: 0.01, utilization: 1, ..sevens() };
    assert_decides(once(&tiny, &steady(0.5, 50)), 50, "stable: 0.5 in flight over 60 s, target 0.01 each, wants 50");
}

#[test]
fn requests_per_second_are_steered_for_alike() {
    let rate = Scaling { metric: Metric::RequestRate, target: 200.0, concurrency_limit: Some(1), ..Scaling::default() };
    assert_decides(
        once(&rate, &Sample { in_flight: 3, ..steady(300.0, 3) }),
        3,
        "stable: 300 requests per second over 60 s, target 140 each, wants 3",
    );
    assert_decides(
        once(&rate, &Sample { stable: 100.0, in_flight: 5, ..steady(300.0, 1) }),
        3,
        "panic: 300 requests per second over 6 s, target 140 each, wants 3",
    );
}

/// Meant for 140 requests per second each.
fn by_rate(concurrency_limit: Option<u32>) -> Scaling {
    Scaling { metric: Metric::RequestRate, target: 200.0, concurrency_limit, ..Scaling::default() }
}

#[test]
fn at_zero_requests_per_second_are_not_what_is_held() {
    let held = |in_flight, per_second| Sample { stable: per_second, panic: per_second, ..at_zero(in_flight) };
    assert_decides(once(&by_rate(None), &held(500, 140.0)), 1, "wake: 500 held, wants 1");
    assert_decides(
        once(&by_rate(None), &held(500, 500.0)),
        4,
        "wake: 500 held, 500 requests per second over 6 s, target 140 each, wants 4",
    );
    assert_decides(once(&by_rate(Some(1)), &held(6, 6.0)), 9, "wake: 6 held, target 0.7 each, wants 9");
    let rare = Scaling { target: 0.1, ..by_rate(None) };
    assert_decides(once(&rare, &held(1, 0.07)), 1, "wake: 1 held, wants 1");
    let three = Scaling { activation_replicas: 3, ..by_rate(None) };
    assert_eq!(once(&three, &held(1, 1.0)).0, 3);
}

#[test]
fn requests_that_take_long_are_seen_by_what_they_occupy_not_by_their_rate() {
    let slow = Sample { stable: 3.0, panic: 3.0, in_flight: 6, held: 5, ..steady(0.0, 1) };
    let mut autoscaler = seasoned();
    assert_decides(
        decide(&mut autoscaler, &by_rate(Some(1)), &slow, 1_000),
        9,
        "burst: 5 of 6 in flight are held, target 0.7 each, wants 9",
    );
    let served = Sample { held: 0, ready: 9, ..slow };
    let words = "stable: 3 requests per second over 60 s, target 140 each, wants 1; what is in flight keeps more";
    assert_decides(once(&by_rate(Some(1)), &served), 9, words);
    assert_eq!(once(&by_rate(Some(1)), &Sample { in_flight: 3, ..served }).0, 5, "what they do not occupy goes");
    // Nothing says that one replica has not room for them all.
    assert_eq!(once(&by_rate(None), &slow).0, 1);
}

#[test]
fn a_wake_is_not_undone_while_requests_wait_for_it() {
    let patient = Scaling { panic_threshold: 1_000, ..by_rate(Some(1)) };
    let mut autoscaler = seasoned();
    assert_eq!(decide(&mut autoscaler, &patient, &Sample { panic: 0.0, stable: 0.0, ..at_zero(3) }, 1_000).0, 5);
    assert!(!autoscaler.is_panicking());
    let starting = Sample { panic: 0.0, stable: 0.0, starting: 5, wanted: 5, ..at_zero(1) };
    assert_decides(
        decide(&mut autoscaler, &patient, &starting, 1_001),
        5,
        "stable: 0 requests per second over 60 s, target 140 each, wants 0; what is starting counts",
    );
    let hung_up = Sample { in_flight: 0, held: 0, ..starting };
    assert_eq!(decide(&mut autoscaler, &patient, &hung_up, 1_002).0, 2, "nobody waits any more");
}

#[test]
fn a_panic_begins_at_the_threshold() {
    let burst = |demand| Sample { stable: 1.0, ..steady(demand, 2) };
    assert_decides(once(&sevens(), &burst(21.0)), 1, "stable: 1 in flight over 60 s, target 7 each, wants 1");
    assert_decides(once(&sevens(), &burst(21.01)), 4, "panic: 21.01 in flight over 6 s, target 7 each, wants 4");
    assert_decides(once(&sevens(), &burst(48.0)), 7, "panic: 48 in flight over 6 s, target 7 each, wants 7");
    let tolerant = Scaling { panic_threshold: 400, ..sevens() };
    assert_eq!(once(&tolerant, &burst(49.0)).0, 1);
    assert_eq!(once(&tolerant, &burst(49.01)).0, 8);
}

#[test]
fn replicas_that_max_forbids_are_no_reason_for_a_panic() {
    let mut autoscaler = seasoned();
    let small = Scaling { max_replicas: 3, ..sevens() };
    assert_eq!(decide(&mut autoscaler, &small, &steady(100.0, 2), 1_000).0, 3);
    assert!(!autoscaler.is_panicking());
}

#[test]
fn a_panic_never_scales_down_and_ends_when_a_stable_window_has_passed() {
    let mut autoscaler = seasoned();
    let scaling = sevens();
    let burst = Sample { stable: 1.0, ..steady(48.0, 1) };
    assert_eq!(decide(&mut autoscaler, &scaling, &burst, 1_000).0, 7);
    // Over again at 1010 s: from there the stable window counts.
    assert_eq!(decide(&mut autoscaler, &scaling, &Sample { panic: 21.0, ..burst }, 1_010).0, 7);
    let calm = Sample { stable: 10.0, ..steady(3.0, 7) };
    for seconds in [1_011, 1_060, 1_061, 1_070] {
        assert_decides(
            decide(&mut autoscaler, &scaling, &calm, seconds),
            7,
            "stable: 10 in flight over 60 s, target 7 each, wants 2; a panic never scales down",
        );
    }
    assert_decides(
        decide(&mut autoscaler, &scaling, &calm, 1_071),
        3,
        "stable: 10 in flight over 60 s, target 7 each, wants 2; limited by the rate of change",
    );
    assert!(!autoscaler.is_panicking());
}

#[test]
fn in_a_panic_it_still_goes_up() {
    let mut autoscaler = seasoned();
    let scaling = sevens();
    assert_eq!(decide(&mut autoscaler, &scaling, &Sample { stable: 1.0, ..steady(14.1, 1) }, 1_000).0, 3);
    // Not twice what three can take, but more than they are meant for.
    assert_eq!(decide(&mut autoscaler, &scaling, &Sample { stable: 1.0, ..steady(22.0, 3) }, 1_001).0, 4);
    assert_eq!(decide(&mut autoscaler, &scaling, &steady(50.0, 4), 1_002).0, 8);
    assert_eq!(decide(&mut autoscaler, &scaling, &steady(1.0, 8), 1_003).0, 8);
}

#[test]
fn a_decision_at_most_halves_and_at_most_thousandfolds() {
    let vast = Scaling { max_replicas: 1_000_000, ..sevens() };
    for (ready, replicas) in [(10, 5), (5, 2), (3, 1), (2, 1)] {
        assert_eq!(once(&vast, &steady(1.0, ready)).0, replicas, "from {ready}");
    }
    assert_decides(
        once(&vast, &steady(1.0, 10)),
        5,
        "stable: 1 in flight over 60 s, target 7 each, wants 1; limited by the rate of change",
    );
    assert_decides(
        once(&vast, &Sample { panic: 0.0, ..steady(70_000.0, 2) }),
        2_000,
        "stable: 70000 in flight over 60 s, target 7 each, wants 10000; limited by the rate of change",
    );
    assert_eq!(once(&vast, &at_zero(70_000)).0, 1_000);
}

#[test]
fn activation_replicas_are_the_fewest_while_there_is_demand() {
    let activation = Scaling { activation_replicas: 3, idle_timeout: secs(5), ..sevens() };
    assert_decides(
        once(&activation, &steady(1.0, 3)),
        3,
        "stable: 1 in flight over 60 s, target 7 each, wants 1; activationReplicas asks for more",
    );
    assert_decides(
        once(&activation, &at_zero(1)),
        3,
        "wake: 1 held, target 7 each, wants 1; activationReplicas asks for more",
    );
    assert_eq!(once(&activation, &steady(48.0, 7)).0, 7);
    assert_eq!(once(&activation, &silent(secs(5), 1)).0, 0);
}

#[test]
fn a_delay_keeps_the_most_of_its_time() {
    let mut autoscaler = seasoned();
    let delayed = Scaling { scale_down_delay: secs(30), ..sevens() };
    assert_eq!(decide(&mut autoscaler, &delayed, &steady(70.0, 10), 1_000).0, 10);
    assert_eq!(decide(&mut autoscaler, &delayed, &steady(56.0, 10), 1_010).0, 10);
    assert_decides(
        decide(&mut autoscaler, &delayed, &steady(35.0, 10), 1_029),
        10,
        "stable: 35 in flight over 60 s, target 7 each, wants 5; scaleDownDelay keeps more for now",
    );
    assert_eq!(decide(&mut autoscaler, &delayed, &steady(35.0, 10), 1_030).0, 8);
    assert_eq!(decide(&mut autoscaler, &delayed, &steady(35.0, 10), 1_040).0, 5);
    // Turned off, it keeps nothing.
    assert_eq!(decide(&mut autoscaler, &sevens(), &steady(21.0, 5), 1_041).0, 3);
}

#[test]
fn min_and_max_have_the_last_word() {
    let bounded = Scaling { min_replicas: 2, max_replicas: 5, ..sevens() };
    assert_decides(
        once(&bounded, &steady(1.0, 2)),
        2,
        "stable: 1 in flight over 60 s, target 7 each, wants 1; minReplicas keeps more",
    );
    assert_decides(
        once(&bounded, &Sample { panic: 0.0, ..steady(70.0, 5) }),
        5,
        "stable: 70 in flight over 60 s, target 7 each, wants 10; maxReplicas allows no more",
    );
    assert_decides(
        once(&bounded, &silent(secs(100), 2)),
        2,
        "idle: nothing in flight for 100 s, wants 0; minReplicas keeps more",
    );
    assert_eq!(once(&bounded, &at_zero(1)).0, 2);
    assert_eq!(once(&bounded, &at_zero(1_000)).0, 5);
}

#[test]
fn max_lowered_in_a_panic_holds_at_once() {
    let mut autoscaler = seasoned();
    assert_eq!(decide(&mut autoscaler, &sevens(), &steady(70.0, 1), 1_000).0, 10);
    let lowered = Scaling { max_replicas: 4, ..sevens() };
    assert_eq!(decide(&mut autoscaler, &lowered, &steady(70.0, 10), 1_001).0, 4);
}

#[test]
fn after_a_restart_it_keeps_what_ran_until_it_knows_better() {
    let mut autoscaler = Autoscaler::new(at(10), Begin::Found(5));
    let scaling = sevens();
    for seconds in [10, 40, 69] {
        assert_decides(
            decide(&mut autoscaler, &scaling, &steady(1.0, 5), seconds),
            5,
            "stable: 1 in flight over 60 s, target 7 each, wants 1; keeps what ran before until a stable window is known",
        );
    }
    assert_eq!(decide(&mut autoscaler, &scaling, &steady(1.0, 5), 70).0, 2);
    let mut autoscaler = Autoscaler::new(at(10), Begin::Found(5));
    assert_eq!(decide(&mut autoscaler, &scaling, &steady(42.0, 5), 11).0, 6, "a floor, not a ceiling");
    assert_eq!(decide(&mut autoscaler, &scaling, &silent(secs(100), 5), 12).0, 5);
}

#[test]
fn at_zero_it_decides_from_what_is_held() {
    for (held, replicas) in [(1, 1), (7, 1), (8, 2), (48, 7), (700, 100), (100_000, 100)] {
        assert_eq!(once(&sevens(), &at_zero(held)).0, replicas, "{held} held");
    }
    assert_decides(once(&sevens(), &at_zero(48)), 7, "wake: 48 held, target 7 each, wants 7");
    assert_decides(
        once(&sevens(), &at_zero(1_000)),
        100,
        "wake: 1000 held, target 7 each, wants 143; maxReplicas allows no more",
    );
    // The windows are still empty when the first request has just come.
    assert_eq!(once(&sevens(), &Sample { stable: 0.0, panic: 0.0, ..at_zero(48) }).0, 7);
}

#[test]
fn silence_takes_the_last_replica_after_the_idle_timeout() {
    let nervous = Scaling { idle_timeout: secs(1), ..sevens() };
    let mut autoscaler = seasoned();
    assert_decides(
        decide(&mut autoscaler, &nervous, &silent(Duration::from_millis(400), 1), 1_000),
        1,
        "quiet: nothing in flight for 0.4 s of 1 s, wants 1",
    );
    assert_decides(
        decide(&mut autoscaler, &nervous, &silent(secs(1), 1), 1_001),
        0,
        "idle: nothing in flight for 1 s, wants 0",
    );
    // The stable window still remembers some demand: of no matter, this is about silence.
    assert_eq!(once(&nervous, &Sample { stable: 2.0, ..silent(secs(1), 1) }).0, 0);
    // More than one replica goes by the windows.
    assert_eq!(once(&nervous, &Sample { stable: 12.0, ..silent(secs(1), 2) }).0, 2);
    // A minute is kept if it says so, though Knative would go.
    assert_eq!(once(&sevens(), &silent(Duration::from_millis(59_999), 1)).0, 1);
    assert_eq!(once(&sevens(), &silent(secs(60), 1)).0, 0);
}

#[test]
fn one_request_however_long_keeps_one() {
    let open = Sample { stable: 0.0, panic: 0.0, in_flight: 1, ..steady(0.0, 1) };
    let nervous = Scaling { idle_timeout: secs(1), ..sevens() };
    assert_decides(once(&nervous, &open), 1, "busy: 1 in flight keep one, wants 1");
}

#[test]
fn replicas_that_have_crashed_are_kept_as_if_they_were_there() {
    // Nobody waits for them; they go by silence, as all do.
    let gone = |idle_for, wanted| Sample { wanted, ..silent(idle_for, 0) };
    let scaling = sevens();
    assert_decides(once(&scaling, &gone(secs(3), 1)), 1, "quiet: nothing in flight for 3 s of 60 s, wants 1");
    assert_decides(once(&scaling, &gone(secs(60), 1)), 0, "idle: nothing in flight for 60 s, wants 0");
    assert_eq!(once(&scaling, &Sample { stable: 15.0, ..gone(secs(3), 4) }).0, 3, "as the windows have it");
    // Those that are in flight at one that has just gone do not wait.
    let crashed = Sample { held: 2, wanted: 1, ..at_zero(5) };
    assert_decides(once(&scaling, &crashed), 1, "wake: 5 in flight, 2 of them held, target 7 each, wants 1");
}

#[test]
fn what_is_not_decided_from_demand_says_so() {
    let Decision { replicas, reason } = Decision::failing(&sevens(), 0);
    assert_decides(
        (replicas, reason.to_string()),
        0,
        "failing: the last start failed and it is too early for another, wants 0",
    );
    assert_eq!(Decision::failing(&Scaling { min_replicas: 2, ..sevens() }, 0).replicas, 2);
    let Decision { replicas, reason } = Decision::closing();
    assert_decides((replicas, reason.to_string()), 0, "closing: the app takes no requests any more, wants 0");
}

#[test]
fn nobody_is_woken_for_nothing() {
    // No replica and nobody who waits: whatever the windows still know, and however short the silence.
    let scaling = sevens();
    assert_decides(once(&scaling, &silent(secs(3), 0)), 0, "asleep: no replica runs and nobody waits, wants 0");
    assert_eq!(once(&scaling, &Sample { stable: 50.0, panic: 50.0, ..silent(secs(3), 0) }).0, 0);
    assert_eq!(once(&Scaling { activation_replicas: 4, ..sevens() }, &silent(secs(3), 0)).0, 0);
    let delayed = Scaling { scale_down_delay: secs(300), ..sevens() };
    let mut autoscaler = seasoned();
    assert_eq!(decide(&mut autoscaler, &delayed, &at_zero(50), 1_000).0, 8);
    assert_eq!(decide(&mut autoscaler, &delayed, &silent(secs(1), 0), 1_005).0, 0, "its start has failed");
    assert!(!autoscaler.is_panicking(), "the next start is for the next requests");
    assert_eq!(once(&Scaling { min_replicas: 2, ..sevens() }, &silent(secs(3), 0)).0, 2, "but minReplicas is");
}

#[test]
fn a_slow_start_neither_panics_twice_nor_asks_for_more() {
    let mut autoscaler = seasoned();
    let scaling = sevens();
    assert_eq!(decide(&mut autoscaler, &scaling, &at_zero(20), 1_000).0, 3);
    assert!(autoscaler.is_panicking());
    let starting = |in_flight: u32| Sample { starting: 3, ..at_zero(in_flight) };
    // For a minute and more, with what is held growing below the threshold: never more than three.
    for seconds in 1_001..1_100 {
        let (replicas, words) = decide(&mut autoscaler, &scaling, &starting(30), seconds);
        assert_eq!(replicas, 3, "{words}");
    }
    assert!(!autoscaler.is_panicking(), "what starts counts, so nothing is over");
    assert_decides(
        decide(&mut autoscaler, &scaling, &starting(30), 1_100),
        3,
        "stable: 30 in flight over 60 s, target 7 each, wants 5; what is starting counts",
    );
    // Twice what those on their way can take is another burst.
    assert_eq!(decide(&mut autoscaler, &scaling, &starting(36), 1_101).0, 6);
}

#[test]
fn what_starts_beyond_what_is_asked_for_is_no_reason_to_ask_for_it() {
    // A rollout before anything is ready: one pod of the old version, and one of the new.
    let surge = Sample { wanted: 1, starting: 2, ..at_zero(1) };
    for held in [0, 1] {
        let (replicas, words) = once(&sevens(), &Sample { held, ..surge });
        assert_eq!(replicas, 1, "{words}");
    }
}

#[test]
fn held_requests_with_nothing_on_its_way_count_at_once() {
    let limited = Scaling { concurrency_limit: Some(10), ..sevens() };
    let burst = Sample { stable: 5.0, panic: 8.0, in_flight: 40, held: 30, ..steady(0.0, 1) };
    let mut autoscaler = seasoned();
    assert_decides(
        decide(&mut autoscaler, &limited, &burst, 1_000),
        6,
        "burst: 30 of 40 in flight are held, target 7 each, wants 6",
    );
    // They are on their way now: no second burst.
    let starting = Sample { starting: 5, ..burst };
    assert_eq!(decide(&mut autoscaler, &limited, &starting, 1_001).0, 6);
    assert_eq!(once(&Scaling { max_replicas: 1, ..limited.clone() }, &burst).0, 1);
    // Held, but what is there could take it: the windows decide.
    assert_eq!(once(&limited, &Sample { in_flight: 40, held: 1, ready: 6, ..burst }).0, 3);
}
