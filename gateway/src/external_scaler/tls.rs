//! The certificates of the scaler's address, loaded again when their files change.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::sync::Notify;
use tokio_rustls::{TlsAcceptor, rustls};

use crate::config::{Fingerprint, Followed};

/// Files in PEM's format.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The gateway's certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authorities that have signed clients' certificates; without it clients need none.
    pub client_ca: Option<PathBuf>,
}

/// What new connections are accepted with.
pub struct Tls {
    files: TlsFiles,
    seen: Fingerprint,
    config: ArcSwap<ServerConfig>,
}

// === impl Tls ===

impl Tls {
    /// With what the files hold now.
    ///
    /// # Errors
    /// They cannot be used; names the file and the flag.
    pub fn load(files: TlsFiles) -> Result<Self, String> {
        let seen = Fingerprint::take(&files.all());
        let config = ArcSwap::from_pointee(files.load()?);
        Ok(Self { files, seen, config })
    }

    /// Accepts a connection by what was loaded last.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.load_full())
    }

    /// Loads the files again whenever they change; what cannot be used is told of and not used. Never returns.
    pub async fn follow(&self) {
        let mut followed = Followed::new(self.files.all(), self.seen);
        let nobody = Notify::new();
        while followed.changed(&nobody).await {
            let files = self.files.clone();
            let Ok(loaded) = tokio::task::spawn_blocking(move || files.load()).await else { break };
            let result = match loaded {
                Ok(config) => {
                    self.config.store(Arc::new(config));
                    tracing::info!("the scaler's certificates have changed and are used for new connections");
                    "applied"
                }
                Err(why) => {
                    tracing::error!("the scaler's changed certificates are not used, the last good ones stay: {why}");
                    "refused"
                }
            };
            metrics::counter!("zerogate_scaler_certificate_reloads_total", "result" => result).increment(1);
        }
        std::future::pending().await
    }
}

// === impl TlsFiles ===

impl TlsFiles {
    fn all(&self) -> Vec<PathBuf> {
        [&self.certificate, &self.key].into_iter().chain(&self.client_ca).cloned().collect()
    }

    fn load(&self) -> Result<ServerConfig, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain = certificates("--scaler-cert", &self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|e| wrong("--scaler-key", &self.key, &format!("holds no private key in PEM's format: {e}")))?;
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|e| format!("cannot prepare TLS: {e}"))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates("--scaler-client-ca", path)? {
                    roots.add(authority).map_err(|e| {
                        wrong("--scaler-client-ca", path, &format!("has a certificate that cannot be used: {e}"))
                    })?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(
                    verifier.map_err(|e| wrong("--scaler-client-ca", path, &format!("cannot be used: {e}")))?,
                )
            }
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|e| {
            wrong("--scaler-cert", &self.certificate, &format!("does not go with {}: {e}", self.key.display()))
        })?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

fn certificates(flag: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(wrong(flag, path, "holds no certificate in PEM's format")),
        Err(e) => Err(wrong(flag, path, &format!("cannot be read: {e}"))),
    }
}

fn wrong(flag: &str, path: &Path, what: &str) -> String {
    format!("{flag} {}: {what}", path.display())
}
