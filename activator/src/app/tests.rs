mod answers;
mod early;
mod filling;
mod races;
mod storm;
mod waking;

use super::*;
use crate::autoscaler::{Autoscaler, Begin, Sample};
use crate::failure::{FailureCause, StartFailure};
use crate::hold::WaitState;
use crate::platform::contract::Observation;
use crate::settings::{Hold, Scaling};
use crate::testing::{Changes, World, endpoint, failure, hold, hold_many, limited, settings, settle, until};

type Held = tokio::task::JoinHandle<Result<crate::Permit, Refusal>>;

fn done(held: &[Held]) -> usize {
    held.iter().filter(|h| h.is_finished()).count()
}

async fn answers(held: Vec<Held>) -> Vec<Result<crate::Permit, Refusal>> {
    let mut answers = Vec::new();
    for one in held {
        answers.push(one.await.unwrap());
    }
    answers
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_are_served_in_the_order_they_came() {
    let world = World::new(Clock::running());
    let app = world.app("a", limited(1));
    let held = hold_many(&app, 5).await;
    app.endpoint_ready(endpoint("only"));
    for (n, one) in held.into_iter().enumerate() {
        settle().await;
        assert_eq!(app.held(), 4 - n, "one slot, one served");
        assert!(one.is_finished(), "number {n} is next");
        drop(one.await.unwrap().unwrap());
    }
    assert_eq!((app.in_flight(), app.held()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_does_not_pass_those_who_wait() {
    let world = World::new(Clock::running());
    let app = world.app("a", limited(1));
    let only = endpoint("only");
    app.endpoint_ready(only.clone());
    let first = app.enter().try_admit(app.clock().now()).unwrap();
    let waits = hold(&app);
    until("it is in line", || app.held() == 1).await;
    drop(first);
    // The slot is the waiter's though its task has not run yet.
    assert!(app.enter().try_admit(app.clock().now()).is_err());
    assert_eq!(only.in_flight(), 1);
    assert!(waits.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_get_a_suspect_endpoint_as_soon_as_it_is_none() {
    let world = World::new(Clock::running());
    let app = world.app("a", limited(1));
    let (good, bad) = (endpoint("good"), endpoint("bad"));
    app.endpoint_ready(good.clone());
    let busy = app.enter().try_admit(app.clock().now()).unwrap();
    app.endpoint_ready(bad.clone());
    let begun = app.clock().now();
    app.suspect(&bad, begun + secs(2));
    tokio::time::advance(secs(1)).await;
    // It fails once more.
    app.suspect(&bad, begun + secs(3));
    let waits = hold(&app);
    until("it is in line", || app.held() == 1).await;
    let permit = waits.await.unwrap().unwrap();
    assert_eq!(permit.endpoint().name(), "bad");
    assert!(app.clock().now().since(begun + secs(3)) < Duration::from_millis(10), "nobody waits for a tick");
    drop((busy, permit));
}

#[tokio::test(start_paused = true)]
async fn and_as_soon_as_it_answers() {
    let world = World::new(Clock::running());
    let app = world.app("a", limited(2));
    let (good, bad) = (endpoint("good"), endpoint("bad"));
    app.endpoint_ready(bad.clone());
    let slow = app.enter().try_admit(app.clock().now()).unwrap();
    app.endpoint_ready(good.clone());
    app.suspect(&bad, app.clock().now() + secs(2));
    let busy = [(); 2].map(|()| app.enter().try_admit(app.clock().now()).unwrap());
    assert_eq!(good.in_flight(), 2);
    let waits = hold(&app);
    until("it is in line", || app.held() == 1).await;
    app.trust(&bad);
    assert_eq!((app.held(), bad.in_flight()), (0, 2), "its other slot is used at once");
    drop((waits, busy, slow));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_trusted_and_suspect_by_turns_is_watched_once() {
    let world = World::new(Clock::running());
    let app = world.app("a", limited(1));
    let one = endpoint("one");
    app.endpoint_ready(one.clone());
    for _ in 0..100 {
        app.suspect(&one, app.clock().now() + secs(2));
        settle().await;
        app.trust(&one);
    }
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 1);
    tokio::time::sleep(secs(3)).await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
    app.suspect(&one, app.clock().now() + secs(2));
    settle().await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 1, "and again the next time");
}

#[tokio::test(start_paused = true)]
async fn the_line_is_bounded_per_app() {
    let world = World::new(Clock::running());
    let small = Hold { max_requests: 3, ..Hold::default() };
    let app = world.app("a", AppSettings { hold: small, ..limited(1) });
    let other = world.app("b", limited(1));
    let held = hold_many(&app, 3).await;
    assert!(matches!(app.enter().hold(10).await, Err(Refusal::LineFull { limit: 3 })));
    assert_eq!((app.in_flight(), world.shared.budget.requests()), (3, 3), "the refused one is gone");
    let others = hold_many(&other, 4).await;
    assert_eq!(done(&others), 0, "another app's line is another line");
    held[1].abort();
    until("its place is free", || app.held() == 2).await;
    let again = hold_many(&app, 1).await;
    assert_eq!(done(&again), 0);
}

#[tokio::test(start_paused = true)]
async fn all_lines_together_are_bounded() {
    let world = World::with_budget(Clock::running(), HoldBudget::new(3, 1_000));
    let (a, b) = (world.app("a", limited(1)), world.app("b", limited(1)));
    let (mut held, more) = (hold_many(&a, 2).await, hold_many(&b, 1).await);
    assert!(matches!(b.enter().hold(0).await, Err(Refusal::GatewayFull)));
    held.extend(more);
    held.drain(..).for_each(|h| h.abort());
    until("all left", || world.shared.budget.requests() == 0).await;
    assert!(matches!(a.enter().hold(1_001).await, Err(Refusal::GatewayFull)), "bytes count too");
    assert_eq!((world.shared.budget.requests(), world.shared.budget.bytes()), (0, 0));
    assert_eq!((a.in_flight(), a.held(), b.in_flight(), b.held()), (0, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_app_that_never_starts_leaves_room_for_the_others() {
    let world = World::with_budget(Clock::running(), HoldBudget::new(10, 10_000));
    let (stuck, other) = (world.app("a", limited(1)), world.app("b", limited(1)));
    let mut held = hold_many(&stuck, 5).await;
    assert!(matches!(stuck.enter().hold(100).await, Err(Refusal::ShareFull)));
    let others = hold_many(&other, 3).await;
    assert_eq!((stuck.in_flight(), stuck.held(), other.held()), (5, 5, 3));
    // What it gives back is there for both.
    held.drain(..3).for_each(|h| h.abort());
    until("they left", || stuck.held() == 2).await;
    held.extend(hold_many(&stuck, 1).await);
    drop((held, others));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_counts_from_the_arrival_and_tells_what_was_waited_for() {
    let world = World::new(Clock::running());
    let short = Hold { timeout: Duration::from_millis(500), ..Hold::default() };
    let app = world.app("a", AppSettings { hold: short, ..limited(1) });
    let ticket = app.enter();
    tokio::time::advance(Duration::from_millis(200)).await;
    let before = app.clock().now();
    let Err(Refusal::Deadline { held, state: WaitState::Starting }) = ticket.hold(1).await else { panic!("deadline") };
    assert_eq!((held, app.clock().now().since(before)), (Duration::from_millis(500), Duration::from_millis(300)));

    app.endpoint_ready(endpoint("busy"));
    let _inside = app.enter().try_admit(app.clock().now()).unwrap();
    let Err(Refusal::Deadline { state: WaitState::Busy, .. }) = app.enter().hold(1).await else { panic!("deadline") };
    assert_eq!((app.in_flight(), app.held(), world.shared.budget.requests()), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_up_leaves_at_once() {
    let world = World::new(Clock::running());
    let app = world.app("a", limited(1));
    let held = hold_many(&app, 3).await;
    held[1].abort();
    until("it is gone", || app.in_flight() == 2).await;
    assert_eq!((app.held(), world.shared.budget.requests(), world.shared.budget.bytes()), (2, 2, 200));
    // Served, but gone before it could run: the slot belongs to the next.
    let only = endpoint("only");
    app.endpoint_ready(only.clone());
    held[0].abort();
    until("the third is served", || held[2].is_finished()).await;
    assert_eq!((app.held(), app.in_flight(), only.in_flight()), (0, 1, 1));
    drop(held);
    assert_eq!((app.in_flight(), only.in_flight()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_is_free_is_never_waited_for() {
    let world = World::new(Clock::running());
    let app = world.app("a", limited(2));
    app.endpoint_ready(endpoint("only"));
    // Not by try_admit: it goes to the line and finds the slot from there.
    let permit = app.enter().hold(1).await.unwrap();
    assert_eq!(permit.wait().map(|w| (w.held, w.wake)), Some((Duration::ZERO, None)));
    assert_eq!(world.shared.budget.requests(), 0);
}

/// Decides for `app` as the scaler would and carries it out, without a platform.
fn wake(app: &Arc<App>, wanted: u32) {
    app.set_wanted(wanted, app.clock().now());
    app.obey();
    app.set_starting(wanted);
}

/// Without a hard limit, meant for 10 each.
fn tens() -> AppSettings {
    settings(Scaling { target: 10.0, ..Scaling::default() })
}

#[tokio::test(start_paused = true)]
async fn a_failed_start_is_told_at_once_and_until_it_is_worth_another_try() {
    let mut world = World::new(Clock::running());
    let app = world.app("a", limited(1));
    let held = hold_many(&app, 3).await;
    wake(&app, 1);
    world.take_pokes();
    app.set_starting(0);
    app.start_failed(failure(secs(5)));
    for answer in answers(held).await {
        let Err(Refusal::CannotStart(why)) = answer else { panic!("cannot start") };
        assert_eq!(why.output, ["no such table"]);
    }
    assert_eq!(world.take_pokes(), 1);
    let now = app.clock().now();
    assert!(app.is_failing(now) && app.state(now) == AppState::Failing);
    app.set_wanted(0, now);
    assert_eq!(app.obey(), Some(0), "its platform need not go on trying");
    tokio::time::advance(Duration::from_millis(4_999)).await;
    let refusal = app.enter().hold(1).await.unwrap_err();
    assert!(matches!(refusal, Refusal::CannotStart(_)));
    assert_eq!(app.retry_after(&refusal, now), secs(5));
    assert_eq!(app.retry_after(&refusal, app.clock().now()), secs(1), "never less than a second");
    assert_eq!((world.take_pokes(), world.shared.budget.requests(), app.in_flight()), (0, 0, 0));
    tokio::time::advance(Duration::from_millis(1)).await;
    let again = hold(&app);
    until("it waits", || app.held() == 1).await;
    assert_eq!(world.take_pokes(), 1, "and asks for another start");
    app.endpoint_ready(endpoint("at last"));
    assert!(again.await.unwrap().is_ok());
    assert!(app.failure().is_none());
}

#[tokio::test(start_paused = true)]
async fn what_was_not_there_and_is_has_nobody_wait() {
    let world = World::new(Clock::running());
    let app = world.app("a", limited(1));
    let missing = FailureCause::ServiceMissing { service: "default/a".to_owned() };
    for (cause, is_over) in [(missing, true), (failure(secs(5)).cause, false)] {
        app.start_failed(StartFailure { cause, ..failure(secs(5)) });
        assert!(matches!(app.enter().hold(1).await, Err(Refusal::CannotStart(_))));
        app.observed(Observation { failure: None, ..app.last_observation() });
        let waits = hold(&app);
        let answer = tokio::time::timeout(secs(1), waits).await;
        assert_eq!(answer.is_err(), is_over, "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_nobodys_business_while_another_start_is_under_way() {
    let world = World::new(Clock::running());
    let app = world.app("a", limited(1));
    let held = hold_many(&app, 2).await;
    wake(&app, 2);
    app.set_starting(1);
    app.start_failed(failure(secs(5)));
    settle().await;
    assert_eq!((done(&held), app.held()), (0, 2));
    let more = hold_many(&app, 1).await;
    assert_eq!(done(&more), 0);
    app.set_starting(0);
    app.start_failed(failure(secs(5)));
    settle().await;
    assert_eq!((done(&held), done(&more), app.held()), (2, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn new_settings_serve_those_who_wait_and_forget_a_failure() {
    let mut world = World::new(Clock::running());
    let app = world.app("a", limited(1));
    let only = endpoint("only");
    app.endpoint_ready(only.clone());
    let _inside = app.enter().try_admit(app.clock().now()).unwrap();
    let mut held = hold_many(&app, 4).await;
    world.take_pokes();
    app.configure(limited(1));
    assert_eq!(world.take_pokes(), 0, "nothing has changed");
    app.configure(limited(3));
    settle().await;
    assert_eq!((only.in_flight(), app.held(), world.take_pokes()), (3, 2, 1));
    app.configure(limited(2));
    drop(held.remove(0).await.unwrap());
    settle().await;
    assert_eq!((only.in_flight(), app.held()), (2, 2), "the lower limit holds from now on");

    let broken = world.app("b", limited(1));
    broken.start_failed(failure(secs(60)));
    assert!(broken.enter().hold(1).await.is_err());
    let mut mended = limited(2);
    let crate::settings::Target::Process(process) = &mut mended.target else { panic!("a process") };
    Arc::make_mut(process).command = vec!["false".to_owned()];
    broken.configure(mended);
    let waits = hold_many(&broken, 1).await;
    assert_eq!(done(&waits), 0, "what was wrong may have been changed");
}

#[tokio::test(start_paused = true)]
async fn a_closed_app_sends_all_away_who_wait_and_lets_go_on_who_is_in() {
    let world = World::new(Clock::running());
    let app = world.app("a", limited(1));
    let only = endpoint("only");
    app.endpoint_ready(only.clone());
    let inside = app.enter().try_admit(app.clock().now()).unwrap();
    let held = hold_many(&app, 3).await;
    app.close(Refusal::Removed);
    assert!(answers(held).await.iter().all(|a| matches!(a, Err(Refusal::Removed))));
    assert!(app.is_closing());
    assert_eq!((app.in_flight(), only.in_flight(), world.shared.budget.requests()), (1, 1, 0));
    assert!(matches!(app.enter().hold(1).await, Err(Refusal::Removed)));
    drop(inside);
    assert_eq!((app.in_flight(), only.in_flight()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn sleeping_takes_all_endpoints_or_none() {
    let world = World::new(Clock::running());
    let app = world.app("a", limited(1));
    let both = [endpoint("1"), endpoint("2")];
    both.iter().for_each(|e| app.endpoint_ready(e.clone()));
    let inside = app.enter().try_admit(app.clock().now()).unwrap();
    assert!(!app.try_sleep());
    assert!(both.iter().all(|e| !e.is_closed()) && app.endpoints().len() == 2);
    // A request between two tries: its slot is back, it still counts.
    let ticket = inside.give_back();
    assert!(!app.try_sleep());
    let _second = app.enter().try_admit(app.clock().now()).unwrap();
    drop((ticket, _second));
    assert!(app.try_sleep());
    assert!(both.iter().all(|e| e.is_closed()) && app.endpoints().is_empty());
    let late = app.enter().try_admit(app.clock().now());
    assert!(late.is_err(), "it waits for the next wake");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_goes_gets_no_more_and_finishes_what_it_has() {
    let world = World::new(Clock::running());
    let app = world.app("a", limited(1));
    let (old, new) = (endpoint("old"), endpoint("new"));
    app.endpoint_ready(old.clone());
    let inside = app.enter().try_admit(app.clock().now()).unwrap();
    app.endpoint_gone(&old);
    let waits = hold(&app);
    until("it waits", || app.held() == 1).await;
    let drained = tokio::spawn({
        let old = old.clone();
        async move { old.drained().await }
    });
    settle().await;
    assert!(!drained.is_finished() && !waits.is_finished());
    drop(inside);
    settle().await;
    assert!(drained.is_finished() && !waits.is_finished(), "its slot is nobody's any more");
    app.endpoint_ready(new.clone());
    assert!(Arc::ptr_eq(waits.await.unwrap().unwrap().endpoint(), &new));
}

#[tokio::test(start_paused = true)]
async fn one_poke_stands_for_many_and_a_start_under_way_needs_none() {
    let mut world = World::new(Clock::running());
    let app = world.app("a", limited(1));
    let _first = hold_many(&app, 100).await;
    assert_eq!(world.take_pokes(), 1);
    wake(&app, 1);
    let _more = hold_many(&app, 100).await;
    assert_eq!(world.take_pokes(), 0);
}

#[tokio::test(start_paused = true)]
async fn decisions_are_kept_bounded_and_repeats_as_one() {
    let world = World::new(Clock::running());
    let app = world.app("a", limited(1));
    let mut autoscaler = Autoscaler::new(Timestamp::ZERO, Begin::Found(0));
    let scaling = Scaling { max_replicas: 100, ..Scaling::clone(&app.settings().scaling) };
    for second in 0..100u32 {
        let demand = f64::from(second / 2);
        let sample = Sample {
            stable: demand,
            panic: 0.0,
            in_flight: 1,
            held: 0,
            ready: 60,
            starting: 0,
            wanted: 60,
            idle_for: Duration::ZERO,
            yields: false,
            follows: false,
            here: 0,
            undone: false,
        };
        let now = Timestamp::from_millis(u64::from(second) * 1_000);
        app.record_decision(autoscaler.decide(&scaling, &sample, now), now);
    }
    let kept = app.decisions();
    assert_eq!(kept.len(), 16);
    assert!(
        kept.windows(2).all(|pair| pair[0].at < pair[1].at && pair[0].decision.replicas < pair[1].decision.replicas)
    );
    assert_eq!(kept.last().unwrap().at, Timestamp::from_millis(99_000), "repeats only move the time");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_forgotten_only_if_the_target_has_changed() {
    let world = World::new(Clock::running());
    let app = world.app("a", limited(1));
    app.start_failed(failure(secs(60)));
    app.configure(limited(2));
    assert!(app.failure().is_some(), "another limit mends nothing");
    let mut changed = limited(2);
    let crate::settings::Target::Process(process) = &mut changed.target else { panic!("a process") };
    Arc::make_mut(process).command = vec!["false".to_owned()];
    app.configure(changed);
    assert!(app.failure().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_removed_app_counts_until_it_has_finished() {
    let world = World::new(Clock::running());
    let registry = crate::registry::Registry::new(world.shared.clone(), Arc::new(crate::testing::Nothing));
    let id = AppId::new("default", "a");
    registry.apply([(id.clone(), limited(1))], |_| {});
    let request = registry.get(&id).unwrap().enter();
    registry.apply([] as [(AppId, AppSettings); 0], |_| {});
    assert!(registry.get(&id).is_none());
    assert_eq!(registry.in_flight(), 1);
    drop(request);
    assert_eq!(registry.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_an_earlier_target_does_not_count() {
    let world = World::new(Clock::running());
    let app = world.app("a", crate::testing::cluster(Scaling::default()));
    let mut other = crate::testing::cluster(Scaling::default());
    let crate::settings::Target::Scale(target) = &mut other.target else { panic!("in a cluster") };
    Arc::make_mut(target).name = "b".into();
    app.configure(other);
    assert!(!app.is_known());
    app.observed(crate::testing::asleep());
    assert!(!app.is_known(), "that was the other one");
    let number = app.subject().target_number;
    app.observed(crate::platform::Observation { target_number: number, ..crate::testing::asleep() });
    assert!(app.is_known());
}

#[tokio::test(start_paused = true)]
async fn what_appears_while_fewer_are_ordered_is_used_once_that_is_answered() {
    use crate::failure::FailureCause;
    use crate::platform::{Accepted, NotAccepted, Observation, SpecReplicas};

    let world = World::new(Clock::running());
    for (accepted, in_doubt) in [(true, false), (false, false), (false, true)] {
        let app = world.app("a", crate::testing::cluster(Scaling::default()));
        let (first, late) = (endpoint("first"), endpoint("late"));
        let spec = |replicas, version| Some(SpecReplicas { replicas, version, writer: None });
        app.observed(Observation { spec: spec(1, 1), endpoints: vec![first], ..Observation::default() });
        assert!(app.try_sleep());
        app.set_wanted(0, app.clock().now());
        assert_eq!(app.next_order().map(|order| order.replicas), Some(0));
        app.observed(Observation { spec: spec(1, 1), endpoints: vec![late.clone()], ..Observation::default() });
        assert!(app.endpoints().is_empty(), "it may be what the order takes");
        let cause = FailureCause::ApiServer { why: "503".to_owned() };
        if accepted {
            app.order_accepted(Accepted { version: 2 });
        } else {
            app.order_not_accepted(NotAccepted { cause, in_doubt, passing: true, retry_after: None });
        }
        let used = app.endpoints().iter().any(|there| Arc::ptr_eq(there, &late));
        assert_eq!(used, !in_doubt, "in doubt, its platform tells");
    }
}

#[tokio::test(start_paused = true)]
async fn none_of_several_goes_while_one_is_in_use_that_kubernetes_does_not_call_ready() {
    use crate::platform::{Observation, SpecReplicas};

    let world = World::new(Clock::running());
    let app = world.app("a", crate::testing::cluster(Scaling::default()));
    let (early, other) = (endpoint("early"), endpoint("other"));
    early.begin_early();
    assert!(early.try_acquire(10, app.clock().now()));
    let spec = Some(SpecReplicas { replicas: 2, version: 1, writer: None });
    app.observed(Observation { spec, endpoints: vec![early.clone(), other.clone()], ..Observation::default() });
    app.set_wanted(1, app.clock().now());
    app.retire_or_reopen();
    assert!(other.is_closed());
    assert!(app.next_order().is_none(), "it would be the first to go");
    early.end_early();
    let order = app.next_order().expect("now");
    assert_eq!((order.replicas, order.victims.len()), (1, 1));
}

#[test]
fn a_sleeping_app_is_small() {
    assert!(size_of::<App>() <= 640, "{} bytes", size_of::<App>());
}
