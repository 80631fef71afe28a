//! Loopback ports for replicas: each is given to one at a time, and comes back when its lease is dropped.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::RangeInclusive;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};

/// The ports that replicas are given, and which of them are out.
#[derive(Debug)]
pub(super) struct Ports {
    range: RangeInclusive<u16>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    leased: HashSet<u16>,
    /// How far into the range the next search begins: a port that was just given back is the last to be given out again,
    /// so that nobody who still knows it meets another app there.
    next: usize,
}

/// One port, for as long as this lives.
#[derive(Debug)]
pub(super) struct PortLease {
    port: u16,
    ports: Arc<Ports>,
    _claim: Claim,
}

/// What tells other gateways that a port is given out, though nobody listens on it yet.
#[derive(Debug)]
struct Claim {
    #[cfg(target_os = "linux")]
    _socket: std::os::unix::net::UnixDatagram,
}

/// Why there is no port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoLease {
    /// Others have it.
    Taken,
    /// The system lets nobody try: too many files are open.
    Untried(Errno),
}

// === impl Ports ===

impl Ports {
    pub(super) fn new(range: RangeInclusive<u16>) -> Arc<Self> {
        let next = fastrand::usize(..range.len().max(1));
        Arc::new(Self { range, state: Mutex::new(State { leased: HashSet::new(), next }) })
    }

    /// A port of the range that is free.
    ///
    /// # Errors
    /// There is none, or it cannot be found out.
    pub(super) fn any(self: &Arc<Self>) -> Result<PortLease, NoLease> {
        let mut state = self.state.lock();
        let (count, begin) = (self.range.len(), state.next);
        for step in 0..count {
            let Some(port) = self.range.clone().nth((begin + step) % count) else { continue };
            match self.lease(&mut state, port) {
                Err(NoLease::Taken) => {}
                done => {
                    state.next = (begin + step + 1) % count;
                    return done;
                }
            }
        }
        Err(NoLease::Taken)
    }

    /// This very port, if it is free.
    ///
    /// # Errors
    /// It is not, or it cannot be found out.
    pub(super) fn fixed(self: &Arc<Self>, port: u16) -> Result<PortLease, NoLease> {
        self.lease(&mut self.state.lock(), port)
    }

    fn lease(self: &Arc<Self>, state: &mut State, port: u16) -> Result<PortLease, NoLease> {
        if state.leased.contains(&port) {
            return Err(NoLease::Taken);
        }
        // Claimed before it is tried: whoever has it given up before that has left nobody listening.
        let claim = Claim::of(port)?;
        try_port(port)?;
        state.leased.insert(port);
        Ok(PortLease { port, ports: self.clone(), _claim: claim })
    }

    /// Whether `port` is given out.
    pub(super) fn has_given_out(&self, port: u16) -> bool {
        self.state.lock().leased.contains(&port)
    }

    /// How many are given out.
    #[cfg(test)]
    pub(super) fn leased(&self) -> usize {
        self.state.lock().leased.len()
    }

    pub(super) fn range(&self) -> &RangeInclusive<u16> {
        &self.range
    }
}

// === impl PortLease ===

impl PortLease {
    pub(super) fn get(&self) -> u16 {
        self.port
    }
}

impl Drop for PortLease {
    fn drop(&mut self) {
        self.ports.state.lock().leased.remove(&self.port);
    }
}

// === impl Claim ===

impl Claim {
    #[cfg(target_os = "linux")]
    fn of(port: u16) -> Result<Self, NoLease> {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::net::{SocketAddr, UnixDatagram};
        // An abstract name: of the same network namespace as the port, and gone with the gateway whatever way that ends.
        let name = SocketAddr::from_abstract_name(format!("zerogate-port-{port}"));
        match name.and_then(|name| UnixDatagram::bind_addr(&name)) {
            Ok(socket) => Ok(Self { _socket: socket }),
            Err(error) => Err(NoLease::of(Errno::from_io_error(&error))),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn of(_port: u16) -> Result<Self, NoLease> {
        Ok(Self {})
    }
}

// === impl NoLease ===

impl NoLease {
    /// What it means that a socket cannot be had.
    fn of(error: Option<Errno>) -> Self {
        match error {
            Some(lack @ (Errno::MFILE | Errno::NFILE)) => Self::Untried(lack),
            _ => Self::Taken,
        }
    }
}

/// Whether an app could listen on `port`, on loopback or on every address. Binds without listening, so nobody can connect
/// meanwhile; connections that are only waiting to be forgotten are no hindrance.
fn try_port(port: u16) -> Result<(), NoLease> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)
        .map_err(|error| NoLease::of(Some(error)))?;
    let bound = sockopt::set_socket_reuseaddr(&socket, true)
        .and_then(|()| bind(&socket, &SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port)));
    // Whatever else is wrong (a port below 1024, say) is for the app to find out: it may be allowed what we are not.
    if bound == Err(Errno::ADDRINUSE) { Err(NoLease::Taken) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
