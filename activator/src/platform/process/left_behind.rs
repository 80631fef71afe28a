//! What a command has left running when it ended: a daemon that has put itself in the background. It is known by a mark in its
//! environment, wherever it has gone. Told from `/proc`; where there is none, nothing is left.

use std::fmt;
use std::fs;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

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

/// How often and how far apart processes are looked at again that are just becoming another program.
const AGAIN: (usize, Duration) = (50, Duration::from_millis(2));

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
        let (mut left, mut unknown) = (Vec::new(), Vec::new());
        let mut look = |pids: &mut dyn Iterator<Item = i32>, unknown: &mut Vec<i32>| {
            for pid in pids {
                match self.of(pid) {
                    Whose::Ours(process, stat) => left.extend(process.kill().then_some(stat)),
                    Whose::Unknown => unknown.push(pid),
                    Whose::Others => {}
                }
            }
        };
        look(&mut numbers("/proc"), &mut unknown);
        for _ in 0..AGAIN.0 {
            if unknown.is_empty() {
                break;
            }
            thread::sleep(AGAIN.1);
            look(&mut std::mem::take(&mut unknown).into_iter(), &mut unknown);
        }
        (!left.is_empty()).then_some(LeftBehind(left))
    }

    fn of(&self, pid: i32) -> Whose {
        self.whose(pid).unwrap_or(Whose::Others)
    }

    fn whose(&self, pid: i32) -> Option<Whose> {
        // Held before it is looked at: what is killed is what was looked at.
        let process = Held(pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?);
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        // So it is in the middle of execve(2), and always with a thread of the kernel, which has no program.
        if environment.is_empty() && fs::read_link(format!("/proc/{pid}/exe")).is_ok() {
            return Stat::of(pid).filter(|stat| stat.is_alive).map(|_| Whose::Unknown);
        }
        let mark = format!("{VARIABLE}={}", self.0);
        environment.split(|byte| *byte == 0).find(|variable| *variable == mark.as_bytes())?;
        let stat = Stat::of(pid).filter(|stat| stat.is_alive)?;
        Some(Whose::Ours(process, stat))
    }
}

/// A process that cannot be taken for another one that got its number.
struct Held(OwnedFd);

/// Whose a process is.
enum Whose {
    /// It bears the mark.
    Ours(Held, Stat),
    /// It does not, or is gone.
    Others,
    /// It has no environment: perhaps it is just becoming another program.
    Unknown,
}

// === impl Held ===

impl Held {
    /// Whether it could be killed.
    fn kill(self) -> bool {
        pidfd_send_signal(self.0, Signal::KILL).is_ok()
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
