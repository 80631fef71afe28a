//! A platform that starts nothing but behaves as if it did, and minds what it is told.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::*;
use crate::admission::Endpoint;
use crate::testing::failure;

/// How a scale call goes.
pub(super) enum Answer {
    /// Accepted after this long.
    After(Duration),
    /// Refused, with this long until it is worth another try.
    Refused(Duration),
    /// None, ever.
    Never,
}

/// For one app.
pub(super) struct Fake {
    /// Every scale call and when it came.
    calls: Mutex<Vec<(u32, Timestamp)>>,
    /// How the next calls go; those after them are accepted at once.
    pub(super) script: Mutex<VecDeque<Answer>>,
    start_time: Duration,
    /// How many of the next starts fail, after the start time.
    pub(super) failing_starts: AtomicU32,
    replicas: Mutex<Replicas>,
    calls_under_way: AtomicU32,
}

#[derive(Default)]
struct Replicas {
    starting: u32,
    ready: Vec<Arc<Endpoint>>,
    started: u32,
}

impl Fake {
    pub(super) fn new(start_time: Duration) -> Arc<Self> {
        Arc::new(Self {
            calls: Mutex::default(),
            script: Mutex::default(),
            start_time,
            failing_starts: AtomicU32::new(0),
            replicas: Mutex::default(),
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
        self.replicas.lock().ready.len()
    }

    /// One replica dies and, since it is still wanted, is replaced.
    pub(super) fn crash(self: &Arc<Self>, app: &Arc<App>) {
        let mut replicas = self.replicas.lock();
        app.endpoint_gone(&replicas.ready.pop().expect("one runs"));
        replicas.starting += 1;
        app.set_starting(replicas.starting);
        tokio::spawn(self.clone().start(app.clone()));
    }

    fn carry_out(self: &Arc<Self>, app: &Arc<App>, wanted: u32) {
        let mut replicas = self.replicas.lock();
        let ready = replicas.ready.len() as u32;
        let before = replicas.starting;
        replicas.starting = wanted.saturating_sub(ready);
        app.set_starting(replicas.starting);
        for _ in before..replicas.starting {
            tokio::spawn(self.clone().start(app.clone()));
        }
        while replicas.ready.len() as u32 > wanted {
            let gone = replicas.ready.pop().expect("more than wanted");
            app.endpoint_gone(&gone);
        }
    }

    async fn start(self: Arc<Self>, app: Arc<App>) {
        tokio::time::sleep(self.start_time).await;
        let mut replicas = self.replicas.lock();
        if replicas.starting == 0 {
            // Called off meanwhile.
            return;
        }
        replicas.starting -= 1;
        replicas.started += 1;
        app.set_starting(replicas.starting);
        if self.failing_starts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
            app.start_failed(failure(Duration::from_secs(5)));
            return;
        }
        let endpoint = crate::testing::endpoint(&replicas.started.to_string());
        replicas.ready.push(endpoint.clone());
        app.endpoint_ready(endpoint);
    }
}

/// The handle that the scaler gets: a platform's methods take `&self`, starts outlive them.
pub(super) struct FakePlatform(pub(super) Arc<Fake>);

#[async_trait]
impl Platform for FakePlatform {
    async fn scale(&self, app: &Arc<App>, replicas: u32) -> Result<(), StartFailure> {
        let fake = &self.0;
        fake.calls.lock().push((replicas, app.clock().now()));
        struct UnderWay<'a>(&'a AtomicU32);
        impl Drop for UnderWay<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let others = fake.calls_under_way.fetch_add(1, Ordering::SeqCst);
        let _under_way = UnderWay(&fake.calls_under_way);
        assert_eq!(others, 0, "two calls at once could arrive in any order");
        let answer = fake.script.lock().pop_front();
        match answer {
            Some(Answer::Refused(retry_after)) => return Err(failure(retry_after)),
            Some(Answer::Never) => std::future::pending().await,
            Some(Answer::After(time)) => tokio::time::sleep(time).await,
            None => {}
        }
        fake.carry_out(app, replicas);
        Ok(())
    }

    async fn stop(&self) {}
}

/// Starts and stops at once, for any number of apps.
#[derive(Default)]
pub(super) struct AtOnce(AtomicU32);

#[async_trait]
impl Platform for AtOnce {
    async fn scale(&self, app: &Arc<App>, replicas: u32) -> Result<(), StartFailure> {
        app.set_starting(0);
        let have = app.endpoints();
        have.iter().skip(replicas as usize).for_each(|e| app.endpoint_gone(e));
        for _ in have.len()..replicas as usize {
            app.endpoint_ready(crate::testing::endpoint(&self.0.fetch_add(1, Ordering::Relaxed).to_string()));
        }
        Ok(())
    }

    async fn stop(&self) {}
}
