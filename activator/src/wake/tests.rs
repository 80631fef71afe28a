use super::*;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn millis(millis: u64) -> Option<Duration> {
    Some(Duration::from_millis(millis))
}

#[test]
fn each_phase_takes_from_the_end_of_the_one_before_and_is_over_once() {
    let mut wake = Wake::new(at(100), 3);
    assert_eq!(wake.duration(), None);
    for (phase, now, took) in [
        (Phase::ScaleCall, 130, 30),
        (Phase::Started, 180, 50),
        (Phase::Listening, 1_180, 1_000),
        (Phase::FirstByte, 1_187, 7),
    ] {
        assert_eq!(wake.pass(phase, at(now)), millis(took), "{phase:?}");
        assert_eq!(wake.pass(phase, at(now + 5_000)), None, "{phase:?} again");
    }
    assert_eq!((wake.scaled, wake.started), (Some(at(130)), Some(at(180))));
    assert_eq!((wake.ready, wake.first_byte), (Some(at(1_180)), Some(at(1_187))));
    assert_eq!((wake.duration(), wake.wanted), (millis(1_080), 3));
}

#[test]
fn a_replica_may_run_before_the_scale_call_has_returned() {
    let mut wake = Wake::new(at(100), 1);
    assert_eq!(wake.pass(Phase::Started, at(120)), millis(20));
    assert_eq!(wake.pass(Phase::ScaleCall, at(125)), millis(25));
    assert_eq!(wake.pass(Phase::Listening, at(220)), millis(100));
    // One that began with a crash has no scale call at all.
    let mut wake = Wake::new(at(100), 1);
    assert_eq!(wake.pass(Phase::Listening, at(220)), millis(120));
}

#[test]
fn companions_are_waited_for_as_long_again_and_at_least_a_second() {
    let mut wake = Wake::new(at(1_000), 2);
    assert_eq!(wake.companions_until(), None);
    wake.pass(Phase::Listening, at(4_000));
    assert_eq!(wake.companions_until(), Some(at(7_000)));
    let mut quick = Wake::new(at(1_000), 2);
    quick.pass(Phase::Listening, at(1_050));
    assert_eq!(quick.companions_until(), Some(at(2_050)));
}
