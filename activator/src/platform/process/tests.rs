//! With real processes. Those that have to be servers are this test binary, told to run one of `children`.

mod children;
mod guarded;
mod scale;
mod start;
mod stop;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::*;
use crate::admission::Endpoint;
use crate::app::{App, Permit};
use crate::failure::StartFailure;
use crate::hold::HoldBudget;
use crate::platform::FailureCause;
use crate::settings::{AppId, AppSettings, Hold, PortChoice, ProcessSpec, Readiness, Target};

/// Nothing that is waited for takes nearly as long.
const DEADLINE: Duration = Duration::from_secs(30);
const SIGTERM: i32 = 15;

/// A platform of its own, with an app.
struct Bed {
    platform: ProcessPlatform,
    app: Arc<App>,
    pokes: mpsc::UnboundedReceiver<Arc<App>>,
}

impl Bed {
    fn new(spec: ProcessSpec) -> Self {
        Self::with(spec, ProcessOptions { ports: ports(10), ..ProcessOptions::default() })
    }

    fn with(spec: ProcessSpec, options: ProcessOptions) -> Self {
        let clock = Clock::running();
        let (pokes, received) = mpsc::unbounded_channel();
        let shared = crate::app::Shared {
            clock: clock.clone(),
            budget: HoldBudget::new(100, 1 << 20),
            pokes,
            news: None,
            leaving: Default::default(),
            fleet: Default::default(),
        };
        let app = App::new(AppId::new("default", "test"), settings(spec), Arc::new(shared));
        let platform = ProcessPlatform::new(options, clock).expect("a platform");
        platform.observe(app.subject());
        Self { platform, app, pokes: received }
    }

    async fn scale(&self, replicas: u32) {
        self.app.set_wanted(replicas, self.app.clock().now());
        // As the scaler does it, or, where something is in use, whether it would or not.
        let order = self.app.next_order();
        let accepted = self.platform.scale(order.unwrap_or_else(|| self.order(replicas))).await.expect("accepted");
        self.app.order_accepted(accepted);
    }

    fn order(&self, replicas: u32) -> Order {
        let Subject { key, id, settings, .. } = self.app.subject();
        Order {
            key,
            id,
            settings,
            replicas,
            victims: Vec::new(),
            urgent: true,
            decided_as_of: 0,
            condition: crate::platform::Condition::Always,
        }
    }

    /// Declares it anew.
    fn configure(&self, spec: ProcessSpec) {
        assert!(self.app.configure(settings(spec)));
        self.platform.observe(self.app.subject());
    }

    /// Waits until so many endpoints are in rotation and nothing else is on its way.
    async fn ready(&self, replicas: usize) -> Arc<Vec<Arc<Endpoint>>> {
        until("replicas ready", || self.app.endpoints().len() == replicas && self.app.starting() == 0).await;
        self.app.endpoints()
    }

    async fn failure(&self) -> Arc<StartFailure> {
        until("a failure", || self.app.failure().is_some()).await;
        self.app.failure().expect("there").failure
    }

    /// Waits until a sleeping app costs nothing.
    async fn at_rest(&self) {
        let mut supervised = self.platform.shared.supervised.subscribe();
        let at_rest = supervised.wait_for(|count| *count == 0);
        let _ = tokio::time::timeout(DEADLINE, at_rest).await.expect("no supervisor left");
    }

    fn permit(&self) -> Permit {
        self.app.enter().try_admit(self.app.clock().now()).expect("a free slot")
    }
}

fn settings(spec: ProcessSpec) -> AppSettings {
    let target = Target::Process(Arc::new(spec));
    AppSettings { target, scaling: Arc::default(), hold: Hold::default() }
}

fn command<const N: usize>(command: [&str; N]) -> ProcessSpec {
    ProcessSpec {
        command: command.map(str::to_owned).to_vec(),
        env: BTreeMap::new(),
        working_dir: None,
        port: PortChoice::Auto,
        stop_signal: SIGTERM,
        stop_grace: Duration::from_secs(10),
        readiness: Readiness::TcpSocket,
        start_timeout: DEADLINE,
        protocol: Default::default(),
    }
}

/// Runs `script`, in which `$SERVER` is a server.
fn shell(script: &str) -> ProcessSpec {
    let mut spec = command(["sh", "-c", script]);
    spec.env.insert("SERVER".into(), children::command("server").join(" "));
    spec
}

fn server() -> ProcessSpec {
    shell("exec $SERVER")
}

/// So many ports that no other test has.
fn ports(count: u16) -> RangeInclusive<u16> {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    static BLOCK: OnceLock<(TcpListener, u16)> = OnceLock::new();
    // Another run of the tests may be under way on the same machine: whoever has a block's first port has the block.
    let (_, block) = BLOCK.get_or_init(|| {
        let mut blocks = (20_000..29_500).step_by(500);
        blocks.find_map(|block| Some((TcpListener::bind(("127.0.0.1", block)).ok()?, block))).expect("a free block")
    });
    let first = block + 1 + TAKEN.fetch_add(count, Ordering::Relaxed);
    first..=first + count - 1
}

/// A path nobody else uses.
fn scratch() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("zerogate-test-{}-{count}", std::process::id()))
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let so = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(DEADLINE, so).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

fn pid(endpoint: &Endpoint) -> i32 {
    endpoint.name().parse().expect("named by its process id")
}

/// Whether the process is there, other than as one that is dead and only has to be reaped.
fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

fn kill(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).expect("a pid"), signal).expect("it is there");
}

/// What the server behind `endpoint` says of itself.
async fn ask(endpoint: &Endpoint) -> String {
    let mut stream = TcpStream::connect(endpoint.address()).await.expect("it listens");
    stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer.rsplit_once("\r\n\r\n").expect("a body").1.to_owned()
}
