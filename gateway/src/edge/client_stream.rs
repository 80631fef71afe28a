//! A client's connection as it is read and written. pingora's stream times each read and write and has layers that nothing of
//! ours uses, 1 % of a request's CPU time; a plain TCP connection that is kept is taken out of it. That takes a few calls, as many
//! as it spares some ten requests, so a connection for one request stays as it is.

use std::io;
use std::net::TcpStream as StdTcpStream;
use std::os::fd::{AsRawFd, OwnedFd};
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};

use pingora_core::protocols::Stream;
use pingora_core::protocols::l4::stream::Stream as L4Stream;
use rustix::io::Errno;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::hangup::ClientSocket;

/// So many reads that got something make a connection one that is kept.
const KEPT: u8 = 10;

/// A client's connection.
pub struct ClientStream {
    kind: Kind,
    socket: ClientSocket,
}

enum Kind {
    /// As pingora has accepted it, for so many reads more at least; for good at zero.
    Accepted { stream: Stream, reads: u8, blocked: bool },
    /// Plain TCP, and kept.
    Kept(TcpStream),
}

// === impl ClientStream ===

impl ClientStream {
    /// `accepted` by pingora.
    pub fn new(accepted: Stream) -> Self {
        let socket = ClientSocket::of(accepted.id());
        Self { kind: Kind::Accepted { stream: accepted, reads: KEPT, blocked: false }, socket }
    }

    /// What is to be asked about its socket.
    pub fn socket(&self) -> &ClientSocket {
        &self.socket
    }

    /// Takes it out of pingora's stream once it is one that is kept.
    fn unwrap_kept(&mut self) {
        // Not while a write waits: whoever waits for that waits for the other descriptor.
        let Kind::Accepted { stream, reads: reads @ 1, blocked: false } = &mut self.kind else { return };
        *reads = 0;
        if let Some(socket) = take_out(stream) {
            self.socket.is_now(socket.as_raw_fd());
            self.kind = Kind::Kept(socket);
        }
    }

    fn wrote<T>(&mut self, result: Poll<T>) -> Poll<T> {
        if let Kind::Accepted { blocked, .. } = &mut self.kind {
            *blocked = result.is_pending();
        }
        result
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
        self.unwrap_kept();
        match &mut self.kind {
            Kind::Accepted { stream, reads, .. } => {
                let before = buf.filled().len();
                let result = Pin::new(stream).poll_read(cx, buf);
                if *reads > 1 && buf.filled().len() > before {
                    *reads -= 1;
                }
                result
            }
            Kind::Kept(socket) => Pin::new(socket).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = match &mut self.kind {
            Kind::Accepted { stream, .. } => Pin::new(stream).poll_write(cx, buf),
            Kind::Kept(socket) => Pin::new(socket).poll_write(cx, buf),
        };
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = match &mut self.kind {
            Kind::Accepted { stream, .. } => Pin::new(stream).poll_write_vectored(cx, bufs),
            Kind::Kept(socket) => Pin::new(socket).poll_write_vectored(cx, bufs),
        };
        self.wrote(result)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.kind {
            Kind::Accepted { stream, .. } => stream.is_write_vectored(),
            Kind::Kept(socket) => socket.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = match &mut self.kind {
            Kind::Accepted { stream, .. } => Pin::new(stream).poll_flush(cx),
            Kind::Kept(socket) => Pin::new(socket).poll_flush(cx),
        };
        self.wrote(result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = match &mut self.kind {
            Kind::Accepted { stream, .. } => Pin::new(stream).poll_shutdown(cx),
            Kind::Kept(socket) => Pin::new(socket).poll_shutdown(cx),
        };
        self.wrote(result)
    }
}

#[cfg(test)]
mod tests;
