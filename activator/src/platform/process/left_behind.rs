//! What a command has left running when it ended: a daemon that has put itself in the background. It is known by a mark in its
//! environment, wherever it has gone. Told from `/proc`; where there is none, nothing is left.

use std::fmt;
use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::stat::{Stat, numbers};

/// The variable that holds the mark of one start.
pub(super) const VARIABLE: &str = "ZEROGATE_REPLICA";

/// The mark of one start, unlike that of any other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark(String);

/// Marks for all starts of one gateway.
#[derive(Debug)]
pub(super) struct Marks {
    gateway: u64,
    count: u64,
}

/// What was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeftBehind(Vec<Stat>);

// === impl Marks ===

impl Marks {
    pub(super) fn new() -> Self {
        Self { gateway: fastrand::u64(..), count: 0 }
    }

    pub(super) fn next(&mut self) -> Mark {
        self.count += 1;
        Mark(format!("{:016x}-{}", self.gateway, self.count))
    }
}

// === impl Mark ===

impl Mark {
    /// The value of the variable.
    pub(super) fn value(&self) -> &str {
        &self.0
    }

    /// Kills whatever bears it. Nothing, if there is none.
    pub(super) async fn kill(self) -> Option<LeftBehind> {
        tokio::task::spawn_blocking(move || self.kill_all()).await.ok().flatten()
    }

    fn kill_all(&self) -> Option<LeftBehind> {
        let left: Vec<_> = numbers("/proc").filter_map(|pid| self.kill_one(pid)).collect();
        (!left.is_empty()).then_some(LeftBehind(left))
    }

    fn kill_one(&self, pid: i32) -> Option<Stat> {
        // Held before it is looked at: what is killed is what was looked at.
        let process = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let mark = format!("{VARIABLE}={}", self.0);
        environment.split(|byte| *byte == 0).find(|variable| *variable == mark.as_bytes())?;
        let stat = Stat::of(pid).filter(|stat| stat.is_alive)?;
        pidfd_send_signal(process, Signal::KILL).ok()?;
        Some(stat)
    }
}

// === impl LeftBehind ===

impl fmt::Display for LeftBehind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.0.first() else { return Ok(()) };
        write!(f, "process {} ({})", first.pid, first.name)?;
        if self.0.len() > 1 { write!(f, " and {} more", self.0.len() - 1) } else { Ok(()) }
    }
}
