//! A platform that starts nothing but behaves as if it did, and minds what it is told.

use std::collections::VecDeque;
use std::sync::Weak;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::*;
use crate::admission::Endpoint;
use crate::admission::removal::Removal;
use crate::platform::{AppKey, Condition, Observation, Observer, Order, SpecReplicas, Subject};
use crate::testing::{asleep, failure};

/// How a scale call goes.
pub(super) enum Answer {
    /// Accepted after this long.
    After(Duration),
    /// Refused for good, with this long until it is worth another try.
    Refused(Duration),
    /// Refused for now.
    Busy,
    /// None, ever, and no effect.
    Never,
}

/// For one app.
pub(super) struct Fake {
    clock: Clock,
    /// Every scale call and when it came.
    calls: Mutex<Vec<(u32, Timestamp)>>,
    /// How the next calls go; those after them are accepted at once.
    pub(super) script: Mutex<VecDeque<Answer>>,
    start_time: Duration,
    /// How many of the next starts fail, after the start time.
    pub(super) failing_starts: AtomicU32,
    /// How often it was told what to observe.
    pub(super) subjects: AtomicU32,
    /// What serves beside the target's replicas while there are to be any.
    pub(super) beside: Mutex<Vec<Arc<Endpoint>>>,
    state: Mutex<State>,
    calls_under_way: AtomicU32,
}

#[derive(Default)]
struct State {
    observer: Option<Weak<dyn Observer>>,
    now: Observation,
    started: u32,
}

impl Fake {
    pub(super) fn new(start_time: Duration) -> Arc<Self> {
        Self::with(start_time, asleep())
    }

    /// Where `first` is the case in the beginning.
    pub(super) fn with(start_time: Duration, first: Observation) -> Arc<Self> {
        Arc::new(Self {
            clock: Clock::running(),
            calls: Mutex::default(),
            script: Mutex::default(),
            start_time,
            failing_starts: AtomicU32::new(0),
            subjects: AtomicU32::new(0),
            beside: Mutex::default(),
            state: Mutex::new(State { now: first, ..State::default() }),
            calls_under_way: AtomicU32::new(0),
        })
    }

    /// What it was told, in order.
    pub(super) fn orders(&self) -> Vec<u32> {
        self.calls.lock().iter().map(|(replicas, _)| *replicas).collect()
    }

    /// When the orders came.
    pub(super) fn order_times(&self) -> Vec<Timestamp> {
        self.calls.lock().iter().map(|(_, at)| *at).collect()
    }

    /// When the last order came.
    pub(super) fn last_order_at(&self) -> Timestamp {
        self.calls.lock().last().expect("it was told something").1
    }

    pub(super) fn ready(&self) -> usize {
        self.state.lock().now.endpoints.len()
    }

    /// One replica dies and, since it is still wanted, is replaced.
    pub(super) fn crash(self: &Arc<Self>) {
        self.change(|now| {
            now.endpoints.pop().expect("one runs");
            now.starting += 1;
        });
        tokio::spawn(self.clone().start());
    }

    /// Somebody else writes the number, and it is carried out.
    pub(super) fn overwrite(self: &Arc<Self>, replicas: u32) {
        self.overwrite_as(replicas, "somebody");
    }

    /// The same by somebody of this name.
    pub(super) fn overwrite_as(self: &Arc<Self>, replicas: u32, name: &str) {
        self.carry_out(replicas, Some(name.into()));
    }

    /// What is the case changes, and is told.
    pub(super) fn change(&self, change: impl FnOnce(&mut Observation)) {
        let mut state = self.state.lock();
        change(&mut state.now);
        if let Some(observer) = state.observer.as_ref().and_then(Weak::upgrade) {
            observer.observed(state.now.clone());
        }
    }

    fn carry_out(self: &Arc<Self>, wanted: u32, writer: Option<Arc<str>>) -> u64 {
        let (mut version, mut more) = (0, 0);
        self.change(|now| {
            version = now.spec.as_ref().map_or(0, |spec| spec.version) + 1;
            now.spec = Some(SpecReplicas { replicas: wanted, version, writer });
            let mut own = std::mem::take(&mut now.endpoints);
            own.retain(|endpoint| endpoint.removal() != Removal::Never);
            // Those that are closed and empty go first, as the order says; or those of the highest rank, whatever it says.
            own.sort_by_key(|endpoint| match endpoint.removal() {
                Removal::Ranked(rank) => (false, rank),
                _ => (endpoint.is_closed(), 0),
            });
            own.truncate(wanted as usize);
            let starting = wanted.saturating_sub(own.len() as u32);
            now.endpoints = own;
            if wanted > 0 {
                now.endpoints.extend(self.beside.lock().iter().cloned());
            }
            more = starting.saturating_sub(now.starting);
            now.starting = starting;
        });
        (0..more).for_each(|_| drop(tokio::spawn(self.clone().start())));
        version
    }

