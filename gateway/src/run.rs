//! `zerogate run`: puts the parts together and lets pingora carry them.

mod addresses;

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use activator::app::Shared;
use activator::clock::Timestamp;
use activator::platform::Platform;
use activator::platform::kubernetes::client::Clients;
use activator::platform::kubernetes::{KubernetesOptions, KubernetesPlatform};
use activator::platform::process::{GuardianCommand, ProcessOptions, ProcessPlatform};
use activator::registry::Registry;
use activator::resource::human::ByteSize;
use activator::scaler::Scaler;
use activator::{App, AppId, Clock, HoldBudget};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use parking_lot::Mutex;
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{RunArgs as PingoraArgs, Server, ShutdownSignal, ShutdownSignalWatch, ShutdownWatch};
use pingora_core::services::ServiceReadyNotifier;
use pingora_core::services::background::{BackgroundService, background_service};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedReceiver;
use tracing_appender::non_blocking::WorkerGuard;

use crate::access_log::AccessLog;
use crate::admin::Admin;
use crate::cli::{AccessLogFormat, RunArgs};
use crate::config::{self, DOCUMENTS, Fingerprint};
use crate::edge::files::{OpenFiles, kept_back};
use crate::edge::listener::Listener;
use crate::edge::per_address::PerAddress;
use crate::edge::route::Router;
use crate::edge::{Edge, EdgeOptions};
use crate::external_scaler::tls::{Tls, TlsFiles};
use crate::external_scaler::{Apps, Everywhere, Scaler as KedaScaler, ScalerServer};
use crate::fleet::{self, Gateways, Joining};
use crate::listening::{Listening, Vital};
use crate::memory::{self, HighWater};
use crate::shutdown::{Drain, Shutdown};
use crate::source::Source;
use crate::source::cluster::Cluster;
use crate::source::status::StatusWriter;
use crate::telemetry;
use crate::tls::{self, Certificates, Handshakes};
use addresses::Addresses;

/// How often what is only of use for a time is looked through.
const HOUSEKEEPING: Duration = Duration::from_secs(2);

/// How often apps are looked for that are gone and that something was counted of.
const FORGETTING: Duration = Duration::from_secs(300);

