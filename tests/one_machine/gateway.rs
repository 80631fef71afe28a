//! A running gateway.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use http::Request;
use parking_lot::Mutex;
use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::client::{Client, Reply, Sending, get};
use crate::document::{App, ZEROGATE, file};
use crate::ports::Ports;
use crate::processes::{self, is_alive};
use crate::wait::{soon, until};

/// Output kept, in bytes: the end of it.
const OUTPUT: usize = 1 << 20;

/// How a gateway is started.
pub struct Setup {
    yaml: String,
    flags: Vec<String>,
    folder: Folder,
    ports: Ports,
    processes: RangeInclusive<u16>,
    open_files: Option<u32>,
}

/// A gateway that runs. Dropping it kills it; [`Gateway::finish`] is how a test ends.
pub struct Gateway {
    pub http: SocketAddr,
    pub admin: SocketAddr,
    /// Where it serves TLS, if it does.
    pub https: SocketAddr,
    /// Where it serves KEDA, if it does.
    pub scaler: SocketAddr,
    child: Child,
    pid: u32,
    marker: String,
    output: Output,
    folder: Folder,
    _ports: Ports,
}

/// What it has printed.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<String>>);

/// A folder of its own, deleted on drop.
struct Folder(PathBuf);

// === impl Setup ===

impl Setup {
    pub fn new(apps: &[App]) -> Self {
        Self::with_yaml(file(apps))
    }

    pub fn with_yaml(yaml: String) -> Self {
        let ports = Ports::take();
        Self { yaml, flags: Vec::new(), folder: Folder::new(), processes: ports.processes(), ports, open_files: None }
    }

    /// Lets it have only so many open files.
    pub fn open_files(self, count: u32) -> Self {
        Self { open_files: Some(count), ..self }
    }

    /// These apps in place of those given before.
    pub fn yaml(self, apps: &[App]) -> Self {
        Self { yaml: file(apps), ..self }
    }

    /// One more flag of `run`, with its value.
    pub fn flag(mut self, name: &str, value: &str) -> Self {
        self.flags.extend([name.to_owned(), value.to_owned()]);
        self
    }

    /// Has it serve KEDA.
    pub fn scaler(self) -> Self {
        let address = format!("127.0.0.1:{}", self.ports.scaler());
        self.flag("--scaler", &address)
    }

    /// Has it serve TLS.
    pub fn https(self) -> Self {
        let address = format!("127.0.0.1:{}", self.ports.https());
        self.flag("--https", &address)
    }

    /// Leaves the processes only so many ports, and tells them.
    pub fn process_ports(mut self, count: u16) -> (Self, RangeInclusive<u16>) {
        let first = *self.processes.start();
        self.processes = first..=first + count - 1;
        let ports = self.processes.clone();
        (self, ports)
    }

    /// Where its edge will listen.
    pub fn http(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports.http()))
    }

    /// The folder the file is in, where processes run.
    pub fn folder(&self) -> &Path {
        &self.folder.0
    }

    fn spawn(&self, marker: &str) -> (Child, Output) {
        let config = self.folder.0.join("apps.yaml");
        std::fs::write(&config, &self.yaml).unwrap();
        let (name, value) = marker.split_once('=').unwrap();
        let mut command = match self.open_files {
            None => Command::new(ZEROGATE),
            Some(count) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {count} && exec \"$0\" \"$@\""), ZEROGATE]);
                shell
            }
        };
        let mut child = command
            .arg("run")
            .arg(&config)
            .args(["--http", &format!("127.0.0.1:{}", self.ports.http())])
            .args(["--admin", &format!("127.0.0.1:{}", self.ports.admin())])
            .args(["--ports", &format!("{}-{}", self.processes.start(), self.processes.end())])
            .args(self.default_flag("--threads", "2"))
            .args(self.default_flag("--lame-duck", "0s"))
            .args(self.default_flag("--drain-timeout", "20s"))
            .args(&self.flags)
            .env(name, value)
            .env_remove("PORT")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let output = Output::default();
        output.collect(child.stdout.take().unwrap());
        output.collect(child.stderr.take().unwrap());
        (child, output)
    }

    fn default_flag<'a>(&self, name: &'a str, value: &'a str) -> Vec<&'a str> {
        if self.flags.iter().any(|flag| flag == name) { Vec::new() } else { vec![name, value] }
    }

    /// Starts it and waits until it is ready.
    pub async fn start(self) -> Gateway {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let marker = format!("ZEROGATE_TEST_RUN={}-{number}", std::process::id());
        let (child, output) = self.spawn(&marker);
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut gateway = Gateway {
            http: address(self.ports.http()),
            admin: address(self.ports.admin()),
            https: address(self.ports.https()),
            scaler: address(self.ports.scaler()),
            pid: child.id().unwrap(),
            child,
            marker,
            output,
            folder: self.folder,
            _ports: self.ports,
        };
        until("the gateway is ready", async || {
            if let Some(status) = gateway.child.try_wait().unwrap() {
                panic!("the gateway ended with {status}:\n{}", gateway.output());
            }
            tokio::net::TcpStream::connect(gateway.admin).await.ok()?;
            (gateway.admin_get("/readyz").await?.status == 200).then_some(())
        })
        .await;
        gateway
    }

    /// Starts it and waits until it has ended: what it said.
    pub async fn fail(self) -> (ExitStatus, String) {
        let (mut child, output) = self.spawn("ZEROGATE_TEST_RUN=fails");
        let status = soon("the gateway ends", child.wait()).await.unwrap();
        let end = async || Arc::strong_count(&output.0).eq(&1).then(|| output.0.lock().clone());
        (status, until("its output ends", end).await)
    }
}

