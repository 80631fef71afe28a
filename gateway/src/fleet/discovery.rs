//! Who the other gateways are, by the EndpointSlices of their headless Service. Pure.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use activator::platform::kubernetes::watch::Change;
use k8s_openapi::api::discovery::v1::EndpointSlice;

/// The port's name, where there are several.
const PORT: &str = "fleet";

/// What is kept of an EndpointSlice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slice {
    name: String,
    port: Option<u16>,
    pods: Vec<Pod>,
}

/// A gateway, as the cluster lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pod {
    pub(super) name: Arc<str>,
    /// Where it is told what is counted here; `None` if its port is not known.
    pub(super) address: Option<SocketAddr>,
    /// It serves, and is not told to go.
    pub(super) ready: bool,
}

/// All EndpointSlices of the Service.
#[derive(Debug, Default)]
pub(super) struct Slices(BTreeMap<String, Slice>);

// === impl Slice ===

impl Slice {
    /// What is kept of `slice`.
    pub(super) fn of(slice: EndpointSlice) -> Self {
        let ports = slice.ports.unwrap_or_default();
        let named = ports.iter().find(|port| port.name.as_deref() == Some(PORT));
        let port = named.or(ports.first()).and_then(|port| port.port);
        let port = port.and_then(|port| u16::try_from(port).ok());
        let pods = slice.endpoints.into_iter().filter_map(|endpoint| {
            let name = endpoint.target_ref?.name?.into();
            let ip: IpAddr = endpoint.addresses.first()?.parse().ok()?;
            let conditions = endpoint.conditions.unwrap_or_default();
            // With publishNotReadyAddresses all are called ready.
            let serving = conditions.serving.or(conditions.ready).unwrap_or(true);
            let ready = serving && !conditions.terminating.unwrap_or(false);
            Some(Pod { name, address: port.map(|port| SocketAddr::new(ip, port)), ready })
        });
        Self { name: slice.metadata.name.unwrap_or_default(), port, pods: pods.collect() }
    }
}

// === impl Slices ===

impl Slices {
    /// Takes what the watch has brought.
    pub(super) fn take(&mut self, change: Change<Slice>) {
        match change {
            Change::Applied(slice) => {
                self.0.insert(slice.name.clone(), slice);
            }
            Change::Deleted(slice) => {
                self.0.remove(&slice.name);
            }
            Change::Restarted(all) => self.0 = all.into_iter().map(|slice| (slice.name.clone(), slice)).collect(),
            // What there is comes next.
            Change::SetBack => {}
        }
    }

    /// All gateways, each once; `None` if `me` is not among them: then this is no list of the gateways, but one that is still to
    /// come, or of another Service, or of one that was deleted.
    pub(super) fn all(&self, me: &str) -> Option<Vec<Pod>> {
        let mut all: BTreeMap<Arc<str>, Pod> = BTreeMap::new();
        for pod in self.0.values().flat_map(|slice| &slice.pods) {
            // One may be in two slices, while it moves from one to the other, or has addresses of two families.
            let known = all.entry(pod.name.clone()).or_insert_with(|| pod.clone());
            known.ready |= pod.ready;
            known.address = known.address.or(pod.address);
        }
        all.contains_key(me).then(|| all.into_values().collect())
    }
}

#[cfg(test)]
mod tests;
