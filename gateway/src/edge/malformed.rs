//! What is so malformed that it is no request: hyper's parser answers it by itself, with a status and no word of the cause. The cause
//! is put into words here, where the answer is written. That it is hyper's own is known of a connection's first request only, since
//! no other can have been answered before.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::StatusCode;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stall::ClientWait;

/// How an answer of the parser's begins, after the status line; what follows is the date.
const BEGINS: &str = "connection: close\r\ncontent-length: 0\r\n";
/// Longer it is not.
const LONGEST: usize = 256;

/// A client's connection on which the parser's own answers are put into words.
pub struct Worded<T> {
    io: T,
    wait: Arc<ClientWait>,
    /// What is written in place of such an answer, and how much of it has been.
    words: Option<(Vec<u8>, usize)>,
}

// === impl Worded ===

impl<T> Worded<T> {
    /// On top of `io`; `wait` knows whether there has been a request.
    pub fn new(io: T, wait: Arc<ClientWait>) -> Self {
        Self { io, wait, words: None }
    }

    /// Takes over an answer of the parser's.
    fn takes_over(&mut self, buf: &[u8]) -> bool {
        if self.wait.has_asked() || self.words.is_some() {
            return false;
        }
        self.words = words(buf).map(|words| (words, 0));
        self.words.is_some()
    }
}

impl<T: AsyncWrite + Unpin> Worded<T> {
    /// Writes what is left to say.
    fn poll_say(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some((words, said)) = &mut self.words
            && *said < words.len()
        {
            match ready!(Pin::new(&mut self.io).poll_write(cx, &words[*said..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => *said += count,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// What to say in place of `answer`, if that is one of the parser's.
fn words(answer: &[u8]) -> Option<Vec<u8>> {
    if answer.len() > LONGEST {
        return None;
    }
    let (status, rest) = std::str::from_utf8(answer).ok()?.strip_prefix("HTTP/1.1 ")?.split_once("\r\n")?;
    let date = rest.strip_prefix(BEGINS)?;
    let status: StatusCode = status.get(..3)?.parse().ok()?;
    let (cause, detail) = match status {
        StatusCode::BAD_REQUEST => (
            "malformed",
            "this is no request of HTTP/1.0 or HTTP/1.1; check the request line and the headers, and encode with % what may not \
             stand in a target",
        ),
        StatusCode::URI_TOO_LONG => ("target_too_long", "the target of the request is too long; send less in it"),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => (
            "headers_too_large",
            "the header of the request is too large or has more than 100 lines; send less, or raise --max-header-size",
        ),
        _ => return None,
    };
    metrics::counter!("zerogate_refused_total", "app" => "", "cause" => cause).increment(1);
    let title = status.canonical_reason().unwrap_or("Error");
    let document =
        json!({"type": "about:blank", "title": title, "status": status.as_u16(), "cause": cause, "detail": detail});
    let document = document.to_string();
    Some(
        format!(
            "HTTP/1.1 {} {title}\r\nconnection: close\r\ncontent-type: application/problem+json\r\ncontent-length: \
             {}\r\ncache-control: no-store\r\n{date}{document}",
            status.as_u16(),
            document.len()
        )
        .into_bytes(),
    )
}

impl<T: AsyncRead + Unpin> AsyncRead for Worded<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Worded<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.takes_over(buf) {
            // It is written as it is flushed.
            return Poll::Ready(Ok(buf.len()));
        }
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
        ready!(self.poll_say(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_say(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
