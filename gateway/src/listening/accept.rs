//! The loop that accepts connections, one on each thread.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::Serve;
use super::threads::{Placed, Threads};

/// How long to wait when no more files can be open: the next ones wait with the system until some are closed.
const FULL: Duration = Duration::from_millis(100);

/// Accepts on `listener`, as the thread of this number among `threads`, for as long as it listens. tokio sees to it that those who
/// are there already have their turn between many that come at once.
///
/// # Errors
/// Why it does not any more.
pub(super) async fn accept<A: Serve>(
    listener: TcpListener,
    service: Arc<A>,
    threads: Arc<Threads>,
    own: usize,
) -> io::Error {
    let mut told = false;
    loop {
        match listener.accept().await {
            Ok((socket, address)) => {
                told = false;
                let placed = threads.place(own);
                // An IPv4 client of an IPv6 socket has an address of either kind.
                let client = address.ip().to_canonical();
                if placed.is_on(own) {
                    tokio::spawn(service.clone().serve(socket, client, placed));
                    continue;
                }
                let runtime = placed.runtime().clone();
                match moved(socket, &placed) {
                    Ok(socket) => drop(runtime.spawn(service.clone().serve(socket, client, placed))),
                    Err(error) => {
                        tracing::error!(%error, "a connection cannot be given to another thread, and is closed")
                    }
                }
            }
            Err(e) if is_full(&e) => {
                if !told {
                    tracing::error!(error = %e, "no more connections can be accepted until others end");
                    told = true;
                }
                sleep(FULL).await;
            }
            Err(e) if is_over(&e) => return e,
            // It was the connection's, which is gone (accept(2), "Error handling").
            Err(e) => tracing::debug!(error = %e, "a connection ended before it was accepted"),
        }
    }
}

/// The socket, waited for by the runtime of its place.
fn moved(socket: TcpStream, placed: &Placed) -> io::Result<TcpStream> {
    let socket = socket.into_std()?;
    let _on_it = placed.runtime().enter();
    TcpStream::from_std(socket)
}

/// Whether it is this machine that has no room for one more.
fn is_full(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}

/// Whether the socket is none that could ever accept.
fn is_over(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::BADF | Errno::INVAL | Errno::NOTSOCK))
}
