//! What the system tells of any process, by `/proc`. Where there is none, it tells of nobody.

use std::fs;

/// A process as it was a moment ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) pid: i32,
    pub(super) name: String,
    /// Not one that has ended and only has to be reaped.
    pub(super) is_alive: bool,
    pub(super) parent: i32,
    pub(super) group: i32,
    /// CPU time it has used, in ticks of 10 ms.
    pub(super) used: u64,
}

// === impl Stat ===

impl Stat {
    /// Of process `pid`, if it is there.
    pub(super) fn of(pid: i32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Of every process.
    pub(super) fn of_all() -> impl Iterator<Item = Self> {
        numbers("/proc").filter_map(Self::of)
    }

    /// From `PID (NAME) STATE PARENT GROUP ...`, where the name may hold anything.
    fn parse(stat: &str) -> Option<Self> {
        let (before, after) = stat.rsplit_once(')')?;
        let (pid, name) = before.split_once(" (")?;
        let mut fields = after.split_ascii_whitespace();
        let state = fields.next()?;
        let (parent, group) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        // `utime` and `stime`.
        let used = fields.skip(8).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        let is_alive = !matches!(state, "Z" | "X");
        Some(Self { pid: pid.parse().ok()?, name: name.to_owned(), is_alive, parent, group, used })
    }
}

/// The entries of `dir` that are numbers.
pub(super) fn numbers(dir: &str) -> impl Iterator<Item = i32> + use<> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests;
