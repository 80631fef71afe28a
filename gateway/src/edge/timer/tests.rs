use std::future::poll_fn;
use std::time::Duration;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// How long after `start` the timer rings.
async fn rings(timer: &mut LazyTimer, start: Instant, deadline: Duration) -> Duration {
    poll_fn(|cx| timer.poll_until(cx, start + deadline)).await;
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn it_rings_for_the_deadline_it_is_asked_for() {
    let start = sleep_until(TokioTimer::new().now().into()).deadline();
    let mut timer = LazyTimer::default();
    assert_eq!(rings(&mut timer, start, SECOND).await, SECOND);
    // Later than the one it has rung for; set before for a later one; past already.
    assert_eq!(rings(&mut timer, start, 3 * SECOND).await, 3 * SECOND);
    let never = poll_fn(|cx| timer.poll_until(cx, start + 100 * SECOND));
    assert!(tokio::time::timeout(SECOND, never).await.is_err());
    assert_eq!(rings(&mut timer, start, 5 * SECOND).await, 5 * SECOND);
    assert_eq!(rings(&mut timer, start, SECOND).await, 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn an_earlier_deadline_that_was_given_up_does_not_end_a_later_one() {
    let start = sleep_until(TokioTimer::new().now().into()).deadline();
    let mut timer = LazyTimer::default();
    let given_up = poll_fn(|cx| timer.poll_until(cx, start + 2 * SECOND));
    assert!(tokio::time::timeout(SECOND, given_up).await.is_err());
    assert_eq!(rings(&mut timer, start, 10 * SECOND).await, 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn hyper_gets_one_deadline_after_the_other() {
    let timer = ConnectionTimer::new(Arc::default(), 100 * SECOND);
    let start = timer.now();
    drop(timer.sleep(100 * SECOND));
    timer.sleep(SECOND).await;
    assert_eq!(timer.now() - start, SECOND);
    timer.sleep_until(start + 5 * SECOND).await;
    assert_eq!(timer.now() - start, 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_header_that_has_begun_has_less_time_than_one_that_has_not() {
    let wait = Arc::<ClientWait>::default();
    let timer = ConnectionTimer::new(wait.clone(), 2 * SECOND);
    let start = timer.now();
    let mut idle = timer.sleep(10 * SECOND);
    assert!(tokio::time::timeout(5 * SECOND, &mut idle).await.is_err());
    wait.has_read();
    idle.await;
    assert_eq!(timer.now() - start, 7 * SECOND);
    // No later than if it had not begun; and what was read before means nothing.
    let mut idle = timer.sleep(10 * SECOND);
    assert!(tokio::time::timeout(9 * SECOND, &mut idle).await.is_err());
    wait.has_read();
    idle.await;
    assert_eq!(timer.now() - start, 17 * SECOND);
}
