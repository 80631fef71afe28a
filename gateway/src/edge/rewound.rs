//! The first bytes of a connection, read to tell HTTP/2 from HTTP/1 and then read again; and how long the client may take nothing of
//! what is written.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::first_line::FirstLine;
use super::gather::Gather;
use super::stall::{ClientWait, WRITE_STALL};

/// What an HTTP/2 client with prior knowledge sends first (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// A stream from which something was read that is to be read again.
pub struct Rewound<T> {
    start: [u8; 24],
    read: u8,
    given: u8,
    first_line: FirstLine,
    io: Gather<T>,
    /// Runs while the other side takes nothing of what is to be written.
    stalled: Option<Pin<Box<Sleep>>>,
    /// What the response waits for that is being written.
    wait: Arc<ClientWait>,
}

/// Reads as much as it takes to tell HTTP/2 from HTTP/1, which is whether it is HTTP/2. `wait` is told of what is read.
///
/// # Errors
/// The connection has broken.
pub async fn detect<T: AsyncRead + Unpin>(mut io: T, wait: Arc<ClientWait>) -> io::Result<(Rewound<T>, bool)> {
    let mut start = [0; 24];
    let mut read = 0;
    while read < start.len() && start[..read] == PREFACE[..read] {
        match io.read(&mut start[read..]).await? {
            0 => break,
            n => read += n,
        }
    }
    let speaks_http2 = start == *PREFACE;
    let first_line = FirstLine::default();
    let rewound = Rewound { start, read: read as u8, given: 0, first_line, io: Gather::new(io), stalled: None, wait };
    Ok((rewound, speaks_http2))
}

// === impl Rewound ===

impl<T: AsyncRead + Unpin> AsyncRead for Rewound<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = if self.given < self.read {
            let rest = &self.start[usize::from(self.given)..usize::from(self.read)];
            let take = rest.len().min(buf.remaining());
            buf.put_slice(&rest[..take]);
            self.given += take as u8;
            // And what has come since, in the same read: hyper takes a larger buffer for a request that comes in two. If there
            // is nothing, or an error, the next read tells.
            if self.given == self.read && buf.remaining() > 0 {
                let _ = Pin::new(&mut self.io).poll_read(cx, buf);
            }
            Poll::Ready(Ok(()))
        } else {
            Pin::new(&mut self.io).poll_read(cx, buf)
        };
        if buf.filled().len() > before {
            self.wait.has_read();
            self.first_line.mend(&mut buf.filled_mut()[before..]);
        }
        read
    }
}

impl<T> Rewound<T> {
    /// What a write came to, or an error if writes have come to nothing for too long.
    fn unless_stalled<R>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let wait = &self.wait;
        let timer = self.stalled.get_or_insert_with(|| {
            let stall = tokio::time::sleep(WRITE_STALL);
            let over = wait.deadline().map_or(stall.deadline(), |deadline| deadline.min(stall.deadline()));
            Box::pin(tokio::time::sleep_until(over))
        });
        timer.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Rewound<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.unless_stalled(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.unless_stalled(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.unless_stalled(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
