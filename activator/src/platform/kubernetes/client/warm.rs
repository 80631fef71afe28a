//! Keeps a connection open: counts those there are, and has one opened when there is none.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use kube::Client;
use kube::client::Body;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tower::Service;

/// What is asked to open a connection and to keep it: everybody may, it costs the server nothing, and the answer does not matter.
const GREETING: &str = "/version";
/// Pauses between tries: none before the first, then from the shorter to the longer.
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);
/// How often something is asked on a connection that is open: the API server closes those that ask nothing for 90 s, whether
/// they are pinged or not. When one breaks that has lasted this long, the next is tried at once.
const STEADY: Duration = Duration::from_secs(60);

/// Keeps a client's connection open, until dropped.
pub(super) struct Warm(JoinHandle<()>);

/// Connects as `C` does, and counts the connections that are open.
#[derive(Clone)]
pub(super) struct Counting<C> {
    connector: C,
    open: Arc<watch::Sender<usize>>,
}

/// A connection that is counted until it is dropped.
pub(super) struct Counted<I> {
    io: I,
    open: Arc<watch::Sender<usize>>,
}

// === impl Warm ===

impl Warm {
    /// Keeps one connection of `client` open, of which `open` are now.
    pub(super) fn keep(client: Client, open: watch::Receiver<usize>) -> Self {
        Self(tokio::spawn(keep(client, open)))
    }
}

impl Drop for Warm {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn keep(client: Client, mut open: watch::Receiver<usize>) {
    let mut pause = Duration::ZERO;
    loop {
        let none = tokio::time::timeout(STEADY, open.wait_for(|open| *open == 0)).await.map(|none| none.is_ok());
        match none {
            Err(_) => pause = Duration::ZERO,
            Ok(false) => return,
            Ok(true) => {
                // Many gateways may have lost the same server.
                tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                pause = (pause * 2).clamp(SHORTEST, LONGEST);
            }
        }
        if let Err(why) = greet(&client).await {
            tracing::debug!("no connection to the Kubernetes API server for orders yet: {why}");
        }
    }
}

async fn greet(client: &Client) -> Result<(), kube::Error> {
    let request = Request::get(GREETING).body(Body::empty()).map_err(kube::Error::HttpError)?;
    // Read to its end, so that an HTTP/1.1 connection is free again. Nothing to be learned from it.
    let _ = client.send(request).await?.into_body().collect_bytes().await;
    Ok(())
}

// === impl Counting ===

impl<C> Counting<C> {
    /// With the number of connections that are open, which lives as long as this.
    pub(super) fn new(connector: C) -> (Self, watch::Receiver<usize>) {
        let (open, count) = watch::channel(0);
        (Self { connector, open: Arc::new(open) }, count)
    }
}

impl<C> Service<Uri> for Counting<C>
where
    C: Service<Uri>,
    C::Future: Send + 'static,
{
    type Response = Counted<C::Response>;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, open) = (self.connector.call(uri), self.open.clone());
        Box::pin(async move {
            let io = connecting.await?;
            open.send_modify(|open| *open += 1);
            Ok(Counted { io, open })
        })
    }
}

// === impl Counted ===

impl<I> Drop for Counted<I> {
    fn drop(&mut self) {
        self.open.send_modify(|open| *open -= 1);
    }
}

impl<I: Connection> Connection for Counted<I> {
    fn connected(&self) -> Connected {
        self.io.connected()
    }
}

impl<I: Read + Unpin> Read for Counted<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<I: Write + Unpin> Write for Counted<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}
