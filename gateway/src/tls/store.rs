//! All certificates that there are, by where they come from. What cannot be used never takes the place of what can.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use activator::AppId;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;
use tokio_rustls::rustls;

use super::certificate::Certificate;
use super::choice::{Candidate, Choice, For};
use crate::config::settings::{AppConfig, CertificateSource, Declared, HostPattern};

/// The name in the folder of the one for all other names.
const DEFAULT: &str = "default";

/// Whose a certificate is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// An app's.
    App(AppId),
    /// That of this name in the folder.
    Folder(String),
}

/// Where certificates come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Origin {
    /// Files, of apps and of the folder.
    #[default]
    Files,
    /// Secrets of a cluster.
    Secrets,
}

/// What was found where a certificate should be.
#[derive(Debug, Clone)]
pub struct Found {
    /// Whose it is.
    pub owner: Owner,
    /// The hosts of the app; none for the folder.
    pub hosts: Arc<[HostPattern]>,
    /// It, or why there is none that can be used.
    pub certificate: Result<Arc<Certificate>, String>,
}

/// The certificates in use.
#[derive(Debug, Default)]
pub struct Certificates {
    choice: ArcSwap<Choice>,
    known: Mutex<BTreeMap<Owner, Known>>,
    wanted: watch::Sender<Arc<[Wanted]>>,
    /// What was wanted when all Secrets in it were known last.
    settled: watch::Sender<Option<Arc<[Wanted]>>>,
    /// Held by who loads files.
    pub(super) loading: Mutex<()>,
    /// Counts changes of what is known.
    changes: watch::Sender<u64>,
}

/// What an app wants its certificate from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The app.
    pub app: AppId,
    /// Its hosts.
    pub hosts: Arc<[HostPattern]>,
    /// Where it is.
    pub from: CertificateSource,
}

#[derive(Debug, Default)]
struct Known {
    origin: Origin,
    hosts: Arc<[HostPattern]>,
    /// The last one that could be used.
    good: Option<Arc<Certificate>>,
    problem: Option<String>,
}

/// How an owner's certificate is.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// Whose it is.
    pub owner: Owner,
    /// The one in use, if there is one.
    pub certificate: Option<Arc<Certificate>>,
    /// Why it is not what was found last, or what is wrong with it.
    pub problem: Option<String>,
}

// === impl Certificates ===

impl Certificates {
    /// Notes what the apps want. Who looks for it is told, if that is something else than before.
    pub fn want(&self, declared: &Declared) {
        let wanted = declared.apps.iter().filter_map(|(app, AppConfig { edge, .. })| {
            let from = edge.tls.as_ref()?.certificate.clone()?;
            let hosts: BTreeSet<_> = edge.routes.iter().flat_map(|route| route.hosts.iter().cloned()).collect();
            Some(Wanted { app: app.clone(), hosts: hosts.into_iter().collect(), from })
        });
        let wanted: Arc<[Wanted]> = wanted.collect();
        self.wanted.send_if_modified(|before| {
            let is_new = *before != wanted;
            if is_new {
                *before = wanted;
            }
            is_new
        });
    }

    /// All Secrets that `wanted` names have been looked for.
    pub fn settle(&self, wanted: Arc<[Wanted]>) {
        self.settled.send_if_modified(|before| {
            let is_new = before.as_ref().is_none_or(|before| !Arc::ptr_eq(before, &wanted));
            *before = Some(wanted);
            is_new
        });
    }

    /// Waits until all Secrets that are wanted now have been looked for.
    pub async fn settled(&self) {
        let wanted = self.wanted.borrow().clone();
        let mut settled = self.settled.subscribe();
        // An error cannot be: the other end is here.
        let _ = settled.wait_for(|it| it.as_ref().is_some_and(|it| Arc::ptr_eq(it, &wanted))).await;
    }

    /// Changes whenever something else is known of any.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What the apps want, to be followed.
    pub fn wanted(&self) -> watch::Receiver<Arc<[Wanted]>> {
        self.wanted.subscribe()
    }

