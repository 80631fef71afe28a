//! The body of a client's request. Often it is given up before all of it has come: the gateway answers by itself, or the app does
//! before it has read everything. With HTTP/2 that resets the stream right behind the answer, which is as it should be (RFC 9113,
//! 8.1), yet clients lose the answer to it; with HTTP/1.1 it ends a connection whose client was not told so. What still comes is
//! therefore read and thrown away for a while.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use super::linger::{LONGEST, MOST, SILENCE};
use super::stall::ClientWait;

/// How long an HTTP/2 client may send nothing after its answer: it has that answer by then, and its stream is one of a few.
const MOMENT: Duration = Duration::from_secs(1);

/// A body as it comes from a client.
pub struct ClientBody {
    /// Gone only when this is dropped.
    inner: Option<Incoming>,
    /// Who knows what is to become of the rest; nobody, if there is none.
    wait: Option<Arc<ClientWait>>,
}

// === impl ClientBody ===

impl ClientBody {
    /// The body of a request whose answer is waited for by `wait`.
    pub fn new(inner: Incoming, wait: &Arc<ClientWait>) -> Self {
        let wait = (!inner.is_end_stream()).then(|| wait.clone());
        Self { inner: Some(inner), wait }
    }
}

impl From<Incoming> for ClientBody {
    /// One whose rest nobody cares for.
    fn from(inner: Incoming) -> Self {
        Self { inner: Some(inner), wait: None }
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(inner).poll_frame(cx));
        if !matches!(&frame, Some(Ok(frame)) if frame.is_data()) {
            // Of a body of unknown length nothing else tells that this was the end.
            self.wait = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or(SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for ClientBody {
    fn drop(&mut self) {
        if let Some(wait) = self.wait.take()
            && wait.reads_on()
            && let Some(inner) = self.inner.take()
            && !inner.is_end_stream()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(discard(inner, wait));
        }
    }
}

/// Reads what still comes of `body`, until it is over, the gateway drains, or it has had its time.
async fn discard<B: Body<Data = Bytes> + Unpin>(body: B, wait: Arc<ClientWait>) {
    match wait.drain().cloned() {
        None => discard_within_bounds(body, &wait).await,
        Some(drain) => tokio::select! {
            () = discard_within_bounds(body, &wait) => {}
            () = drain.until_begun() => {}
        },
    }
}

async fn discard_within_bounds<B: Body<Data = Bytes> + Unpin>(mut body: B, wait: &Arc<ClientWait>) {
    let silence = if wait.is_streams() { MOMENT } else { SILENCE };
    let mut left = MOST;
    let mut until = None;
    loop {
        // As long as the answer is on its way, that has bounds of its own, and the reset would be right behind its end.
        if until.is_none() && wait.is_answered() {
            until = Some(sleep(LONGEST).deadline());
        }
        let frame = async { if left == 0 { std::future::pending().await } else { body.frame().await } };
        match timeout(silence, frame).await {
            Ok(Some(Ok(frame))) => {
                left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len) as u64);
            }
            Ok(_) => return,
            Err(_) if until.is_some() => return,
            Err(_) => {}
        }
        if until.is_some_and(|until| sleep(Duration::ZERO).deadline() >= until) {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
