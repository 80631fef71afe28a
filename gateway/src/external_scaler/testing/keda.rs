//! One who does what KEDA's operator does, for what the real one takes too long for. For each ScaledObject it asks in turns and
//! listens, and does both under one lock; it goes by what it remembers of replicas, and all its calls of the API server together
//! have a budget.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use activator::platform::AppKey;
use activator::{AppId, Clock, Timestamp};
use futures_util::StreamExt;
use parking_lot::Mutex;
use tonic::{Request, Status};

use super::{World, object};
use crate::external_scaler::protocol::external_scaler_server::ExternalScaler;
use crate::external_scaler::protocol::{GetMetricsRequest, ScaledObjectRef};

/// Its client of the API server makes a call each 50 ms, and up to 30 ahead.
const CALL_EACH: Duration = Duration::from_millis(50);
const BURST: u32 = 30;
/// How long a call takes.
const CALL: Duration = Duration::from_millis(5);
/// Pauses between streams that end with errors.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LAST_PAUSE: Duration = Duration::from_secs(60);

/// How it is set up, and what goes wrong.
#[derive(Debug, Clone, Copy)]
pub(in crate::external_scaler) struct Plan {
    pub(in crate::external_scaler) polling: Duration,
    pub(in crate::external_scaler) cooldown: Duration,
    /// How old what it remembers of replicas is.
    pub(in crate::external_scaler) stale: Duration,
    /// How long an answer may be on its way that is late, which one of fifty is.
    pub(in crate::external_scaler) late: Duration,
    /// How long a connection lasts on which it listens.
    pub(in crate::external_scaler) connected: Duration,
}

/// What it has done so far.
#[derive(Debug, Default)]
pub(in crate::external_scaler) struct Done {
    pub(in crate::external_scaler) pushes: AtomicUsize,
    pub(in crate::external_scaler) streams: AtomicUsize,
    pub(in crate::external_scaler) zeros: AtomicUsize,
    pub(in crate::external_scaler) ones: AtomicUsize,
    pub(in crate::external_scaler) errors: AtomicUsize,
}

/// Operator of so many ScaledObjects.
pub(in crate::external_scaler) struct Keda {
    world: Arc<World>,
    clock: Clock,
    plan: Plan,
    /// When the next call may be made.
    next_call: Mutex<Timestamp>,
    pub(in crate::external_scaler) done: Done,
}

/// A ScaledObject. Whoever decides on it has the lock, and knows when it was active the last time.
struct Scaled {
    app: AppKey,
    object: ScaledObjectRef,
    metric: String,
    last_active: tokio::sync::Mutex<Option<Timestamp>>,
}

// === impl Plan ===

impl Default for Plan {
    /// As `zerogate keda` prints it, and nothing goes wrong.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        let (stale, connected) = (Duration::from_millis(100), Duration::MAX);
        Self { polling: seconds(30), cooldown: seconds(60), stale, late: Duration::ZERO, connected }
    }
}

// === impl Keda ===

impl Keda {
    /// Has a ScaledObject for each of these apps.
    pub(in crate::external_scaler) fn start(world: &Arc<World>, names: &[&str], plan: Plan) -> Arc<Self> {
        let clock = world.scaler.0.clock.clone();
        let keda = Self { world: world.clone(), clock, plan, next_call: Mutex::default(), done: Done::default() };
        let keda = Arc::new(keda);
        for name in names {
            let polling = plan.polling.as_secs().to_string();
            let scaled = Arc::new(Scaled {
                app: world.platform.key(&AppId::new("default", *name)),
                object: object(name, &[("pollingInterval", &polling)]),
                metric: format!("zerogate-concurrency-{name}"),
                last_active: Default::default(),
            });
            tokio::spawn(keda.clone().poll(scaled.clone()));
            tokio::spawn(keda.clone().listen(scaled));
        }
        keda
    }

