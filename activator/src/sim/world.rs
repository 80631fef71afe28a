//! One world from one seed.

use std::fmt;

use fastrand::Rng;

use super::cluster::{Cluster, Kind};
use super::director::{Director, IDLE};
use super::promises::Tally;
use super::weather::{Span, Weather};
use crate::clock::Clock;
use crate::settings::{AppSettings, Hold, Scaling};

/// How one world went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) tally: Tally,
    /// The same for the same seed.
    pub(super) digest: u64,
}

/// A promise was broken.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) seed: u64,
    pub(super) what: Vec<String>,
    pub(super) kind: Kind,
}

/// Plays the world of this seed, for so many rounds, in a runtime of its own whose time is paused.
pub(super) fn run(seed: u64, rounds: u32) -> Result<Outcome, Box<Broken>> {
    run_with(seed, rounds, |_| {})
}

/// The same with something changed.
pub(super) fn run_with(seed: u64, rounds: u32, change: impl FnOnce(&mut Kind)) -> Result<Outcome, Box<Broken>> {
    // What the gateway draws comes from here.
    fastrand::seed(seed);
    let mut random = Rng::with_seed(seed);
    let limited = random.bool();
    let mut kind = Kind {
        weather: Weather::any(&mut random),
        probed: random.u32(..4) > 0,
        closes_at_once: random.bool(),
        start: Span(0, [1, 100, 3_000][random.usize(..3)]),
        concurrency_limit: limited.then(|| random.u32(2..6)),
        others: 0,
        gateways: 1,
        told: false,
    };
    change(&mut kind);
    let settings = settings(&kind, &mut random);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    let outcome = runtime.block_on(async {
        let at_first = if random.bool() { 0 } else { random.u32(1..4) };
        let cluster = Cluster::new(kind.clone(), Clock::running(), random.fork(), at_first);
        let mut director = Director::new(cluster.clone(), settings, random.fork()).await;
        for _ in 0..rounds {
            director.round().await;
            if !cluster.state().promises.broken.is_empty() {
                break;
            }
        }
        if cluster.state().promises.broken.is_empty() {
            director.end().await;
        }
        let state = cluster.state();
        let promises = &state.promises;
        match promises.broken.is_empty() {
            true => Ok(Outcome { tally: promises.tally, digest: promises.digest }),
            false => Err(promises.broken.clone()),
        }
    });
    outcome.map_err(|what| Box::new(Broken { seed, what, kind }))
}

fn settings(kind: &Kind, random: &mut Rng) -> AppSettings {
    let scaling = Scaling {
        max_replicas: 4,
        target: f64::from(random.u32(1..4)),
        concurrency_limit: kind.concurrency_limit,
        stable_window: std::time::Duration::from_secs(random.u64(2..7)),
        panic_window: std::time::Duration::from_secs(1),
        idle_timeout: IDLE,
        ..Scaling::default()
    };
    let hold = Hold { max_requests: 500, timeout: std::time::Duration::from_secs(120) };
    let mut settings = AppSettings { hold, ..crate::testing::cluster(scaling) };
    if let crate::settings::Target::Scale(target) = &mut settings.target {
        let target = std::sync::Arc::make_mut(target);
        target.name = super::objects::NAME.into();
        target.service = super::objects::NAME.into();
    }
    settings
}

// === impl Broken ===

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} breaks a promise; play it again with ZEROGATE_SIM_SEED={0}", self.seed)?;
        for what in &self.what {
            writeln!(f, "  {what}")?;
        }
        write!(f, "in {:?}", self.kind)
    }
}
