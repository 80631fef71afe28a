//! Accepts connections, serves them, and lets them finish when the app stops.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, Version};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::args::Manner;
use super::body::{self, Guarded, InFlight};
use super::{Echo, answer, misbehave};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Tells when the app stops. The app waits, for a while, until all of these are dropped.
#[derive(Debug, Clone)]
pub(super) struct Stopping(watch::Receiver<bool>);

/// Serves `listener` until `stop` resolves, then waits up to `grace` for what is in flight.
pub(super) async fn serve(listener: TcpListener, echo: Arc<Echo>, stop: impl Future<Output = ()>, grace: Duration) {
    let (stopping, receiver) = watch::channel(false);
    let receiver = Stopping(receiver);
    tokio::select! {
        () = accept(listener, echo, receiver) => {}
        () = stop => {}
    }
    stopping.send_replace(true);
    // The listener and its receiver are gone; what is left belongs to connections.
    let _ = tokio::time::timeout(grace, stopping.closed()).await;
}

async fn accept(listener: TcpListener, echo: Arc<Echo>, stopping: Stopping) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, echo.clone(), stopping.clone()));
            }
            // Out of file descriptors, most likely: others have to finish first.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn connection(stream: TcpStream, echo: Arc<Echo>, stopping: Stopping) {
    // Only a matter of speed.
    let _ = stream.set_nodelay(true);
    match echo.manner {
        Manner::Http => match echo.tls.clone() {
            None => http(stream, echo, stopping).await,
            Some(tls) => {
                // A client that does not want it is no concern of the app's.
                if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                    http(stream, echo, stopping).await;
                }
            }
        },
        Manner::Garbage => misbehave::garbage(stream).await,
        Manner::Hang => misbehave::hang(stream, stopping).await,
    }
}

async fn http<S>(stream: S, echo: Arc<Echo>, mut stopping: Stopping)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (count, mut in_flight) = watch::channel(0_usize);
    let extended_connect = echo.extended_connect;
    let (count, keep_alive_timeout, max_streams) = (Arc::new(count), echo.keep_alive_timeout, echo.max_streams);
    // So that proxies let go of the connection first.
    let keep_alive = keep_alive_timeout.and_then(|timeout| {
        HeaderValue::from_str(&format!("timeout={}", timeout.as_secs())).ok().filter(|_| timeout.as_secs() > 0)
    });
    let upgrades = stopping.clone();
    let service = service_fn(move |request| {
        let in_flight = InFlight::new(count.clone());
        let wants_body = request.method() != Method::HEAD;
        let keep_alive = keep_alive.clone().filter(|_| request.version() == Version::HTTP_11);
        let (echo, stopping) = (echo.clone(), upgrades.clone());
        async move {
            let (response, held) = answer::answer(&echo, &stopping, request).await;
            let mut response = if wants_body { response } else { body::without(response) };
            if let Some(keep_alive) = keep_alive {
                response.headers_mut().insert("keep-alive", keep_alive);
            }
            Ok::<_, Infallible>(response.map(|body| Guarded::new(body, (in_flight, held))))
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    if let Some(max) = max_streams {
        builder.http2().max_concurrent_streams(max);
    }
    if extended_connect {
        builder.http2().enable_connect_protocol();
    }
    let mut connection = std::pin::pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
    let mut close = std::pin::pin!(async {
        tokio::select! {
            () = stopping.wait() => {}
            () = idle(&mut in_flight, keep_alive_timeout) => {}
        }
    });
    tokio::select! {
        // An error means that the client has left or does not speak HTTP: no concern of the app's.
        _ = connection.as_mut() => return,
        () = &mut close => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// Resolves once nothing has been in flight for `timeout`.
async fn idle(in_flight: &mut watch::Receiver<usize>, timeout: Option<Duration>) {
    let Some(timeout) = timeout else { return std::future::pending().await };
    loop {
        if in_flight.wait_for(|count| *count == 0).await.is_err() {
            return;
        }
        if tokio::time::timeout(timeout, in_flight.changed()).await.is_err() {
            return;
        }
    }
}

// === impl Stopping ===

impl Stopping {
    /// Resolves when the app stops.
    pub(super) async fn wait(&mut self) {
        // An error means that the app is gone altogether.
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }
}
