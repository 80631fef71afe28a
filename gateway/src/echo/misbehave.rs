//! Connections that get no HTTP.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::server::Stopping;

/// Waits for a request and answers bytes that are not HTTP.
pub(super) async fn garbage(mut stream: TcpStream) {
    let mut request = [0; 4096];
    if stream.read(&mut request).await.is_ok_and(|n| n > 0) {
        let _ = stream.write_all(b"\x00\xff\x13garbage\r\n\x00 this is no HTTP\r\n\r\n").await;
        let _ = stream.shutdown().await;
    }
}

/// Reads what comes and answers nothing, until the client has left or the app stops.
pub(super) async fn hang(mut stream: TcpStream, mut stopping: Stopping) {
    let mut request = [0; 4096];
    loop {
        tokio::select! {
            read = stream.read(&mut request) => if !read.is_ok_and(|n| n > 0) { return },
            () = stopping.wait() => return,
        }
    }
}
