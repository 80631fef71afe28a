//! Bodies of answers.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http::Response;
use http::header::CONTENT_LENGTH;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::sync::watch;

/// The body of any answer.
pub(super) type AnyBody = UnsyncBoxBody<Bytes, BoxError>;
pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What `/bytes` and `/close` send, over and over.
static FILLER: LazyLock<Bytes> = LazyLock::new(|| vec![b'z'; 64 * 1024].into());

pin_project_lite::pin_project! {
    /// A body that keeps something until it has been sent or given up.
    pub(super) struct Guarded<G> {
        #[pin]
        body: AnyBody,
        guard: G,
    }
}

/// One request in flight, counted until it is dropped.
#[derive(Debug)]
pub(super) struct InFlight(Arc<watch::Sender<usize>>);

/// All of it at once.
pub(super) fn full(bytes: impl Into<Bytes>) -> AnyBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// The answer to `HEAD`: it says how long the body would be, which hyper does not see to with HTTP/2.
pub(super) fn without(answer: Response<AnyBody>) -> Response<AnyBody> {
    let (mut head, body) = answer.into_parts();
    if let Some(length) = body.size_hint().exact() {
        head.headers.entry(CONTENT_LENGTH).or_insert(length.into());
    }
    Response::from_parts(head, full(""))
}

/// `length` bytes, made as they are sent.
pub(super) fn filler(length: u64) -> AnyBody {
    streamed(fill(length))
}

/// `length` bytes, and then the connection breaks.
pub(super) fn broken_after(length: u64) -> AnyBody {
    let error = stream::once(async {
        // What was sent before has to leave the buffer first.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(io::Error::other("closed, as told").into())
    });
    streamed(stream::StreamExt::chain(fill(length), error))
}

/// `count` server-sent events, the first at once and each of the others `pause` later.
pub(super) fn events(count: u64, pause: Duration) -> AnyBody {
    streamed(stream::unfold(0, move |n| async move {
        if n == count {
            return None;
        }
        if n > 0 {
            tokio::time::sleep(pause).await;
        }
        Some((Ok(Bytes::from(format!("id: {n}\ndata: event {n}\n\n"))), n + 1))
    }))
}

fn fill(length: u64) -> impl Stream<Item = Result<Bytes, BoxError>> + Send + 'static {
    stream::unfold(length, |left| async move {
        let next = usize::try_from(left).unwrap_or(usize::MAX).min(FILLER.len());
        (next > 0).then(|| (Ok(FILLER.slice(..next)), left - next as u64))
    })
}

fn streamed(chunks: impl Stream<Item = Result<Bytes, BoxError>> + Send + 'static) -> AnyBody {
    StreamBody::new(stream::StreamExt::map(chunks, |chunk| chunk.map(Frame::data))).boxed_unsync()
}

// === impl Guarded ===

impl<G> Guarded<G> {
    pub(super) fn new(body: AnyBody, guard: G) -> Self {
        Self { body, guard }
    }
}

impl<G> Body for Guarded<G> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

// === impl InFlight ===

impl InFlight {
    pub(super) fn new(count: Arc<watch::Sender<usize>>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}
