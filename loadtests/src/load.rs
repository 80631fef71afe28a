//! Closed loops: each client sends its next request when it has the answer to the last.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::Result;
use crate::clock::Moment;
use crate::http::{Connection, get};
use crate::stats::percentile;

/// Latencies kept of one tally; later ones are counted, not kept.
const MAX_LATENCIES: usize = 4_000_000;

/// What a client asks for.
#[derive(Debug, Clone)]
pub struct Target {
    /// The proxy.
    pub addr: SocketAddr,
    /// The request's bytes.
    pub request: Arc<[u8]>,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// What came of requests.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Answers by status.
    pub answers: BTreeMap<u16, u64>,
    /// What was no answer, by its words.
    pub errors: BTreeMap<String, u64>,
    /// Microseconds from sending to the first byte of the answer.
    pub latencies: Vec<u32>,
}

/// A tally in few words.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Answers of any status.
    pub answers: u64,
    /// Answers but 2xx, and no answers.
    pub failures: u64,
    /// Milliseconds to the first byte: median.
    pub p50_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// Maximum.
    pub max_ms: f64,
    /// What failed, by status or words.
    pub failed: BTreeMap<String, u64>,
}

// === impl Target ===

impl Target {
    /// `GET path` of `host` at `addr`, answered within a minute.
    pub fn get(addr: SocketAddr, host: &str, path: &str) -> Self {
        Self { addr, request: get(host, path).into(), timeout: Duration::from_secs(60) }
    }

    /// Runs `clients` closed loops on a connection each for `time`.
    pub async fn run(&self, clients: usize, time: Duration) -> Result<Tally> {
        let tally = Arc::new(Mutex::new(Tally::default()));
        let started = Moment::now();
        let mut loops = JoinSet::new();
        for _ in 0..clients {
            loops.spawn(self.clone().client(tally.clone(), started, time));
        }
        while let Some(ended) = loops.join_next().await {
            ended?;
        }
        Ok(std::mem::take(&mut lock(&tally)))
    }

    /// One client, until `time` has passed since `started`. An error costs it its connection and 10 ms.
    pub async fn client(self, tally: Arc<Mutex<Tally>>, started: Moment, time: Duration) {
        let mut connection = None;
        while started.elapsed() < time {
            let sent = Moment::now();
            match timeout(self.timeout, self.once(&mut connection)).await {
                Ok(Ok((status, first_byte))) => lock(&tally).answer(status, first_byte - sent),
                Ok(Err(error)) => {
                    connection = None;
                    lock(&tally).error(error.kind().to_string());
                    sleep(Duration::from_millis(10)).await;
                }
                Err(_) => {
                    connection = None;
                    lock(&tally).error("timeout".into());
                }
            }
        }
    }

    async fn once(&self, connection: &mut Option<Connection>) -> std::io::Result<(u16, Moment)> {
        let mut open = match connection.take() {
            Some(open) => open,
            None => Connection::open(self.addr).await?,
        };
        let answer = open.exchange(&self.request).await?;
        if !answer.close {
            *connection = Some(open);
        }
        Ok((answer.status, answer.first_byte))
    }
}

/// Nobody panics while holding it.
pub fn lock(tally: &Mutex<Tally>) -> std::sync::MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

// === impl Tally ===

impl Tally {
    /// Counts an answer.
    pub fn answer(&mut self, status: u16, latency: Duration) {
        *self.answers.entry(status).or_default() += 1;
        if self.latencies.len() < MAX_LATENCIES {
            self.latencies.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
        }
    }

    /// Counts what was no answer.
    pub fn error(&mut self, why: String) {
        *self.errors.entry(why).or_default() += 1;
    }

    /// Adds `other`.
    pub fn add(&mut self, other: Self) {
        for (status, count) in other.answers {
            *self.answers.entry(status).or_default() += count;
        }
        for (why, count) in other.errors {
            *self.errors.entry(why).or_default() += count;
        }
        let room = MAX_LATENCIES - self.latencies.len().min(MAX_LATENCIES);
        self.latencies.extend(other.latencies.into_iter().take(room));
    }

    /// Answers of any status.
    pub fn total(&self) -> u64 {
        self.answers.values().sum()
    }

    /// In few words.
    pub fn summary(mut self) -> Summary {
        self.latencies.sort_unstable();
        let ms = |percent| percentile(&self.latencies, percent).map_or(f64::NAN, |us| f64::from(us) / 1000.0);
        let mut failed: BTreeMap<String, u64> = self
            .answers
            .iter()
            .filter(|(status, _)| !(200..300).contains(*status))
            .map(|(s, n)| (s.to_string(), *n))
            .collect();
        failed.extend(self.errors.clone());
        Summary {
            answers: self.total(),
            failures: failed.values().sum(),
            p50_ms: ms(50.0),
            p99_ms: ms(99.0),
            max_ms: ms(100.0),
            failed,
        }
    }
}

#[cfg(test)]
mod tests;