/// The control plane as a pingora service: the scale loop, the configuration, housekeeping.
struct Control {
    edge: Arc<Edge>,
    /// Taken when it starts.
    start: Mutex<Option<(Scaler, Source)>>,
    metrics: telemetry::Metrics,
    /// The scaler's certificates, to follow.
    tls: Option<Arc<Tls>>,
    /// The other gateways, if there may be any.
    fleet: Option<Arc<fleet::Handle>>,
    /// Where those for clients are, beside those of apps.
    tls_folder: Option<PathBuf>,
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
    let (_log, source) = match begin(&args) {
        Ok(begun) => begun,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    match serve(args, source) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            tracing::error!("{why}");
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Where apps come from, if that is not a cluster.
fn begin(args: &RunArgs) -> Result<(WorkerGuard, Option<Source>), String> {
    if args.max_header_size < ByteSize(8192) {
        return Err(format!("error: --max-header-size {} is too little; 8KiB is the least", args.max_header_size));
    }
    if let Some(folder) = args.tls_folder.as_ref().filter(|folder| !folder.is_dir()) {
        return Err(format!("error: --tls-folder {} is no folder", folder.display()));
    }
    if args.header_timeout.0.is_zero() {
        return Err("error: --header-timeout 0s leaves clients no time; give at least some milliseconds".into());
    }
    if args.idle_timeout.0.is_zero() {
        return Err(
            "error: --idle-timeout 0s keeps no connection for a second request; give at least some seconds".into()
        );
    }
    let log = telemetry::log_to_stderr(args.log_format, &args.log_level).map_err(|e| format!("error: {e}"))?;
    if args.kubernetes {
        return Ok((log, None));
    }
    let seen = Fingerprint::take(&args.files, &DOCUMENTS);
    let declared = config::load(&args.files).map_err(|problems| problems.to_string())?;
    Ok((log, Some(Source::Files { paths: args.files.clone(), seen, declared })))
}

fn serve(args: RunArgs, files: Option<Source>) -> Result<(), String> {
    let threads = args.threads.map_or_else(all_cores, usize::from);
    let Addresses { http, https, admin, scaler } = Addresses::take(&args, threads)?;
    let tls = scaler_tls(&args)?;
    let joining = Joining::prepare(&args)?;
    let metrics = telemetry::record_metrics().map_err(|e| format!("cannot begin to count: {e}"))?;
    let open_files = raise_open_files();

    let clock = Clock::running();
    let (pokes, poked) = tokio::sync::mpsc::unbounded_channel();
    let budget = HoldBudget::new(args.max_held_requests, as_usize(args.max_held_bytes));
    // Alive for as long as the server is.
    let mut cluster_runtime = None;
    let (mut news, mut client) = (None, None);
    let (source, platform): (Source, Arc<dyn Platform>) = match files {
        Some(files) => (files, Arc::new(processes(args.ports, open_files.before, &clock)?)),
        None => {
            let runtime = cluster_runtime.insert(cluster_threads()?);
            let (sender, told) = tokio::sync::mpsc::unbounded_channel();
            news = Some(sender);
            let (cluster, platform) = runtime.block_on(cluster(args.namespaces, &clock, told))?;
            client = Some(cluster.client.clone());
            (Source::Cluster(Box::new(cluster)), platform)
        }
    };
    let fleet = joining.as_ref().map(|joining| joining.membership.fleet()).unwrap_or_default();
    let shared = Shared { clock: clock.clone(), budget, pokes, news, leaving: Default::default(), fleet };
    let registry = Arc::new(Registry::new(Arc::new(shared), platform.clone()));
    let drain = Arc::new(Drain::default());
    let (access_log, _unwritten) = match args.access_log {
        AccessLogFormat::Off => (AccessLog::off(), None),
        AccessLogFormat::Json => {
            let log = AccessLog::to(std::io::stdout()).map_err(|e| format!("cannot begin the access log: {e}"))?;
            (log.0, Some(log.1))
        }
    };
    let certificates = Arc::<Certificates>::default();
    let max_connections = most_clients(args.max_connections, open_files.now);
    let edge = Arc::new(Edge {
        router: ArcSwap::from_pointee(Router::default()),
        registry: registry.clone(),
        clock: clock.clone(),
        drain: drain.clone(),
        per_address: PerAddress::new(args.max_connections_per_address.unwrap_or(max_connections.div_ceil(2))),
        files: OpenFiles::new(open_files.now, drain.clone()),
        certificates: certificates.clone(),
        authorities: Arc::default(),
        access_log,
        options: EdgeOptions {
            header_timeout: args.header_timeout.0,
            idle_timeout: args.idle_timeout.0,
            max_header_bytes: as_usize(args.max_header_size),
            max_connections,
            trusted_proxies: args.trusted_proxies.0,
            proxy_protocol: args.proxy_protocol.0,
            https_port: https.as_ref().map(|https| args.https_public_port.unwrap_or(https.address().port())),
        },
    });
    tracing::info!(
        http = %http.address(),
        https = https.as_ref().map(|https| tracing::field::display(https.address())),
        admin = %admin.address(),
        kubernetes = args.kubernetes,
        "zerogate starts"
    );

    let mut server = Server::new_with_opt_and_conf(
        None,
        ServerConf {
            threads: 1,
            work_stealing: false,
            grace_period_seconds: Some(0),
            graceful_shutdown_timeout_seconds: Some(0),
            ..ServerConf::default()
        },
    );
    let (ends, ended) = tokio::sync::mpsc::unbounded_channel();
    let vital = |name| Vital { name, ended: ends.clone() };
    let gateways = joining.zip(client).map(|(joining, client)| {
        background_service("fleet", Gateways::new(joining, client, registry.clone(), drain.clone()))
    });
    let fleet = gateways.as_ref().map(|gateways| gateways.task().handle());
    if let Some(gateways) = gateways {
        server.add_service(gateways);
    }
    let control = server.add_service(background_service(
        "control",
        Control {
            edge: edge.clone(),
            start: Mutex::new(Some((Scaler::new(clock.clone(), platform.clone(), poked), source))),
            metrics: metrics.clone(),
            tls: tls.clone(),
            fleet: fleet.clone(),
            tls_folder: args.tls_folder,
            _vital: vital("control"),
        },
    ));
    let ready = drain.clone();
    let plain = Listener::new(edge.clone(), None);
    let mut listener = Listening::new(plain, http, vital("edge"), move || ready.set_ready());
    if let Some(https) = https {
        let handshakes = Handshakes::new(certificates.clone(), args.max_handshakes)?;
        listener = listener.and(Listener::new(edge.clone(), Some(handshakes)), https);
    }
    server.add_service(listener).add_dependency(&control);
    let answers = Admin {
        registry: registry.clone(),
        drain: drain.clone(),
        certificates,
        metrics,
        clock: clock.clone(),
        fleet: fleet.clone(),
    };
    server.add_service(Listening::new(answers, admin, vital("admin"), || {}));
    let mut askers = None;
    if let Some(address) = scaler {
        let answers = KedaScaler::new(
            Apps::new(registry.clone()),
            Arc::new(Everywhere(registry.shared().clone())),
            clock,
            drain.clone(),
        );
        let answers = ScalerServer::new(answers, tls, drain.clone())?;
        askers = Some(answers.connections());
        // It answers before the gateway is ready, and says that it is not.
        server.add_service(Listening::new(answers, address, vital("scaler"), || {}));
    }

    let (lame_duck, deadline) = (args.lame_duck.0, args.drain_timeout.0);
    let shutdown = Shutdown { drain, registry, askers, fleet, platform, lame_duck, deadline };
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

// === impl Control ===

#[async_trait]
impl BackgroundService for Control {
    async fn start_with_ready_notifier(&self, mut shutdown: ShutdownWatch, ready: ServiceReadyNotifier) {
        let Some((scaler, source)) = self.start.lock().take() else { return };
        let stop = async move {
            // An error means that the server is gone.
            let _ = shutdown.changed().await;
        };
        tokio::select! {
            () = scaler.run(stop) => {}
            () = source.follow(&self.edge, || self.applied(ready)) => {}
            () = self.keep_house() => {}
            () = self.follow_certificates() => {}
            () = self.follow_tls_files() => {}
            () = tls::authorities::files::follow(self.edge.authorities.clone()) => {}
        }
    }
}

impl Control {
    /// What is declared is in force. Where there are other gateways, they are to know of this one before it takes requests.
    fn applied(&self, ready: ServiceReadyNotifier) {
        self.begin_tls();
        tls::authorities::files::begin(&self.edge.authorities);
        match self.fleet.clone() {
            None => ready.notify_ready(),
            Some(fleet) => {
                fleet.applied();
                tokio::spawn(async move {
                    fleet.joined().await;
                    ready.notify_ready();
                });
            }
        }
    }

    /// The apps are known: with their certificates requests can come.
    fn begin_tls(&self) {
        let wanted = self.edge.certificates.wanted();
        if self.edge.options.https_port.is_some() {
            tls::files::begin(&self.edge.certificates, self.tls_folder.as_deref(), SystemTime::now());
        } else if !wanted.borrow().is_empty() {
            tracing::warn!("apps have certificates, but no TLS is served; give --https an address");
        }
    }

    async fn follow_certificates(&self) {
        match &self.tls {
            Some(tls) => tls.follow().await,
            None => std::future::pending().await,
        }
    }

    async fn follow_tls_files(&self) {
        match self.edge.options.https_port {
            Some(_) => tls::files::follow(self.edge.certificates.clone(), self.tls_folder.clone()).await,
            None => std::future::pending().await,
        }
    }

    async fn keep_house(&self) {
        let (mut held, mut looked) = (HighWater::default(), Timestamp::ZERO);
        loop {
            tokio::time::sleep(HOUSEKEEPING).await;
            let now = self.edge.clock.now();
            if now.since(looked) >= FORGETTING {
                looked = now;
                let apps = self.edge.registry.all();
                let id = |app: &str| app.split_once('/').map(|(namespace, name)| AppId::new(namespace, name));
                self.metrics.forget(|app| id(app).is_some_and(|id| apps.contains_key(&id)), now);
            }
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
    router.backends().iter().filter_map(|backend| backend.limits.as_ref()).map(|limits| limits.forget_idle()).sum()
}

/// The certificates of the scaler's address, if it has any.
fn scaler_tls(args: &RunArgs) -> Result<Option<Arc<Tls>>, String> {
    let (Some(certificate), Some(key)) = (args.scaler_cert.clone(), args.scaler_key.clone()) else { return Ok(None) };
    Tls::load(TlsFiles { certificate, key, client_ca: args.scaler_client_ca.clone() }).map(|tls| Some(Arc::new(tls)))
}

// === what runs the apps ===

fn processes(ports: RangeInclusive<u16>, open_files: Option<u64>, clock: &Clock) -> Result<ProcessPlatform, String> {
    let options = ProcessOptions { ports, guardian: Some(guardian()?), open_files, ..ProcessOptions::default() };
    ProcessPlatform::new(options, clock.clone()).map_err(|e| format!("cannot prepare to run processes: {e}"))
}

/// What speaks to the API server has a thread of its own: what is on its way to a pod waits for none of it.
fn cluster_threads() -> Result<Runtime, String> {
    let mut threads = tokio::runtime::Builder::new_multi_thread();
    let threads = threads.worker_threads(1).thread_name("kubernetes").enable_all().build();
    threads.map_err(|e| format!("cannot start the thread that speaks to the API server: {e}"))
}

async fn cluster(
    namespaces: Vec<String>,
    clock: &Clock,
    news: UnboundedReceiver<Arc<App>>,
) -> Result<(Cluster, Arc<KubernetesPlatform>), String> {
    let config = kube::Config::infer().await.map_err(|e| {
        format!(
            "no cluster to serve: {e}; run it as a pod with a service account, or set KUBECONFIG to a kubeconfig file"
        )
    })?;
    tracing::info!(api_server = %config.cluster_url, "speaking to Kubernetes");
    let clients = Clients::new(&config).map_err(|e| format!("cannot speak to Kubernetes as configured: {e}"))?;
    let client = clients.reads.clone();
    let options = KubernetesOptions { namespaces: namespaces.clone() };
    let platform = Arc::new(KubernetesPlatform::new(clients, &options, clock.clone()));
    let status = StatusWriter::new(client.clone(), platform.clone(), clock.clone(), news);
    let cluster = Cluster { client, platform: platform.clone(), namespaces, clock: clock.clone(), status };
    Ok((cluster, platform))
}

// === the machine ===

/// How many files may be open.
struct FileLimit {
    /// Before this program raised it; what apps get.
    before: Option<u64>,
    now: usize,
}

/// How many connections clients may have: those that are asked for, as far as open files go, or three quarters of these.
fn most_clients(wanted: Option<usize>, allowed: usize) -> usize {
    let most = allowed.saturating_sub(kept_back(allowed)).max(1);
    wanted.unwrap_or(allowed / 4 * 3).min(most)
}

/// Each connection is an open file: takes as many as the system lets it have.
fn raise_open_files() -> FileLimit {
    let limit = getrlimit(Resource::Nofile);
    let mut raised = limit;
    raised.current = limit.maximum;
    let now = if setrlimit(Resource::Nofile, raised).is_ok() { raised.current } else { limit.current };
    FileLimit { before: limit.current, now: now.and_then(|now| usize::try_from(now).ok()).unwrap_or(1 << 20) }
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
