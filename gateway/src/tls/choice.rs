//! Which certificate a client gets, by the name that it asks for (SNI): the one for just that name before one with a wildcard,
//! an app's own before those of the folder, and else the default.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use foldhash::fast::RandomState;
use rustls::sign::CertifiedKey;
use tokio_rustls::rustls;

use super::certificate::{Certificate, Validity};
use crate::config::settings::HostPattern;

/// Immutable, swapped whole.
#[derive(Debug, Default)]
pub struct Choice {
    exact: Table,
    /// By what follows `*.`.
    wildcard: Table,
    default: Option<Arc<CertifiedKey>>,
}

// What is in it comes from the configuration, not from clients.
type Table = HashMap<Box<str>, Arc<CertifiedKey>, RandomState>;

/// A certificate that is to be chosen among others.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The certificate.
    pub certificate: &'a Arc<Certificate>,
    /// What it is for.
    pub of: For<'a>,
}

/// What a certificate is for.
#[derive(Debug, Clone, Copy)]
pub enum For<'a> {
    /// Hosts of an app, as far as it has names for them.
    Hosts(&'a [HostPattern]),
    /// All its names.
    Names,
    /// Whoever asks for no name that another one has, too.
    Default,
}

/// The least wins a name.
type Rank = (u8, bool, Reverse<SystemTime>);

// === impl Choice ===

impl Choice {
    /// Among `candidates`, at `now`. Of two with the same claim to a name that one wins which is valid, and then the one that
    /// lasts longer.
    pub fn among<'a>(candidates: impl IntoIterator<Item = Candidate<'a>>, now: SystemTime) -> Self {
        let mut best: HashMap<Box<str>, (Rank, &Arc<CertifiedKey>)> = HashMap::new();
        let mut default: Option<(Rank, &Arc<CertifiedKey>)> = None;
        for Candidate { certificate, of } in candidates {
            let rank = |claim| (claim, certificate.validity(now) != Validity::Valid, Reverse(certificate.not_after));
            let mut claim = |name: &str, rank: Rank| {
                let entry = best.entry(name.into()).or_insert((rank, &certificate.key));
                if rank < entry.0 {
                    *entry = (rank, &certificate.key);
                }
            };
            match of {
                For::Hosts(hosts) => {
                    for host in hosts {
                        match host {
                            HostPattern::Exact(host) if certificate.covers(host) => claim(host, rank(0)),
                            HostPattern::Exact(_) => {}
                            HostPattern::Suffix(_) => {
                                certificate.names_within(host).for_each(|name| claim(name, rank(1)));
                            }
                            HostPattern::Any => certificate.names_within(host).for_each(|name| claim(name, rank(2))),
                        }
                    }
                }
                For::Names | For::Default => certificate.names.iter().for_each(|name| claim(name, rank(3))),
            }
            if matches!(of, For::Default) && default.is_none_or(|(other, _)| rank(3) < other) {
                default = Some((rank(3), &certificate.key));
            }
        }
        let mut choice = Self { default: default.map(|(_, key)| key.clone()), ..Self::default() };
        for (name, (_, key)) in best {
            match name.strip_prefix("*.") {
                Some(suffix) => choice.wildcard.insert(suffix.into(), key.clone()),
                None => choice.exact.insert(name, key.clone()),
            };
        }
        choice
    }

    /// The one for a client that asks for `name`, which is in lower case, or for none.
    pub fn find(&self, name: Option<&str>) -> Option<&Arc<CertifiedKey>> {
        let named = name.and_then(|name| {
            let parent = || name.split_once('.').and_then(|(_, parent)| self.wildcard.get(parent));
            self.exact.get(name).or_else(parent)
        });
        named.or(self.default.as_ref())
    }
}

#[cfg(test)]
mod tests;
