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
mod group;
mod guardian;
mod listener;
mod output;
mod ports;
mod replica;
mod spawner;
mod stat;
mod supervisor;

use std::collections::HashMap;
use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{Platform, StartFailure};
use crate::app::App;
use crate::clock::Clock;
pub use guardian::{GuardianCommand, guardian_main};
use ports::Ports;
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

/// The apps that have a supervisor or a failure to be remembered, by identity: one may be removed and declared again while the
/// first is still finishing.
#[derive(Debug, Default)]
struct Apps(HashMap<usize, Known>);

#[derive(Debug)]
enum Known {
    Supervised(watch::Sender<Scale>),
    /// The weak reference keeps the identity from becoming another app's.
    Remembered(Weak<App>, Memory),
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

    /// Kills everything at once; a [`Platform::stop`] that is under way then returns. Nothing is started any more.
    pub fn kill_now(&self) {
        self.shared.advance(Lifecycle::Killed);
    }
}

#[async_trait]
impl Platform for ProcessPlatform {
    /// Replicas live in the tokio runtime that this is called from. Never an error: what goes wrong, the app is told.
    async fn scale(&self, app: &Arc<App>, replicas: u32) -> Result<(), StartFailure> {
        let mut apps = self.shared.apps.lock();
        if *self.shared.lifecycle.borrow() != Lifecycle::Running {
            return Ok(());
        }
        match apps.0.get(&identity(app)) {
            Some(Known::Supervised(scale)) => scale.send_modify(|scale| scale.set(replicas)),
            // What was hoped for when more was wanted will not come.
            _ if replicas == 0 => app.set_starting(0),
            _ => {
                let memory = apps.recall(app);
                let (scale, wanted) = watch::channel(Scale { replicas, zeros: 0 });
                apps.0.insert(identity(app), Known::Supervised(scale));
                self.shared.supervised.send_modify(|count| *count += 1);
                tokio::spawn(Supervisor::new(app.clone(), self.shared.clone(), wanted, memory).run());
            }
        }
        Ok(())
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

    /// The supervisor of `app` goes, and leaves behind what is to be remembered.
    fn retire(&self, apps: &mut Apps, app: &Arc<App>, memory: Option<Memory>) {
        apps.0.remove(&identity(app));
        if let Some(memory) = memory {
            // As many as there are apps: those that are gone are forgotten.
            apps.0.retain(|_, known| !matches!(known, Known::Remembered(app, _) if app.strong_count() == 0));
            apps.0.insert(identity(app), Known::Remembered(Arc::downgrade(app), memory));
        }
        self.supervised.send_modify(|count| *count -= 1);
    }
}

impl Apps {
    /// What is remembered of `app`, which is forgotten with that.
    fn recall(&mut self, app: &Arc<App>) -> Option<Memory> {
        match self.0.remove(&identity(app))? {
            Known::Remembered(_, memory) => Some(memory),
            Known::Supervised(_) => None,
        }
    }
}

fn identity(app: &Arc<App>) -> usize {
    Arc::as_ptr(app) as usize
}

#[cfg(test)]
mod tests;
