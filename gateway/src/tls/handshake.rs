//! Handshakes: bounded in number and in time, and counted by how they end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::server::NoServerSessionStorage;
use rustls::{Error, HandshakeKind, ServerConfig};
use thiserror::Error as ThisError;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, rustls};

use super::certificate::provider;
use super::store::Certificates;
use crate::external_scaler::bounds::Bound;

/// Protocols that are spoken, best first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What handshakes are made with.
pub struct Handshakes {
    acceptor: TlsAcceptor,
    bound: Arc<Bound>,
}

/// Why there is no connection.
#[derive(Debug, ThisError)]
pub enum Failed {
    /// So many are under way that there may be no more.
    #[error("too many handshakes are under way")]
    TooMany,
    /// It took too long.
    #[error("the handshake took too long")]
    Late,
    /// The client left, or the network did.
    #[error("the client left: {0}")]
    Left(io::Error),
    /// There is none for the name that it asked for.
    #[error("there is no certificate for the name that the client asked for")]
    NoCertificate,
    /// The client does not like what it got, such as the certificate.
    #[error("the client gave up: {0}")]
    Refused(Error),
    /// The client knows no version, cipher or protocol that is spoken here.
    #[error("nothing in common with the client: {0}")]
    Incompatible(Error),
    /// What it sent is no TLS, or wrong.
    #[error("no TLS: {0}")]
    Malformed(io::Error),
}

// === impl Handshakes ===

impl Handshakes {
    /// With `certificates`, and at most so many at once.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn new(certificates: Arc<Certificates>, most: usize) -> Result<Self, String> {
        let cannot = |e| format!("cannot prepare TLS: {e}");
        let builder = ServerConfig::builder_with_provider(Arc::new(provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(cannot)?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(certificates);
        config.alpn_protocols = ALPN.map(Vec::from).into();
        // What clients resume by is with them; here nothing is kept, and nothing locked.
        config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(cannot)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        // Early data could be sent again by somebody else (RFC 8446, 8).
        config.max_early_data_size = 0;
        Ok(Self { acceptor: Arc::new(config).into(), bound: Bound::new(most) })
    }

    /// Makes one with a client within `patience`.
    ///
    /// # Errors
    /// It came to nothing, and why; counted.
    pub async fn make(&self, socket: TcpStream, patience: Duration) -> Result<Box<TlsStream<TcpStream>>, Failed> {
        let made = match self.bound.open() {
            None => Err(Failed::TooMany),
            Some(_open) => match timeout(patience, self.acceptor.accept(socket)).await {
                Err(_) => Err(Failed::Late),
                Ok(made) => made.map(Box::new).map_err(Failed::from),
            },
        };
        match &made {
            Ok(stream) => {
                let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
                let kind = if resumed { "resumed" } else { "full" };
                metrics::counter!("zerogate_tls_handshakes_total", "kind" => kind).increment(1);
            }
            Err(failed) => {
                metrics::counter!("zerogate_tls_handshake_failures_total", "cause" => failed.label()).increment(1);
            }
        }
        made
    }
}

// === impl Failed ===

impl Failed {
    /// A word for metrics: one of a fixed few.
    fn label(&self) -> &'static str {
        match self {
            Self::TooMany => "too_many",
            Self::Late => "timeout",
            Self::Left(_) => "client_left",
            Self::NoCertificate => "no_certificate",
            Self::Refused(_) => "client_refused",
            Self::Incompatible(_) => "incompatible",
            Self::Malformed(_) => "malformed",
        }
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        // What rustls says when nobody has a certificate is text.
        const NONE: &str = "no server certificate chain resolved";
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            None => Self::Left(error),
            Some(Error::General(text)) if text == NONE => Self::NoCertificate,
            Some(why @ Error::AlertReceived(_)) => Self::Refused(why.clone()),
            Some(why @ (Error::PeerIncompatible(_) | Error::NoApplicationProtocol)) => Self::Incompatible(why.clone()),
            Some(_) => Self::Malformed(error),
        }
    }
}

#[cfg(test)]
mod tests;
