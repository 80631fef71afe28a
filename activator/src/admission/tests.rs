use super::*;
use crate::clock::Clock;
use crate::testing::{Changes, World, endpoint, limited};

const NOW: Timestamp = Timestamp::ZERO;

fn endpoints(count: usize) -> Vec<Arc<Endpoint>> {
    (0..count).map(|n| endpoint(&n.to_string())).collect()
}

fn name(picked: Option<&Arc<Endpoint>>) -> Option<&str> {
    picked.map(|e| e.name())
}

#[test]
fn of_two_the_less_loaded_is_picked() {
    fastrand::seed(1);
    let two = endpoints(2);
    (0..5).for_each(|_| assert!(two[0].try_acquire(10, NOW)));
    for n in 1..=5 {
        assert_eq!(name(pick(&two, 10, NOW)), Some("1"));
        assert_eq!(two[1].in_flight(), n);
    }
}

#[test]
fn load_is_spread_over_many() {
    fastrand::seed(2);
    let many = endpoints(20);
    for _ in 0..2_000 {
        assert!(pick(&many, slots::UNLIMITED, NOW).is_some());
    }
    let (least, most) = (many.iter().map(|e| e.in_flight()).min(), many.iter().map(|e| e.in_flight()).max());
    assert!(least >= Some(97) && most <= Some(103), "{least:?} to {most:?} instead of about 100");
}

#[test]
fn an_idle_endpoint_is_never_passed_over_when_the_limit_is_one() {
    fastrand::seed(3);
    for count in [1, 2, 3, 10, 100] {
        let all = endpoints(count);
        for n in 0..count {
            assert!(pick(&all, 1, NOW).is_some(), "{n} of {count} are busy, and none of the others was picked");
        }
        assert!(pick(&all, 1, NOW).is_none());
        assert!(all.iter().all(|e| e.in_flight() == 1));
    }
    assert!(pick(&[], 1, NOW).is_none());
}

#[test]
fn suspects_are_skipped_while_there_is_another() {
    fastrand::seed(4);
    let (until, later) = (Timestamp::from_millis(1_000), Timestamp::from_millis(1_001));
    let three = endpoints(3);
    three[0].suspect(until);
    three[1].suspect(until);
    for _ in 0..50 {
        assert_eq!(name(pick(&three, 50, NOW)), Some("2"));
    }
    assert_eq!(name(pick(&three, 50, NOW)), None, "the trusted one is full: wait for it");
    assert!(pick(&three, 50, later).is_some_and(|e| e.name() != "2"), "suspicion ends by itself");
    three[0].trust();
    assert_eq!(name(pick(&three, 50, NOW)), Some("0"), "or by a success");
}

#[test]
fn suspects_are_used_when_there_is_nothing_else() {
    fastrand::seed(5);
    let three = endpoints(3);
    for one in &three {
        one.suspect(Timestamp::from_millis(1_000));
    }
    (0..3).for_each(|_| assert!(pick(&three, 1, NOW).is_some()));
    assert!(pick(&three, 1, NOW).is_none());
    let one = endpoints(1);
    one[0].suspect(Timestamp::from_millis(1_000));
    assert!(pick(&one, 1, NOW).is_some());
    // A trusted one that is closed is none.
    let two = endpoints(2);
    two[0].close();
    two[1].suspect(Timestamp::from_millis(1_000));
    assert_eq!(name(pick(&two, 1, NOW)), Some("1"));
}

#[test]
fn a_suspicion_is_not_shortened_by_another() {
    let one = endpoint("a");
    one.suspect(Timestamp::from_millis(10));
    one.suspect(Timestamp::from_millis(5));
    assert!(one.is_suspect(Timestamp::from_millis(9)));
}

#[test]
fn one_that_may_end_has_one_request_and_a_pause_after_it() {
    let of = |ending| Endpoint::new("a", ([127, 0, 0, 1], 1).into()).on_probation(ending);
    let one = of(Ending::Possible);
    assert!(one.try_acquire(2, NOW) && one.try_acquire(2, NOW));
    assert_eq!([one.release(), one.release()], [Some(Duration::from_millis(100)), None]);
    let one = of(Ending::Likely);
    one.fill(NOW);
    assert!(one.try_acquire(10, NOW) && !one.try_acquire(10, NOW));
    assert_eq!(one.release(), Some(Duration::from_secs(1)));
    assert!(!one.try_acquire(10, NOW) && !one.is_closed(), "it may be about to end");
    assert!(one.close_if_idle(), "a pause is no reason to stay open");
    one.reopen();
    assert!(!one.try_acquire(10, NOW));
    one.resume();
    assert!(one.try_acquire(10, NOW) && one.try_acquire(10, NOW));
    assert_eq!([one.release(), one.release()], [None; 2], "once is enough");
    assert_eq!(one.in_flight(), 0);
}

/// How long others are preferred after `fault`, told at the end of the last one.
fn blamed(one: &Endpoint, fault: Fault, now: &mut Timestamp) -> Option<u64> {
    let until = one.blame(fault, *now)?;
    one.suspect(until);
    let wait = until.since(*now).as_secs();
    *now = until;
    Some(wait)
}

