//! Closing so that an answer reaches a client that still sends (RFC 9112, 9.6). A socket that is closed with something unread is
//! reset, and what was written to it may be lost: so the sending side is closed first, and what still comes is read and thrown away
//! until the client is done, within bounds.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::stall::ClientWait;
use crate::shutdown::Drain;

/// How long a client may go on sending.
pub(super) const LONGEST: Duration = Duration::from_secs(30);
/// How long it may send nothing meanwhile.
pub(super) const SILENCE: Duration = Duration::from_secs(5);
/// How much it may send.
pub(super) const MOST: u64 = 512 << 20;
/// Read and thrown away at once.
const CHUNK: usize = 16 << 10;
/// Reads in a row before others have their turn.
const READS: usize = 16;

/// A client's connection that is closed with care.
pub struct Linger<T> {
    io: T,
    wait: Arc<ClientWait>,
    drain: Arc<Drain>,
    end: End,
}

enum End {
    /// It is in use.
    Open,
    /// The sending side is closed.
    Closed(Option<Box<Discarding>>),
}

struct Discarding {
    silence: Pin<Box<Sleep>>,
    until: Instant,
    left: u64,
}

// === impl Linger ===

impl<T> Linger<T> {
    /// On top of `io`; `wait` knows whether the client may still be sending, and a drain ends it.
    pub fn new(io: T, wait: Arc<ClientWait>, drain: Arc<Drain>) -> Self {
        Self { io, wait, drain, end: End::Open }
    }
}

impl<T: AsyncRead + Unpin> Linger<T> {
    /// Throws away what comes, until there is nothing more to come or to be waited for.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let End::Closed(discarding) = &mut self.end else { return Poll::Ready(()) };
        for _ in 0..READS {
            if self.drain.has_begun() {
                return Poll::Ready(());
            }
            let mut chunk = [MaybeUninit::uninit(); CHUNK];
            let mut chunk = ReadBuf::uninit(&mut chunk);
            let read = match Pin::new(&mut self.io).poll_read(cx, &mut chunk) {
                Poll::Ready(Ok(())) if !chunk.filled().is_empty() => chunk.filled().len() as u64,
                Poll::Ready(_) => return Poll::Ready(()),
                // All it has sent is here, and was asked for.
                Poll::Pending if discarding.is_none() && !self.wait.is_sending() => return Poll::Ready(()),
                Poll::Pending => 0,
            };
            let discarding = discarding.get_or_insert_with(|| Box::new(Discarding::new()));
            if read == 0 {
                return discarding.silence.as_mut().poll(cx);
            }
            discarding.left = discarding.left.saturating_sub(read);
            if discarding.left == 0 || !discarding.goes_on() {
                return Poll::Ready(());
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

// === impl Discarding ===

impl Discarding {
    fn new() -> Self {
        let silence = Box::pin(sleep(SILENCE));
        let until = silence.deadline() + (LONGEST - SILENCE);
        Self { silence, until, left: MOST }
    }

    /// Something has come. Whether it may go on.
    fn goes_on(&mut self) -> bool {
        let next = sleep(SILENCE).deadline();
        let now = next - SILENCE;
        self.silence.as_mut().reset(next.min(self.until));
        now < self.until
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Linger<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Linger<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let End::Open = self.end {
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
            self.end = End::Closed(None);
        }
        self.poll_discard(cx).map(Ok)
    }
}

#[cfg(test)]
mod tests;
