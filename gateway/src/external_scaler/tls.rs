//! The certificates of the scaler's address, loaded again when their files change.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, rustls};

use crate::config::{DOCUMENTS, File, Fingerprint, Followed};
use crate::tls::certificate::{certificates, private_key, provider};

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
        let seen = Fingerprint::take(&files.all(), &DOCUMENTS);
        let config = ArcSwap::from_pointee(files.load()?);
        Ok(Self { files, seen, config })
    }

    /// Accepts a connection by what was loaded last.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.load_full())
    }

    /// Loads the files again whenever they change; what cannot be used is told of and not used. Never returns.
    pub async fn follow(&self) {
        let followed = Followed::new(self.files.all(), &DOCUMENTS, self.seen);
        let files = self.files.clone();
        let count =
            |result| metrics::counter!("zerogate_scaler_certificate_reloads_total", "result" => result).increment(1);
        let apply = |loaded| self.config.store(Arc::new(loaded));
        followed.reload("the scaler's certificates", count, move || files.load(), apply).await;
    }
}

// === impl TlsFiles ===

impl TlsFiles {
    fn all(&self) -> Vec<PathBuf> {
        [&self.certificate, &self.key].into_iter().chain(&self.client_ca).cloned().collect()
    }

    fn load(&self) -> Result<ServerConfig, String> {
        let provider = Arc::new(provider());
        let certificate = Text::read("--scaler-cert", &self.certificate)?;
        let chain = certificates(certificate.named())?;
        let key = private_key(Text::read("--scaler-key", &self.key)?.named())?;
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|e| format!("cannot prepare TLS: {e}"))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let text = Text::read("--scaler-client-ca", path)?;
                let mut roots = RootCertStore::empty();
                for authority in certificates(text.named())? {
                    let added = roots.add(authority);
                    added.map_err(|e| format!("{} has a certificate that cannot be used: {e}", text.name))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|e| format!("{} cannot be used: {e}", text.name))?)
            }
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|e| format!("{} does not go with {}: {e}", certificate.name, self.key.display()))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

/// What a file holds.
struct Text {
    /// The flag that names it, and the file.
    name: String,
    text: String,
}

// === impl Text ===

impl Text {
    fn read(flag: &str, path: &Path) -> Result<Self, String> {
        let name = format!("{flag} {}:", path.display());
        match File::at(path.to_owned()).read() {
            Ok(text) => Ok(Self { name, text }),
            Err(why) => Err(format!("{name} {why}")),
        }
    }

    fn named(&self) -> (&str, &[u8]) {
        (&self.name, self.text.as_bytes())
    }
}
