//! Hears what other gateways tell.

use std::convert::Infallible;
use std::net::TcpListener as Socket;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use activator::Clock;
use activator::registry::Registry;
use futures_util::Stream;
use futures_util::StreamExt;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::codegen::Service;
use tonic::{Response, Status, Streaming};

use super::protocol::fleet_server::{Fleet as Calls, FleetServer};
use super::protocol::{Ack, Message};
use super::tls::Tls;
use super::wire::{MOST_MESSAGE, decode};
use super::{PING, PONG, WINDOW, counted};

/// Most connections at once: each of the most gateways there can be has one, and another one while it comes back.
const CONNECTIONS: usize = 128;
/// How long a gateway may take for its TLS handshake, and then to begin to tell.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// After how long without a message, of which there is one a second, a connection is given up.
const SILENCE: Duration = Duration::from_secs(10);
/// How long the end of a connection may take.
const FAREWELL: Duration = Duration::from_secs(1);
/// Most bytes of a call's header.
const MOST_HEADER: u32 = 16 * 1024;
/// The pause after no connection could be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// Takes what others tell for the apps of this gateway.
#[derive(Clone)]
pub(super) struct Ears {
    pub(super) registry: Arc<Registry>,
    pub(super) clock: Clock,
    /// The apps are known. What comes before that is about apps that are not, and would be lost.
    pub(super) ready: Arc<AtomicBool>,
}

/// Where others connect to.
pub(super) struct Server {
    calls: FleetServer<Ears>,
    tls: Option<Arc<Tls>>,
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Silent,
    Called,
    Over,
}

// === impl Ears ===

#[tonic::async_trait]
impl Calls for Ears {
    async fn share(&self, request: tonic::Request<Streaming<Message>>) -> Result<Response<Ack>, Status> {
        self.hear(request.into_inner()).await.map(|()| Response::new(Ack {}))
    }
}

impl Ears {
    async fn hear(&self, messages: impl Stream<Item = Result<Message, Status>>) -> Result<(), Status> {
        let mut messages = pin!(messages);
        loop {
            let message = match timeout(SILENCE, messages.next()).await {
                Ok(Some(message)) => message?,
                Ok(None) => return Ok(()),
                Err(_) => return Err(Status::deadline_exceeded(format!("no message for {} s", SILENCE.as_secs()))),
            };
            counted("received", message.encoded_len());
            let message = decode(message).map_err(|why| Status::invalid_argument(why.to_string()))?;
            if self.ready.load(Ordering::Acquire) {
                let fleet = &self.registry.shared().fleet;
                fleet.receive(message, |id| self.registry.get(id), self.clock.now());
            }
        }
    }
}

// === impl Server ===

impl Server {
    /// Hears by `ears`, with TLS if there are certificates.
    pub(super) fn new(ears: Ears, tls: Option<Arc<Tls>>) -> Self {
        let calls = FleetServer::new(ears).max_decoding_message_size(MOST_MESSAGE);
        Self { calls, tls }
    }

    /// Accepts whoever connects to `socket`. Never returns.
    pub(super) async fn run(self, socket: Socket) {
        let listener = match TcpListener::from_std(socket) {
            Ok(listener) => listener,
            Err(e) => {
                tracing::error!("other gateways cannot be heard: {e}");
                return std::future::pending().await;
            }
        };
        let server = Arc::new(self);
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
            };
            match accepted {
                Ok((_, from)) if connections.len() >= CONNECTIONS => {
                    tracing::warn!(%from, "too many connections of other gateways; this one is closed");
                }
                Ok((stream, from)) => {
                    let server = server.clone();
                    connections.spawn(async move {
                        if let Err(why) = server.serve(stream).await {
                            tracing::debug!(%from, why, "connection of another gateway ended");
                        }
                    });
                }
                Err(e) => {
                    tracing::debug!("no connection of another gateway can be accepted: {e}");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    async fn serve(&self, stream: TcpStream) -> Result<(), String> {
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        match &self.tls {
            None => self.speak(stream).await,
            Some(tls) => match timeout(HANDSHAKE, tls.accept(stream)).await {
                Ok(Ok(stream)) => self.speak(stream).await,
                Ok(Err(e)) => Err(format!("no TLS: {e}")),
                Err(_) => Err("no TLS within the time for it".to_owned()),
            },
        }
    }

    /// One call for each connection.
    async fn speak(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<(), String> {
        let (phase, mut phases) = watch::channel(Phase::Silent);
        let (phase, calls) = (Arc::new(phase), self.calls.clone());
        let requests = service_fn(move |request: Request<Incoming>| {
            let (phase, mut calls) = (phase.clone(), calls.clone());
            async move {
                phase.send_replace(Phase::Called);
                // The services of tonic are always ready.
                let answer = calls.call(request).await;
                phase.send_replace(Phase::Over);
                Ok::<_, Infallible>(answer.unwrap_or_else(|never| match never {}))
            }
        });
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(1)
            .max_header_list_size(MOST_HEADER)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(2 * WINDOW)
            .max_pending_accept_reset_streams(20)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PONG)
            .serve_connection(TokioIo::new(stream), requests);
        let mut connection = pin!(connection);
        let is_over = async {
            if timeout(HANDSHAKE, phases.wait_for(|phase| *phase != Phase::Silent)).await.is_err() {
                return Err("nothing was told within the time for it".to_owned());
            }
            let _ = phases.wait_for(|phase| *phase == Phase::Over).await;
            Ok(())
        };
        tokio::select! {
            ended = connection.as_mut() => return ended.map_err(|e| e.to_string()),
            over = is_over => over?,
        }
        connection.as_mut().graceful_shutdown();
        match timeout(FAREWELL, connection).await {
            Ok(ended) => ended.map_err(|e| e.to_string()),
            Err(_) => Err("not ended within the time for it".to_owned()),
        }
    }
}
