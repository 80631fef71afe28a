//! What `/v1/fleet` shows.

use std::sync::Arc;

use activator::app::Shared;
use activator::fleet::Lead;
use serde::Serialize;

use super::Handle;

/// What `/v1/fleet` shows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// This gateway's pod.
    name: Arc<str>,
    /// Whether it decides for all.
    leads: bool,
    /// Which one does; null as long as that is not known here.
    leader: Option<Arc<str>>,
    /// Whether it is known what all of them count.
    knows_all: bool,
    /// Other gateways that are heard, and that are not, or not any more.
    heard: usize,
    lost: usize,
    /// Null as long as it is not known who there is.
    others: Option<Vec<OtherView>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OtherView {
    name: Arc<str>,
    address: Option<String>,
    /// Whether the cluster calls it ready.
    ready: bool,
    /// Whether it is told what is counted here.
    linked: bool,
}

// === impl Handle ===

impl Handle {
    /// How it stands.
    pub fn view(&self) -> View {
        let Shared { fleet, clock, .. } = &**self.registry.shared();
        let now = clock.now();
        let known = fleet.known(now);
        let leader = match &*self.lead.borrow() {
            Lead::Nobody => None,
            Lead::Mine { .. } => Some(self.membership.pod.clone()),
            Lead::Other(name) => Some(name.clone()),
        };
        let others = self.known.all().into_iter().map(|(name, other)| OtherView {
            name,
            address: other.address.map(|address| address.to_string()),
            ready: other.ready,
            linked: other.is_linked(),
        });
        View {
            name: self.membership.pod.clone(),
            leads: fleet.decides(now),
            leader,
            knows_all: fleet.knows_all(now),
            heard: known.heard,
            lost: known.lost,
            others: known.listed.then(|| others.collect()),
        }
    }
}
