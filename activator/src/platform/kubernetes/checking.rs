//! Makes checks, over and over until they pass.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc};

use super::message::Message;
use super::state::{Check, Try};
use super::tracked::{Checking, ToCheck};
use crate::clock::Clock;
use crate::platform::contract::AppKey;
use crate::platform::readiness::{Action, PodCheck, Probe};
use crate::settings::Readiness;

/// The pause between two tries of one check.
const EVERY: Duration = Duration::from_millis(10);
/// The same once it has been tried for `SLOW_START`.
const SELDOM: Duration = Duration::from_millis(100);
const SLOW_START: Duration = Duration::from_secs(60);
/// Most tries at the same time.
const AT_ONCE: usize = 512;

/// Makes the checks of all apps.
pub(super) struct Checker {
    clock: Clock,
    prober: Arc<dyn Prober>,
    at_once: Arc<Semaphore>,
    passed: mpsc::Sender<Message>,
}

/// Tries once what a check says.
#[async_trait]
pub(crate) trait Prober: Send + Sync + 'static {
    /// Whether it passes; if not, what it met.
    async fn probe(&self, check: &Check) -> Result<(), String>;
}

/// Tries it at the pod.
pub(super) struct Network;

// === impl Network ===

#[async_trait]
impl Prober for Network {
    async fn probe(&self, check: &Check) -> Result<(), String> {
        probe(check).check().await.map_err(|why| why.to_string())
    }
}

// === impl Checker ===

impl Checker {
    /// What has passed is told through `passed`.
    pub(super) fn new(clock: Clock, prober: Arc<dyn Prober>, passed: mpsc::Sender<Message>) -> Self {
        Self { clock, prober, at_once: Arc::new(Semaphore::new(AT_ONCE)), passed }
    }

    /// Makes these checks from now on, until they have passed or what is returned is dropped.
    pub(super) fn start(&self, app: AppKey, check: ToCheck) -> Checking {
        let last = Arc::new(Mutex::new(None));
        let checks = check.checks.clone();
        let (clock, prober, at_once) = (self.clock.clone(), self.prober.clone(), self.at_once.clone());
        let (passed, words) = (self.passed.clone(), last.clone());
        let task = tokio::spawn(async move {
            for one in &check.checks {
                if clock.now() < check.since + one.after {
                    tokio::time::sleep_until(clock.instant(check.since + one.after)).await;
                }
                pass(one, &*prober, &clock, &at_once, &words).await;
            }
            let (identity, incarnation) = (check.identity, check.incarnation);
            // Whoever is gone needs not be told.
            let _ = passed.send(Message::Passed { app, identity, incarnation }).await;
        });
        Checking { checks, last, task: Some(task) }
    }
}

/// Tries `check` until it passes.
async fn pass(check: &Check, prober: &dyn Prober, clock: &Clock, at_once: &Semaphore, words: &Mutex<Option<String>>) {
    let begin = clock.now();
    loop {
        let tried = {
            // It is never closed.
            let _permit = at_once.acquire().await;
            prober.probe(check).await
        };
        let Err(why) = tried else { return };
        *words.lock() = Some(why);
        let slow = clock.now().since(begin) >= SLOW_START;
        tokio::time::sleep(if slow { SELDOM } else { EVERY }).await;
    }
}

fn probe(check: &Check) -> Probe {
    let port = check.address.port();
    let action = match &check.try_ {
        Try::Own(Readiness::TcpSocket) | Try::TcpSocket => Action::TcpSocket { port },
        Try::Own(readiness) => return Probe::new(readiness.clone(), check.address),
        Try::HttpGet { path, https, headers } => Action::HttpGet {
            https: *https,
            port,
            path: path.to_string(),
            headers: headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        },
        Try::Grpc { service } => Action::Grpc { port, service: service.to_string() },
    };
    let check_of_pod = PodCheck { action, timeout: check.timeout, initial_delay: Duration::ZERO, success_threshold: 1 };
    Probe::of_pod(check_of_pod, check.address.ip())
}
