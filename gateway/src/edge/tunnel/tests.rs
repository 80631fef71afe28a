use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio::task::JoinHandle;

use super::*;

const IDLE: Duration = Duration::from_secs(60);

/// A client and an app with a tunnel between them, and the end of that: how long it took, and whether it was in order.
fn tunnel() -> (DuplexStream, DuplexStream, JoinHandle<(Duration, io::Result<()>)>) {
    let ((client, client_side), (app, app_side)) = (duplex(1024), duplex(1024));
    let clock = Clock::running();
    let joined = tokio::spawn(async move {
        let ended = join(client_side, app_side, IDLE, clock.clone()).await;
        (clock.now().since(Timestamp::ZERO), ended)
    });
    (client, app, joined)
}

async fn pass(from: &mut DuplexStream, to: &mut DuplexStream) {
    from.write_all(b"x").await.unwrap();
    assert_eq!(to.read_u8().await.unwrap(), b'x');
}

#[tokio::test(start_paused = true)]
async fn silence_ends_it() {
    let (_client, _app, joined) = tunnel();
    let (after, ended) = joined.await.unwrap();
    assert_eq!((after, ended.unwrap_err().kind()), (IDLE, io::ErrorKind::TimedOut));
}

#[tokio::test(start_paused = true)]
async fn it_lasts_as_long_as_something_goes_through() {
    let (mut client, mut app, joined) = tunnel();
    for _ in 0..10 {
        tokio::time::sleep(IDLE - Duration::from_millis(1)).await;
        pass(&mut client, &mut app).await;
        tokio::time::sleep(IDLE - Duration::from_millis(1)).await;
        pass(&mut app, &mut client).await;
    }
    drop(app);
    joined.await.unwrap().1.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_apps_end_is_its_end() {
    let (mut client, app, joined) = tunnel();
    drop(app);
    let (after, ended) = joined.await.unwrap();
    ended.unwrap();
    assert_eq!(after, Duration::ZERO);
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_app_may_still_answer_a_client_that_has_closed_its_side() {
    let (mut client, mut app, joined) = tunnel();
    client.shutdown().await.unwrap();
    assert_eq!(app.read(&mut [0]).await.unwrap(), 0);
    for _ in 0..10 {
        tokio::time::sleep(HALF_CLOSED - Duration::from_millis(1)).await;
        pass(&mut app, &mut client).await;
    }
    drop(app);
    joined.await.unwrap().1.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_app_that_does_not_notice_that_its_client_has_left_is_not_kept_busy() {
    let (client, _app, joined) = tunnel();
    drop(client);
    let (after, ended) = joined.await.unwrap();
    assert_eq!((after, ended.unwrap_err().kind()), (HALF_CLOSED, io::ErrorKind::TimedOut));
}
