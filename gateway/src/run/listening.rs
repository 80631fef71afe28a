//! Services that listen, and services that nothing works without.
//!
//! An address is bound once, before anything else, and handed over to pingora. pingora would bind it later, in a task that
//! nobody looks at, and try for half a minute before it panics there.

use std::future::poll_fn;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use pingora_core::apps::ServerApp;
use pingora_core::listeners::{L4BufferSettings, ListenerConfig};
use pingora_core::server::{Fds, ListenFds, ShutdownWatch};
use pingora_core::services::Service as PingoraService;
use pingora_core::services::listening::Service;
use tokio::sync::mpsc::UnboundedSender;

/// An address that is ours: connections to it wait until somebody accepts them.
#[derive(Debug)]
pub struct Bound {
    address: SocketAddr,
    socket: TcpListener,
}

/// Part of a service that nothing works without: tells its name when the service ends, be it by a panic.
pub struct Vital {
    /// What to call the service.
    pub name: &'static str,
    /// Who wants to know.
    pub ended: UnboundedSender<&'static str>,
}

/// A service on an address that is bound.
pub struct Listening<A> {
    service: Service<A>,
    bound: Option<Bound>,
    accepts: Option<Box<dyn FnOnce() + Send + Sync>>,
    vital: Vital,
}

// === impl Bound ===

impl Bound {
    /// Takes `address`, which `flag` has named.
    ///
    /// # Errors
    /// It cannot be had, and what to do.
    pub fn to(flag: &str, address: SocketAddr) -> Result<Self, String> {
        if address.port() == 0 {
            return Err(format!("{flag} {address}: port 0 is any port, and nobody would know which; name one"));
        }
        let socket = TcpListener::bind(address).and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
        socket
            .map(|socket| Self { address, socket })
            .map_err(|e| format!("cannot listen on {address}: {e}; choose another address with {flag}"))
    }

    /// For who accepts by itself.
    pub fn into_socket(self) -> TcpListener {
        self.socket
    }

    /// As pingora takes over sockets.
    fn hand_over(self) -> ListenFds {
        let mut table = Fds::new();
        table.add(self.address.to_string(), self.socket.into_raw_fd());
        Arc::new(Mutex::new(table))
    }
}

// === impl Vital ===

impl Drop for Vital {
    fn drop(&mut self) {
        // An error means that nobody wants to know any more.
        let _ = self.ended.send(self.name);
    }
}

// === impl Listening ===

impl<A> Listening<A> {
    /// `app` behind `bound`. `accepts` is called once, when it accepts connections.
    pub fn new(app: A, bound: Bound, vital: Vital, accepts: impl FnOnce() + Send + Sync + 'static) -> Self {
        let mut service = Service::new(vital.name.to_owned(), app);
        let address = ListenerConfig::tcp(bound.address.to_string());
        service.add_listener(address.l4_buffer(L4BufferSettings::unbuffered()));
        Self { service, bound: Some(bound), accepts: Some(Box::new(accepts)), vital }
    }

    /// The same on so many threads.
    pub fn threads(mut self, threads: usize) -> Self {
        self.service.threads = Some(threads);
        self
    }
}

#[async_trait]
impl<A: ServerApp + Send + Sync + 'static> PingoraService for Listening<A> {
    async fn start_service(&mut self, fds: Option<ListenFds>, shutdown: ShutdownWatch, listeners_per_fd: usize) {
        let fds = self.bound.take().map(Bound::hand_over).or(fds);
        let mut serving = pin!(self.service.start_service(fds, shutdown, listeners_per_fd));
        let mut accepts = self.accepts.take();
        poll_fn(|cx| {
            let ended = serving.as_mut().poll(cx);
            // With a socket that is there, all that comes before it accepts is done at the first poll.
            if ended.is_pending()
                && let Some(accepts) = accepts.take()
            {
                accepts();
            }
            ended
        })
        .await;
    }

    fn name(&self) -> &str {
        self.vital.name
    }

    fn threads(&self) -> Option<usize> {
        self.service.threads
    }

    fn listen_addresses(&self) -> Option<Vec<String>> {
        PingoraService::listen_addresses(&self.service)
    }
}

#[cfg(test)]
mod tests;