    async fn poll(self: Arc<Self>, scaled: Arc<Scaled>) {
        // Those of one moment are not made at one moment.
        tokio::time::sleep(self.plan.polling.mul_f64(fastrand::f64())).await;
        let mut turns = tokio::time::interval(self.plan.polling);
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            let mut last_active = scaled.last_active.lock().await;
            match self.ask(&scaled).await {
                Ok(active) => self.scale(&scaled, active, &mut last_active).await,
                // Nothing is changed.
                Err(_) => _ = self.done.errors.fetch_add(1, Ordering::Relaxed),
            }
        }
    }

    async fn ask(&self, scaled: &Scaled) -> Result<bool, Status> {
        let scaler = &self.world.scaler;
        let (object, metric_name) = (Some(scaled.object.clone()), scaled.metric.clone());
        scaler.get_metrics(Request::new(GetMetricsRequest { scaled_object_ref: object, metric_name })).await?;
        let active = scaler.is_active(Request::new(scaled.object.clone())).await?.into_inner().result;
        if !self.plan.late.is_zero() && fastrand::u8(..50) == 0 {
            tokio::time::sleep(self.plan.late.mul_f64(fastrand::f64())).await;
        }
        Ok(active)
    }

    async fn listen(self: Arc<Self>, scaled: Arc<Scaled>) {
        let mut pause = FIRST_PAUSE;
        loop {
            self.done.streams.fetch_add(1, Ordering::Relaxed);
            let opened = self.world.scaler.stream_is_active(Request::new(scaled.object.clone())).await;
            let lasts = tokio::time::sleep(self.plan.connected.min(Duration::from_secs(1 << 24)));
            tokio::pin!(lasts);
            let mut stream = opened.ok().map(|opened| opened.into_inner());
            while let Some(open) = &mut stream {
                let message = tokio::select! {
                    message = open.next() => message,
                    () = &mut lasts => break,
                };
                match message {
                    Some(Ok(message)) => {
                        assert!(message.result, "never that it is not active");
                        self.done.pushes.fetch_add(1, Ordering::Relaxed);
                        let mut last_active = scaled.last_active.lock().await;
                        self.scale(&scaled, true, &mut last_active).await;
                    }
                    Some(Err(_)) => break,
                    None => {
                        pause = FIRST_PAUSE;
                        break;
                    }
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// Its executor.
    async fn scale(&self, scaled: &Scaled, active: bool, last_active: &mut Option<Timestamp>) {
        let now = self.clock.now();
        let remembered = Timestamp::from_nanos(now.as_nanos().saturating_sub(self.plan.stale.as_nanos() as u64));
        let current = self.world.platform.replicas_at(scaled.app, remembered);
        let cool = last_active.is_none_or(|at| now.since(at) > self.plan.cooldown);
        let changed = match (active, current) {
            (true, 0) => self.write(scaled, 1).await,
            (true, _) => true,
            (false, 1..) if cool => {
                self.write(scaled, 0).await;
                self.call().await;
                false
            }
            (false, _) => false,
        };
        if changed {
            *last_active = Some(self.clock.now());
            self.call().await;
        }
    }

    /// Whatever the number is by then, unless it changes between this one's own two calls.
    async fn write(&self, scaled: &Scaled, replicas: u32) -> bool {
        let platform = &self.world.platform;
        self.call().await;
        let version = platform.version(scaled.app);
        self.call().await;
        if platform.version(scaled.app) != version {
            return false;
        }
        platform.write(scaled.app, replicas);
        let written = if replicas == 0 { &self.done.zeros } else { &self.done.ones };
        written.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Waits for its turn.
    async fn call(&self) {
        let at = {
            let (mut next, now) = (self.next_call.lock(), self.clock.now());
            let ahead = now.as_nanos().saturating_sub((CALL_EACH * BURST).as_nanos() as u64);
            *next = (*next).max(Timestamp::from_nanos(ahead)) + CALL_EACH;
            *next
        };
        tokio::time::sleep_until(self.clock.instant(at)).await;
        tokio::time::sleep(CALL).await;
    }
}
