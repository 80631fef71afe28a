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
fn a_pods_phases_follow_each_other_and_the_kubelet_may_come_long_after() {
    let mut wake = Wake::new(at(100), 1);
    for (phase, now, took) in [
        (Phase::ScaleCall, 120, 20),
        (Phase::Scheduled, 150, 30),
        (Phase::PodIp, 350, 200),
        (Phase::Listening, 400, 50),
        (Phase::FirstByte, 405, 5),
        // Not from `Listening`: what lies between the two is what the early try has won.
        (Phase::ReadyByKubelet, 1_350, 1_000),
    ] {
        assert_eq!(wake.pass(phase, at(now)), millis(took), "{phase:?}");
        assert_eq!(wake.pass(phase, at(now + 5_000)), None, "{phase:?} again");
    }
    assert_eq!((wake.scheduled, wake.started), (Some(at(150)), Some(at(350))));
    assert_eq!((wake.ready_by_kubelet, wake.duration()), (Some(at(1_350)), millis(300)));
}

#[test]
fn what_was_not_seen_of_a_pod_is_counted_to_the_next_phase() {
    // Its node and its address in one change; and the scale call's answer after both.
    let mut wake = Wake::new(at(100), 1);
    assert_eq!(wake.pass(Phase::Scheduled, at(160)), millis(60));
    assert_eq!(wake.pass(Phase::PodIp, at(160)), millis(0));
    assert_eq!(wake.pass(Phase::ScaleCall, at(170)), millis(70));
    // One that waits for the kubelet takes requests when that calls it ready.
    assert_eq!(wake.pass(Phase::ReadyByKubelet, at(900)), millis(740));
    assert_eq!(wake.pass(Phase::Listening, at(900)), millis(740));
    // It had its node before anybody looked.
    let mut wake = Wake::new(at(100), 1);
    wake.pass(Phase::ScaleCall, at(120));
    assert_eq!(wake.pass(Phase::PodIp, at(200)), millis(80));
}

#[test]
fn every_phase_has_the_label_that_the_documents_have() {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md");
    let document = std::fs::read_to_string(document).expect("the document");
    for phase in [
        Phase::ScaleCall,
        Phase::Scheduled,
        Phase::Started,
        Phase::PodIp,
        Phase::Listening,
        Phase::ReadyByKubelet,
        Phase::FirstByte,
    ] {
        assert!(document.contains(&format!("| `{}` |", phase.label())), "{phase:?}");
    }
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
