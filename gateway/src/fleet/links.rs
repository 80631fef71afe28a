//! Links to all other gateways that the cluster lists.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use activator::app::Shared;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::discovery::Pod;
use super::link::Link;
use super::tls::Tls;

/// Most other gateways that are told anything. Of more than that not everything is known, and nothing is lowered.
const MOST: usize = 64;

/// One for each gateway that is listed, but for ourselves.
pub(super) struct Links {
    name: Arc<str>,
    shared: Arc<Shared>,
    tls: Option<Arc<Tls>>,
    ending: watch::Receiver<bool>,
    /// To whom they are, for those who ask.
    known: Arc<Known>,
    tasks: JoinSet<()>,
    aborts: BTreeMap<Arc<str>, (SocketAddr, AbortHandle)>,
}

/// Which other gateways there are, by their pods.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<BTreeMap<Arc<str>, Other>>);

/// Another gateway.
#[derive(Debug, Clone)]
pub(super) struct Other {
    pub(super) address: Option<SocketAddr>,
    pub(super) ready: bool,
    stands: Arc<AtomicBool>,
}

// === impl Links ===

impl Links {
    /// None yet, of the gateway `name`. Each says farewell when `ending` is set.
    pub(super) fn new(
        name: Arc<str>,
        shared: Arc<Shared>,
        tls: Option<Arc<Tls>>,
        ending: watch::Receiver<bool>,
        known: Arc<Known>,
    ) -> Self {
        Self { name, shared, tls, ending, known, tasks: JoinSet::new(), aborts: BTreeMap::new() }
    }

    /// These are all the gateways there are. Within a runtime.
    pub(super) fn set(&mut self, all: &[Pod]) {
        let others = || all.iter().filter(|pod| pod.name != self.name);
        if others().count() > MOST {
            tracing::error!(
                "there are more than {MOST} other gateways; those beyond that are told nothing, and no app sleeps"
            );
        }
        let others: BTreeMap<_, _> = others().take(MOST).map(|pod| (pod.name.clone(), pod)).collect();
        let mut known = self.known.0.lock();
        known.retain(|name, _| others.contains_key(name));
        self.aborts.retain(|name, (address, task)| {
            let stays = others.get(name).is_some_and(|pod| pod.address == Some(*address));
            if !stays {
                task.abort();
            }
            stays
        });
        for (name, pod) in others {
            let other = known.entry(name.clone()).or_insert_with(Other::unknown);
            (other.address, other.ready) = (pod.address, pod.ready);
            let Some(address) = pod.address.filter(|_| !self.aborts.contains_key(&name)) else { continue };
            // What an aborted one says when it goes is no business of the new one.
            other.stands = Arc::default();
            let link = Link {
                name: name.clone(),
                address,
                shared: self.shared.clone(),
                tls: self.tls.clone(),
                ending: self.ending.clone(),
                stands: other.stands.clone(),
            };
            self.aborts.insert(name, (address, self.tasks.spawn(link.keep())));
        }
        drop(known);
        while self.tasks.try_join_next().is_some() {}
    }

    /// Waits until all have ended, which they do once `ending` is set.
    pub(super) async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

// === impl Known ===

impl Known {
    /// All, by name.
    pub(super) fn all(&self) -> BTreeMap<Arc<str>, Other> {
        self.0.lock().clone()
    }
}

// === impl Other ===

impl Other {
    fn unknown() -> Self {
        Self { address: None, ready: false, stands: Arc::default() }
    }

    /// Whether it is told what is counted here.
    pub(super) fn is_linked(&self) -> bool {
        self.stands.load(Ordering::Acquire)
    }
}
