//! Addresses that are ours: connections to them wait until somebody accepts them.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use rustix::net::sockopt::{set_socket_reuseaddr, set_socket_reuseport, set_tcp_nodelay};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, listen, socket_with};

/// Connections that may wait to be accepted, for each thread. The system has a bound of its own (net.core.somaxconn, 4096 by
/// default).
const BACKLOG: i32 = 65_535;

/// An address that is ours.
#[derive(Debug)]
pub struct Bound {
    address: SocketAddr,
    /// One for each thread that accepts.
    pub(super) sockets: Vec<OwnedFd>,
}

// === impl Bound ===

impl Bound {
    /// Takes `address`, which `flag` has named, for so many threads; with port 0, any that is free.
    ///
    /// # Errors
    /// It cannot be had, and what to do.
    pub fn to(flag: &str, address: SocketAddr, threads: usize) -> Result<Self, String> {
        Self::take(address, threads)
            .map_err(|e| format!("cannot listen on {address}: {e}; choose another address with {flag}"))
    }

    /// Which address it is, with the port that it has got.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// For one thread that accepts by itself.
    pub fn into_socket(mut self) -> Option<TcpListener> {
        self.sockets.pop().map(TcpListener::from)
    }

    fn take(address: SocketAddr, threads: usize) -> io::Result<Self> {
        let alone = socket(address, Sharing::No)?;
        let address = getsockname(&alone)?.try_into()?;
        if threads <= 1 {
            listen(&alone, BACKLOG)?;
            return Ok(Self { address, sockets: vec![alone] });
        }
        // Sockets that share an address share it with another gateway's too: only one that does not sees that it is taken.
        drop(alone);
        let shared = || {
            let socket = socket(address, Sharing::Yes)?;
            listen(&socket, BACKLOG)?;
            Ok(socket)
        };
        let sockets = (0..threads).map(|_| shared()).collect::<io::Result<_>>()?;
        Ok(Self { address, sockets })
    }
}

/// Whether other sockets may have the same address; the system spreads connections over them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    No,
    Yes,
}

fn socket(address: SocketAddr, sharing: Sharing) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    // Or the connections of a gateway that has just ended would stand in the way.
    set_socket_reuseaddr(&socket, true)?;
    set_socket_reuseport(&socket, sharing == Sharing::Yes)?;
    // Accepted sockets have it from here (Linux), which spares a call for each.
    set_tcp_nodelay(&socket, true)?;
    bind(&socket, &address)?;
    Ok(socket)
}
