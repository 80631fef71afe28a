//! Starts and reaps processes, on one thread of its own: a process asked to die with its parent dies with the *thread* that
//! started it, so that thread has to stay as long as any of them.

use std::io::{self, ErrorKind, PipeReader, PipeWriter};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, getpid, getppid, getrlimit, setrlimit};
use tokio::sync::oneshot;

use super::group::{self, Group};
use super::guardian::{Guardian, GuardianCommand, announce};
use super::left_behind::{self, Mark, Marks};
use super::ports::{NoLease, PortLease, Ports};
use crate::clock::Clock;
use crate::platform::FailureCause;
use crate::settings::{PortChoice, ProcessSpec};

/// How often processes that were told to go, and have nobody who waits for them, are looked after.
const LEFT_OVER_CHECK: Duration = Duration::from_millis(100);

/// The way to the thread. The thread ends when this is dropped.
pub(super) struct Spawner {
    /// Unbounded, but each replica has one order in it at most.
    orders: mpsc::Sender<Order>,
    ports: Arc<Ports>,
}

/// How processes are started.
pub(super) struct SpawnOptions {
    /// What the program `zerogate` stands for.
    pub(super) this_program: PathBuf,
    /// How to run a guardian.
    pub(super) guardian: Option<GuardianCommand>,
    /// The soft limit of open files that processes get.
    pub(super) open_files: Option<u64>,
}

/// A process that has just been started.
pub(super) struct Process {
    /// The process and all it starts.
    pub(super) group: Group,
    /// Its port.
    pub(super) port: PortLease,
    /// What it prints.
    pub(super) output: PipeReader,
    /// What it and all it starts can be told by.
    pub(super) mark: Mark,
}

enum Order {
    Spawn { spec: Arc<ProcessSpec>, spawner: Arc<Spawner>, reply: oneshot::Sender<Result<Process, FailureCause>> },
    Reap(Child),
    GuardianEnded(Pid),
    Quit,
}

/// The thread's state.
struct Thread {
    orders: mpsc::Receiver<Order>,
    options: SpawnOptions,
    ports: Arc<Ports>,
    guardian: Guardian,
    marks: Marks,
    /// Killed, but not gone yet.
    left_over: Vec<Child>,
}

// === impl Spawner ===

impl Spawner {
    /// Starts the thread.
    pub(super) fn start(options: SpawnOptions, ports: Arc<Ports>, clock: Clock) -> io::Result<Arc<Self>> {
        let (orders, received) = mpsc::channel();
        let (to_thread, of_thread) = (orders.clone(), ports.clone());
        std::thread::Builder::new().name("spawner".into()).spawn(move || {
            let guardian = Guardian::start(options.guardian.clone(), clock, move |pid| {
                let _ = to_thread.send(Order::GuardianEnded(pid));
            });
            let (marks, left_over) = (Marks::new(), Vec::new());
            Thread { orders: received, options, ports: of_thread, guardian, marks, left_over }.run();
        })?;
        Ok(Arc::new(Self { orders, ports }))
    }

    /// Whether a replica of this gateway has `port`.
    pub(super) fn has_given_out(&self, port: u16) -> bool {
        self.ports.has_given_out(port)
    }

    /// Starts a process. If the future is dropped, the process is killed.
    pub(super) async fn spawn(self: &Arc<Self>, spec: Arc<ProcessSpec>) -> Result<Process, FailureCause> {
        let program = spec.command[0].clone();
        let (reply, replied) = oneshot::channel();
        let _ = self.orders.send(Order::Spawn { spec, spawner: self.clone(), reply });
        let gone = || FailureCause::CannotRun { program, why: "the gateway cannot start processes any more".into() };
        replied.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Kills what is left of the child's process group, then reaps the child as soon as it has ended.
    pub(super) fn reap(&self, child: Child) {
        let _ = self.orders.send(Order::Reap(child));
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::Quit);
    }
}

// === impl Thread ===

impl Thread {
    fn run(mut self) {
        loop {
            let order = if self.left_over.is_empty() {
                self.orders.recv().ok()
            } else {
                match self.orders.recv_timeout(LEFT_OVER_CHECK) {
                    Err(mpsc::RecvTimeoutError::Timeout) => {
                        self.reap_left_over();
                        continue;
                    }
                    order => order.ok(),
                }
            };
            match order {
                Some(Order::Spawn { spec, spawner, reply }) => {
                    // Nobody there for it any more: dropping the process kills it.
                    let _ = reply.send(self.spawn(&spec, spawner));
                }
                Some(Order::Reap(child)) => {
                    self.left_over.push(child);
                    self.reap_left_over();
                }
                Some(Order::GuardianEnded(pid)) => self.guardian.ended(pid),
                Some(Order::Quit) | None => return,
            }
        }
    }

