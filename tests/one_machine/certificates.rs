//! Certificates for a test, and who signs them.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// Who signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM's format.
pub struct Signed {
    pub certificate: String,
    pub key: String,
}

// === impl Authority ===

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Signs one for this host.
    pub fn sign(&self, name: &str) -> Signed {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Signed { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// Its own certificate.
    pub fn pem(&self) -> String {
        self.0.pem()
    }
}

impl Signed {
    /// Writes them as `tls.crt` and `tls.key`.
    pub fn write(&self, folder: &Path) {
        // As they are replaced: whole.
        for (name, text) in [("tls.crt", &self.certificate), ("tls.key", &self.key)] {
            std::fs::write(folder.join("new"), text).unwrap();
            std::fs::rename(folder.join("new"), folder.join(name)).unwrap();
        }
    }
}
