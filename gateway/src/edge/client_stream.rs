//! A client's connection as it is read and written. pingora's stream times each read and write and has layers that nothing of
//! ours uses (seven calls and two looks at the clock per request, 1 % of its CPU time); a plain TCP connection is taken out of it.

use std::io;
use std::net::TcpStream as StdTcpStream;
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use pingora_core::protocols::l4::stream::Stream as L4Stream;
use pingora_core::protocols::{SocketDigest, Stream};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A client's connection.
pub enum ClientStream {
    /// Plain TCP.
    Tcp(TcpStream),
    /// Whatever else pingora has accepted.
    Other(Stream),
}

// === impl ClientStream ===

impl ClientStream {
    /// `accepted` by pingora, without pingora's layers if it can do without; and what is to be asked about its socket.
    pub fn new(accepted: Stream) -> (Self, Option<Arc<SocketDigest>>) {
        match take_out(&accepted) {
            Some(socket) => {
                let digest = Arc::new(SocketDigest::from_raw_fd(socket.as_raw_fd()));
                (Self::Tcp(socket), Some(digest))
            }
            None => {
                let digest = accepted.get_socket_digest();
                (Self::Other(accepted), digest)
            }
        }
    }
}

/// The TCP socket of `accepted`, which is closed next: a second descriptor of it, since pingora does not hand out the first.
/// Nothing if it is no plain TCP connection, or the system refuses (Linux before 5.6, some sandboxes).
fn take_out(accepted: &Stream) -> Option<TcpStream> {
    static REFUSED: OnceLock<()> = OnceLock::new();
    if REFUSED.get().is_some() {
        return None;
    }
    let plain = (**accepted).as_any().downcast_ref::<L4Stream>()?;
    accepted.get_socket_digest()?.peer_addr()?.as_inet()?;
    let copy = myself().and_then(|myself| pidfd_getfd(myself, plain.as_raw_fd(), PidfdGetfdFlags::empty()));
    match copy {
        Ok(socket) => TcpStream::from_std(StdTcpStream::from(socket)).ok(),
        // Too many files are open: the next one may do.
        Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => None,
        Err(e) => {
            REFUSED.get_or_init(|| {
                let error = io::Error::from(e);
                tracing::info!(%error, "the system refuses pidfd_getfd; requests take about 1 % more CPU time");
            });
            None
        }
    }
}

fn myself() -> Result<&'static OwnedFd, Errno> {
    static MYSELF: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(myself) = MYSELF.get() {
        return Ok(myself);
    }
    let myself = pidfd_open(getpid(), PidfdFlags::empty())?;
    Ok(MYSELF.get_or_init(|| myself))
}

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Other(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Tcp(socket) => Pin::new(socket).poll_write(cx, buf),
            Self::Other(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Tcp(socket) => Pin::new(socket).poll_write_vectored(cx, bufs),
            Self::Other(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(socket) => socket.is_write_vectored(),
            Self::Other(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(socket) => Pin::new(socket).poll_flush(cx),
            Self::Other(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Other(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests;
