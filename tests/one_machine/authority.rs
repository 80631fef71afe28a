//! Those who sign certificates.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};

/// Who signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM's format.
#[derive(Clone)]
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

    /// One for `name`.
    pub fn sign(&self, name: &str) -> Signed {
        self.sign_with(CertificateParams::new(vec![name.to_owned()]).unwrap())
    }

    /// One for `name` that has expired.
    pub fn sign_expired(&self, name: &str) -> Signed {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(2020, 1, 1);
        params.not_before = date_time_ymd(2019, 1, 1);
        self.sign_with(params)
    }

    fn sign_with(&self, params: CertificateParams) -> Signed {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Signed { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }
}

// === impl Signed ===

impl Signed {
    /// As `NAME.crt` and `NAME.key`, each replaced whole.
    pub fn write(&self, folder: &Path, name: &str) {
        for (extension, text) in [("crt", &self.certificate), ("key", &self.key)] {
            let new = folder.join(".new");
            std::fs::write(&new, text).unwrap();
            std::fs::rename(new, folder.join(format!("{name}.{extension}"))).unwrap();
        }
    }
}
