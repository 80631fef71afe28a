//! `zerogate echo`: a small HTTP app for trying things out. It shows what reached it, streams, upgrades, speaks gRPC, and
//! misbehaves when told to. HTTP/1.1 and HTTP/2 (prior knowledge) on one port, or both with TLS.
//!
//! | path | answer |
//! |---|---|
//! | `/healthz` | 200, or 503 for the time `--unready-for` gives |
//! | `/hello` | `Hello, world!`: 13 bytes, for benchmarks |
//! | `/sleep?ms=` | the request as JSON, after that many milliseconds |
//! | `/bytes?n=` | that many bytes, streamed |
//! | `/status/503` | that status |
//! | `/sse?n=&ms=` | `n` server-sent events, `ms` milliseconds apart |
//! | `/stream` | the request's body as it comes, trailers included |
//! | `/ws`, `/upgrade` | a WebSocket, or raw bytes after a 101, echoed |
//! | `/close?after=` | half of the body it promises, then the connection is closed |
//! | `/die` | none: the process exits at once with code 7 |
//! | `/echo.Echo/Say`, `/echo.Echo/Fail`, `/grpc.health.v1.Health/Check` | gRPC |
//! | any other | the request as JSON |

mod answer;
mod args;
mod body;
mod grpc;
mod mirror;
mod misbehave;
mod server;
mod tls;
mod upgrade;

use std::io::Write;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use activator::{Clock, Timestamp};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

pub use args::EchoArgs;
use args::Manner;

/// How long requests in flight have to finish after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);

/// What all connections share.
struct Echo {
    name: Option<String>,
    port: u16,
    /// Requests served so far, health checks apart.
    served: AtomicU64,
    manner: Manner,
    clock: Clock,
    listening_since: Timestamp,
    /// The same as a time of day.
    listening_at: SystemTime,
    unready_for: Duration,
    keep_alive_timeout: Option<Duration>,
    max_streams: Option<u32>,
    /// Whether it takes WebSockets over HTTP/2.
    extended_connect: bool,
    /// What a request needs to be served, if `--concurrency` is given.
    slots: Option<Arc<Semaphore>>,
    /// What a request needs or the app dies, if `--die-above` is given.
    lives: Option<Arc<Semaphore>>,
    /// What handshakes are made with, if TLS is served.
    tls: Option<TlsAcceptor>,
}

/// Runs the app until SIGTERM or SIGINT, and lets what is in flight finish for up to ten seconds.
pub fn main(args: EchoArgs) -> ExitCode {
    let runtime = match args.threads.get() {
        1 => tokio::runtime::Builder::new_current_thread().enable_all().build(),
        threads => tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build(),
    };
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(run(args));
            runtime.shutdown_background();
            code
        }
        Err(error) => fail(&format!("no runtime: {error}")),
    }
}

async fn run(args: EchoArgs) -> ExitCode {
    let (mut terminate, mut interrupt) = match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
        (Err(error), _) | (_, Err(error)) => return fail(&format!("cannot listen for signals: {error}")),
    };
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::select! {
        biased;
        code = exit_as_told(&args) => code,
        code = listen(&args, stop) => code,
    }
}

async fn exit_as_told(args: &EchoArgs) -> ExitCode {
    let Some(code) = args.exit_code else { return std::future::pending().await };
    if !args.exit_after.0.is_zero() {
        tokio::time::sleep(args.exit_after.0).await;
    }
    say(std::io::stderr(), &format!("echo: exiting with code {code}, as told"));
    ExitCode::from(code)
}

async fn listen(args: &EchoArgs, stop: impl Future<Output = ()>) -> ExitCode {
    let mut stop = std::pin::pin!(stop);
    let delay = async {
        if args.never_listen {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(args.start_delay.0).await;
    };
    tokio::select! {
        () = delay => {}
        () = &mut stop => return ExitCode::SUCCESS,
    }
    let tls = match tls::acceptor(args) {
        Ok(tls) => tls,
        Err(error) => return fail(&error),
    };
    let asked = SocketAddr::new(args.addr, args.port);
    let bound = async {
        let listener = TcpListener::bind(asked).await?;
        // From here on the system takes connections for it.
        let listening_at = SystemTime::now();
        let address = listener.local_addr()?;
        Ok::<_, std::io::Error>((listener, address, listening_at))
    };
    let (listener, address, listening_at) = match bound.await {
        Ok(bound) => bound,
        Err(error) => return fail(&format!("cannot listen on {asked}: {error}")),
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    say(std::io::stdout(), &format!("echo: listening on {scheme}://{address}"));
    server::serve(listener, Arc::new(Echo::new(args, address.port(), listening_at, tls)), stop, GRACE).await;
    ExitCode::SUCCESS
}

fn fail(why: &str) -> ExitCode {
    say(std::io::stderr(), &format!("echo: {why}"));
    ExitCode::FAILURE
}

fn semaphore(permits: NonZeroU32) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(permits.get() as usize))
}

/// Prints a line. Nobody may be listening any more, which is no reason to fail.
fn say(mut to: impl Write, line: &str) {
    let _ = writeln!(to, "{line}");
}

// === impl Echo ===

impl Echo {
    fn new(args: &EchoArgs, port: u16, listening_at: SystemTime, tls: Option<TlsAcceptor>) -> Self {
        let clock = Clock::running();
        Self {
            name: args.name.clone(),
            port,
            served: AtomicU64::new(0),
            manner: args.manner(),
            listening_since: clock.now(),
            listening_at,
            clock,
            unready_for: args.unready_for.0,
            keep_alive_timeout: args.keep_alive_timeout.map(|timeout| timeout.0),
            max_streams: args.max_streams.map(u32::from),
            extended_connect: !args.no_extended_connect,
            slots: args.concurrency.map(semaphore),
            lives: args.die_above.map(semaphore),
            tls,
        }
    }

    fn is_ready(&self) -> bool {
        self.clock.now().since(self.listening_since) >= self.unready_for
    }
}

#[cfg(test)]
mod tests;