#[test]
fn an_endpoint_that_does_not_answer_is_left_for_longer_each_time() {
    let (one, mut now) = (endpoint("a"), NOW);
    let waits = [(); 8].map(|()| blamed(&one, Fault::NoAnswer, &mut now));
    assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60, 60].map(Some));
    one.trust();
    assert_eq!(blamed(&one, Fault::NoAnswer, &mut now), Some(2), "an answer makes up for all");
}

#[test]
fn what_many_requests_meet_at_once_is_one_fault() {
    let (one, mut now) = (endpoint("a"), NOW);
    one.suspect(one.blame(Fault::NoAnswer, now).unwrap());
    for fault in [Fault::NoAnswer, Fault::GivenUp, Fault::GivenUp, Fault::GivenUp] {
        assert_eq!(one.blame(fault, now), None);
    }
    now = Timestamp::from_millis(2_000);
    assert_eq!(blamed(&one, Fault::NoAnswer, &mut now), Some(4));
}

#[test]
fn three_clients_that_give_up_in_a_row_are_a_fault() {
    let (one, mut now) = (endpoint("a"), NOW);
    let mut given_up = || blamed(&one, Fault::GivenUp, &mut now);
    assert_eq!([given_up(), given_up(), given_up()], [None, None, Some(2)]);
    assert_eq!([given_up(), given_up(), given_up()], [None, None, Some(4)]);
    one.trust();
    assert_eq!([given_up(), given_up()], [None; 2]);
    one.trust();
    assert_eq!([given_up(), given_up()], [None; 2], "one that answers others in between is not to blame");
}

#[test]
fn a_closed_endpoint_gets_nothing_until_it_opens() {
    let one = endpoint("a");
    assert!(one.try_acquire(2, NOW));
    assert!(!one.close_if_idle());
    assert_eq!(one.close(), 1);
    assert!(!one.try_acquire(slots::UNLIMITED, NOW));
    one.reopen();
    assert!(one.try_acquire(2, NOW), "the one inside has been counted all along");
    assert!(!one.try_acquire(2, NOW));
    one.release();
    one.release();
    assert!(one.close_if_idle() && one.is_closed());
}

#[tokio::test]
async fn drained_waits_for_closed_and_empty() {
    let one = endpoint("a");
    assert!(one.try_acquire(2, NOW) && one.try_acquire(2, NOW));
    let drained = tokio::spawn({
        let one = one.clone();
        async move { one.drained().await }
    });
    tokio::task::yield_now().await;
    one.close();
    one.release();
    tokio::task::yield_now().await;
    assert!(!drained.is_finished(), "one is still inside");
    one.release();
    tokio::time::timeout(Duration::from_secs(5), drained).await.expect("drained").unwrap();
}

#[tokio::test]
async fn drained_notices_that_an_empty_endpoint_is_closed() {
    for close in [|e: &Endpoint| e.close() == 0, |e: &Endpoint| e.close_if_idle()] {
        let one = endpoint("a");
        let drained = tokio::spawn({
            let one = one.clone();
            async move { one.drained().await }
        });
        tokio::task::yield_now().await;
        assert!(close(&one));
        tokio::time::timeout(Duration::from_secs(5), drained).await.expect("drained").unwrap();
    }
}

#[test]
fn an_attachment_is_made_once() {
    let one = endpoint("a");
    assert_eq!(*one.attachment(|| 7u32), 7);
    assert_eq!(*one.attachment(|| 8u32), 7);
}

#[test]
fn a_permit_counts_from_arrival_to_drop() {
    let clock = Clock::manual();
    let world = World::new(clock.clone());
    let app = world.app("a", limited(1));
    let only = endpoint("only");
    app.endpoint_ready(only.clone());

    let ticket = app.enter();
    clock.advance(Duration::from_millis(5));
    assert_eq!((app.in_flight(), only.in_flight()), (1, 0));
    let permit = ticket.try_admit(clock.now()).unwrap();
    assert_eq!((app.in_flight(), only.in_flight()), (1, 1));
    assert_eq!((permit.arrived(), permit.wait()), (Timestamp::ZERO, None));
    assert!(Arc::ptr_eq(permit.endpoint(), &only) && Arc::ptr_eq(permit.app(), &app));

    let second = app.enter().try_admit(clock.now()).expect_err("the only slot is taken");
    assert_eq!(app.in_flight(), 2);
    drop(second);
    assert_eq!(app.in_flight(), 1);

    let ticket = permit.give_back();
    assert_eq!((app.in_flight(), only.in_flight()), (1, 0), "it goes on counting without a slot");
    let permit = ticket.try_admit(clock.now()).unwrap();
    clock.advance(Duration::from_millis(5));
    drop(permit);
    assert_eq!((app.in_flight(), only.in_flight()), (0, 0));
    assert_eq!(app.read(clock.now()).integral, 10_000_000);
    clock.advance(Duration::from_millis(3));
    assert_eq!(app.idle_for(clock.now()), Duration::from_millis(3));
}

#[test]
fn a_panic_gives_everything_back() {
    let world = World::new(Clock::manual());
    let app = world.app("a", limited(1));
    let only = endpoint("only");
    app.endpoint_ready(only.clone());
    let permit = app.enter().try_admit(NOW).unwrap();
    let panicked = std::thread::spawn(move || {
        let _permit = permit;
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    assert!(panicked.join().is_err());
    assert_eq!((app.in_flight(), only.in_flight()), (0, 0));
}
