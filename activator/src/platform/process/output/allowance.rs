//! How much of what an app prints is logged, and read at all. Pure: time is an argument.

use std::time::Duration;

use crate::clock::Timestamp;

/// Lines of one app that are logged in a second.
pub(crate) const LINES: u32 = 1_000;
/// The same in bytes.
pub(crate) const BYTES: usize = 256 << 10;
/// Bytes of one app that are read in a second. Who prints more waits, as the pipe is full.
pub(crate) const READ: usize = 2 << 20;

const SECOND: Duration = Duration::from_secs(1);

/// What one app may print in the present second, all its replicas together.
#[derive(Debug, Default)]
pub(crate) struct Allowance {
    second: u64,
    lines: u32,
    bytes: usize,
    read: usize,
    left_out: LeftOut,
    /// The second in which that was last more.
    left_out_in: u64,
}

/// What was not logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LeftOut {
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
}

// === impl Allowance ===

impl Allowance {
    /// Whether a line of so many bytes is to be logged at `now`. What is not is counted.
    pub(crate) fn line(&mut self, now: Timestamp, bytes: usize) -> bool {
        self.begin(now);
        let allowed = self.lines < LINES && self.bytes + bytes <= BYTES;
        if allowed {
            self.lines += 1;
            self.bytes += bytes;
        } else {
            self.left_out.lines += 1;
            self.left_out.bytes += bytes as u64;
            self.left_out_in = self.second;
        }
        allowed
    }

    /// So many bytes were read at `now`. How long to read no more, if there were too many.
    pub(crate) fn read(&mut self, now: Timestamp, bytes: usize) -> Option<Duration> {
        self.begin(now);
        self.read += bytes;
        let next = Timestamp::from_nanos((self.second + 1).saturating_mul(SECOND.as_nanos() as u64));
        (self.read >= READ).then(|| next.since(now))
    }

    /// What was not logged in seconds before that of `now`, once.
    pub(crate) fn left_out(&mut self, now: Timestamp) -> Option<LeftOut> {
        if second(now) == self.left_out_in { None } else { self.rest() }
    }

    /// What was not logged until now, once.
    pub(crate) fn rest(&mut self) -> Option<LeftOut> {
        Some(std::mem::take(&mut self.left_out)).filter(|left_out| *left_out != LeftOut::default())
    }

    fn begin(&mut self, now: Timestamp) {
        if second(now) != self.second {
            (self.second, self.lines, self.bytes, self.read) = (second(now), 0, 0, 0);
        }
    }
}

fn second(now: Timestamp) -> u64 {
    now.since(Timestamp::ZERO).as_secs()
}

#[cfg(test)]
mod tests;
