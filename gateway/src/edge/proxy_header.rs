//! The header that balancers for TCP send before all else to say whose connection it is (PROXY protocol, versions 1 and 2).

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// What version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// What version 1 begins with.
const WORD: &[u8; 6] = b"PROXY ";
/// Longest header of version 1, with its end.
const LONGEST_LINE: usize = 107;
/// Most bytes after the first 16 of version 2: addresses, and what else a balancer may tell.
const LONGEST_REST: usize = 2048;

/// Reads the header and nothing beyond it. Returns the client's address, or none if the header tells of no client: the balancer
/// speaks for itself.
///
/// # Errors
/// There is none, or one that is not understood.
pub async fn read(socket: &mut TcpStream) -> io::Result<Option<IpAddr>> {
    // Both versions have as many at least.
    let mut start = [0; 12];
    socket.read_exact(&mut start).await?;
    match &start {
        SIGNATURE => read_binary(socket).await,
        start if start.starts_with(WORD) => read_line(socket, start).await,
        _ => Err(wrong("it does not begin with a PROXY header")),
    }
}

/// The rest of version 2.
async fn read_binary(socket: &mut TcpStream) -> io::Result<Option<IpAddr>> {
    let mut fixed = [0; 4];
    socket.read_exact(&mut fixed).await?;
    let [version_and_command, family, high, low] = fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST_REST {
        return Err(wrong("its PROXY header is longer than is allowed"));
    }
    let mut rest = [0; LONGEST_REST];
    let rest = &mut rest[..length];
    socket.read_exact(rest).await?;
    match (version_and_command, family) {
        // LOCAL: a health check.
        (0x20, _) => Ok(None),
        (0x21, 0x11) => {
            let address: [u8; 4] = rest.get(..12).and_then(|all| all.first_chunk().copied()).ok_or_else(short)?;
            Ok(Some(Ipv4Addr::from(address).into()))
        }
        (0x21, 0x21) => {
            let address: [u8; 16] = rest.get(..36).and_then(|all| all.first_chunk().copied()).ok_or_else(short)?;
            Ok(Some(Ipv6Addr::from(address).to_canonical()))
        }
        // Another family: the client has no address that would mean anything here.
        (0x21, _) => Ok(None),
        _ => Err(wrong("its PROXY header is of another version or command")),
    }
}

fn short() -> io::Error {
    wrong("its PROXY header is too short for its addresses")
}

/// The rest of version 1.
async fn read_line(socket: &mut TcpStream, start: &[u8; 12]) -> io::Result<Option<IpAddr>> {
    let mut line = [0; LONGEST_LINE];
    line[..start.len()].copy_from_slice(start);
    let mut read = start.len();
    loop {
        // To be looked at first: what comes after the line is not ours to read.
        let there = socket.peek(&mut line[read..]).await?;
        if there == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let end = line[read..read + there].iter().position(|b| *b == b'\n');
        let take = end.map_or(there, |end| end + 1);
        socket.read_exact(&mut line[read..read + take]).await?;
        read += take;
        if end.is_some() {
            return parse_line(&line[..read]);
        }
        if read == LONGEST_LINE {
            return Err(wrong("its PROXY header is longer than is allowed"));
        }
    }
}

fn parse_line(line: &[u8]) -> io::Result<Option<IpAddr>> {
    let bad = || wrong("its PROXY header is not understood");
    let line = line.strip_suffix(b"\r\n").and_then(|line| std::str::from_utf8(line).ok()).ok_or_else(bad)?;
    let words: Vec<&str> = line.split(' ').skip(1).collect();
    match words[..] {
        ["UNKNOWN", ..] => Ok(None),
        [protocol @ ("TCP4" | "TCP6"), source, _destination, _from, _to] => {
            let address: IpAddr = source.parse().map_err(|_| bad())?;
            if address.is_ipv4() != (protocol == "TCP4") {
                return Err(bad());
            }
            Ok(Some(address.to_canonical()))
        }
        _ => Err(bad()),
    }
}

fn wrong(why: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests;
