//! What the tests of several modules need: a small gateway without platform, and ways to wait that cannot wait for ever.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::admission::Endpoint;
use crate::app::{App, Permit, Shared};
use crate::clock::Clock;
use crate::fleet::Fleet;
use crate::hold::{HoldBudget, Refusal};
use crate::platform::{
    Accepted, FailureCause, NotAccepted, Observation, Observer, Order, Platform, SpecReplicas, StartFailure, Subject,
};
use crate::settings::{
    AppId, AppSettings, Hold, PortChoice, ProcessSpec, Readiness, ScaleTarget, Scaling, ServicePort, Target,
};

/// Clock, budget and the queue that the scaler would read.
pub(crate) struct World {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pokes: mpsc::UnboundedReceiver<Arc<App>>,
}

impl World {
    pub(crate) fn new(clock: Clock) -> Self {
        Self::with_budget(clock, HoldBudget::new(100_000, 1 << 30))
    }

    /// In a fleet.
    pub(crate) fn in_fleet(clock: Clock, fleet: Fleet) -> Self {
        let (sender, pokes) = mpsc::unbounded_channel();
        let budget = HoldBudget::new(1_000, 1 << 20);
        let shared = Shared { clock, budget, pokes: sender, news: None, leaving: Default::default(), fleet };
        Self { shared: Arc::new(shared), pokes }
    }

    pub(crate) fn with_budget(clock: Clock, budget: Arc<HoldBudget>) -> Self {
        let (sender, pokes) = mpsc::unbounded_channel();
        Self {
            shared: Arc::new(Shared {
                clock,
                budget,
                pokes: sender,
                news: None,
                leaving: Default::default(),
                fleet: Default::default(),
            }),
            pokes,
        }
    }

    pub(crate) fn app(&self, name: &str, settings: AppSettings) -> Arc<App> {
        let app = App::new(AppId::new("default", name), settings, self.shared.clone());
        app.observed(asleep());
        app
    }

    /// Takes what is in the queue, as the scaler does, and returns how many there were.
    pub(crate) fn take_pokes(&mut self) -> usize {
        std::iter::from_fn(|| self.pokes.try_recv().ok()).inspect(|app| app.take_poke()).count()
    }
}

/// Nothing runs, and that is known.
pub(crate) fn asleep() -> Observation {
    Observation { spec: Some(SpecReplicas { replicas: 0, version: 0, writer: None }), ..Observation::default() }
}

/// A platform that does nothing.
pub(crate) struct Nothing;

#[async_trait::async_trait]
impl Platform for Nothing {
    fn observe(&self, _: Subject) {}

    async fn scale(&self, _: Order) -> Result<Accepted, NotAccepted> {
        std::future::pending().await
    }

    async fn stop(&self) {}
}

/// What a platform observes, told by what has changed.
pub(crate) trait Changes {
    fn set_starting(&self, count: u32);
    fn endpoint_ready(&self, endpoint: Arc<Endpoint>);
    fn endpoint_gone(&self, endpoint: &Arc<Endpoint>);
    fn start_failed(&self, failure: StartFailure);
    /// Gives the order that is due, and has it accepted.
    fn obey(&self) -> Option<u32>;
}

impl Changes for Arc<App> {
    fn set_starting(&self, count: u32) {
        self.observed(Observation { starting: count, ..self.last_observation() });
    }

    fn endpoint_ready(&self, endpoint: Arc<Endpoint>) {
        let mut now = self.last_observation();
        now.endpoints.push(endpoint);
        self.observed(Observation { failure: None, ..now });
    }

    fn endpoint_gone(&self, endpoint: &Arc<Endpoint>) {
        let mut now = self.last_observation();
        now.endpoints.retain(|there| !Arc::ptr_eq(there, endpoint));
        self.observed(now);
    }

    fn start_failed(&self, failure: StartFailure) {
        self.observed(Observation { failure: Some(Arc::new(failure)), ..self.last_observation() });
    }

    fn obey(&self) -> Option<u32> {
        let order = self.next_order()?;
        let mut now = self.last_observation();
        let version = now.spec.as_ref().map_or(0, |spec| spec.version) + 1;
        now.spec = Some(SpecReplicas { replicas: order.replicas, version, writer: None });
        now.endpoints.retain(|there| !order.victims.iter().any(|victim| Arc::ptr_eq(victim, there)));
        self.observed(now);
        self.order_accepted(Accepted { version });
        Some(order.replicas)
    }
}

/// An app that is never started for real.
pub(crate) fn settings(scaling: Scaling) -> AppSettings {
    let process = ProcessSpec {
        command: vec!["true".to_owned()],
        env: BTreeMap::new(),
        working_dir: None,
        port: PortChoice::Auto,
        stop_signal: 15,
        stop_grace: Duration::from_secs(1),
        readiness: Readiness::TcpSocket,
        start_timeout: Duration::from_secs(60),
        protocol: Default::default(),
    };
    AppSettings { target: Target::Process(Arc::new(process)), scaling: scaling.into(), hold: Hold::default() }
}

/// An app in a cluster.
pub(crate) fn cluster(scaling: Scaling) -> AppSettings {
    let target = ScaleTarget {
        namespace: "default".into(),
        api_version: "apps/v1".into(),
        kind: "Deployment".into(),
        name: "a".into(),
        service: "a".into(),
        port: ServicePort::Only,
        protocol: None,
        readiness: None,
        early_readiness: true,
        start_timeout: Duration::from_secs(60),
    };
    AppSettings { target: Target::Scale(Arc::new(target)), ..settings(scaling) }
}

/// With a hard limit of `limit` requests each.
pub(crate) fn limited(limit: u32) -> AppSettings {
    settings(Scaling { concurrency_limit: Some(limit), ..Scaling::default() })
}

pub(crate) fn endpoint(name: &str) -> Arc<Endpoint> {
    Arc::new(Endpoint::new(name, ([127, 0, 0, 1], 1).into()))
}

pub(crate) fn failure(retry_after: Duration) -> StartFailure {
    StartFailure {
        cause: FailureCause::Exited { how: "exit code 3".to_owned() },
        output: vec!["no such table".to_owned()],
        retry_after,
    }
}

/// A request that is held by a task of its own.
pub(crate) fn hold(app: &Arc<App>) -> JoinHandle<Result<Permit, Refusal>> {
    tokio::spawn(app.enter().hold(100))
}

/// As many held requests, in line in this order.
pub(crate) async fn hold_many(app: &Arc<App>, count: usize) -> Vec<JoinHandle<Result<Permit, Refusal>>> {
    let before = app.held();
    let held: Vec<_> = (0..count).map(|_| hold(app)).collect();
    until("all are in line", || app.held() == before + count).await;
    held
}

/// Lets other tasks run until `condition` holds; time stands still meanwhile if it is paused.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..100_000 {
        if condition() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("never came: {what}");
}

/// Lets every task run that can, on a runtime of one thread.
pub(crate) async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}
