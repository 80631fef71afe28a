use std::path;
use std::sync::Arc;

use activator::resource;
use http::HeaderValue;

use super::Conversion;
use crate::config::origin::Origin;
use crate::config::settings::{AppTls, CertificateSource};

/// The fields that name files.
const FILES: [&str; 2] = ["spec.tls.certificate", "spec.tls.key"];

// === impl Conversion ===

impl Conversion<'_> {
    /// How clients reach the app by TLS, if anything is said of it; what does not fit together is reported.
    pub(super) fn tls(&mut self, tls: &resource::Tls) -> Option<Arc<AppTls>> {
        if *tls == resource::Tls::default() {
            return None;
        }
        let certificate = self.certificate(tls);
        let seconds = tls.hsts.0.as_secs();
        let hsts = (seconds > 0).then(|| HeaderValue::from_str(&format!("max-age={seconds}")).ok()).flatten();
        Some(Arc::new(AppTls { certificate, redirect: tls.redirect, hsts }))
    }

    fn certificate(&mut self, tls: &resource::Tls) -> Option<CertificateSource> {
        let resource::Tls { certificate, key, secret_name, .. } = tls;
        for (field, is_given) in [("certificate", certificate.is_some()), ("key", key.is_some())] {
            if is_given && self.origin == Origin::Cluster {
                let message = "is a file on one machine; in a cluster write `secretName`, the name of a Secret of type \
                               kubernetes.io/tls";
                self.add(&format!("spec.tls.{field}"), message);
            }
        }
        if secret_name.is_some() && self.origin == Origin::Files {
            self.add("spec.tls.secretName", "is a Secret of a cluster; on one machine write `certificate` and `key`");
        }
        match (certificate, key, secret_name) {
            (None, None, None) => None,
            (None, None, Some(name)) => Some(CertificateSource::Secret(name.as_str().into())),
            (Some(certificate), Some(key), None) => {
                Some(CertificateSource::Files { certificate: self.file(certificate), key: self.file(key) })
            }
            (_, _, Some(_)) => {
                self.clash("spec.tls.secretName", &FILES, "has certificate and key both; do not give them beside it");
                None
            }
            (Some(_), None, None) => {
                self.clash("spec.tls.certificate", &FILES, "needs its key too; write `key: tls.key`, for example");
                None
            }
            (None, Some(_), None) => {
                self.clash(
                    "spec.tls.key",
                    &FILES,
                    "needs its certificate too; write `certificate: tls.crt`, for example",
                );
                None
            }
        }
    }

    pub(super) fn file(&self, path: &str) -> path::PathBuf {
        let file = self.folder.join(path);
        path::absolute(&file).unwrap_or(file)
    }
}
