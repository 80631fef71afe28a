//! Clients that leave with their body half sent. hyper reads no further than somebody wants the body, so while a request is
//! held, or its app does not read, it does not see the end of the connection. The socket does.

use std::os::fd::RawFd;
use std::time::Duration;

use pingora_core::protocols::SocketDigest;
use thiserror::Error;

/// How often the socket is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// TCP_ESTABLISHED of Linux's tcp_states.h: neither side has closed.
const ESTABLISHED: u8 = 1;

/// The socket of a client's connection, to be asked only as long as the connection is open here.
#[derive(Debug, Clone, Copy)]
pub struct ClientSocket(RawFd);

/// Why there is no answer: nobody is there to get it.
#[derive(Debug, Error)]
#[error("the client left before its request was complete")]
pub struct HungUp;

// === impl ClientSocket ===

impl ClientSocket {
    /// The socket with this descriptor.
    pub fn of(descriptor: RawFd) -> Self {
        Self(descriptor)
    }

    /// What `answer` gives, unless the client leaves before.
    ///
    /// # Errors
    /// It left; `answer` is dropped, and with it what it held.
    pub async fn unless_gone<T>(self, answer: impl Future<Output = T>) -> Result<T, HungUp> {
        let mut answer = std::pin::pin!(answer);
        loop {
            if let Ok(answer) = tokio::time::timeout(LOOK, answer.as_mut()).await {
                return Ok(answer);
            }
            if self.is_gone() {
                return Err(HungUp);
            }
        }
    }

    /// Whether the client has closed its side, or all of it is over.
    pub fn is_gone(&self) -> bool {
        // What is no TCP connection tells nothing.
        SocketDigest::from_raw_fd(self.0).tcp_info().is_some_and(|info| info.tcpi_state != ESTABLISHED)
    }
}
