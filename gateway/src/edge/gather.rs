//! Reads that are not too large, and small writes as one plain send. hyper hands head and body on as separate pieces, and a vectored write costs the kernel
//! about 0.4 us more than a plain one of the same bytes; that is more than copying a few kilobytes together.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};

/// Most bytes that are read at once. hyper reads as much as it finds, up to 400 KB, and has a few reads of a body wait for a side
/// that takes nothing: this bounds what that comes to. A little less than what it makes room for: when that is filled, it makes
/// twice as much the next time, of which half would stay empty.
pub const PIECE: usize = (16 << 10) - 1;
/// Most bytes that are copied together. More goes out as it is: the pieces are large, and so the copy is dear.
const SMALL: usize = 4096;

thread_local! {
    static TOGETHER: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(SMALL));
}

/// A stream that sends what is small, or in one piece, with one plain write.
/// It flushes only after a write: hyper asks for it whenever it has nothing else to do.
/// It reads only so much at once.
#[derive(Debug)]
pub struct Gather<T> {
    io: Take<T>,
    to_flush: bool,
}

// === impl Gather ===

impl<T: AsyncRead> Gather<T> {
    /// On top of `io`.
    pub fn new(io: T) -> Self {
        Self { io: io.take(PIECE as u64), to_flush: false }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Gather<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.io.set_limit(PIECE as u64);
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Gather<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.to_flush = true;
        Pin::new(self.io.get_mut()).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.to_flush = true;
        let io = Pin::new(self.io.get_mut());
        let mut pieces = bufs.iter().filter(|piece| !piece.is_empty());
        let (first, second) = (pieces.next(), pieces.next());
        match (first, second) {
            (Some(only), None) => io.poll_write(cx, only),
            (Some(_), Some(_)) if bufs.iter().map(|piece| piece.len()).sum::<usize>() <= SMALL => TOGETHER
                .with_borrow_mut(|together| {
                    together.clear();
                    bufs.iter().for_each(|piece| together.extend_from_slice(piece));
                    io.poll_write(cx, together)
                }),
            _ => io.poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.io.get_ref().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.to_flush {
            ready!(Pin::new(self.io.get_mut()).poll_flush(cx))?;
            self.to_flush = false;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.io.get_mut()).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
