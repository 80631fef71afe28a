use std::pin::pin;

use activator::Clock;
use tokio::time::timeout;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn timeouts(head: u32, idle: u32, request: Option<u32>) -> Timeouts {
    Timeouts {
        connect: SECOND,
        response_header: head * SECOND,
        idle: idle * SECOND,
        request: request.map(|whole| whole * SECOND),
    }
}

/// When it is over, from now on.
async fn over(mut patience: Patience) -> (Duration, Timeout) {
    let clock = Clock::running();
    let mut timer = LazyTimer::default();
    let timeout = std::future::poll_fn(|cx| patience.poll_over(&mut timer, cx)).await;
    (clock.now().since(activator::Timestamp::ZERO), timeout)
}

fn now() -> Instant {
    Clock::running().instant(activator::Timestamp::ZERO)
}

#[tokio::test(start_paused = true)]
async fn the_head_has_to_come_in_time() {
    let patience = Patience::new(&timeouts(5, 300, None), None, now());
    assert_eq!(over(patience).await, (5 * SECOND, Timeout::Head { after: 5 * SECOND }));
}

#[tokio::test(start_paused = true)]
async fn the_whole_request_has_to_be_over_in_time() {
    let patience = Patience::new(&timeouts(5, 300, Some(2)), None, now());
    assert_eq!(over(patience).await, (2 * SECOND, Timeout::Request { after: 2 * SECOND }));
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_the_head_is_not_longer_than_the_rest_of_the_whole() {
    let mut patience = Patience::new(&timeouts(5, 300, Some(7)), None, now());
    tokio::time::advance(4 * SECOND).await;
    patience.renew(now());
    assert_eq!(over(patience).await, (3 * SECOND, Timeout::Request { after: 7 * SECOND }));
}

#[tokio::test(start_paused = true)]
async fn what_has_to_be_done_before_is_cut_off_by_the_whole_requests_end_only() {
    let patience = Patience::new(&timeouts(1, 300, Some(7)), None, now());
    assert_eq!(patience.before_deadline(tokio::time::sleep(6 * SECOND)).await, Ok(()));
    let never = patience.before_deadline(std::future::pending::<()>());
    assert_eq!(never.await, Err(Timeout::Request { after: 7 * SECOND }));
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_moves_has_time_and_the_head_counts_from_its_end() {
    let upload = Arc::new(UploadProgress::new(Clock::running()));
    let mut over = pin!(over(Patience::new(&timeouts(5, 8, None), Some(upload.clone()), now())));
    for _ in 0..10 {
        assert!(timeout(4 * SECOND, over.as_mut()).await.is_err());
        upload.moves();
    }
    upload.end();
    let (after, timeout) = over.await;
    assert_eq!((after, timeout), (45 * SECOND, Timeout::Head { after: 5 * SECOND }));
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_stands_still_has_the_longer_of_the_two_times() {
    let upload = Arc::new(UploadProgress::new(Clock::running()));
    let patience = Patience::new(&timeouts(5, 8, None), Some(upload), now());
    assert_eq!(over(patience).await, (8 * SECOND, Timeout::Head { after: 5 * SECOND }));
}
