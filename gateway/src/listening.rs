//! Services that listen. pingora carries them (process life, order, signals); their sockets are their own, and they accept for
//! themselves, each of their threads on a socket of its own.
//!
//! An address is bound once, before anything else: if it cannot be had, that is known at once.

mod accept;
mod bound;
mod threads;

use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use async_trait::async_trait;
use futures_util::future::select_all;
use pingora_core::server::{ListenFds, ShutdownWatch};
use pingora_core::services::Service as PingoraService;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{self, Handle, Runtime};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use accept::accept;
pub use bound::Bound;
pub use threads::Placed;
use threads::Threads;

/// What serves the connections to an address.
pub trait Serve: Send + Sync + 'static {
    /// Serves a client's connection to its end. As long as `placed` lives it counts as one of its thread's.
    fn serve(
        self: Arc<Self>,
        socket: TcpStream,
        client: IpAddr,
        placed: Placed,
    ) -> impl Future<Output = ()> + Send + 'static;
}

/// Part of a service that nothing works without: tells its name when the service ends, be it by a panic.
pub struct Vital {
    /// What to call the service.
    pub name: &'static str,
    /// Who wants to know.
    pub ended: UnboundedSender<&'static str>,
}

/// A service on addresses that are bound.
pub struct Listening<A> {
    /// Taken when it starts.
    start: Option<Start<A>>,
    vital: Vital,
}

struct Start<A> {
    /// What serves which address. All have been taken for as many threads.
    served: Vec<(Arc<A>, Bound)>,
    accepts: Box<dyn FnOnce() + Send + Sync>,
}

/// A thread beside the one that pingora has made; it ends when this is dropped.
struct Worker {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

// === impl Vital ===

impl Vital {
    /// The same for a part of the service.
    fn part(&self) -> Self {
        Self { name: self.name, ended: self.ended.clone() }
    }
}

impl Drop for Vital {
    fn drop(&mut self) {
        // An error means that nobody wants to know any more.
        let _ = self.ended.send(self.name);
    }
}

// === impl Listening ===

impl<A: Serve> Listening<A> {
    /// `service` behind `bound`, on as many threads as that has been taken for. `accepts` is called once, when it accepts
    /// connections.
    pub fn new(service: A, bound: Bound, vital: Vital, accepts: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self { start: Some(Start { served: vec![(Arc::new(service), bound)], accepts: Box::new(accepts) }), vital }
    }

    /// And `service` behind `bound`, on the same threads, for which that has been taken too.
    pub fn and(mut self, service: A, bound: Bound) -> Self {
        if let Some(start) = &mut self.start {
            start.served.push((Arc::new(service), bound));
        }
        self
    }

    /// Begins to accept, but on the thread that this runs on.
    fn begin(&self, served: Vec<(Arc<A>, Bound)>) -> io::Result<(Vec<Worker>, Accepting)> {
        let count = served.first().map_or(0, |(_, bound)| bound.sockets.len());
        let mut sockets: Vec<Vec<(Arc<A>, OwnedFd)>> = (0..count).map(|_| Vec::new()).collect();
        for (service, bound) in served {
            sockets.iter_mut().zip(bound.sockets).for_each(|(own, socket)| own.push((service.clone(), socket)));
        }
        let runtimes = (1..count).map(|_| runtime::Builder::new_current_thread().enable_all().build());
        let runtimes = runtimes.collect::<io::Result<Vec<Runtime>>>()?;
        let handles = runtimes.iter().map(|runtime| runtime.handle().clone());
        let threads = Threads::new([Handle::current()].into_iter().chain(handles));
        let mut accepting = sockets.into_iter().enumerate().map(|(own, sockets)| accept_all(sockets, &threads, own));
        let first = accepting.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let others = runtimes.into_iter().zip(accepting);
        let workers = others.map(|(runtime, accepting)| Worker::begin(runtime, accepting, self.vital.part()));
        Ok((workers.collect::<io::Result<_>>()?, first))
    }
}

/// Accepts until that is not possible any more; tells why.
type Accepting = Pin<Box<dyn Future<Output = io::Error> + Send>>;

/// Accepts on all of these sockets, as the thread of this number.
fn accept_all<A: Serve>(sockets: Vec<(Arc<A>, OwnedFd)>, threads: &Arc<Threads>, own: usize) -> Accepting {
    let threads = threads.clone();
    Box::pin(async move {
        let each = sockets.into_iter().map(|(service, socket)| {
            let threads = threads.clone();
            Box::pin(async move {
                match TcpListener::from_std(socket.into()) {
                    Ok(listener) => accept(listener, service, threads, own).await,
                    Err(e) => e,
                }
            })
        });
        select_all(each).await.0
    })
}

#[async_trait]
impl<A: Serve> PingoraService for Listening<A> {
    async fn start_service(&mut self, _: Option<ListenFds>, mut shutdown: ShutdownWatch, _: usize) {
        let Some(Start { served, accepts }) = self.start.take() else { return };
        let name = self.vital.name;
        let (_workers, mut accepting) = match self.begin(served) {
            Ok(begun) => begun,
            Err(error) => {
                tracing::error!(service = name, %error, "cannot accept connections");
                return;
            }
        };
        let mut accepts = Some(accepts);
        let accepting = poll_fn(|cx| {
            let ended = accepting.as_mut().poll(cx);
            // With sockets that are there, all that comes before it accepts is done at the first poll.
            if ended.is_pending()
                && let Some(accepts) = accepts.take()
            {
                accepts();
            }
            ended
        });
        tokio::select! {
            error = accepting => tracing::error!(service = name, %error, "cannot accept connections any more"),
            // An error means that the server is gone.
            _ = shutdown.wait_for(|stops| *stops) => {}
        }
    }

    fn name(&self) -> &str {
        self.vital.name
    }

    /// Of pingora's one; the others are its own.
    fn threads(&self) -> Option<usize> {
        Some(1)
    }
}

// === impl Worker ===

impl Worker {
    fn begin(runtime: Runtime, accepting: Accepting, vital: Vital) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let name = vital.name;
        let thread = Builder::new().name(name.to_owned()).spawn(move || {
            let _vital = vital;
            runtime.block_on(async {
                tokio::select! {
                    error = accepting => tracing::error!(service = name, %error, "cannot accept connections any more"),
                    // An error means the same.
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.stop.take());
        // Its connections end with it. An error means that it has panicked, which was told.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[cfg(test)]
mod tests;
