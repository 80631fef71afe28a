use super::*;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

const IDLE: Observed = Observed { active: false, replicas: Some(0), woken: None, refused: false };
const WAITING: Observed = Observed { active: true, ..IDLE };
const RUNNING: Observed = Observed { active: true, replicas: Some(2), woken: None, refused: false };

fn woken(millis: u64) -> Observed {
    Observed { woken: Some(at(millis)), ..RUNNING }
}

/// With repeats after exactly 60 s.
fn look(pushes: &mut Pushes, observed: Observed, millis: u64) -> Push {
    pushes.look(&observed, at(millis), 0.5)
}

#[test]
fn of_one_that_runs_it_is_said_at_once() {
    let mut pushes = Pushes::default();
    assert_eq!(look(&mut pushes, IDLE, 0), Push::WhenChanged);
    assert_eq!(look(&mut pushes, RUNNING, 5_000), Push::Now);
    assert_eq!(look(&mut pushes, RUNNING, 5_000), Push::At(at(65_000)));
}

#[test]
fn of_one_that_is_woken_it_is_said_half_a_second_after_the_order_was_accepted() {
    let mut pushes = Pushes::default();
    assert_eq!(look(&mut pushes, WAITING, 1_000), Push::At(at(4_000)));
    assert_eq!(look(&mut pushes, WAITING, 1_020), Push::At(at(4_000)));
    assert_eq!(look(&mut pushes, woken(1_030), 1_030), Push::At(at(1_530)));
    assert_eq!(look(&mut pushes, woken(1_030), 1_529), Push::At(at(1_530)));
    assert_eq!(look(&mut pushes, woken(1_030), 1_530), Push::Now);
    assert_eq!(look(&mut pushes, woken(1_030), 1_530), Push::At(at(61_530)));
}

#[test]
fn the_order_that_is_seen_before_it_was_answered_is_waited_out_too() {
    // The watch was faster than the answer: it runs, and was not woken as far as is known.
    let mut pushes = Pushes::default();
    look(&mut pushes, WAITING, 1_000);
    assert_eq!(look(&mut pushes, RUNNING, 1_010), Push::Now);
    assert_eq!(look(&mut pushes, woken(1_020), 1_020), Push::At(at(1_520)), "and it is said again when it holds");
}

#[test]
fn an_order_that_is_not_accepted_or_has_no_answer_keeps_nothing_back() {
    let mut pushes = Pushes::default();
    look(&mut pushes, WAITING, 1_000);
    let refused = Observed { refused: true, ..WAITING };
    assert_eq!(look(&mut pushes, refused, 1_200), Push::Now);

    let mut pushes = Pushes::default();
    look(&mut pushes, WAITING, 1_000);
    assert_eq!(look(&mut pushes, WAITING, 3_999), Push::At(at(4_000)));
    assert_eq!(look(&mut pushes, WAITING, 4_000), Push::Now);
}

#[test]
fn while_it_lasts_it_is_said_again_slowly() {
    let mut pushes = Pushes::default();
    let said = (0..600_000).step_by(100).filter(|now| look(&mut pushes, RUNNING, *now) == Push::Now);
    assert_eq!(said.collect::<Vec<_>>(), (0..600_000).step_by(60_000).collect::<Vec<_>>());
}

#[test]
fn repeats_are_spread() {
    for (jitter, due) in [(0.0, 54_000), (0.5, 60_000), (1.0, 66_000)] {
        let mut pushes = Pushes::default();
        assert_eq!(pushes.look(&RUNNING, at(0), jitter), Push::Now);
        assert_eq!(pushes.look(&RUNNING, at(0), jitter), Push::At(at(due)));
    }
}

#[test]
fn what_was_put_to_sleep_in_spite_of_it_and_woken_again_is_said_again() {
    let mut pushes = Pushes::default();
    assert_eq!(look(&mut pushes, RUNNING, 0), Push::Now);
    assert_eq!(look(&mut pushes, WAITING, 10_000), Push::At(at(60_000)));
    assert_eq!(look(&mut pushes, woken(10_050), 10_050), Push::At(at(10_550)));
    assert_eq!(look(&mut pushes, woken(10_050), 10_550), Push::Now);
    assert_eq!(look(&mut pushes, woken(10_050), 10_550), Push::At(at(70_550)));
}

#[test]
fn each_edge_is_said_once_and_an_end_is_not() {
    let mut pushes = Pushes::default();
    let mut said = 0;
    for cycle in 0..10 {
        for step in 0..100 {
            let observed = if step < 20 { RUNNING } else { IDLE };
            said += u32::from(look(&mut pushes, observed, cycle * 100_000 + step * 1_000) == Push::Now);
        }
    }
    assert_eq!(said, 10);
}

#[test]
fn a_late_look_makes_up_for_nothing() {
    let mut pushes = Pushes::default();
    assert_eq!(look(&mut pushes, RUNNING, 0), Push::Now);
    assert_eq!(look(&mut pushes, RUNNING, 3_600_000), Push::Now);
    assert_eq!(look(&mut pushes, RUNNING, 3_600_000), Push::At(at(3_660_000)));
}
