//! TLS, where a certificate is given.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::sign::SingleCertAndKey;

use super::EchoArgs;
use crate::tls::certificate::provider;
use crate::tls::files::load;

/// What handshakes are made with, if TLS is to be served.
///
/// # Errors
/// The certificate cannot be used, and why.
pub(super) fn acceptor(args: &EchoArgs) -> Result<Option<TlsAcceptor>, String> {
    match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => of(certificate, key, &args.tls_alpn).map(Some),
        _ => Ok(None),
    }
}

fn of(certificate: &Path, key: &Path, alpn: &[String]) -> Result<TlsAcceptor, String> {
    let loaded = load(certificate, key)?;
    let builder = ServerConfig::builder_with_provider(Arc::new(provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|e| format!("cannot prepare TLS: {e}"))?;
    let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(SingleCertAndKey::from(loaded.key)));
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    Ok(Arc::new(config).into())
}
