//! Processes that are started here, what they use, and their end.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::Result;

/// The kernel's clock ticks a second in /proc, on every Linux there is.
const TICKS_PER_SECOND: u64 = 100;

/// A child; killed when dropped.
pub struct Process {
    child: Child,
    pid: u32,
    name: String,
}

/// Lifts the soft limit of open files to the hard one; children inherit it.
pub fn raise_open_files() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

impl Process {
    /// Starts `command`, its output appended to `log`.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let log = fs::OpenOptions::new().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{name}: {error}"))?;
        let pid = child.id().ok_or("a process ended at once")?;
        Ok(Self { child, pid, name: name.into() })
    }

    /// The first process that this one started, if any.
    pub fn first_child(&self) -> Result<Option<u32>> {
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid))?;
        Ok(children.split_whitespace().next().map(str::parse).transpose()?)
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// An error, if it has ended.
    pub fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => Err(format!("{} ended: {status}", self.name).into()),
            None => Ok(()),
        }
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> Result<u64> {
        resident(self.pid)
    }

    /// Asks it to stop and waits; kills it after 20 s.
    pub async fn stop(mut self) -> Result<()> {
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::TERM);
        }
        if timeout(Duration::from_secs(20), self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        Ok(())
    }
}

/// User and system time that the process `pid` has used with all its threads. Exact to 10 ms.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    used(Path::new(&format!("/proc/{pid}")))
}

/// The same of its threads with `name` in theirs.
pub fn cpu_time_of_threads(pid: u32, name: &str) -> Result<Duration> {
    let mut all = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let thread = thread?.path();
        // It may end while it is looked at.
        if fs::read_to_string(thread.join("comm")).unwrap_or_default().contains(name) {
            all += used(&thread).unwrap_or_default();
        }
    }
    Ok(all)
}

fn used(folder: &Path) -> Result<Duration> {
    let stat = fs::read_to_string(folder.join("stat"))?;
    // The name may hold spaces and brackets; what follows it does not.
    let (_, fields) = stat.rsplit_once(')').ok_or("malformed /proc/PID/stat")?;
    let ticks = |field: usize| -> Result<u64> {
        Ok(fields.split_whitespace().nth(field - 3).ok_or("malformed /proc/PID/stat")?.parse()?)
    };
    Ok(Duration::from_millis((ticks(14)? + ticks(15)?) * 1000 / TICKS_PER_SECOND))
}

/// Ends the process `pid` with SIGKILL.
pub fn kill(pid: u32) -> Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or("no number of a process")?;
    Ok(kill_process(pid, Signal::KILL)?)
}

/// Resident memory of the process `pid` in bytes.
pub fn resident(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS in /proc")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}
