//! Upgraded connections: bytes both ways until one side closes or both are silent too long. In flight until then.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use activator::{Clock, Timestamp};
use http::{Response, Version};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, copy, split};

use super::body::EdgeBody;
use super::flight::Flight;
use super::websocket::Wish;

/// How long nothing may go through once the client has closed its side: an app that does not notice is not to be kept busy by
/// clients that have left.
const HALF_CLOSED: Duration = Duration::from_secs(10);

/// Notes when something last went through.
struct Active<T> {
    io: T,
    clock: Clock,
    last: Arc<AtomicU64>,
}

/// Passes on to the client that the app has granted its `wish`, and joins the two connections.
pub fn switch(mut response: Response<Incoming>, wish: Wish, idle: Duration, mut flight: Flight) -> Response<EdgeBody> {
    let app = hyper::upgrade::on(&mut response);
    let (mut parts, _) = response.into_parts();
    parts.version = Version::HTTP_11;
    let (client, peer) = wish.grant(&mut parts.status, &mut parts.headers);
    let clock = flight.clock().clone();
    tokio::spawn(async move {
        match tokio::try_join!(client, app) {
            Ok((client, app)) => {
                if let Err(e) = join(TokioIo::new(client), TokioIo::new(app), idle, clock).await {
                    tracing::debug!(error = %e, "upgraded connection ended");
                }
            }
            Err(e) => tracing::debug!(error = %e, "upgrade failed"),
        }
        flight.tunnel_ended();
        // It counts as a connection until here.
        drop(peer);
    });
    Response::from_parts(parts, EdgeBody::empty())
}

async fn join<A, B>(client: A, app: B, idle: Duration, clock: Clock) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let last = Arc::new(AtomicU64::new(clock.now().as_nanos()));
    let (mut from_client, mut to_client) = split(Active { io: client, clock: clock.clone(), last: last.clone() });
    let (mut from_app, mut to_app) = split(Active { io: app, clock: clock.clone(), last: last.clone() });
    let up = async {
        copy(&mut from_client, &mut to_app).await?;
        to_app.shutdown().await?;
        // The client has said all it wants to say; the app may still answer.
        silence(&last, idle.min(HALF_CLOSED), &clock).await;
        io::Result::<()>::Err(io::ErrorKind::TimedOut.into())
    };
    let down = async {
        copy(&mut from_app, &mut to_client).await?;
        to_client.shutdown().await
    };
    tokio::select! {
        // Once the app has closed, nothing is left to wait for, whatever the client keeps open.
        ended = down => ended,
        Err(e) = up => Err(e),
        () = silence(&last, idle, &clock) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Returns once nothing has gone through for `idle`.
async fn silence(last: &AtomicU64, idle: Duration, clock: &Clock) {
    loop {
        let due = Timestamp::from_nanos(last.load(Ordering::Relaxed)) + idle;
        let left = due.since(clock.now());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left).await;
    }
}

// === impl Active ===

impl<T> Active<T> {
    fn note<R>(&self, poll: Poll<R>) -> Poll<R> {
        if poll.is_ready() {
            self.last.store(self.clock.now().as_nanos(), Ordering::Relaxed);
        }
        poll
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Active<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.io).poll_read(cx, buf);
        self.note(poll)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Active<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.io).poll_write(cx, buf);
        self.note(poll)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
