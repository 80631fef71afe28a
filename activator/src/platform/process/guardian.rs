//! No orphans, even when the gateway is killed with no chance to clean up.
//!
//! A process that dies with its parent (`PR_SET_PDEATHSIG`) does not take its own children along. So a *guardian*, one more
//! process of the gateway's own program, knows every process group that runs. It reads `+PGID` and `-PGID` lines from a
//! socket whose other end only the gateway has; when that ends, the gateway is gone, and the guardian kills what is still there.
//! A new process says `?PGID` itself before it becomes the app's, so there is no moment in which it can be missed.
//! What has left its process group (a daemon) is out of its reach.

use std::collections::HashSet;
use std::io::{self, BufRead, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpid, kill_process_group, setsid, waitid};
use tokio::signal::unix::{SignalKind, signal};

use super::group::exit_of;
use crate::clock::Clock;

/// Guardians that keep dying are replaced at most once in this time.
const LEAST_LIFE: Duration = Duration::from_secs(1);

/// A guardian that does not read for this long is replaced.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(1);

/// The gateway's side: keeps a guardian running and tells it what there is. Belongs to the thread that starts processes.
pub(super) struct Guardian {
    command: Option<GuardianCommand>,
    clock: Clock,
    on_end: Arc<dyn Fn(Pid) + Send + Sync>,
    groups: HashSet<Pid>,
    running: Option<Running>,
}

/// How to run the guardian: a program that calls [`guardian_main`] when given these arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardianCommand {
    /// The program.
    pub program: PathBuf,
    /// What makes it a guardian.
    pub arguments: Vec<String>,
}

/// A guardian process, killed when dropped. Its socket must not end before: it would kill every group.
struct Running {
    child: Child,
    socket: Arc<UnixStream>,
}

/// What the guardian is told of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// It is about to run. One at a time: whatever is said next tells what became of it.
    Starting,
    Added,
    Removed,
}

// === impl Guardian ===

impl Guardian {
    /// Starts a guardian; with no command there is none. `on_end` is called, on a thread of its own, when one has ended.
    pub(super) fn start(
        command: Option<GuardianCommand>,
        clock: Clock,
        on_end: impl Fn(Pid) + Send + Sync + 'static,
    ) -> Self {
        let mut guardian = Self { command, clock, on_end: Arc::new(on_end), groups: HashSet::new(), running: None };
        guardian.revive();
        guardian
    }

    /// Where a new process may announce itself.
    pub(super) fn socket(&mut self) -> Option<Arc<UnixStream>> {
        if self.running.as_ref().is_none_or(|running| exit_of(running.pid()).is_some()) {
            self.revive();
        }
        self.running.as_ref().map(|running| running.socket.clone())
    }

    /// The group is to go when the gateway does.
    pub(super) fn add(&mut self, group: Pid) {
        self.groups.insert(group);
        self.tell(Change::Added, Some(group));
    }

    /// The group is no more. To be called before its leader is reaped: after that its number may become another's.
    pub(super) fn remove(&mut self, group: Pid) {
        self.groups.remove(&group);
        self.tell(Change::Removed, Some(group));
    }

    /// The guardian `pid` has ended: another takes its place.
    pub(super) fn ended(&mut self, pid: Pid) {
        if self.running.as_ref().is_some_and(|running| running.pid() == pid) {
            tracing::warn!(%pid, "the guardian of the apps' processes has ended; starting another");
            self.revive();
        }
    }

    /// A process that may have announced itself was not started after all.
    pub(super) fn none_started(&mut self) {
        self.tell(Change::Starting, None);
    }

    fn tell(&mut self, change: Change, group: Option<Pid>) {
        let Some(running) = &self.running else { return };
        if let Err(error) = tell(&running.socket, change, group) {
            tracing::warn!(%error, "the guardian of the apps' processes does not listen; starting another");
            self.revive();
        }
    }

