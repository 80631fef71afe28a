use super::*;

#[tokio::test(start_paused = true)]
async fn at_a_wake_each_gets_what_it_is_meant_for_until_all_are_there() {
    let world = World::new(Clock::running());
    let app = world.app("a", tens());
    let held = hold_many(&app, 45).await;
    wake(&app, 3);
    tokio::time::advance(secs(2)).await;
    let (first, second, third) = (endpoint("1"), endpoint("2"), endpoint("3"));
    app.set_starting(2);
    app.endpoint_ready(first.clone());
    settle().await;
    assert_eq!((first.in_flight(), app.held()), (10, 35));
    app.set_starting(1);
    app.endpoint_ready(second.clone());
    settle().await;
    assert_eq!((first.in_flight(), second.in_flight(), app.held()), (10, 10, 25));
    app.set_starting(0);
    app.endpoint_ready(third.clone());
    settle().await;
    assert_eq!((third.in_flight(), app.held()), (10, 15), "the wake is over, but each is filled step by step");
    tokio::time::sleep(Duration::from_millis(201)).await;
    assert_eq!(app.held(), 0);
    assert_eq!(first.in_flight() + second.in_flight() + third.in_flight(), 45);
    let wait = held.into_iter().next().unwrap().await.unwrap().unwrap().wait().unwrap();
    assert_eq!((wait.held, wait.wake), (secs(2), Some(secs(2))));
}

#[tokio::test(start_paused = true)]
async fn companions_that_are_overdue_are_not_waited_for() {
    let world = World::new(Clock::running());
    let app = world.app("a", tens());
    let held = hold_many(&app, 45).await;
    wake(&app, 3);
    tokio::time::advance(secs(2)).await;
    app.set_starting(2);
    let first = endpoint("1");
    app.endpoint_ready(first.clone());
    settle().await;
    tokio::time::advance(Duration::from_millis(1_999)).await;
    app.tick(app.clock().now());
    settle().await;
    assert_eq!((first.in_flight(), app.held()), (10, 35), "as much time again as the first took");
    tokio::time::advance(Duration::from_millis(1)).await;
    app.tick(app.clock().now());
    settle().await;
    assert_eq!((first.in_flight(), app.held()), (45, 0));
    assert_eq!(done(&held), 45);
}

#[tokio::test(start_paused = true)]
async fn a_companion_that_fails_is_not_waited_for() {
    let world = World::new(Clock::running());
    let app = world.app("a", tens());
    let _held = hold_many(&app, 45).await;
    wake(&app, 2);
    app.set_starting(1);
    let first = endpoint("1");
    app.endpoint_ready(first.clone());
    settle().await;
    assert_eq!(app.held(), 35);
    app.set_starting(0);
    app.start_failed(failure(secs(5)));
    app.tick(app.clock().now());
    tokio::time::sleep(secs(1)).await;
    assert_eq!((first.in_flight(), app.held()), (45, 0), "one runs, so nobody is refused");
}

#[tokio::test(start_paused = true)]
async fn a_hard_limit_holds_at_a_wake_too() {
    let world = World::new(Clock::running());
    let app = world.app("a", limited(4));
    let _held = hold_many(&app, 20).await;
    wake(&app, 2);
    let (first, second) = (endpoint("1"), endpoint("2"));
    app.endpoint_ready(first.clone());
    app.endpoint_ready(second.clone());
    settle().await;
    assert_eq!((first.in_flight(), second.in_flight(), app.held()), (4, 4, 12));
}

/// A wake that takes `seconds`, and sleep after it.
async fn wake_for(app: &Arc<App>, seconds: u64) {
    wake(app, 1);
    tokio::time::advance(secs(seconds)).await;
    app.set_starting(0);
    app.endpoint_ready(endpoint("it"));
    assert!(app.try_sleep());
    app.set_wanted(0, app.clock().now());
    assert_eq!(app.obey(), Some(0));
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_during_a_start_is_told_how_long_the_rest_of_it_usually_takes() {
    let world = World::new(Clock::running());
    let app = world.app("a", limited(1));
    let retry_after = |refusal: &Refusal| app.retry_after(refusal, app.clock().now());
    let full = Refusal::LineFull { limit: 1 };
    let late = |state| Refusal::Deadline { held: secs(1), state };
    wake(&app, 1);
    assert_eq!(retry_after(&full), secs(1), "nothing is known of how long it takes");
    wake_for(&app, 8).await;
    assert_eq!(retry_after(&full), secs(1), "nothing is under way");

    wake(&app, 1);
    tokio::time::advance(secs(2)).await;
    assert_eq!(retry_after(&full), secs(6));
    assert_eq!(retry_after(&late(WaitState::Starting)), secs(6));
    assert_eq!(retry_after(&late(WaitState::Busy)), secs(1));
    tokio::time::advance(secs(10)).await;
    assert_eq!(retry_after(&full), secs(1), "overdue");

    // Given up, and then quicker: the latest weighs a quarter.
    app.set_wanted(0, app.clock().now());
    app.set_starting(0);
    app.obey();
    wake_for(&app, 4).await;
    wake(&app, 1);
    assert_eq!(retry_after(&full), secs(7));
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_of_the_last_one_the_first_that_is_back_does_not_get_it_all() {
    let world = World::new(Clock::running());
    let app = world.app("a", tens());
    wake(&app, 2);
    let crashed = [endpoint("1"), endpoint("2")];
    for endpoint in &crashed {
        app.endpoint_ready(endpoint.clone());
    }
    app.set_starting(0);
    for endpoint in &crashed {
        app.endpoint_gone(endpoint);
    }
    app.set_starting(2);
    let held = hold_many(&app, 30).await;
    let back = endpoint("3");
    app.endpoint_ready(back.clone());
    settle().await;
    assert_eq!((back.in_flight(), app.held()), (10, 20));
    drop(held);
}