// === impl Gateway ===

impl Gateway {
    /// Starts one for these apps, with default flags.
    pub async fn start(apps: &[App]) -> Self {
        Setup::new(apps).start().await
    }

    /// One request over a connection of its own.
    pub async fn send(&self, request: Request<Sending>) -> Reply {
        Client::http1(self.http).await.send(request).await
    }

    /// `GET http://HOST/PATH` over a connection of its own.
    pub async fn get(&self, host: &str, path: &str) -> Reply {
        self.send(get(host, path)).await
    }

    /// The same, going on by itself. Aborting the task closes the connection.
    pub fn spawn_get(&self, host: &str, path: &str) -> JoinHandle<Reply> {
        self.spawn(get(host, path))
    }

    /// One request over a connection of its own, going on by itself.
    pub fn spawn(&self, request: Request<Sending>) -> JoinHandle<Reply> {
        let to = self.http;
        tokio::spawn(async move { Client::http1(to).await.send(request).await })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The processes it has started that are alive.
    pub fn children(&self) -> Vec<u32> {
        processes::with_environment(&self.marker).into_iter().filter(|pid| *pid != self.pid).collect()
    }

    /// What it has printed.
    pub fn output(&self) -> String {
        self.output.0.lock().clone()
    }

    /// The folder its file is in.
    pub fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// Writes its file anew.
    pub fn rewrite(&self, yaml: &str) {
        // As editors do it: a new file takes the place of the old one.
        let new = self.folder.0.join("apps.yaml.new");
        std::fs::write(&new, yaml).unwrap();
        std::fs::rename(new, self.folder.0.join("apps.yaml")).unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        processes::signal(self.pid, signal);
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        soon("the gateway ends", self.child.wait()).await.unwrap()
    }

    /// After its end: every app's process is gone, and its guardian goes too.
    pub async fn nothing_is_left(&self) {
        let (guardians, mut apps): (Vec<_>, Vec<_>) = self.children().into_iter().partition(|pid| is_guardian(*pid));
        // One that has just gone does not say any more what it was.
        apps.retain(|pid| is_alive(*pid));
        assert_eq!(apps, Vec::<u32>::new(), "processes left");
        until("the guardian is gone", async || guardians.iter().all(|pid| !is_alive(*pid)).then_some(())).await;
    }

    /// Ends a test: nothing is in flight, SIGTERM leads to exit code 0, no process is left.
    pub async fn finish(mut self) {
        self.quiet().await;
        self.signal(Signal::TERM);
        let status = self.ended().await;
        assert_eq!(status.code(), Some(0), "{status}");
        self.nothing_is_left().await;
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the gateway's output\n{}\n---", self.output());
        }
    }
}

/// Whether it is what ends the processes of a gateway that was killed, and not one of them, or is about to be gone: then it does
/// not say any more what it was.
fn is_guardian(pid: u32) -> bool {
    let arguments = processes::arguments(pid);
    arguments.get(1).is_some_and(|argument| argument == "guardian") || arguments.iter().all(String::is_empty)
}

// === impl Output ===

impl Output {
    fn collect(&self, mut from: impl AsyncRead + Unpin + Send + 'static) {
        let output = self.clone();
        tokio::spawn(async move {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(read @ 1..) = from.read(&mut buffer).await {
                let mut output = output.0.lock();
                output.push_str(&String::from_utf8_lossy(&buffer[..read]));
                if output.len() > OUTPUT {
                    let cut = (output.len() - OUTPUT / 2..output.len()).find(|at| output.is_char_boundary(*at));
                    output.drain(..cut.unwrap_or_default());
                }
            }
        });
    }
}

// === impl Folder ===

impl Folder {
    fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("zerogate-test-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
