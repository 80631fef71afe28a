//! `zerogate run`: puts the parts together and lets pingora carry them.

mod listening;

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use activator::app::Shared;
use activator::platform::process::{GuardianCommand, ProcessOptions, ProcessPlatform};
use activator::registry::Registry;
use activator::resource::human::ByteSize;
use activator::scaler::Scaler;
use activator::{AppId, Clock, HoldBudget};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use parking_lot::Mutex;
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{RunArgs as PingoraArgs, Server, ShutdownSignal, ShutdownSignalWatch, ShutdownWatch};
use pingora_core::services::ServiceReadyNotifier;
use pingora_core::services::background::{BackgroundService, background_service};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;
use tracing_appender::non_blocking::WorkerGuard;

use crate::access_log::AccessLog;
use crate::admin::Admin;
use crate::cli::{AccessLogFormat, RunArgs};
use crate::config::settings::Declared;
use crate::config::{self, Fingerprint, Problems};
use crate::edge::backend::Backend;
use crate::edge::listener::Listener;
use crate::edge::route::Router;
use crate::edge::{Edge, EdgeOptions};
use crate::limits::AppLimits;
use crate::memory::{self, HighWater};
use crate::shutdown::{Drain, Shutdown};
use crate::telemetry;
use listening::{Bound, Listening, Vital};

/// How often what is only of use for a time is looked through.
const HOUSEKEEPING: Duration = Duration::from_secs(2);

/// The control plane as a pingora service: the scale loop, the configuration, housekeeping.
struct Control {
    edge: Arc<Edge>,
    files: Vec<PathBuf>,
    /// Taken when it starts.
    start: Mutex<Option<(Scaler, Fingerprint)>>,
    metrics: metrics_exporter_prometheus::PrometheusHandle,
    _vital: Vital,
}

/// Ends the server when a signal says so, and at once when a service has ended that nothing works without.
struct End {
    shutdown: Shutdown,
    ended: tokio::sync::Mutex<UnboundedReceiver<&'static str>>,
    /// The service that has ended by itself.
    failed: Arc<OnceLock<&'static str>>,
}

