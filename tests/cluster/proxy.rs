//! What stands between a gateway and the API server, or KEDA, and can fail.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Forwards TCP connections as it is told to. Dropping it closes them all.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    state: watch::Sender<State>,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

/// What becomes of connections and what comes through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It gets through.
    Open,
    /// It gets through, so much later.
    Slow(Duration),
    /// Nothing gets through, but all stays connected.
    Stalled,
    /// New connections are closed at once.
    Cut,
}

#[derive(Debug, Clone, Copy)]
struct State {
    way: Way,
    /// Connections of before this one are closed.
    epoch: u64,
}

/// Connections so far, and what came through them.
#[derive(Debug, Default)]
struct Seen {
    opened: AtomicUsize,
    refused: AtomicUsize,
    answers: AtomicUsize,
}

// === impl Proxy ===

impl Proxy {
    /// Forwards to `to`.
    pub async fn start(to: SocketAddr, way: Way) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, receiver) = watch::channel(State { way, epoch: 0 });
        let seen = Arc::<Seen>::default();
        let task = tokio::spawn(accept(listener, to, receiver, seen.clone()));
        Self { address, state, seen, task }
    }

    /// From now on it is like this. With [`Way::Cut`] what is open is closed.
    pub fn set(&self, way: Way) {
        self.state.send_modify(|state| {
            state.way = way;
            state.epoch += u64::from(way == Way::Cut);
        });
    }

    /// Closes what is open.
    pub fn cut_once(&self) {
        self.state.send_modify(|state| state.epoch += 1);
    }

    /// How many connections were let through so far.
    pub fn opened(&self) -> usize {
        self.seen.opened.load(Ordering::SeqCst)
    }

    /// How many were closed at once.
    pub fn refused(&self) -> usize {
        self.seen.refused.load(Ordering::SeqCst)
    }

    /// How often the server has said something so far.
    pub fn answers(&self) -> usize {
        self.seen.answers.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut_once();
    }
}

async fn accept(listener: TcpListener, to: SocketAddr, state: watch::Receiver<State>, seen: Arc<Seen>) {
    while let Ok((client, _)) = listener.accept().await {
        let State { way, epoch } = *state.borrow();
        if way == Way::Cut {
            seen.refused.fetch_add(1, Ordering::SeqCst);
            continue;
        }
        seen.opened.fetch_add(1, Ordering::SeqCst);
        let mut end = state.clone();
        let (state, seen) = (state.clone(), seen.clone());
        tokio::spawn(async move {
            let forwarded = async {
                let Ok(server) = TcpStream::connect(to).await else { return };
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                let (client, server) = (client.into_split(), server.into_split());
                tokio::select! {
                    () = forward(client.0, server.1, state.clone(), || ()) => {}
                    () = forward(server.0, client.1, state, || _ = seen.answers.fetch_add(1, Ordering::SeqCst)) => {}
                }
            };
            tokio::select! {
                () = forwarded => {}
                _ = end.wait_for(|state| state.epoch != epoch) => {}
            }
        });
    }
}

/// Until one side has had enough. What is late holds up what comes after it.
async fn forward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut state: watch::Receiver<State>,
    came: impl Fn(),
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        came();
        let Ok(way) = state.wait_for(|state| state.way != Way::Stalled).await.map(|state| state.way) else { return };
        if let Way::Slow(by) = way {
            tokio::time::sleep(by).await;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
