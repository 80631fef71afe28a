use super::*;
use crate::settings::AppId;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn news(counts: Counts, empty: &[(&str, u64)]) -> AppNews {
    let empty = empty.iter().map(|(endpoint, number)| Going { endpoint: (*endpoint).into(), number: *number });
    AppNews {
        app: AppId::new("default", "a"),
        counts,
        early: 0,
        ordered: None,
        going: Vec::new(),
        empty: empty.collect(),
        shares: None,
        grants: None,
    }
}

fn counts(in_flight: u32, arrivals: u64, request_micros: u64) -> Counts {
    Counts { in_flight, arrivals, request_micros, peak: in_flight, ..Counts::default() }
}

fn secs(seconds: u128) -> u128 {
    seconds * 1_000_000_000
}

#[test]
fn what_was_in_flight_is_taken_to_be_still() {
    let (mut others, b) = (Others::default(), Arc::from("b"));
    others.hear(&b, 1, &news(counts(2, 10, 7_000_000), &[]), at(1_000));
    let sum = others.sum(at(4_000));
    assert_eq!((sum.in_flight, sum.arrivals), (2, 2), "of what was before nobody knows but that two have come");
    assert_eq!(sum.integral, secs(6), "two for three seconds");
    // It says how long they really were, by its own clock.
    others.hear(&b, 1, &news(counts(1, 13, 12_000_000), &[]), at(4_000));
    let sum = others.sum(at(5_000));
    assert_eq!((sum.in_flight, sum.arrivals, sum.integral), (1, 5, secs(5 + 1)));
}

#[test]
fn sums_are_over_all_and_never_go_back_when_one_is_gone() {
    let (mut others, b, c) = (Others::default(), Arc::from("b"), Arc::from("c"));
    others.hear(&b, 1, &news(counts(2, 2, 0), &[]), at(0));
    others.hear(&c, 2, &news(counts(3, 3, 0), &[]), at(0));
    let before = others.sum(at(10_000));
    assert_eq!((before.in_flight, before.peak, before.arrivals, before.integral), (5, 5, 5, secs(50)));
    others.forget("b", at(10_000));
    let after = others.sum(at(10_000));
    assert_eq!((after.in_flight, after.arrivals, after.integral), (3, 5, secs(50)));
    assert_eq!(after.last_end, Some(at(10_000)), "what it had ended by then");
    others.forget("c", at(12_000));
    assert_eq!(
        others.sum(at(20_000)),
        Sum { integral: secs(56), arrivals: 5, last_end: Some(at(12_000)), ..Sum::default() }
    );
}

#[test]
fn idleness_is_told_as_a_span_since_clocks_differ() {
    let (mut others, b) = (Others::default(), Arc::from("b"));
    let idle = Counts { idle: Some(Duration::from_secs(30)), arrivals: 4, ..Counts::default() };
    others.hear(&b, 1, &news(idle, &[]), at(100_000));
    assert_eq!(others.sum(at(100_000)).last_end, Some(at(70_000)));
    others.hear(&b, 1, &news(Counts { idle: Some(Duration::from_secs(31)), ..idle }, &[]), at(102_000));
    assert_eq!(others.sum(at(102_000)).last_end, Some(at(71_000)), "never earlier than was known");
}

#[test]
fn who_does_not_name_it_has_nothing_in_flight() {
    let (mut others, b) = (Others::default(), Arc::from("b"));
    others.hear(&b, 1, &news(counts(2, 2, 0), &[("x", 1)]), at(0));
    others.silent("b", at(1_000));
    let sum = others.sum(at(5_000));
    assert_eq!((sum.in_flight, sum.held, sum.peak, sum.last_end), (0, 0, 0, Some(at(1_000))));
    assert!(!others.is_empty_at("b", 1, "x", 1));
    assert_eq!(others.busy_for(at(5_000)), Duration::ZERO);
}

#[test]
fn another_run_is_another_gateway() {
    let (mut others, b) = (Others::default(), Arc::from("b"));
    others.hear(&b, 1, &news(counts(2, 50, 9_000_000), &[("x", 1)]), at(0));
    others.hear(&b, 2, &news(counts(1, 1, 0), &[]), at(3_000));
    let sum = others.sum(at(3_000));
    assert_eq!((sum.in_flight, sum.arrivals, sum.integral), (1, 2 + 1, secs(6)));
    assert!(!others.is_empty_at("b", 2, "x", 1), "that was the one before");
}

#[test]
fn an_answer_counts_for_the_time_that_was_asked() {
    let (mut others, b) = (Others::default(), Arc::from("b"));
    assert!(others.hear(&b, 1, &news(counts(0, 0, 0), &[("x", 7)]), at(0)), "that is new");
    assert!(!others.hear(&b, 1, &news(counts(0, 0, 0), &[("x", 7)]), at(1)));
    assert!(others.is_empty_at("b", 1, "x", 7));
    for (name, run, endpoint, number) in [("c", 1, "x", 7), ("b", 2, "x", 7), ("b", 1, "y", 7), ("b", 1, "x", 8)] {
        assert!(!others.is_empty_at(name, run, endpoint, number));
    }
    others.hear(&b, 1, &news(counts(0, 0, 0), &[]), at(2));
    assert!(!others.is_empty_at("b", 1, "x", 7), "opened again");
}
