//! One run of the gateway: from its start to its end, which may come without warning.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use super::api;
use super::cluster::Cluster;
use super::objects::{NAME, NAMESPACE};
use crate::app::{App, Shared};
use crate::hold::HoldBudget;
use crate::platform::kubernetes::client::Clients;
use crate::platform::kubernetes::{KubernetesOptions, KubernetesPlatform};
use crate::registry::Registry;
use crate::scaler::Scaler;
use crate::settings::{AppId, AppSettings};

/// A gateway that runs.
pub(super) struct Gateway {
    pub(super) app: Arc<App>,
    pub(super) budget: Arc<HoldBudget>,
    /// What it is doing for clients.
    pub(super) requests: JoinSet<()>,
    scaler: JoinHandle<()>,
    _registry: Registry,
}

// === impl Gateway ===

impl Gateway {
    /// Starts in `cluster`; whatever ran there before is dead.
    pub(super) fn start(cluster: &Arc<Cluster>, settings: AppSettings) -> Self {
        let number = {
            let mut state = cluster.state();
            state.gateway += 1;
            state.told = 0;
            state.gateway
        };
        let clock = cluster.clock.clone();
        let clients = Clients::over(api::client(cluster, number));
        let options = KubernetesOptions::default();
        let platform = Arc::new(KubernetesPlatform::probing(clients, &options, clock.clone(), cluster.clone()));
        let (pokes, poked) = mpsc::unbounded_channel();
        let budget = HoldBudget::new(1_000, 1 << 20);
        let shared = Arc::new(Shared {
            clock: clock.clone(),
            budget: budget.clone(),
            pokes,
            news: None,
            leaving: AtomicBool::new(false),
            fleet: Default::default(),
        });
        let registry = Registry::new(shared, platform.clone());
        let id = AppId::new(NAMESPACE, NAME);
        registry.apply([(id.clone(), settings)], |_| {});
        let app = registry.get(&id).expect("just declared");
        let scaler = tokio::spawn(Scaler::new(clock, platform, poked).run(std::future::pending()));
        Self { app, budget, requests: JoinSet::new(), scaler, _registry: registry }
    }
}

impl Drop for Gateway {
    /// Dies with everything it has.
    fn drop(&mut self) {
        self.scaler.abort();
        self.requests.abort_all();
    }
}
