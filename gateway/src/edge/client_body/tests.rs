use std::convert::Infallible;

use futures_util::stream;
use http_body_util::StreamBody;

use super::*;
use crate::edge::stall::StreamExecutor;
use crate::shutdown::Drain;

type Piece = Result<Frame<Bytes>, Infallible>;

/// A body of pieces of this size, one after each pause, without end.
fn endless(size: usize, pause: Duration) -> impl Body<Data = Bytes> + Unpin {
    let piece = Bytes::from(vec![0; size]);
    StreamBody::new(Box::pin(stream::unfold((), move |()| {
        let piece = piece.clone();
        async move {
            sleep(pause).await;
            Some((Piece::Ok(Frame::data(piece)), ()))
        }
    })))
}

fn silent() -> impl Body<Data = Bytes> + Unpin {
    StreamBody::new(stream::pending::<Piece>())
}

/// How long `future` takes.
async fn time(future: impl Future<Output = ()>) -> Duration {
    let begin = sleep(Duration::ZERO).deadline();
    future.await;
    sleep(Duration::ZERO).deadline() - begin
}

/// What waits for the answer on a stream that goes on.
fn stream_wait() -> (Arc<ClientWait>, StreamExecutor, Arc<Drain>) {
    let drain = Arc::<Drain>::default();
    let streams = StreamExecutor::new(drain.clone());
    let wait = streams.expect();
    (wait, streams, drain)
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_nothing_more_has_a_moment_after_its_answer() {
    let (wait, streams, _drain) = stream_wait();
    let answered = async {
        sleep(100 * MOMENT).await;
        drop(streams);
    };
    let (took, ()) = tokio::join!(time(discard(silent(), wait)), answered);
    let after = took - 100 * MOMENT;
    assert!((MOMENT..=2 * MOMENT + Duration::from_millis(10)).contains(&after), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_on_has_its_time() {
    let (wait, streams, _drain) = stream_wait();
    drop(streams);
    let took = time(discard(endless(100, MOMENT / 2), wait)).await;
    assert!(took.abs_diff(LONGEST) <= MOMENT, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn no_more_is_read_than_so_much_and_the_reset_comes_after_the_answer_all_the_same() {
    let (wait, streams, _drain) = stream_wait();
    let discarding = time(discard(endless(1 << 20, Duration::from_millis(1)), wait));
    let answered = async {
        sleep(LONGEST).await;
        drop(streams);
    };
    let (took, ()) = tokio::join!(discarding, answered);
    assert!((MOMENT..=2 * MOMENT).contains(&(took - LONGEST)), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn on_a_connection_that_goes_on_there_is_no_answer_to_wait_for() {
    let wait = Arc::<ClientWait>::default();
    let _connection = wait.clone();
    let took = time(discard(silent(), wait)).await;
    assert!(took.abs_diff(SILENCE) <= Duration::from_millis(10), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_body_and_a_drain_end_it() {
    let (wait, _streams, _drain) = stream_wait();
    let whole = StreamBody::new(stream::iter([Piece::Ok(Frame::data(Bytes::from_static(b"x")))]));
    assert_eq!(time(discard(whole, wait)).await, Duration::ZERO);
    let (wait, _streams, drain) = stream_wait();
    let begins = async {
        sleep(MOMENT / 10).await;
        drain.begin();
    };
    let (took, ()) = tokio::join!(time(discard(silent(), wait)), begins);
    assert!(took < MOMENT / 5, "{took:?}");
}