    fn reap_left_over(&mut self) {
        let guardian = &mut self.guardian;
        self.left_over.retain_mut(|child| {
            let pid = Pid::from_child(child);
            // Until the leader is reaped, the number is this group's and no other's.
            group::kill(pid);
            let ended = group::exit_of(pid).is_some();
            if ended {
                guardian.remove(pid);
                let _ = child.wait();
            }
            !ended
        });
    }

    fn spawn(&mut self, spec: &ProcessSpec, spawner: Arc<Spawner>) -> Result<Process, FailureCause> {
        let port = self.lease(spec)?;
        let (output, printed) = io::pipe().map_err(|error| cannot_run(spec, &error))?;
        let mut command = self.command(spec, port.get(), printed).map_err(|error| cannot_run(spec, &error))?;
        let mark = self.marks.next();
        command.env(left_behind::VARIABLE, mark.value());
        let child = command.spawn().map_err(|error| {
            self.guardian.none_started();
            cannot_run(spec, &error)
        })?;
        let group = Group::new(child, spawner);
        self.guardian.add(group.id());
        Ok(Process { group, port, output, mark })
    }

    fn lease(&self, spec: &ProcessSpec) -> Result<PortLease, FailureCause> {
        let range = self.ports.range();
        let (lease, tried) = match spec.port {
            PortChoice::Auto => (self.ports.any(), format!("{} to {}", range.start(), range.end())),
            PortChoice::Fixed(port) => (self.ports.fixed(port), port.to_string()),
        };
        lease.map_err(|why| match why {
            NoLease::Taken => FailureCause::NoPort { tried },
            NoLease::Untried(lack) => cannot_run(spec, &lack.into()),
        })
    }

    fn command(&mut self, spec: &ProcessSpec, port: u16, printed: PipeWriter) -> io::Result<Command> {
        let port = port.to_string();
        let mut command = match &*spec.command[0] {
            "zerogate" => Command::new(&self.options.this_program),
            program => Command::new(program.replace("{port}", &port)),
        };
        command.args(spec.command[1..].iter().map(|argument| argument.replace("{port}", &port)));
        command.envs(spec.env.iter().map(|(name, value)| (name, value.replace("{port}", &port))));
        command.env("PORT", port);
        if let Some(dir) = &spec.working_dir {
            command.current_dir(dir);
        }
        command.stdin(Stdio::null()).stdout(printed.try_clone()?).stderr(printed).process_group(0);
        let (parent, guardian) = (getpid(), self.guardian.socket());
        let open_files = self.options.open_files.map(|soft| {
            let maximum = getrlimit(Resource::Nofile).maximum;
            Rlimit { current: Some(maximum.map_or(soft, |hard| soft.min(hard))), maximum }
        });
        // SAFETY: between fork and exec `before_exec` makes system calls only; it neither allocates nor locks.
        #[allow(unsafe_code)]
        unsafe {
            command.pre_exec(move || before_exec(parent, guardian.as_deref(), open_files));
        }
        Ok(command)
    }
}

/// What a new process does before it becomes the app's.
fn before_exec(parent: Pid, guardian: Option<&UnixStream>, open_files: Option<Rlimit>) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // The parent may have died before it could be the cause of a signal.
    if getppid() != Some(parent) {
        return Err(ErrorKind::BrokenPipe.into());
    }
    // From its very beginning, so that nothing it starts can be missed. The parent says it again, should this fail.
    if let Some(socket) = guardian {
        let _ = announce(socket);
    }
    if let Some(limit) = open_files {
        setrlimit(Resource::Nofile, limit)?;
    }
    Ok(())
}

/// The error of a start in words. What the system says is the same for several mistakes.
fn cannot_run(spec: &ProcessSpec, error: &io::Error) -> FailureCause {
    let program = &spec.command[0];
    let dir = spec.working_dir.as_deref().filter(|dir| !dir.is_dir());
    let why = match (error.kind(), dir) {
        (_, Some(dir)) if dir.exists() => format!("its working directory {} is not a directory", dir.display()),
        (_, Some(dir)) => format!("its working directory {} does not exist", dir.display()),
        (ErrorKind::NotFound, None) if !program.contains('/') => "command not found".into(),
        (ErrorKind::NotFound, None) if file(spec).exists() => "the interpreter it names does not exist".into(),
        (ErrorKind::NotFound, None) => "no such file".into(),
        (ErrorKind::PermissionDenied, None) => "permission denied".into(),
        _ if matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE)) => {
            "the gateway has no open file left; raise its limit (ulimit -Hn)".into()
        }
        _ => error.to_string(),
    };
    FailureCause::CannotRun { program: program.clone(), why }
}

/// The program, which is named by a path, from where it would be run.
fn file(spec: &ProcessSpec) -> PathBuf {
    spec.working_dir.as_deref().unwrap_or(Path::new("")).join(&spec.command[0])
}
