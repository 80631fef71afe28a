//! Bytes over TCP, for what no proper client would send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::wait::soon;

/// A TCP connection and what has come over it so far.
pub struct Raw {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Raw {
    pub async fn connect(to: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(to).await.unwrap(), received: Vec::new() }
    }

    /// Sends all of it; the other side may have closed already.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        soon("bytes are sent", self.stream.write_all(bytes.as_ref())).await
    }

    /// Sends, and gives what came back by the time the other side closed.
    pub async fn exchange(mut self, bytes: impl AsRef<[u8]>) -> String {
        // An early close is part of what is looked at.
        let _ = self.send(bytes).await;
        self.rest().await
    }

    /// Reads until what has come contains `text`; gives everything up to its end and keeps the rest.
    pub async fn until(&mut self, text: &str) -> String {
        loop {
            let found = self.received.windows(text.len()).position(|window| window == text.as_bytes());
            if let Some(at) = found {
                let rest = self.received.split_off(at + text.len());
                let found = std::mem::replace(&mut self.received, rest);
                return String::from_utf8_lossy(&found).into_owned();
            }
            let read = soon(text, self.stream.read_buf(&mut self.received)).await.unwrap_or(0);
            assert_ne!(read, 0, "closed before `{text}`: {}", String::from_utf8_lossy(&self.received));
        }
    }

    /// Everything until the other side closes, be it in order or not.
    pub async fn rest(mut self) -> String {
        while soon("the connection is closed", self.stream.read_buf(&mut self.received)).await.unwrap_or(0) > 0 {}
        String::from_utf8_lossy(&self.received).into_owned()
    }

    /// The socket itself.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }
}
