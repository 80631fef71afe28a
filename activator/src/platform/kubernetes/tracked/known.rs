//! One candidate, from the first time it is seen until it is gone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::admission::Endpoint;
use crate::admission::removal::Removal;
use crate::clock::Timestamp;
use crate::platform::kubernetes::state::{Candidate, Check, Identity, Standing, Try};
use crate::settings::Protocol;

/// One candidate.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) endpoint: Option<Arc<Endpoint>>,
    pub(super) protocol: Protocol,
    pub(super) removal: Removal,
    pub(super) incarnation: u32,
    /// Its checks have passed in this incarnation.
    pub(super) passed: bool,
    pub(super) checking: Option<Checking>,
    /// Since when its checks may run.
    pub(super) checks_since: Option<Timestamp>,
    /// Since when it is not usable, while it is not.
    pub(super) unusable_since: Option<Timestamp>,
    /// It was to go by an order; if it stays, it is back then at the earliest.
    pub(super) leaving: Option<Timestamp>,
    /// It was to go, and seems to stay. Word that it is gone may be late: it has to show that it is there.
    returned: bool,
}

/// How long a pod may take to show that it is there.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Checks that are under way; they end when this is dropped.
#[derive(Debug)]
pub struct Checking {
    pub checks: Vec<Check>,
    /// What the last try met.
    pub last: Arc<Mutex<Option<String>>>,
    pub task: Option<tokio::task::JoinHandle<()>>,
}

/// Checks to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToCheck {
    pub identity: Identity,
    pub incarnation: u32,
    pub checks: Vec<Check>,
    /// From when on their delays count.
    pub since: Timestamp,
}

// === impl Known ===

impl Known {
    pub(super) fn new(candidate: &Candidate, now: Timestamp) -> Self {
        Self {
            endpoint: None,
            protocol: candidate.protocol,
            removal: candidate.removal,
            incarnation: candidate.incarnation,
            passed: false,
            checking: None,
            checks_since: None,
            unusable_since: Some(now),
            leaving: None,
            returned: false,
        }
    }

    pub(super) fn is_of(&self, candidate: &Candidate) -> bool {
        self.protocol == candidate.protocol && self.removal == candidate.removal
    }

    /// Nothing is to be found out about it for now.
    pub(super) fn rest(&mut self) {
        self.checking = None;
        if let Some(endpoint) = &self.endpoint {
            endpoint.end_early();
        }
    }

    /// It was to go by an order, but stays, as far as anybody has heard.
    pub(super) fn comes_back(&mut self) {
        self.leaving = None;
        self.returned = true;
        self.passed = false;
        self.checking = None;
    }

    pub(super) fn start_anew(&mut self, incarnation: u32) {
        self.incarnation = incarnation;
        self.passed = false;
        self.checking = None;
        self.checks_since = None;
    }

    pub(super) fn usable(&self, candidate: &Candidate) -> bool {
        match candidate.standing {
            Standing::Ready => !self.returned || self.passed,
            Standing::Check(_) => self.passed,
            Standing::Wait => false,
        }
    }

    /// Has checks made if there are any to be made, and none any more if there are not.
    pub(super) fn start_checks(&mut self, candidate: &Candidate, now: Timestamp) -> Option<ToCheck> {
        let there;
        let checks = match &candidate.standing {
            Standing::Check(checks) => checks,
            Standing::Ready if self.returned => {
                there = vec![is_there(candidate.identity.address)];
                &there
            }
            standing => {
                self.checking = None;
                if *standing == Standing::Wait {
                    // What Kubernetes has taken back is not to come back by what was found out before.
                    self.passed = false;
                    // In no observation any more: what was made of its early use is over.
                    if let Some(endpoint) = &self.endpoint {
                        endpoint.end_early();
                    }
                }
                return None;
            }
        };
        let since = *self.checks_since.get_or_insert(now);
        if self.passed || self.checking.as_ref().is_some_and(|checking| checking.checks == *checks) {
            return None;
        }
        Some(ToCheck {
            identity: candidate.identity.clone(),
            incarnation: self.incarnation,
            checks: checks.clone(),
            since,
        })
    }

    pub(super) fn endpoint(&mut self, candidate: &Candidate) -> Arc<Endpoint> {
        let make = || {
            let Identity { uid, address } = &candidate.identity;
            let name = if uid.is_empty() { address.to_string().into() } else { uid.clone() };
            Arc::new(Endpoint::new(name, *address).speaking(candidate.protocol).removed(candidate.removal))
        };
        self.endpoint.get_or_insert_with(make).clone()
    }

    /// Whether it is one of these.
    pub(super) fn is_among(&self, endpoints: &[Arc<Endpoint>]) -> bool {
        self.endpoint.as_ref().is_some_and(|own| endpoints.iter().any(|one| Arc::ptr_eq(own, one)))
    }

    /// What keeps it from being used, as far as anybody knows.
    pub(super) fn words(&self, candidate: &Candidate) -> String {
        let last = self.checking.as_ref().and_then(|checking| checking.last.lock().clone());
        match (&candidate.standing, last) {
            (_, Some(last)) => last,
            (Standing::Wait, None) => "Kubernetes does not call it ready".to_owned(),
            (_, None) => "no answer yet".to_owned(),
        }
    }
}

fn is_there(address: SocketAddr) -> Check {
    Check { after: Duration::ZERO, timeout: TIMEOUT, address, try_: Try::TcpSocket }
}

// === impl Checking ===

impl Drop for Checking {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
