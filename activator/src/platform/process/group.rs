//! A process and all that it starts: its process group.

use std::fmt;
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::signal::unix::{SignalKind, signal};

use super::spawner::Spawner;
use super::stat::Stat;

/// How often a group whose leader has ended is looked at until it is empty, at first; later twice as seldom each time.
const FIRST_LOOK: Duration = Duration::from_millis(5);
const LATER_LOOKS: Duration = Duration::from_millis(80);

/// A process group of ours, alive as long as this is: killed when dropped, whatever is left of it.
///
/// Its leader is not reaped before that, so its number belongs to nobody else meanwhile and signals reach the right ones.
pub(super) struct Group {
    id: Pid,
    leader: Option<Child>,
    spawner: Arc<Spawner>,
}

/// How a process has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    Code(i32),
    Signal(i32),
    /// Somebody else has reaped it.
    Unknown,
}

// === impl Group ===

impl Group {
    pub(super) fn new(leader: Child, spawner: Arc<Spawner>) -> Self {
        Self { id: Pid::from_child(&leader), leader: Some(leader), spawner }
    }

    /// The group's number, which is its leader's process id.
    pub(super) fn id(&self) -> Pid {
        self.id
    }

    /// Sends a signal to all of them.
    pub(super) fn signal(&self, signal: Signal) {
        let _ = kill_process_group(self.id, signal);
    }

    /// Kills all of them.
    pub(super) fn kill(&self) {
        kill(self.id);
    }

    /// Waits until the leader has ended.
    pub(super) async fn exited(&self) -> Exit {
        let mut changes = signal(SignalKind::child()).ok();
        loop {
            if let Some(exit) = exit_of(self.id) {
                return exit;
            }
            match &mut changes {
                Some(changes) => drop(changes.recv().await),
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Waits until the leader and all that it has started have ended.
    pub(super) async fn emptied(&self) {
        self.exited().await;
        let (id, mut pause) = (self.id, FIRST_LOOK);
        // Not on a thread that serves requests: it reads about as many files as there are processes.
        while tokio::task::spawn_blocking(move || is_populated(id)).await.unwrap_or(false) {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LATER_LOOKS);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
        if let Some(leader) = self.leader.take() {
            self.spawner.reap(leader);
        }
    }
}

/// Kills all of a group whose leader is not reaped yet.
pub(super) fn kill(group: Pid) {
    let _ = kill_process_group(group, Signal::KILL);
}

/// Whether any process of `group` is alive. The system has no call that tells this from one that is only to be reaped, as our
/// leader is. Where there is no `/proc`, a group counts as empty when its leader has ended.
fn is_populated(group: Pid) -> bool {
    Stat::of_all().any(|process| process.is_alive && process.group == group.as_raw_pid())
}

/// How our child has ended, if it has; without reaping it.
pub(super) fn exit_of(child: Pid) -> Option<Exit> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match waitid(WaitId::Pid(child), options) {
        Ok(status) => status.map(|status| match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, Some(signal)) => Exit::Signal(signal),
            (None, None) => Exit::Unknown,
        }),
        Err(Errno::INTR) => None,
        Err(_) => Some(Exit::Unknown),
    }
}

// === impl Exit ===

impl Exit {
    /// As a process ends that has done what it was to do.
    pub(super) const SUCCESS: Self = Self::Code(0);
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Unknown => f.write_str("an unknown status"),
        }
    }
}