    /// Takes what was found at `now`, which is all there is of that origin, but for those that it `keeps`. Logs what has changed.
    pub fn set(&self, origin: Origin, found: Vec<Found>, keeps: impl Fn(&Owner) -> bool, now: SystemTime) {
        let mut known = self.known.lock();
        let was = states(&known);
        let (mut before, mut after): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut *known).into_iter().partition(|(_, one)| one.origin == origin);
        for Found { owner, hosts, certificate } in found {
            let mut one = before.remove(&owner).unwrap_or_default();
            (one.origin, one.hosts) = (origin, hosts);
            let result = if one.take(&owner, certificate, now) { "applied" } else { "refused" };
            metrics::counter!("zerogate_tls_certificate_loads_total", "result" => result).increment(1);
            after.insert(owner, one);
        }
        before.retain(|owner, _| keeps(owner));
        after.extend(before);
        *known = after;
        self.choose(&known, &was, now);
    }

    /// Looks at what the time has done to those in use: logs those that have expired, and chooses anew.
    pub fn look(&self, now: SystemTime) {
        let mut known = self.known.lock();
        let was = states(&known);
        for (owner, one) in &mut *known {
            if let Some(good) = one.good.clone()
                && one.problem.is_none()
            {
                one.note(owner, good.untimely(now).map(|why| format!("the certificate {why}")));
            }
        }
        self.choose(&known, &was, now);
    }

    fn choose(&self, known: &BTreeMap<Owner, Known>, was: &[State], now: SystemTime) {
        let candidates = known.iter().filter_map(|(owner, one)| {
            let of = match owner {
                Owner::App(_) => For::Hosts(&one.hosts),
                Owner::Folder(name) if name == DEFAULT => For::Default,
                Owner::Folder(_) => For::Names,
            };
            Some(Candidate { certificate: one.good.as_ref()?, of })
        });
        self.choice.store(Arc::new(Choice::among(candidates, now)));
        if states(known) != was {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// How all of them are.
    pub fn states(&self) -> Vec<State> {
        states(&self.known.lock())
    }

    /// How an app's is, if it has one of its own.
    pub fn of_app(&self, app: &AppId) -> Option<State> {
        let owner = Owner::App(app.clone());
        self.known.lock().get(&owner).map(|one| one.state(&owner))
    }
}

fn states(known: &BTreeMap<Owner, Known>) -> Vec<State> {
    known.iter().map(|(owner, one)| one.state(owner)).collect()
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // rustls has put it into lower case.
        self.choice.load().find(hello.server_name()).cloned()
    }
}

// === impl Known ===

impl Known {
    /// Takes what was found of it last. Returns whether that can be used.
    fn take(&mut self, owner: &Owner, found: Result<Arc<Certificate>, String>, now: SystemTime) -> bool {
        let found = found.and_then(|certificate| match certificate.lacks(&*self.hosts) {
            Some(lack) => Err(format!("the certificate {lack}")),
            None => Ok(certificate),
        });
        let problem = match found {
            Err(why) => Some(why),
            Ok(new) => {
                let untimely = new.untimely(now).map(|why| format!("the certificate {why}"));
                let is_new = self.good.as_ref().is_none_or(|good| *good != new);
                let has_better = self.good.as_ref().is_some_and(|good| good.untimely(now).is_none());
                // To clients one that has expired says more than none.
                if is_new && (untimely.is_none() || !has_better) {
                    tracing::info!(%owner, until = %new.until(), "a certificate is used for new connections from now on");
                    self.good = Some(new);
                }
                untimely
            }
        };
        let all_good = problem.is_none();
        self.note(owner, problem);
        all_good
    }

    /// Notes what is wrong, and logs it if it was not known.
    fn note(&mut self, owner: &Owner, problem: Option<String>) {
        if let Some(why) = problem.as_ref().filter(|_| problem != self.problem) {
            let until = self.good.as_ref().map_or_else(|| "none".to_owned(), |good| good.until());
            tracing::error!(%owner, in_use_until = until, "a certificate is not as it should be: {why}");
        }
        self.problem = problem;
    }

    fn state(&self, owner: &Owner) -> State {
        State { owner: owner.clone(), certificate: self.good.clone(), problem: self.problem.clone() }
    }
}

// === impl Owner ===

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(id) => write!(f, "app {id}"),
            Self::Folder(name) if name.is_empty() => f.write_str("--tls-folder"),
            Self::Folder(name) => write!(f, "{name} of --tls-folder"),
        }
    }
}

#[cfg(test)]
mod tests;
