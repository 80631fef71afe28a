//! What a replica prints: each line goes to the log as long as there are not too many, the last few are kept for those who ask why
//! it failed.

mod allowance;

use std::collections::VecDeque;
use std::io::PipeReader;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::unix::pipe;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::settings::AppId;
pub(super) use allowance::Allowance;
use allowance::LeftOut;

/// A longer line is logged in pieces of this many bytes.
const LONGEST_LINE: usize = 8 * 1024;
/// Lines kept.
const KEPT_LINES: usize = 10;
/// Bytes kept of one line.
const KEPT_BYTES: usize = 512;
/// How long the last words of a process that has ended are waited for. They are in the pipe already; only another process
/// that has left the group, and holds the pipe, lets this pass.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Follows one replica's output until it is dropped.
pub(super) struct Output {
    tail: Arc<Mutex<Tail>>,
    reader: JoinHandle<()>,
}

/// What is followed, and how much of it.
struct Printed {
    app: AppId,
    pid: i32,
    clock: Clock,
    /// All replicas of the app share it.
    allowance: Arc<Mutex<Allowance>>,
    tail: Arc<Mutex<Tail>>,
}

/// The last lines, cut to size.
#[derive(Debug, Default)]
struct Tail(VecDeque<String>);

/// Takes bytes, gives lines of bounded length.
struct Lines<F: FnMut(&str)> {
    line: Vec<u8>,
    give: F,
}

// === impl Output ===

impl Output {
    /// Logs what comes through `pipe` as the output of process `pid` of `app`, as far as `allowance` goes.
    pub(super) fn follow(
        pipe: PipeReader,
        app: AppId,
        pid: i32,
        clock: Clock,
        allowance: Arc<Mutex<Allowance>>,
    ) -> Self {
        let tail = Arc::new(Mutex::new(Tail::default()));
        let printed = Printed { app, pid, clock, allowance, tail: tail.clone() };
        let reader = tokio::spawn(async move {
            let pipe = match pipe::Receiver::from_owned_fd(OwnedFd::from(pipe)) {
                Ok(pipe) => pipe,
                Err(error) => {
                    tracing::warn!(app = %printed.app, pid, %error, "cannot read what the replica prints");
                    return;
                }
            };
            read(pipe, |line| printed.line(line), |bytes| printed.read(bytes)).await;
            printed.end();
        });
        Self { tail, reader }
    }

    /// The last lines so far, oldest first.
    pub(super) fn tail(&self) -> Vec<String> {
        self.tail.lock().0.iter().cloned().collect()
    }

    /// The last lines of a process that has ended.
    pub(super) async fn last_words(mut self) -> Vec<String> {
        // Not finished in time: somebody else holds the pipe, and nobody will wait for that.
        let _ = tokio::time::timeout(LAST_WORDS, &mut self.reader).await;
        self.tail()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Gives each line of `source` to `give` until it ends; after each read, waits as long as `pause` says of its bytes.
async fn read(
    mut source: impl AsyncRead + Unpin,
    give: impl FnMut(&str),
    mut pause: impl FnMut(usize) -> Option<Duration>,
) {
    let mut lines = Lines { line: Vec::new(), give };
    let mut chunk = vec![0; LONGEST_LINE];
    while let Ok(count @ 1..) = source.read(&mut chunk).await {
        lines.push(&chunk[..count]);
        if let Some(pause) = pause(count) {
            tokio::time::sleep(pause).await;
        }
    }
    lines.end_line();
}

// === impl Printed ===

impl Printed {
    fn line(&self, line: &str) {
        let (app, pid, now) = (&self.app, self.pid, self.clock.now());
        let (left_out, is_logged) = {
            let mut allowance = self.allowance.lock();
            (allowance.left_out(now), allowance.line(now, line.len()))
        };
        self.tell(left_out);
        if is_logged {
            tracing::info!(target: "app", %app, pid, "{line}");
        }
        self.tail.lock().push(line);
    }

    fn read(&self, bytes: usize) -> Option<Duration> {
        self.allowance.lock().read(self.clock.now(), bytes)
    }

    fn end(&self) {
        let rest = self.allowance.lock().rest();
        self.tell(rest);
    }

    fn tell(&self, left_out: Option<LeftOut>) {
        if let Some(LeftOut { lines, bytes }) = left_out {
            tracing::warn!(target: "app", app = %self.app, "left out {lines} lines ({bytes} bytes) of what it has printed");
        }
    }
}

// === impl Lines ===

impl<F: FnMut(&str)> Lines<F> {
    fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = &bytes[..bytes.len().min(LONGEST_LINE - self.line.len())];
            let newline = room.iter().position(|&byte| byte == b'\n');
            let taken = newline.unwrap_or(room.len());
            self.line.extend_from_slice(&room[..taken]);
            bytes = &bytes[taken + usize::from(newline.is_some())..];
            if newline.is_some() || self.line.len() == LONGEST_LINE {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        if !line.is_empty() {
            (self.give)(&String::from_utf8_lossy(line));
        }
        self.line.clear();
    }
}

// === impl Tail ===

impl Tail {
    fn push(&mut self, line: &str) {
        let mut kept = if self.0.len() == KEPT_LINES { self.0.pop_front().unwrap_or_default() } else { String::new() };
        kept.clear();
        kept.push_str(&line[..line.floor_char_boundary(KEPT_BYTES)]);
        self.0.push_back(kept);
    }
}

#[cfg(test)]
mod tests;
