//! Authorities whose certificates apps are known by. One whose certificates cannot be read any more stays as it was.

pub mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio_rustls::{TlsConnector, rustls};

use super::app::Alpn;
use super::certificate::{Named, certificates, provider};
use crate::config::File;
use crate::config::settings::{AuthoritySource, Declared};

/// All of them.
#[derive(Debug, Default)]
pub struct Authorities {
    known: Mutex<BTreeMap<AuthoritySource, Arc<Authority>>>,
    wanted: watch::Sender<Arc<[AuthoritySource]>>,
    /// Counts changes of what is known.
    changes: watch::Sender<u64>,
}

/// One of them.
#[derive(Debug)]
pub struct Authority {
    source: AuthoritySource,
    state: watch::Sender<State>,
}

#[derive(Debug, Default)]
struct State {
    /// It was looked for.
    is_known: bool,
    good: Option<Good>,
    problem: Option<String>,
}

#[derive(Debug)]
struct Good {
    certificates: Vec<CertificateDer<'static>>,
    any: Arc<ClientConfig>,
    http1: Arc<ClientConfig>,
}

/// How an authority is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What is wrong with it, if anything is.
    pub problem: Option<String>,
    /// Whether there are certificates that apps are known by all the same.
    pub is_usable: bool,
}

/// The certificates in the file at `path`.
///
/// # Errors
/// They cannot be used, and why.
pub fn load(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = File::at(path.to_owned()).read().map_err(|why| format!("{} {why}", path.display()))?;
    of_pem((&path.display().to_string(), text.as_bytes()))
}

/// The certificates in a text in PEM's format, of which each may be an authority's.
///
/// # Errors
/// They cannot be used, and why.
pub fn of_pem(text: Named<'_>) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates = certificates(text)?;
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        roots
            .add(certificate.clone())
            .map_err(|e| format!("{} holds a certificate that cannot be used: {e}", text.0))?;
    }
    Ok(certificates)
}

/// What the system knows.
fn of_system() -> Result<Vec<CertificateDer<'static>>, String> {
    let found = rustls_native_certs::load_native_certs().certs;
    match found.is_empty() {
        true => Err("this system knows no authorities (SSL_CERT_FILE says where others are)".to_owned()),
        false => Ok(found),
    }
}

// === impl Authorities ===

impl Authorities {
    /// Notes which ones apps want; the others are forgotten, but for the system's.
    pub fn want(&self, declared: &Declared) {
        let named = declared.apps.values().filter_map(|app| Some(app.edge.trust.as_ref()?.authority.clone()));
        let wanted: BTreeSet<_> = named.filter(|source| *source != AuthoritySource::System).collect();
        self.known.lock().retain(|source, _| *source == AuthoritySource::System || wanted.contains(source));
        let wanted: Arc<[_]> = wanted.into_iter().collect();
        self.wanted.send_if_modified(|before| {
            let is_new = *before != wanted;
            if is_new {
                *before = wanted;
            }
            is_new
        });
    }

    /// Which ones apps want, to be followed.
    pub fn wanted(&self) -> watch::Receiver<Arc<[AuthoritySource]>> {
        self.wanted.subscribe()
    }

    /// Changes whenever something else is known of any.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The one from there.
    pub fn of(&self, source: &AuthoritySource) -> Arc<Authority> {
        let make = || Arc::new(Authority { source: source.clone(), state: watch::Sender::default() });
        self.known.lock().entry(source.clone()).or_insert_with(make).clone()
    }

    /// How the one from there is; nothing as long as that is not known.
    pub fn standing(&self, source: &AuthoritySource) -> Option<Standing> {
        let known = self.known.lock();
        let state = known.get(source)?.state.borrow();
        state.is_known.then(|| Standing { problem: state.problem.clone(), is_usable: state.good.is_some() })
    }

    /// Takes what was found there. Logs what has changed.
    pub fn set(&self, source: &AuthoritySource, found: Result<Vec<CertificateDer<'static>>, String>) {
        if self.of(source).set(found) {
            self.changes.send_modify(|count| *count += 1);
        }
    }
}

// === impl Authority ===

impl Authority {
    /// What handshakes are made with that agree on a protocol of `alpn`, once it was looked for; nothing if it cannot be used.
    pub async fn connector(&self, alpn: Alpn) -> Option<TlsConnector> {
        if self.source == AuthoritySource::System && !self.state.borrow().is_known {
            let found = spawn_blocking(of_system).await;
            self.set(found.unwrap_or_else(|_| Err("the gateway is stopping".to_owned())));
        }
        let mut state = self.state.subscribe();
        let state = state.wait_for(|state| state.is_known).await.ok()?;
        let good = state.good.as_ref()?;
        Some(TlsConnector::from(match alpn {
            Alpn::Any => good.any.clone(),
            Alpn::Http1 => good.http1.clone(),
        }))
    }

    /// Takes what was found. Returns whether that is something else.
    fn set(&self, found: Result<Vec<CertificateDer<'static>>, String>) -> bool {
        self.state.send_if_modified(|state| {
            let was_known = std::mem::replace(&mut state.is_known, true);
            let same = |certificates: &Vec<_>| state.good.as_ref().is_some_and(|good| good.certificates == *certificates);
            let found = match found {
                Ok(certificates) if same(&certificates) => Ok(None),
                Ok(certificates) => Good::of(certificates).map(Some),
                Err(why) => Err(why),
            };
            let (problem, new) = match found {
                Ok(new) => (None, new),
                Err(why) => (Some(why), None),
            };
            if let Some(why) = problem.as_ref().filter(|_| state.problem != problem) {
                let in_use = if state.good.is_some() { "what it was before is" } else { "nothing is" };
                tracing::error!(of = %self.source, in_use, "the certificates that apps are known by cannot be used: {why}");
            }
            let has_changed = !was_known || new.is_some() || state.problem != problem;
            if new.is_some() {
                tracing::info!(of = %self.source, "certificates that apps are known by are used from now on");
                state.good = new;
            }
            state.problem = problem;
            has_changed
        })
    }
}

// === impl Good ===

impl Good {
    fn of(certificates: Vec<CertificateDer<'static>>) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        // Of the system's some may be of a kind that nobody uses here.
        roots.add_parsable_certificates(certificates.iter().cloned());
        let builder = ClientConfig::builder_with_provider(Arc::new(provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(|e| format!("cannot prepare TLS: {e}"))?;
        let mut http1 = builder.with_root_certificates(roots).with_no_client_auth();
        http1.alpn_protocols = Alpn::Http1.protocols();
        let mut any = http1.clone();
        any.alpn_protocols = Alpn::Any.protocols();
        Ok(Self { certificates, any: Arc::new(any), http1: Arc::new(http1) })
    }
}

#[cfg(test)]
mod tests;
