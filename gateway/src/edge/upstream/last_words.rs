//! Apps that answer before they have read all of a request's body, and close: 413, for one. Writing the rest fails then, but what
//! they have said is still there to be read, and hyper would not look at it any more.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::sent::Sent;
use crate::edge::files::OpenFile;

/// A connection that takes what the app takes no more, until all it has said is read.
#[derive(Debug)]
pub(super) struct LastWords<T> {
    io: T,
    app: App,
    /// What has gone out since something has come in.
    sent: Arc<Sent>,
    /// Given back when it is closed.
    _file: Option<OpenFile>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum App {
    Listens,
    /// It has closed; what is written goes nowhere.
    IsDeaf,
    /// And there is no more to be read.
    IsGone,
}

// === impl LastWords ===

impl<T> LastWords<T> {
    /// On top of `io`, which takes `file` of the budget; `sent` is told what goes out and that something comes in.
    pub(super) fn new(io: T, sent: Arc<Sent>, file: Option<OpenFile>) -> Self {
        Self { io, app: App::Listens, sent, _file: file }
    }

    /// What comes of writing `bytes`.
    fn wrote(&mut self, result: Poll<io::Result<usize>>, bytes: usize) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Err(e)) if matches!(e.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                self.app = App::IsDeaf;
                Poll::Ready(Ok(bytes))
            }
            result => result,
        }
    }

    /// What comes of writing `bytes` to an app that does not listen.
    fn swallowed(&self, bytes: usize) -> Option<Poll<io::Result<usize>>> {
        match self.app {
            App::Listens => None,
            App::IsDeaf => Some(Poll::Ready(Ok(bytes))),
            App::IsGone => Some(Poll::Ready(Err(ErrorKind::BrokenPipe.into()))),
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for LastWords<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.io).poll_read(cx, buf);
        if self.app == App::IsDeaf && result.is_ready() && buf.filled().len() == before {
            self.app = App::IsGone;
        }
        if buf.filled().len() > before {
            self.sent.forget();
        }
        result
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for LastWords<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(swallowed) = self.swallowed(buf.len()) {
            return swallowed;
        }
        let result = Pin::new(&mut self.io).poll_write(cx, buf);
        let result = self.wrote(result, buf.len());
        if let Poll::Ready(Ok(bytes)) = result {
            self.sent.wrote(&buf[..bytes]);
        }
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes = || bufs.iter().map(|piece| piece.len()).sum();
        if self.app != App::Listens
            && let Some(swallowed) = self.swallowed(bytes())
        {
            return swallowed;
        }
        // A head without a body is one piece.
        self.sent.forget();
        match Pin::new(&mut self.io).poll_write_vectored(cx, bufs) {
            result @ Poll::Ready(Err(_)) => self.wrote(result, bytes()),
            result => result,
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.app == App::Listens { Pin::new(&mut self.io).poll_flush(cx) } else { Poll::Ready(Ok(())) }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