/// Serves until it is told to stop.
pub fn run(args: RunArgs) -> ExitCode {
    let (_log, loaded) = match begin(&args) {
        Ok(begun) => begun,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    match serve(args, loaded) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            tracing::error!("{why}");
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

/// What the configuration said, and what it looked like when it was read.
struct Loaded {
    declared: Declared,
    seen: Fingerprint,
}

fn begin(args: &RunArgs) -> Result<(WorkerGuard, Loaded), String> {
    if args.max_header_size < ByteSize(8192) {
        return Err(format!("error: --max-header-size {} is too little; 8KiB is the least", args.max_header_size));
    }
    if args.header_timeout.0.is_zero() {
        return Err("error: --header-timeout 0s leaves clients no time; give at least some milliseconds".into());
    }
    let log = telemetry::log_to_stderr(args.log_format, &args.log_level).map_err(|e| format!("error: {e}"))?;
    let seen = Fingerprint::take(&args.files);
    let declared = config::load(&args.files).map_err(|problems| problems.to_string())?;
    Ok((log, Loaded { declared, seen }))
}

fn serve(args: RunArgs, loaded: Loaded) -> Result<(), String> {
    let Loaded { declared, seen } = loaded;
    if args.http == args.admin {
        return Err(format!("--http and --admin are both {}; the admin address needs one of its own", args.http));
    }
    let http = Bound::to("--http", args.http)?;
    let admin = Bound::to("--admin", args.admin)?;
    let metrics = telemetry::record_metrics().map_err(|e| format!("cannot begin to count: {e}"))?;
    let files = raise_open_files();

    let clock = Clock::running();
    let (pokes, poked) = tokio::sync::mpsc::unbounded_channel();
    let budget = HoldBudget::new(args.max_held_requests, as_usize(args.max_held_bytes));
    let platform = ProcessPlatform::new(
        ProcessOptions {
            ports: args.ports,
            guardian: Some(guardian()?),
            open_files: files.before,
            ..ProcessOptions::default()
        },
        clock.clone(),
    );
    let platform = Arc::new(platform.map_err(|e| format!("cannot prepare to run processes: {e}"))?);
    let registry =
        Arc::new(Registry::new(Arc::new(Shared { clock: clock.clone(), budget, pokes, news: None }), platform.clone()));
    let drain = Arc::new(Drain::default());
    let (access_log, _unwritten) = match args.access_log {
        AccessLogFormat::Off => (AccessLog::off(), None),
        AccessLogFormat::Json => {
            let log = AccessLog::to(std::io::stdout()).map_err(|e| format!("cannot begin the access log: {e}"))?;
            (log.0, Some(log.1))
        }
    };
    let edge = Arc::new(Edge {
        router: ArcSwap::from_pointee(Router::new([])),
        registry: registry.clone(),
        clock: clock.clone(),
        drain: drain.clone(),
        access_log,
        options: EdgeOptions {
            header_timeout: args.header_timeout.0,
            max_header_bytes: as_usize(args.max_header_size),
            max_connections: args.max_connections.unwrap_or(files.now / 4 * 3),
            trusted_proxies: args.trusted_proxies.0,
        },
    });
    apply(&edge, &declared);
    tracing::info!(apps = declared.apps.len(), http = %args.http, admin = %args.admin, "zerogate starts");

    let threads = args.threads.map_or_else(all_cores, usize::from);
    let mut server = Server::new_with_opt_and_conf(
        None,
        ServerConf {
            threads,
            work_stealing: false,
            grace_period_seconds: Some(0),
            graceful_shutdown_timeout_seconds: Some(0),
            // Or pingora keeps a thread that wakes a hundred times a second, for ever.
            fast_timeout_to_tokio_threshold_seconds: Some(0),
            ..ServerConf::default()
        },
    );
    let (ends, ended) = tokio::sync::mpsc::unbounded_channel();
    let vital = |name| Vital { name, ended: ends.clone() };
    let control = server.add_service(background_service(
        "control",
        Control {
            edge: edge.clone(),
            files: args.files,
            start: Mutex::new(Some((Scaler::new(clock.clone(), platform.clone(), poked), seen))),
            metrics: metrics.clone(),
            _vital: vital("control"),
        },
    ));
    let ready = drain.clone();
    let listener = Listening::new(Listener::new(edge.clone()), http, vital("edge"), move || ready.set_ready());
    server.add_service(listener).add_dependency(&control);
    let answers = Admin { registry: registry.clone(), drain: drain.clone(), metrics, clock };
    server.add_service(Listening::new(answers, admin, vital("admin"), || {}).threads(1));

    let shutdown = Shutdown { drain, registry, platform, lame_duck: args.lame_duck.0, deadline: args.drain_timeout.0 };
    let failed = Arc::new(OnceLock::new());
    let end = End { shutdown, ended: ended.into(), failed: failed.clone() };
    server.run(PingoraArgs { shutdown_signal: Box::new(end) });
    match failed.get() {
        Some(service) => {
            Err(format!("the {service} service has ended by itself; see above for why, and start it again"))
        }
        None => Ok(()),
    }
}

// === impl End ===

#[async_trait]
impl ShutdownSignalWatch for End {
    async fn recv(&self) -> ShutdownSignal {
        let mut ended = self.ended.lock().await;
        tokio::select! {
            signal = self.shutdown.recv() => signal,
            Some(service) = ended.recv() => {
                let _ = self.failed.set(service);
                self.shutdown.platform.kill_now();
                ShutdownSignal::GracefulTerminate
            }
        }
    }
}

// === configuration ===

/// Makes `declared` what is routed to. Requests on their way go on by what they began with.
fn apply(edge: &Edge, declared: &Declared) {
    let settings = declared.apps.iter().map(|(id, app)| (id.clone(), app.activator.clone())).collect();
    edge.registry.apply(settings, |apps| {
        let before = edge.router.load();
        let limits: HashMap<&AppId, &Arc<AppLimits>> =
            before.backends().iter().map(|backend| (backend.app.id(), &backend.limits)).collect();
        let backends = declared.apps.iter().filter_map(|(id, config)| {
            let kept = limits.get(id).filter(|kept| *kept.settings() == config.edge.limits);
            let limits = kept.map_or_else(
                || Arc::new(AppLimits::new(&config.edge.limits, edge.clock.clone())),
                |kept| Arc::clone(kept),
            );
            let backend = Backend::new(apps.get(id)?.clone(), &config.edge, limits);
            Some((Arc::new(backend), config.edge.routes.clone()))
        });
        edge.router.store(Arc::new(Router::new(backends)));
    });
}

fn changed(edge: &Edge, loaded: Result<Declared, Problems>) {
    let result = match loaded {
        Ok(declared) => {
            apply(edge, &declared);
            tracing::info!(apps = declared.apps.len(), "configuration changed");
            "applied"
        }
        Err(problems) => {
            tracing::error!("the changed configuration is not used, the last good one stays:\n{problems}");
            "refused"
        }
    };
    metrics::counter!("zerogate_config_reloads_total", "result" => result).increment(1);
}

// === impl Control ===

#[async_trait]
impl BackgroundService for Control {
    async fn start_with_ready_notifier(&self, mut shutdown: ShutdownWatch, ready: ServiceReadyNotifier) {
        let Some((scaler, seen)) = self.start.lock().take() else { return };
        ready.notify_ready();
        let reload = Arc::new(Notify::new());
        let stop = async move {
            // An error means that the server is gone.
            let _ = shutdown.changed().await;
        };
        let watch = config::watch(self.files.clone(), seen, reload.clone(), |loaded| changed(&self.edge, loaded));
        tokio::select! {
            () = scaler.run(stop) => {}
            // Whatever ends the watch, apps go on to wake and sleep.
            () = async { watch.await; std::future::pending().await } => {}
            () = reload_on_hangup(&reload) => {}
            () = self.keep_house() => {}
        }
    }
}

impl Control {
    async fn keep_house(&self) {
        let mut held = HighWater::default();
        loop {
            tokio::time::sleep(HOUSEKEEPING).await;
            self.metrics.run_upkeep();
            if held.has_ebbed(&self.edge.registry.shared().budget) {
                // It has no result, and if it cannot be run now, then next time.
                let _ = tokio::task::spawn_blocking(memory::give_back).await;
            }
            forget_idle_clients(&self.edge.router.load());
        }
    }
}

/// Forgets clients that have used up nothing of their limits. Returns how many are remembered.
fn forget_idle_clients(router: &Router) -> usize {
    router.backends().iter().map(|backend| backend.limits.forget_idle()).sum()
}

async fn reload_on_hangup(reload: &Notify) {
    match signal(SignalKind::hangup()) {
        Ok(mut hangup) => {
            while hangup.recv().await.is_some() {
                reload.notify_one();
            }
        }
        Err(e) => tracing::warn!(error = %e, "SIGHUP will not reload the configuration"),
    }
    std::future::pending().await
}

// === the machine ===

/// How many files may be open.
struct OpenFiles {
    /// Before this program raised it; what apps get.
    before: Option<u64>,
    now: usize,
}

/// Each connection is an open file: takes as many as the system lets it have.
fn raise_open_files() -> OpenFiles {
    let limit = getrlimit(Resource::Nofile);
    let mut raised = limit;
    raised.current = limit.maximum;
    let now = if setrlimit(Resource::Nofile, raised).is_ok() { raised.current } else { limit.current };
    OpenFiles { before: limit.current, now: now.and_then(|now| usize::try_from(now).ok()).unwrap_or(1 << 20) }
}

fn as_usize(size: ByteSize) -> usize {
    usize::try_from(size.0).unwrap_or(usize::MAX)
}

fn all_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// This program again, as the guardian of the processes.
fn guardian() -> Result<GuardianCommand, String> {
    let program = std::env::current_exe().map_err(|e| format!("cannot find the running program: {e}"))?;
    Ok(GuardianCommand { program, arguments: vec!["guardian".into()] })
}

#[cfg(test)]
mod tests;
