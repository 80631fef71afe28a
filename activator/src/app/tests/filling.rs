//! Endpoints that have just become usable.

use super::*;

/// Without any limit.
fn unlimited() -> AppSettings {
    settings(Scaling { target: 1_000.0, ..Scaling::default() })
}

/// What is admitted now, without anybody waiting.
fn admit_all(app: &Arc<App>) -> Vec<crate::Permit> {
    std::iter::from_fn(|| app.enter().try_admit(app.clock().now()).ok()).take(20_000).collect()
}

#[tokio::test(start_paused = true)]
async fn each_answer_lets_in_one_more() {
    let world = World::new(Clock::running());
    let app = world.app("a", unlimited());
    let only = endpoint("only");
    let mut held = hold_many(&app, 1_000).await;
    app.endpoint_ready(only.clone());
    let mut most = Vec::new();
    while !held.is_empty() {
        settle().await;
        let (inside, waiting): (Vec<_>, Vec<_>) = held.into_iter().partition(|one| one.is_finished());
        assert_eq!((only.in_flight() as usize, app.held()), (inside.len(), waiting.len()));
        most.push(inside.len());
        drop(answers(inside).await);
        held = waiting;
    }
    assert_eq!(most, [10, 20, 40, 80, 160, 320, 370], "twice as many each time");
    assert_eq!(app.clock().now(), world.shared.clock.now());
    assert_eq!((app.in_flight(), only.in_flight()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn slow_answers_starve_nobody() {
    let world = World::new(Clock::running());
    let app = world.app("a", unlimited());
    let only = endpoint("only");
    let held = hold_many(&app, 20_000.min(app.settings().hold.max_requests)).await;
    app.endpoint_ready(only.clone());
    for step in 0..7 {
        settle().await;
        assert_eq!(only.in_flight() as usize, (10 << step).min(held.len()));
        tokio::time::advance(Duration::from_millis(199)).await;
        settle().await;
        assert_eq!(only.in_flight() as usize, (10 << step).min(held.len()), "not before its time");
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    settle().await;
    assert_eq!((only.in_flight(), app.held()), (1_000, 0));
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0, "nobody waits for more");
}

#[tokio::test(start_paused = true)]
async fn once_filled_it_has_no_limit_but_its_own() {
    let world = World::new(Clock::running());
    let (app, limited) = (world.app("a", unlimited()), world.app("b", limited(50)));
    app.endpoint_ready(endpoint("only"));
    limited.endpoint_ready(endpoint("only"));
    assert_eq!((admit_all(&app).len(), admit_all(&limited).len()), (10, 10));
    tokio::time::advance(secs(2)).await;
    assert_eq!((admit_all(&app).len(), admit_all(&limited).len()), (20_000, 50));
}

#[tokio::test(start_paused = true)]
async fn what_a_new_one_may_not_have_yet_the_others_get() {
    let world = World::new(Clock::running());
    let app = world.app("a", unlimited());
    let (old, new) = (endpoint("old"), endpoint("new"));
    app.endpoint_ready(old.clone());
    tokio::time::advance(secs(2)).await;
    app.endpoint_ready(new.clone());
    let inside: Vec<_> = (0..100).map(|_| app.enter().try_admit(app.clock().now()).unwrap()).collect();
    assert_eq!((old.in_flight(), new.in_flight()), (90, 10));
    drop(inside);
}

#[tokio::test(start_paused = true)]
async fn one_that_was_gone_is_filled_anew_and_one_that_was_not_is_not() {
    let world = World::new(Clock::running());
    let app = world.app("a", unlimited());
    let only = endpoint("only");
    app.endpoint_ready(only.clone());
    tokio::time::advance(secs(2)).await;
    assert_eq!(admit_all(&app).len(), 20_000);
    let (mut seen, busy) = (app.last_observation(), app.enter().try_admit(app.clock().now()).unwrap());
    seen.starting = 3;
    app.observed(seen);
    assert!(!app.try_sleep());
    drop(busy);
    assert_eq!(admit_all(&app).len(), 20_000, "it was there all along");
    app.endpoint_gone(&only);
    app.endpoint_ready(only.clone());
    assert_eq!(admit_all(&app).len(), 10);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_being_filled_goes_to_sleep_like_any_other() {
    let world = World::new(Clock::running());
    let app = world.app("a", unlimited());
    let only = endpoint("only");
    app.endpoint_ready(only.clone());
    drop(admit_all(&app));
    assert!(app.try_sleep() && only.is_closed());
    assert!(app.enter().try_admit(app.clock().now()).is_err());
    tokio::time::timeout(secs(1), only.drained()).await.expect("empty");
}