    /// Ends the guardian there is, starts another and tells it everything.
    fn revive(&mut self) {
        let Some(command) = &self.command else { return };
        self.running = None;
        let revived = Running::launch(command).and_then(|running| {
            let groups: String = self.groups.iter().map(|group| format!("+{group}\n")).collect();
            send_all(&running.socket, groups.as_bytes())?;
            self.watch(running.pid())?;
            Ok(running)
        });
        match revived {
            Ok(running) => self.running = Some(running),
            Err(error) => tracing::error!(
                program = %command.program.display(),
                %error,
                "no guardian: if the gateway is killed, processes that its apps have started may stay"
            ),
        }
    }

    /// Waits for the guardian's end on a thread of its own.
    fn watch(&self, pid: Pid) -> io::Result<()> {
        let (on_end, clock) = (self.on_end.clone(), self.clock.clone());
        let begin = clock.now();
        std::thread::Builder::new().name("guardian-watch".into()).spawn(move || {
            // Not reaped here: that is for its owner, until when the number stays its own.
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(pid), options), Err(Errno::INTR)) {}
            std::thread::sleep(LEAST_LIFE.saturating_sub(clock.now().since(begin)));
            on_end(pid);
        })?;
        Ok(())
    }
}

// === impl Running ===

impl Running {
    fn launch(GuardianCommand { program, arguments }: &GuardianCommand) -> io::Result<Self> {
        let (socket, end) = UnixStream::pair()?;
        socket.set_write_timeout(Some(LISTEN_TIMEOUT))?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(OwnedFd::from(end)).stdout(Stdio::null());
        // SAFETY: `setsid` is a bare system call; nothing is allocated or locked between fork and exec.
        #[allow(unsafe_code)]
        unsafe {
            command.pre_exec(|| Ok(setsid().map(drop)?));
        }
        Ok(Self { child: command.spawn()?, socket: Arc::new(socket) })
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tells the guardian at the other end of `socket` that the caller is about to become the leader of a group.
/// For use between fork and exec: allocates nothing.
pub(super) fn announce(socket: &UnixStream) -> io::Result<()> {
    tell(socket, Change::Starting, Some(getpid()))
}

fn tell(socket: &UnixStream, change: Change, group: Option<Pid>) -> io::Result<()> {
    let sign = match change {
        Change::Starting => '?',
        Change::Added => '+',
        Change::Removed => '-',
    };
    let mut line = [0; 16];
    let mut rest = &mut line[..];
    writeln!(rest, "{sign}{}", Pid::as_raw(group))?;
    let unused = rest.len();
    let line = &line[..line.len() - unused];
    send_all(socket, line)
}

fn send_all(socket: &UnixStream, lines: &[u8]) -> io::Result<()> {
    // No signal: a new process must not die because the guardian is gone.
    let sent = send(socket, lines, SendFlags::NOSIGNAL)?;
    if sent == lines.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

// === the guardian itself ===

/// What the guardian process does: reads from standard input which process groups there are until that ends, then kills
/// those that are left. Returns when it is done. To be called first thing in `main`, before there are threads.
pub fn guardian_main() {
    // What is meant for the gateway may reach the guardian too: it goes when the gateway has gone.
    let ignored = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let _caught: Vec<_> = runtime.iter().flat_map(|runtime| ignored.map(|kind| caught(runtime, kind))).collect();
    for group in left_at_end(io::stdin().lock()) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// Catches a signal that nobody then looks at, which is to ignore it.
fn caught(runtime: &tokio::runtime::Runtime, kind: SignalKind) -> io::Result<tokio::signal::unix::Signal> {
    let _entered = runtime.enter();
    signal(kind)
}

/// The groups there are by the end of `changes`.
fn left_at_end(changes: impl BufRead) -> HashSet<Pid> {
    let mut groups = HashSet::new();
    let mut starting = None;
    for line in changes.lines().map_while(Result::ok) {
        let Some((sign, group)) = line.split_at_checked(1) else { continue };
        // No number, or one that does not mean a group: 0 is our own, 1 would be everybody.
        let group = group.parse().ok().filter(|pid| *pid > 1).and_then(Pid::from_raw);
        starting = group.filter(|_| sign == "?");
        match (sign, group) {
            ("+", Some(group)) => groups.insert(group),
            ("-", Some(group)) => groups.remove(&group),
            _ => continue,
        };
    }
    groups.extend(starting);
    groups
}

#[cfg(test)]
mod tests;
