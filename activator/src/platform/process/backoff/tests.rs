use super::*;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

#[test]
fn delay_doubles_from_half_a_second_to_a_minute() {
    let millis: Vec<_> = (0..=10).map(|failures| delay(failures).as_millis()).collect();
    assert_eq!(millis, [0, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]);
    assert_eq!(delay(33), LONGEST);
    assert_eq!(delay(u32::MAX), LONGEST);
}

#[test]
fn each_further_try_that_fails_doubles_the_pause() {
    let mut backoff = Backoff::default();
    assert_eq!(backoff.waits_until(at(0)), None);
    assert_eq!(backoff.failed(at(0), at(100)), Duration::from_millis(500));
    assert_eq!(backoff.waits_until(at(599)), Some(at(600)));
    assert_eq!(backoff.waits_until(at(600)), None);
    assert_eq!(backoff.failed(at(600), at(700)), Duration::from_secs(1));
    assert_eq!(backoff.failed(at(1_700), at(1_800)), Duration::from_secs(2));
    assert_eq!(backoff.failures(), 3);
}

#[test]
fn replicas_started_together_fail_as_one() {
    let mut backoff = Backoff::default();
    for _ in 0..5 {
        backoff.failed(at(10), at(100));
    }
    assert_eq!(backoff.failures(), 1);
    // One of them takes longer to fail: the pause is counted from then, but does not double.
    assert_eq!(backoff.failed(at(10), at(5_000)), Duration::from_millis(500));
    assert_eq!(backoff.waits_until(at(5_000)), Some(at(5_500)));
}

#[test]
fn a_later_failure_never_shortens_the_pause() {
    let mut backoff = Backoff::default();
    backoff.failed(at(0), at(0));
    backoff.failed(at(600), at(600));
    assert_eq!(backoff.waits_until(at(601)), Some(at(1_600)));
    assert_eq!(backoff.failed(at(0), at(601)), Duration::from_secs(1));
}

#[test]
fn only_a_good_run_makes_up_for_failures() {
    let mut backoff = Backoff::default();
    backoff.failed(at(0), at(0));
    backoff.ready(at(1_000));
    assert!(!backoff.is_settled(at(10_999)));
    let mut settled = backoff;
    assert_eq!(backoff.failed(at(900), at(10_999)), Duration::from_secs(1));
    assert!(settled.is_settled(at(11_000)));
    assert_eq!(settled.failed(at(900), at(11_000)), Duration::from_millis(500));
}
