//! What `/v1/fleet` shows.

use std::collections::BTreeMap;
use std::sync::Arc;

use activator::app::Shared;
use activator::fleet::{Lead, Standing};
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
    /// `heard`: it is known what it counts; `lost`: not yet, or not any more; `gone`: it has said farewell or is taken to be dead.
    state: &'static str,
    /// How long ago it was heard last; null if that is not so yet, or not any more.
    silent_for_ms: Option<u64>,
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
        let standing: BTreeMap<_, _> = fleet.others(now).into_iter().map(|one| (one.name.clone(), one)).collect();
        let others = self.known.all().into_iter().map(|(name, other)| {
            let seen = standing.get(&name);
            let silent_for = seen.and_then(|seen| seen.silent_for);
            OtherView {
                name,
                address: other.address.map(|address| address.to_string()),
                ready: other.ready,
                linked: other.is_linked(),
                state: seen.map_or(Standing::Lost, |seen| seen.standing).label(),
                silent_for_ms: silent_for.map(|silent| u64::try_from(silent.as_millis()).unwrap_or(u64::MAX)),
            }
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
