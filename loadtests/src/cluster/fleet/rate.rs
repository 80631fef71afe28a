//! Requests at a steady rate, whatever becomes of them.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::Result;
use crate::http::{Connection, get};

/// How long an answer may take.
const ANSWERED: Duration = Duration::from_secs(60);
/// The pause after nobody could be connected to.
const PAUSE: Duration = Duration::from_millis(10);

/// So many requests a second, spread evenly over connections that are kept.
#[derive(Debug, Clone)]
pub struct Rate {
    pub per_second: u32,
    pub connections: u32,
    pub to: SocketAddr,
}

/// What became of them.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Answered {
    /// Answered 200.
    pub well: u64,
    /// Answered otherwise, or not at all.
    pub badly: u64,
}

// === impl Rate ===

impl Rate {
    /// Sends for so long, to one host after the other. A connection that cannot be made, or was ended before anything was
    /// sent, is made again, as every client does; a request whose connection breaks counts as badly answered.
    pub async fn run(&self, hosts: &[String], lasting: Duration) -> Result<Answered> {
        let each = lasting.as_millis() * u128::from(self.per_second / self.connections) / 1000;
        let every = Duration::from_secs(1) * self.connections / self.per_second;
        let requests: Vec<Vec<u8>> = hosts.iter().map(|host| get(host, "/")).collect();
        let mut all = JoinSet::new();
        for n in 0..self.connections {
            // One after the other, not all at once.
            let begin = every * n / self.connections;
            let mine = requests.iter().skip(n as usize).step_by(self.connections as usize).cloned().collect::<Vec<_>>();
            let mine = if mine.is_empty() { requests.clone() } else { mine };
            all.spawn(one(self.to, begin, every, each, mine));
        }
        let mut sum = Answered::default();
        while let Some(done) = all.join_next().await {
            let Answered { well, badly } = done?;
            (sum.well, sum.badly) = (sum.well + well, sum.badly + badly);
        }
        Ok(sum)
    }

    /// The same for a task.
    pub async fn run_owned(self, hosts: Vec<String>, lasting: Duration) -> Result<Answered> {
        self.run(&hosts, lasting).await
    }
}

async fn one(to: SocketAddr, begin: Duration, every: Duration, many: u128, requests: Vec<Vec<u8>>) -> Answered {
    sleep(begin).await;
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut kept, mut answered) = (None, Answered::default());
    for n in 0..many {
        ticks.tick().await;
        let request = &requests[(n % requests.len() as u128) as usize];
        match timeout(ANSWERED, exchange(to, &mut kept, request)).await {
            Ok(true) => answered.well += 1,
            _ => {
                kept = None;
                answered.badly += 1;
            }
        }
    }
    answered
}

/// Whether it is answered 200.
async fn exchange(to: SocketAddr, kept: &mut Option<Connection>, request: &[u8]) -> bool {
    loop {
        let mut connection = match kept.take() {
            Some(connection) if !connection.has_ended() => connection,
            _ => match Connection::open(to).await {
                Ok(connection) => connection,
                Err(_) => {
                    sleep(PAUSE).await;
                    continue;
                }
            },
        };
        let Ok(answer) = connection.exchange(request).await else { return false };
        *kept = Some(connection).filter(|_| !answer.close);
        return answer.status == 200;
    }
}

// === impl Answered ===

impl Answered {
    /// How many were sent.
    pub fn all(&self) -> u64 {
        self.well + self.badly
    }

    /// The share that was answered well.
    pub fn percent(&self) -> f64 {
        self.well as f64 / self.all() as f64 * 100.0
    }
}
