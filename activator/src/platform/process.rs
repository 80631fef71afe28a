//! Local processes: a replica is a process on a loopback port of its own.
//!
//! ```text
//! scale ─► supervisor (one per app that has replicas) ─► replica (one per process) ─► spawner thread ─► process
//!               │  decides                                  │  starts, tries, drains, stops      │
//!               └◄──────────── what has become of it ───────┘                        guardian ◄──┘
//! ```
//!
//! A sleeping app has none of these. Whatever way the gateway ends, so do all processes: by the supervisor, by
//! `PR_SET_PDEATHSIG`, and, for what the processes have started themselves, by the guardian.

mod backoff;
mod elsewhere;
mod group;
mod guardian;
mod left_behind;
mod listener;
mod output;
mod ports;
mod replica;
mod report;
mod spawner;
mod stat;
mod supervisor;

use std::collections::HashMap;
use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{Accepted, AppKey, FailureCause, NotAccepted, Order, Platform, Subject};
use crate::clock::Clock;
pub use guardian::{GuardianCommand, guardian_main};
use ports::Ports;
use report::Report;
use spawner::{SpawnOptions, Spawner};
use supervisor::{Memory, Scale, Supervisor};

/// Runs replicas as processes of this machine.
pub struct ProcessPlatform {
    shared: Arc<Shared>,
}

/// How processes are run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessOptions {
    /// Ports for apps with `port: auto`. Below those the system gives to outgoing connections (from 32768 on Linux), so that
    /// none of these takes one.
    pub ports: RangeInclusive<u16>,
    /// What the program `zerogate` in a command stands for; `None` for the program that runs.
    pub program: Option<PathBuf>,
    /// How to run the guardian, which kills what processes have started if the gateway is killed. `None` to do without.
    pub guardian: Option<GuardianCommand>,
    /// The soft limit of open files that processes get, for a gateway that has raised its own; `None` to let them inherit.
    pub open_files: Option<u64>,
}

/// What the supervisors share.
struct Shared {
    clock: Clock,
    spawner: Arc<Spawner>,
    apps: Mutex<Apps>,
    lifecycle: watch::Sender<Lifecycle>,
    /// How many apps have a supervisor.
    supervised: watch::Sender<usize>,
}

/// What to do with everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Lifecycle {
    Running,
    Stopping,
    Killed,
}

/// The apps that are observed. Those that nobody has any more are forgotten when there are twice as many as the last time.
#[derive(Default)]
struct Apps {
    known: HashMap<AppKey, Known>,
    forget_at: usize,
}

struct Known {
    report: Arc<Report>,
    /// There as long as there are replicas, or should be.
    supervisor: Option<watch::Sender<Scale>>,
    /// Of an app that fails, or ends after each answer, while nothing runs.
    memory: Option<Memory>,
}

// === impl ProcessOptions ===

impl Default for ProcessOptions {
    /// Ports 20000 to 29999, no guardian, nothing else changed.
    fn default() -> Self {
        Self { ports: 20_000..=29_999, program: None, guardian: None, open_files: None }
    }
}

// === impl ProcessPlatform ===

impl ProcessPlatform {
    /// A platform with nothing running but its guardian.
    ///
    /// # Errors
    /// The thread that starts processes cannot be started, or the running program cannot be found.
    pub fn new(options: ProcessOptions, clock: Clock) -> io::Result<Self> {
        let this_program = options.program.map_or_else(std::env::current_exe, Ok)?;
        let spawn = SpawnOptions { this_program, guardian: options.guardian, open_files: options.open_files };
        let spawner = Spawner::start(spawn, Ports::new(options.ports), clock.clone())?;
        let shared = Shared {
            clock,
            spawner,
            apps: Mutex::default(),
            lifecycle: watch::Sender::new(Lifecycle::Running),
            supervised: watch::Sender::new(0),
        };
        Ok(Self { shared: Arc::new(shared) })
    }
}

#[async_trait]
impl Platform for ProcessPlatform {
    fn observe(&self, subject: Subject) {
        let mut apps = self.shared.apps.lock();
        if let Some(known) = apps.known.get(&subject.key) {
            known.report.configure(&subject);
            if let Some(supervisor) = &known.supervisor {
                // It looks at the settings anew.
                supervisor.send_modify(|_| {});
            }
            return;
        }
        let key = subject.key;
        let Some(report) = Report::new(subject) else { return };
        apps.forget_gone();
        apps.known.insert(key, Known { report, supervisor: None, memory: None });
    }

    /// Replicas live in the tokio runtime that this is called from. Not accepted is only what is for no app: what goes wrong
    /// later is observed.
    async fn scale(&self, order: Order) -> Result<Accepted, NotAccepted> {
        let mut apps = self.shared.apps.lock();
        let Some(known) = apps.known.get_mut(&order.key) else { return Err(not_observed(&order)) };
        let version = known.report.ordered(order.replicas, &order.victims);
        if *self.shared.lifecycle.borrow() != Lifecycle::Running {
            return Ok(Accepted { version });
        }
        match &known.supervisor {
            Some(scale) => scale.send_modify(|scale| scale.set(order.replicas)),
            None if order.replicas == 0 => {}
            None => {
                let (scale, wanted) = watch::channel(Scale { replicas: order.replicas, zeros: 0 });
                known.supervisor = Some(scale);
                self.shared.supervised.send_modify(|count| *count += 1);
                let (report, memory) = (known.report.clone(), known.memory.take());
                tokio::spawn(Supervisor::new(order.key, report, self.shared.clone(), wanted, memory).run());
            }
        }
        Ok(Accepted { version })
    }

    /// Asks all processes to stop, all at the same time, and kills those that do not in their `stop_grace`. Called again
    /// while it is under way, kills them at once.
    async fn stop(&self) {
        let again = *self.shared.lifecycle.borrow() != Lifecycle::Running;
        self.shared.advance(if again { Lifecycle::Killed } else { Lifecycle::Stopping });
        let mut supervised = self.shared.supervised.subscribe();
        // The sender is ours.
        let _ = supervised.wait_for(|count| *count == 0).await;
    }

    /// Nothing is started any more either.
    fn kill_now(&self) {
        self.shared.advance(Lifecycle::Killed);
    }
}

// === impl Shared ===

impl Shared {
    fn advance(&self, to: Lifecycle) {
        // Under the lock, so that no supervisor is made that would not see it.
        let _apps = self.apps.lock();
        self.lifecycle.send_if_modified(|lifecycle| {
            let further = to > *lifecycle;
            *lifecycle = to.max(*lifecycle);
            further
        });
    }

    /// The supervisor of the app goes, and leaves behind what is to be remembered.
    fn retire(&self, apps: &mut Apps, key: AppKey, memory: Option<Memory>) {
        if let Some(known) = apps.known.get_mut(&key) {
            known.supervisor = None;
            known.memory = memory;
        }
        self.supervised.send_modify(|count| *count -= 1);
    }
}

impl Apps {
    fn forget_gone(&mut self) {
        if self.known.len() >= self.forget_at {
            self.known.retain(|_, known| known.supervisor.is_some() || known.report.is_wanted());
            self.forget_at = (self.known.len() * 2).max(64);
        }
    }
}

fn not_observed(order: &Order) -> NotAccepted {
    let target = format!("the process of {}", order.id);
    let cause = FailureCause::TargetUnusable { target, why: "it is not one that runs on this machine".into() };
    NotAccepted { cause, in_doubt: false, passing: false, retry_after: None }
}

#[cfg(test)]
mod tests;
