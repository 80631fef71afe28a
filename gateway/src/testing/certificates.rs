//! Certificates that tests make.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use crate::tls::certificate::Certificate;

/// A certificate and its key, in PEM's format.
pub(crate) struct Pem {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// When it is, in these tests.
pub(crate) fn now() -> SystemTime {
    // 2025-01-01.
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_735_689_600)
}

/// One that is valid for these hosts until the end of that year, which may be before 2025.
pub(crate) fn pem(hosts: &[&str], year: i32) -> Pem {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>()).unwrap();
    params.not_before = date_time_ymd(year.min(2024) - 1, 1, 1);
    params.not_after = date_time_ymd(year, 12, 31);
    Pem { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

/// The same, ready for use.
pub(crate) fn certificate(hosts: &[&str], year: i32) -> Arc<Certificate> {
    let Pem { certificate, key } = pem(hosts, year);
    Arc::new(Certificate::of_pem(("a", certificate.as_bytes()), ("b", key.as_bytes())).unwrap())
}