    async fn start(self: Arc<Self>) {
        tokio::time::sleep(self.start_time).await;
        let fails = {
            let mut state = self.state.lock();
            if state.now.starting == 0 {
                // Called off meanwhile.
                return;
            }
            state.started += 1;
            self.failing_starts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
        };
        let started = self.state.lock().started;
        self.change(|now| {
            now.starting -= 1;
            if fails {
                now.failure = Some(Arc::new(failure(Duration::from_secs(5))));
            } else {
                now.failure = None;
                now.endpoints.push(crate::testing::endpoint(&started.to_string()));
            }
        });
    }
}

/// The handle that the scaler gets: a platform's methods take `&self`, starts outlive them.
pub(super) struct FakePlatform(pub(super) Arc<Fake>);

#[async_trait]
impl Platform for FakePlatform {
    fn observe(&self, subject: Subject) {
        self.0.subjects.fetch_add(1, Ordering::Relaxed);
        self.0.state.lock().observer = Some(subject.observer);
        self.0.change(|_| {});
    }

    async fn scale(&self, order: Order) -> Result<Accepted, NotAccepted> {
        let fake = &self.0;
        fake.calls.lock().push((order.replicas, fake.clock.now()));
        struct UnderWay<'a>(&'a AtomicU32);
        impl Drop for UnderWay<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let others = fake.calls_under_way.fetch_add(1, Ordering::SeqCst);
        let _under_way = UnderWay(&fake.calls_under_way);
        assert_eq!(others, 0, "two calls at once could arrive in any order");
        for victim in &order.victims {
            assert!(victim.is_closed() && victim.in_flight() == 0, "{victim:?} is not ready to go");
        }
        let answer = fake.script.lock().pop_front();
        let cause = FailureCause::ApiServer { why: "as scripted".into() };
        match answer {
            Some(Answer::Refused(pause)) => {
                return Err(NotAccepted { cause, in_doubt: false, passing: false, retry_after: Some(pause) });
            }
            Some(Answer::Busy) => {
                return Err(NotAccepted { cause, in_doubt: false, passing: true, retry_after: None });
            }
            Some(Answer::Never) => std::future::pending().await,
            Some(Answer::After(time)) => tokio::time::sleep(time).await,
            None => {}
        }
        let spec = fake.state.lock().now.spec.clone();
        let holds = match order.condition {
            Condition::Always => true,
            Condition::UnchangedSince(version) => spec.is_some_and(|spec| spec.version == version),
            Condition::StillZero(_) => spec.is_some_and(|spec| spec.replicas == 0),
        };
        if !holds {
            let cause = FailureCause::ApiServer { why: "a conflict".into() };
            return Err(NotAccepted { cause, in_doubt: false, passing: true, retry_after: None });
        }
        Ok(Accepted { version: fake.carry_out(order.replicas, None) })
    }

    async fn stop(&self) {}
}

/// Starts and stops at once, for any number of apps.
#[derive(Default)]
pub(super) struct AtOnce(Mutex<HashMap<AppKey, Told>>);

/// Who was told what.
type Told = (Weak<dyn Observer>, Observation);

#[async_trait]
impl Platform for AtOnce {
    fn observe(&self, subject: Subject) {
        if let Some(observer) = subject.observer.upgrade() {
            observer.observed(asleep());
        }
        self.0.lock().insert(subject.key, (subject.observer, asleep()));
    }

    async fn scale(&self, order: Order) -> Result<Accepted, NotAccepted> {
        let mut apps = self.0.lock();
        let (observer, now) = apps.get_mut(&order.key).expect("observed");
        let version = now.spec.as_ref().map_or(0, |spec| spec.version) + 1;
        now.spec = Some(SpecReplicas { replicas: order.replicas, version, writer: None });
        now.endpoints.sort_by_key(|endpoint| endpoint.is_closed());
        now.endpoints.resize_with(order.replicas as usize, || crate::testing::endpoint(&version.to_string()));
        if let Some(observer) = observer.upgrade() {
            observer.observed(now.clone());
        }
        Ok(Accepted { version })
    }

    async fn stop(&self) {}
}
