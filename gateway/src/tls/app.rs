//! TLS with apps: handshakes, and why they come to nothing.

use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{CertificateError, Error, HandshakeKind};
use thiserror::Error as ThisError;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls;

use super::authorities::Authority;

/// What an app is known by.
#[derive(Debug, Clone)]
pub struct Known {
    /// Who has to have signed its certificate.
    pub by: Arc<Authority>,
    /// What that has to be for, and what the app is asked for.
    pub name: ServerName<'static>,
}

/// Which protocols an app may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpn {
    /// HTTP/2, or HTTP/1.1.
    Any,
    /// HTTP/1.1, which alone lets connections change to another protocol.
    Http1,
}

/// Why there is no connection. Says nothing of what is inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ThisError)]
pub enum TlsFault {
    /// What it is to be known by cannot be had.
    #[error(
        "the certificates that the app is to be known by cannot be read; look at the gateway's log or the HTTPApp's status, and at \
         target.tls"
    )]
    NoAuthority,
    /// It is not signed by whom it is to be signed.
    #[error(
        "the app's certificate is signed by none of those that it is to be known by; name the right ones in target.tls"
    )]
    Untrusted,
    /// It is for another name.
    #[error("the app's certificate is for another name; set target.tls.serverName to one that it is for")]
    WrongName,
    /// It has expired.
    #[error("the app's certificate has expired; renew it")]
    Expired,
    /// It is not valid yet.
    #[error("the app's certificate is not valid yet; look at the clocks of gateway and app")]
    NotYet,
    /// It is not one for servers, or of a kind that is not understood.
    #[error("the app's certificate cannot be used for a server; give it one that can")]
    Unusable,
    /// What came back is no TLS.
    #[error("the app speaks no TLS at its port; set target.protocol to what it speaks")]
    Plain,
    /// The app ended the connection.
    #[error(
        "the app ended the connection during the TLS handshake; look at its log, and whether it speaks TLS at its port"
    )]
    Ended,
    /// The app has said that it will not.
    #[error("the app refused the TLS handshake; look at its log, and whether it wants a client's certificate")]
    Refused,
    /// There is no version, cipher or protocol in common.
    #[error(
        "the app has no TLS version, cipher or protocol in common with the gateway: TLS 1.2 or 1.3, HTTP/2 or HTTP/1.1"
    )]
    Incompatible,
    /// It took too long.
    #[error("the app did not finish the TLS handshake within timeouts.connect; look at its log, or raise that")]
    Late,
}

// === impl Alpn ===

impl Alpn {
    /// As in a handshake, best first.
    pub(super) fn protocols(self) -> Vec<Vec<u8>> {
        let protocols: &[&[u8]] = match self {
            Self::Any => &[b"h2", b"http/1.1"],
            Self::Http1 => &[b"http/1.1"],
        };
        protocols.iter().map(|protocol| protocol.to_vec()).collect()
    }
}

// === impl Known ===

impl Known {
    /// Makes a handshake over `socket`.
    ///
    /// # Errors
    /// It came to nothing, and why.
    pub async fn handshake(&self, socket: TcpStream, alpn: Alpn) -> Result<TlsStream<TcpStream>, TlsFault> {
        let connector = self.by.connector(alpn).await.ok_or(TlsFault::NoAuthority)?;
        let stream = connector.connect(self.name.clone(), socket).await.map_err(|error| TlsFault::of(&error))?;
        let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
        let kind = if resumed { "resumed" } else { "full" };
        metrics::counter!("zerogate_app_tls_handshakes_total", "kind" => kind).increment(1);
        Ok(stream)
    }
}

/// Whether HTTP/2 was agreed upon.
pub fn is_http2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(b"h2")
}

// === impl TlsFault ===

impl TlsFault {
    fn of(error: &io::Error) -> Self {
        let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else { return Self::Ended };
        match error {
            Error::InvalidCertificate(why) => match why {
                CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::Untrusted,
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::WrongName,
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYet,
                _ => Self::Unusable,
            },
            Error::NoCertificatesPresented => Self::Unusable,
            Error::AlertReceived(_) => Self::Refused,
            Error::PeerIncompatible(_) | Error::NoApplicationProtocol => Self::Incompatible,
            Error::InvalidMessage(_) => Self::Plain,
            _ => Self::Incompatible,
        }
    }

    /// Whether the app may only be restarting, so that it is worth another try.
    pub fn is_passing(self) -> bool {
        self == Self::Ended
    }

    /// A word for metrics: one of a fixed few.
    pub fn label(self) -> &'static str {
        match self {
            Self::NoAuthority => "no_authority",
            Self::Untrusted => "untrusted",
            Self::WrongName => "wrong_name",
            Self::Expired => "expired",
            Self::NotYet => "not_yet_valid",
            Self::Unusable => "unusable",
            Self::Plain => "plain",
            Self::Ended => "ended",
            Self::Refused => "refused",
            Self::Incompatible => "incompatible",
            Self::Late => "timeout",
        }
    }
}
