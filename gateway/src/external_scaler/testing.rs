//! Apps in a cluster that obeys at once, for tests.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use activator::activity::Demand;
use activator::app::Shared;
use activator::platform::{
    Accepted, AppKey, NotAccepted, Observation, Observer, Order, Platform, SpecReplicas, Subject,
};
use activator::registry::Registry;
use activator::settings::{Hold, Metric, ScaledBy, Scaling, Target};
use activator::{App, AppId, AppSettings, Clock, Endpoint, HoldBudget, Timestamp};
use async_trait::async_trait;
use parking_lot::Mutex;

use super::apps::Apps;
use super::counts::{Alone, Counts};
use super::protocol::ScaledObjectRef;
use super::service::Scaler;
use crate::shutdown::Drain;
use crate::testing::deployment;

/// A gateway without an edge: declared apps, the scale loop, and who asks.
pub(super) struct World {
    pub(super) registry: Arc<Registry>,
    pub(super) scaler: Scaler,
    pub(super) drain: Arc<Drain>,
    pub(super) platform: Arc<Obedient>,
    pub(super) sum: Arc<Sum>,
}

/// The sum, which may be lost.
#[derive(Default)]
pub(super) struct Sum(pub(super) std::sync::atomic::AtomicBool);

/// Does at once what it is told.
#[derive(Default)]
pub(super) struct Obedient {
    subjects: Mutex<HashMap<AppKey, Told>>,
    orders: Mutex<Vec<u32>>,
}

/// Who is told what of an app.
type Told = (Weak<dyn Observer>, Observation);

// === impl World ===

impl World {
    /// Ready, with apps of these names in `default`, each the Deployment `NAME-deployment`.
    pub(super) fn new(names: &[&str]) -> Self {
        let world = Self::starting(names);
        world.drain.set_ready();
        world
    }

    /// The same, not ready yet.
    pub(super) fn starting(names: &[&str]) -> Self {
        let clock = Clock::running();
        let (pokes, poked) = tokio::sync::mpsc::unbounded_channel();
        let budget = HoldBudget::new(1_000, 1 << 20);
        let shared = Arc::new(Shared {
            clock: clock.clone(),
            budget,
            pokes,
            news: None,
            leaving: Default::default(),
            fleet: Default::default(),
        });
        let platform = Arc::new(Obedient::default());
        let registry = Arc::new(Registry::new(shared, platform.clone()));
        let scaler = activator::scaler::Scaler::new(clock.clone(), platform.clone(), poked);
        tokio::spawn(scaler.run(std::future::pending()));
        let (drain, sum) = (Arc::new(Drain::default()), Arc::new(Sum::default()));
        let scaler = Scaler::new(Apps::new(registry.clone()), sum.clone(), clock, drain.clone());
        let world = Self { registry, scaler, drain, platform, sum };
        world.declare(names, |_| {});
        world
    }

    /// Declares these apps and no others.
    pub(super) fn declare(&self, names: &[&str], change: impl Fn(&mut Scaling)) {
        let settings = names.iter().map(|name| {
            let mut settings = settings(name);
            change(Arc::make_mut(&mut settings.scaling));
            (AppId::new("default", *name), settings)
        });
        self.registry.apply(settings.collect::<BTreeMap<_, _>>(), |_| {});
    }

    pub(super) fn app(&self, name: &str) -> Arc<App> {
        self.registry.get(&AppId::new("default", name)).expect("it is declared")
    }

    /// One request that lasts no time at all, once there is a replica.
    pub(super) async fn request(&self, name: &str) {
        drop(self.app(name).enter().hold(100).await.expect("a permit"));
    }
}

/// Its time runs on for so long.
pub(super) async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// A ScaledObject of this name in `default`, with this metadata.
pub(super) fn object(name: &str, metadata: &[(&str, &str)]) -> ScaledObjectRef {
    ScaledObjectRef {
        name: name.to_owned(),
        namespace: "default".to_owned(),
        scaler_metadata: metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
    }
}

fn settings(name: &str) -> AppSettings {
    let target = deployment("default", &format!("{name}-deployment"));
    let scaling = Scaling { by: ScaledBy::Keda, metric: Metric::Concurrency, target: 10.0, ..Scaling::default() };
    AppSettings { target: Target::Scale(Arc::new(target)), scaling: Arc::new(scaling), hold: Hold::default() }
}

// === impl Sum ===

impl Counts for Sum {
    fn demand(&self, app: &App, now: Timestamp) -> Option<Demand> {
        let is_lost = self.0.load(std::sync::atomic::Ordering::Relaxed);
        Alone.demand(app, now).filter(|_| !is_lost)
    }
}

// === impl Obedient ===

impl Obedient {
    /// What it was told, in order.
    pub(super) fn orders(&self) -> Vec<u32> {
        self.orders.lock().clone()
    }

    /// The app's target gets so many replicas, whoever wants it.
    pub(super) fn write(&self, key: AppKey, replicas: u32) -> u64 {
        let mut subjects = self.subjects.lock();
        let (observer, now) = subjects.get_mut(&key).expect("it is observed");
        let version = now.spec.as_ref().map_or(0, |spec| spec.version) + 1;
        now.spec = Some(SpecReplicas { replicas, version, writer: None });
        now.endpoints.truncate(replicas as usize);
        for n in now.endpoints.len()..replicas as usize {
            now.endpoints.push(Arc::new(Endpoint::new(format!("{n}"), ([127, 0, 0, 1], 1).into())));
        }
        let (observer, now) = (observer.upgrade(), now.clone());
        drop(subjects);
        if let Some(observer) = observer {
            observer.observed(now);
        }
        version
    }

    /// The same for the only app.
    pub(super) fn write_only(&self, replicas: u32) {
        let key = *self.subjects.lock().keys().next().expect("there is one");
        self.write(key, replicas);
    }
}

#[async_trait]
impl Platform for Obedient {
    fn observe(&self, subject: Subject) {
        let spec = SpecReplicas { replicas: 0, version: 0, writer: None };
        let asleep = Observation { spec: Some(spec), ..Observation::default() };
        let (key, observer) = (subject.key, subject.observer);
        let mut subjects = self.subjects.lock();
        let now = subjects.entry(key).or_insert((observer.clone(), asleep)).1.clone();
        drop(subjects);
        if let Some(observer) = observer.upgrade() {
            observer.observed(now);
        }
    }

    async fn scale(&self, order: Order) -> Result<Accepted, NotAccepted> {
        self.orders.lock().push(order.replicas);
        Ok(Accepted { version: self.write(order.key, order.replicas) })
    }

    async fn stop(&self) {}
}
