//! One certificate with its key: what it is for, and how long.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use tokio_rustls::rustls;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::config::settings::HostPattern;

/// A certificate with its key, ready for use.
#[derive(Debug)]
pub struct Certificate {
    /// What handshakes are made with.
    pub key: Arc<CertifiedKey>,
    /// The hosts it is for, in lower case; `*.` stands for one label.
    pub names: Vec<Box<str>>,
    /// From when on it is valid.
    pub not_before: SystemTime,
    /// Until when.
    pub not_after: SystemTime,
    /// What it was made from.
    pem: [Box<[u8]>; 2],
}

/// Whether a certificate may be used at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// It may.
    Valid,
    /// Not yet.
    NotYet,
    /// Not any more.
    Expired,
}

/// Where a text comes from, for whoever has to mend it.
pub type Named<'a> = (&'a str, &'a [u8]);

// === impl Certificate ===

impl Certificate {
    /// Of a chain and a key in PEM's format, each with what it is called.
    ///
    /// # Errors
    /// They cannot be used: which of them, and why.
    pub fn of_pem(chain: Named<'_>, key: Named<'_>) -> Result<Self, String> {
        let pem = [chain.1.into(), key.1.into()];
        let own = key.0;
        let (name, chain) = (chain.0, certificates(chain)?);
        let key = private_key(key)?;
        let (names, not_before, not_after) = read(&chain[0]).map_err(|why| format!("{name} {why}"))?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|e| match e {
            rustls::Error::InconsistentKeys(_) => format!("{name} does not go with {own}: the key is another one's"),
            e => format!("{name} with {own} cannot be used: {e}"),
        })?;
        Ok(Self { key: Arc::new(key), names, not_before, not_after, pem })
    }

    /// Until when it is valid, in words.
    pub fn until(&self) -> String {
        humantime::format_rfc3339_seconds(self.not_after).to_string()
    }

    /// Whether it may be used at `now`.
    pub fn validity(&self, now: SystemTime) -> Validity {
        if now > self.not_after {
            Validity::Expired
        } else if now < self.not_before {
            Validity::NotYet
        } else {
            Validity::Valid
        }
    }

    /// What is wrong with its time at `now`, if anything is.
    pub fn untimely(&self, now: SystemTime) -> Option<String> {
        let at = |time| humantime::format_rfc3339_seconds(time);
        match self.validity(now) {
            Validity::Valid => None,
            Validity::Expired => Some(format!("has expired at {}; renew it", self.until())),
            Validity::NotYet => {
                Some(format!("is not valid before {}; look at this machine's clock", at(self.not_before)))
            }
        }
    }

    /// Whether it is for `host`.
    pub fn covers(&self, host: &str) -> bool {
        let parent = host.split_once('.').map(|(_, parent)| parent);
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(suffix) => parent == Some(suffix),
            None => **name == *host,
        })
    }

    /// Its names that hosts of this pattern may have.
    pub fn names_within<'a>(&'a self, pattern: &'a HostPattern) -> impl Iterator<Item = &'a str> {
        self.names.iter().map(|name| &**name).filter(move |name| match pattern {
            HostPattern::Any => true,
            HostPattern::Exact(host) => **name == **host,
            HostPattern::Suffix(suffix) => match name.strip_prefix("*.") {
                Some(below) => below == &**suffix || is_below(below, suffix),
                None => is_below(name, suffix),
            },
        })
    }

    /// Of these hosts, the first that it is not for.
    pub fn lacks<'a>(&self, hosts: impl IntoIterator<Item = &'a HostPattern>) -> Option<String> {
        let lacked = hosts.into_iter().find(|host| match host {
            HostPattern::Exact(host) => !self.covers(host),
            pattern => self.names_within(pattern).next().is_none(),
        })?;
        let names = self.names.iter().take(5).map(|name| format!("`{name}`")).collect::<Vec<_>>();
        let names = if names.is_empty() { "no host at all".to_owned() } else { names.join(", ") };
        Some(format!("is not for host `{lacked}`, but for {names}"))
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.pem == other.pem
    }
}

fn is_below(name: &str, suffix: &str) -> bool {
    name.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.'))
}

/// ring, of which all certificates and handshakes are.
pub fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

/// The certificates in a text in PEM's format, one at least.
///
/// # Errors
/// There are none, or they cannot be read.
pub fn certificates((name, text): Named<'_>) -> Result<Vec<CertificateDer<'static>>, String> {
    match CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>() {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(format!("{name} holds no certificate in PEM's format")),
        Err(e) => Err(format!("{name} cannot be read: {e}")),
    }
}

/// The private key in a text in PEM's format.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn private_key((name, text): Named<'_>) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(text).map_err(|e| format!("{name} holds no private key in PEM's format: {e}"))
}

type Read = (Vec<Box<str>>, SystemTime, SystemTime);

/// For whom a certificate is, and how long.
fn read(der: &CertificateDer<'_>) -> Result<Read, String> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|e| format!("is no X.509 certificate: {e}"))?;
    let names = certificate.subject_alternative_name().map_err(|e| format!("has names that cannot be read: {e}"))?;
    let names = names.iter().flat_map(|names| &names.value.general_names);
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase().into()),
        _ => None,
    });
    let validity = certificate.validity();
    let at = |seconds: i64| match u64::try_from(seconds) {
        Ok(after) => SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(after)),
        Err(_) => SystemTime::UNIX_EPOCH.checked_sub(Duration::from_secs(seconds.unsigned_abs())),
    };
    let time = |seconds| at(seconds).ok_or_else(|| "has a time that cannot be".to_owned());
    let (from, until) = (time(validity.not_before.timestamp())?, time(validity.not_after.timestamp())?);
    Ok((names.collect(), from, until))
}

#[cfg(test)]
mod tests;
