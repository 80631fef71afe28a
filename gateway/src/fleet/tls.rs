//! Certificates for what gateways tell each other: each shows its own, and trusts those of one authority. Loaded again when
//! their files change.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::verify_server_name;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, rustls, server};

use crate::config::{DOCUMENTS, Fingerprint, Followed};

/// Files in PEM's format.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The gateways' certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authorities that the certificates of all gateways are from.
    pub authorities: PathBuf,
}

/// What new connections are made and accepted with.
pub struct Tls {
    files: TlsFiles,
    seen: Fingerprint,
    /// The name that every gateway's certificate is for.
    name: ServerName<'static>,
    configs: ArcSwap<Configs>,
}

struct Configs {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

// === impl Tls ===

impl Tls {
    /// With what the files hold now; the certificates of all gateways are for `name`.
    ///
    /// # Errors
    /// They cannot be used; names the file and the flag.
    pub fn load(files: TlsFiles, name: &str) -> Result<Self, String> {
        let seen = Fingerprint::take(&files.all(), &DOCUMENTS);
        let configs = ArcSwap::from_pointee(files.load()?);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|e| format!("certificates cannot be for the Service `{name}`: {e}; see --fleet-service"))?;
        Ok(Self { files, seen, name, configs })
    }

    /// Accepts a connection of another gateway by what was loaded last.
    ///
    /// # Errors
    /// It is no TLS, or not of a gateway: the authority may have signed other certificates too.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<server::TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(self.configs.load().server.clone());
        let stream = acceptor.accept(stream).await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let shown = shown.ok_or_else(|| io::Error::other("no certificate"))?;
        ParsedCertificate::try_from(shown)
            .and_then(|shown| verify_server_name(&shown, &self.name))
            .map_err(|e| io::Error::other(format!("its certificate is for another name: {e}")))?;
        Ok(stream)
    }

    /// Makes a connection to another gateway by what was loaded last.
    ///
    /// # Errors
    /// It is no TLS, or not of a gateway.
    pub async fn connect(&self, stream: TcpStream) -> io::Result<client::TlsStream<TcpStream>> {
        let connector = TlsConnector::from(self.configs.load().client.clone());
        connector.connect(self.name.clone(), stream).await
    }

    /// Loads the files again whenever they change; what cannot be used is told of and not used. Never returns.
    pub async fn follow(&self) {
        let followed = Followed::new(self.files.all(), &DOCUMENTS, self.seen);
        let files = self.files.clone();
        let count =
            |result| metrics::counter!("zerogate_fleet_certificate_reloads_total", "result" => result).increment(1);
        let apply = |loaded| self.configs.store(Arc::new(loaded));
        followed.reload("the certificates between gateways", count, move || files.load(), apply).await;
    }
}

// === impl TlsFiles ===

impl TlsFiles {
    fn all(&self) -> Vec<PathBuf> {
        vec![self.certificate.clone(), self.key.clone(), self.authorities.clone()]
    }

    fn load(&self) -> Result<Configs, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let chain = certificates("--fleet-cert", &self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|e| wrong("--fleet-key", &self.key, &format!("holds no private key in PEM's format: {e}")))?;
        let mut roots = RootCertStore::empty();
        for authority in certificates("--fleet-ca", &self.authorities)? {
            roots.add(authority).map_err(|e| {
                wrong("--fleet-ca", &self.authorities, &format!("has a certificate that cannot be used: {e}"))
            })?;
        }
        let roots = Arc::new(roots);
        let no_tls = |e| format!("cannot prepare TLS: {e}");
        let mismatch =
            |e| wrong("--fleet-cert", &self.certificate, &format!("does not go with {}: {e}", self.key.display()));
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
            .build()
            .map_err(|e| wrong("--fleet-ca", &self.authorities, &format!("cannot be used: {e}")))?;
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(no_tls)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(mismatch)?;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(no_tls)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(mismatch)?;
        server.alpn_protocols = vec![b"h2".to_vec()];
        client.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Configs { server: Arc::new(server), client: Arc::new(client) })
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
