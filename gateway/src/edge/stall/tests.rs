use std::future::pending;

use activator::{Clock, Timestamp};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// How long a stream lasts that does nothing by itself.
async fn lasts(wait: &Arc<ClientWait>) -> Duration {
    let clock = Clock::running();
    Bounded { stream: pending::<()>(), wait: Some(wait.clone()), open: None, stall: None, timer: LazyTimer::default() }
        .await;
    clock.now().since(Timestamp::ZERO)
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_of_its_answer_has_a_minute() {
    let wait = Arc::new(ClientWait::default());
    assert_eq!(lasts(&wait).await, WRITE_STALL);
    wait.for_client();
    assert_eq!(lasts(&wait).await, WRITE_STALL);
}

#[tokio::test(start_paused = true)]
async fn the_apps_turn_is_not_the_clients() {
    let wait = Arc::new(ClientWait::default());
    wait.for_app();
    assert!(tokio::time::timeout(100 * WRITE_STALL, lasts(&wait)).await.is_err());
    wait.for_client();
    wait.for_app();
    wait.for_app();
    assert!(tokio::time::timeout(100 * WRITE_STALL, lasts(&wait)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn each_thing_taken_begins_a_new_minute() {
    let wait = Arc::new(ClientWait::default());
    let mut lasts = std::pin::pin!(lasts(&wait));
    for _ in 0..5 {
        assert!(tokio::time::timeout(WRITE_STALL - SECOND, lasts.as_mut()).await.is_err());
        wait.for_client();
        // What is taken wakes the stream.
        assert!(tokio::time::timeout(Duration::ZERO, lasts.as_mut()).await.is_err());
    }
    assert_eq!(lasts.await, 5 * (WRITE_STALL - SECOND) + WRITE_STALL);
}

#[tokio::test(start_paused = true)]
async fn the_whole_request_has_its_own_end() {
    let wait = Arc::new(ClientWait::default());
    wait.set_deadline(Some(sleep(3 * SECOND).deadline()));
    assert_eq!(lasts(&wait).await, 3 * SECOND);
}
