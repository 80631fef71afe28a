//! One run of the gateway: from its start to its end, which may come without warning.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use super::api;
use super::cluster::Cluster;
use super::fleet::Seat;
use super::objects::{NAME, NAMESPACE};
use crate::app::{App, Shared};
use crate::fleet::Fleet;
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
    number: u32,
    name: Arc<str>,
    cluster: Arc<Cluster>,
    tasks: Vec<JoinHandle<()>>,
    registry: Registry,
}

// === impl Gateway ===

impl Gateway {
    /// Starts in `cluster`; whatever ran there under this name is dead.
    pub(super) fn start(cluster: &Arc<Cluster>, settings: AppSettings, name: &Arc<str>) -> Self {
        let number = {
            let mut state = cluster.state();
            state.last_gateway += 1;
            let number = state.last_gateway;
            state.gateways.insert(number, 0);
            number
        };
        let shares = cluster.kind.gateways > 1;
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
            fleet: if shares { Fleet::of(name.clone(), number.into()) } else { Fleet::alone() },
        });
        let registry = Registry::new(shared.clone(), platform.clone());
        let id = AppId::new(NAMESPACE, NAME);
        registry.apply([(id.clone(), settings)], |_| {});
        let app = registry.get(&id).expect("just declared");
        let mut tasks = vec![tokio::spawn(Scaler::new(clock, platform, poked).run(std::future::pending()))];
        if shares {
            let seat = Seat { name: name.clone(), shared, app: app.clone() };
            cluster.state().seats.insert(number, seat);
            cluster.list_gateway(name, false);
            tasks.push(tokio::spawn(cluster.clone().share(number)));
            tasks.push(tokio::spawn(cluster.clone().elect(number)));
        }
        let (name, cluster) = (name.clone(), cluster.clone());
        Self { app, budget, requests: JoinSet::new(), number, name, cluster, tasks, registry }
    }

    /// Waits until it knows all others, ten seconds at most; then it is sent requests.
    pub(super) async fn join(&self) {
        let fleet = &self.registry.shared().fleet;
        for _ in 0..100 {
            if fleet.has_joined(self.cluster.clock.now()) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        if fleet.is_shared() {
            self.cluster.list_gateway(&self.name, true);
        }
    }

    /// It is told to end: it is sent nothing any more, finishes what it has, and says farewell.
    pub(super) async fn leave(mut self) {
        self.cluster.list_gateway(&self.name, false);
        self.registry.leave();
        let all = async { while self.requests.join_next().await.is_some() {} };
        if tokio::time::timeout(Duration::from_secs(60), all).await.is_ok() {
            self.cluster.say_farewell(self.number);
        }
    }
}

impl Drop for Gateway {
    /// Dies with everything it has.
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.requests.abort_all();
        let mut state = self.cluster.state();
        state.gateways.remove(&self.number);
        state.seats.remove(&self.number);
    }
}
