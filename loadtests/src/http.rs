//! The least of an HTTP/1.1 client: it costs little, and knows the moment of the first byte.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Result;
use crate::clock::Moment;

/// Nothing that is asked for here is larger.
const MAX_ANSWER: usize = 64 << 20;

/// A response.
#[derive(Debug)]
pub struct Answer {
    /// Its status code.
    pub status: u16,
    /// Its body, chunks joined.
    pub body: Vec<u8>,
    /// When its first byte was there.
    pub first_byte: Moment,
    /// Whether the connection serves no other request.
    pub close: bool,
}

/// A keep-alive connection with one request on it at a time.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// How a response's body ends.
enum Framing {
    Length(usize),
    Chunked,
    Close,
}

struct Head {
    status: u16,
    len: usize,
    framing: Framing,
    close: bool,
}

/// The bytes of `GET path` for `host`.
pub fn get(host: &str, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
}

/// One `GET` on a connection of its own, within `limit`.
pub async fn fetch(addr: SocketAddr, path: &str, limit: Duration) -> Result<Answer> {
    let request = get("127.0.0.1", path);
    let exchange = async { Connection::open(addr).await?.exchange(&request).await };
    Ok(timeout(limit, exchange).await.map_err(|_| format!("GET {path}: no answer within {limit:?}"))??)
}

// === impl Connection ===

impl Connection {
    /// Connects to `addr`.
    pub async fn open(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(1024) })
    }

    /// Whether the other side has ended it, as far as is known.
    pub fn has_ended(&self) -> bool {
        !matches!(self.stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Sends `request` and waits for its response.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.send(request).await?;
        self.receive().await
    }

    /// Sends `request`.
    pub async fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request).await
    }

    /// Waits for a response.
    pub async fn receive(&mut self) -> io::Result<Answer> {
        self.buffer.clear();
        self.fill().await?;
        let first_byte = Moment::now();
        let head = loop {
            match parse_head(&self.buffer)? {
                Some(head) => break head,
                None => self.fill().await?,
            }
        };
        let body = match head.framing {
            Framing::Length(length) => {
                while self.buffer.len() < head.len + length {
                    self.fill().await?;
                }
                self.buffer[head.len..head.len + length].to_vec()
            }
            Framing::Chunked => loop {
                match dechunk(&self.buffer[head.len..])? {
                    Some(body) => break body,
                    None => self.fill().await?,
                }
            },
            Framing::Close => {
                while self.fill().await.is_ok() {}
                self.buffer[head.len..].to_vec()
            }
        };
        Ok(Answer { status: head.status, body, first_byte, close: head.close })
    }

    /// Reads some more.
    async fn fill(&mut self) -> io::Result<()> {
        if self.buffer.len() > MAX_ANSWER {
            return Err(invalid("answer too large"));
        }
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// `None` while it is incomplete.
fn parse_head(bytes: &[u8]) -> io::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let len = match response.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(invalid("malformed response header")),
    };
    let status = response.code.unwrap_or_default();
    let mut close = response.version == Some(0);
    let mut framing = if matches!(status, 204 | 304) { Framing::Length(0) } else { Framing::Close };
    for header in response.headers.iter() {
        let value = std::str::from_utf8(header.value).unwrap_or_default().trim();
        if header.name.eq_ignore_ascii_case("content-length") {
            framing = Framing::Length(value.parse().map_err(|_| invalid("malformed content-length"))?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") && value.eq_ignore_ascii_case("chunked") {
            framing = Framing::Chunked;
        } else if header.name.eq_ignore_ascii_case("connection") {
            close = value.eq_ignore_ascii_case("close");
        }
    }
    close |= matches!(framing, Framing::Close);
    Ok(Some(Head { status, len, framing, close }))
}

/// The joined chunks; `None` while the last one is missing. Trailers are not looked for.
fn dechunk(mut bytes: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    loop {
        let (start, size) = match httparse::parse_chunk_size(bytes) {
            Ok(httparse::Status::Complete((start, size))) => (start, size as usize),
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(invalid("malformed chunk")),
        };
        if size > MAX_ANSWER {
            return Err(invalid("answer too large"));
        }
        let end = start + size + 2;
        if bytes.len() < end {
            return Ok(None);
        }
        if size == 0 {
            return Ok(Some(body));
        }
        body.extend_from_slice(&bytes[start..start + size]);
        bytes = &bytes[end..];
    }
}

#[cfg(test)]
mod tests;
