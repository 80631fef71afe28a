//! What an app is told to be: validated, ready to use. The gateway's configuration makes these from `HTTPApp` documents.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use crate::resource::Protocol;

/// An app's name: unique, and bounded by the number of declared apps, so it may label metrics. Cheap to clone and to keep many
/// times.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId(Arc<AppName>);

/// What an [`AppId`] is made of.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppName {
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
}

/// All that the activator has to know of an app.
#[derive(Debug, Clone, PartialEq)]
pub struct AppSettings {
    /// What runs it.
    pub target: Target,
    /// How many replicas it gets. Most apps are scaled alike.
    pub scaling: Arc<Scaling>,
    /// How many requests may wait for it, and how long.
    pub hold: Hold,
}

/// What runs an app.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// Local processes, one a replica.
    Process(Arc<ProcessSpec>),
    /// Something in a cluster that has a `/scale`, and the Service that leads to its pods.
    Scale(Arc<ScaleTarget>),
}

impl Target {
    /// Whether what runs by it is the same thing as by `other`, however it is run.
    pub fn is_same_object(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Process(_), Self::Process(_)) => true,
            (Self::Scale(a), Self::Scale(b)) => a.is_same_object(b),
            _ => false,
        }
    }

    /// Whether it goes on running without the gateway.
    pub fn outlives_gateway(&self) -> bool {
        matches!(self, Self::Scale(_))
    }
}

/// Something in a cluster that is scaled through its `/scale` subresource, and the Service that leads to its pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScaleTarget {
    /// Where the target and the Service are.
    pub namespace: Arc<str>,
    /// As in `apps/v1`.
    pub api_version: Arc<str>,
    /// As in `Deployment`.
    pub kind: Arc<str>,
    /// What the target is called.
    pub name: Arc<str>,
    /// What the Service is called.
    pub service: Arc<str>,
    /// Which of its ports.
    pub port: ServicePort,
    /// What pods speak; `None` to go by the Service port's `appProtocol`.
    pub protocol: Option<Protocol>,
    /// How to find out that a pod can take a request; `None` for the pod's own readiness probe.
    pub readiness: Option<Readiness>,
    /// Whether pods are tried before Kubernetes calls them ready.
    pub early_readiness: bool,
    /// How long a start may take until it counts as failed.
    pub start_timeout: Duration,
}

impl ScaleTarget {
    /// Whether both are the same object, however it is reached.
    pub fn is_same_object(&self, other: &Self) -> bool {
        (&self.namespace, &self.api_version, &self.kind, &self.name)
            == (&other.namespace, &other.api_version, &other.kind, &other.name)
    }
}

/// Which port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServicePort {
    /// The only one it has.
    Only,
    /// The one with this number.
    Number(u16),
    /// The one with this name.
    Name(Arc<str>),
}

/// A command line to run as a local process.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessSpec {
    /// Program and arguments; never empty. `{port}` in an argument is replaced; the program `zerogate` is the running binary.
    pub command: Vec<String>,
    /// Variables added to the gateway's own; `{port}` in a value is replaced. `PORT` is set besides.
    pub env: BTreeMap<String, String>,
    /// Where it runs; the gateway's own working directory if `None`.
    pub working_dir: Option<PathBuf>,
    /// The port it is told to listen on.
    pub port: PortChoice,
    /// The signal that asks it to stop, as its number.
    pub stop_signal: i32,
    /// How long it has to stop before it is killed.
    pub stop_grace: Duration,
    /// How to find out that it can take a request.
    pub readiness: Readiness,
    /// How long a start may take until it counts as failed.
    pub start_timeout: Duration,
    /// What it speaks.
    pub protocol: Protocol,
}

/// Which port a process listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortChoice {
    /// A free one from the gateway's range.
    Auto,
    /// Always this one; the app can then have one replica only.
    Fixed(u16),
}

/// How to find out whether an endpoint can take a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// It accepts a TCP connection.
    TcpSocket,
    /// It answers `GET path` with a status of 200 to 399.
    HttpGet {
        /// Absolute path, with query if any.
        path: String,
        /// What is spoken; with TLS nobody looks at the certificate.
        protocol: Protocol,
    },
    /// `grpc.health.v1.Health/Check` of this service answers `SERVING`.
    Grpc {
        /// The service asked about; empty for the whole server.
        service: String,
    },
}

/// How replicas follow demand. Fields as in the `HTTPApp` reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaling {
    /// Who decides.
    pub by: ScaledBy,
    /// Never fewer.
    pub min_replicas: u32,
    /// Never more; at least 1 and at least `min_replicas`.
    pub max_replicas: u32,
    /// What demand is measured in.
    pub metric: Metric,
    /// Demand one replica is meant for: requests in flight, or per second. At least 0.01.
    pub target: f64,
    /// Percent of `target` to steer for, 1 to 100.
    pub utilization: u32,
    /// Most requests in flight at one replica; `None` for no limit.
    pub concurrency_limit: Option<u32>,
    /// The window that steers in calm times; whole seconds, at least 1.
    pub stable_window: Duration,
    /// The window that notices bursts; whole seconds, at least 1, at most `stable_window`.
    pub panic_window: Duration,
    /// Percent of what the replicas at hand can take that starts a panic, 110 to 1000.
    pub panic_threshold: u32,
    /// Silence before the last replica goes.
    pub idle_timeout: Duration,
    /// How long demand must stay low before replicas go.
    pub scale_down_delay: Duration,
    /// Fewest replicas while there is demand.
    pub activation_replicas: u32,
}

/// Who decides how many replicas there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScaledBy {
    /// Zerogate, from 0 to `max_replicas`.
    Zerogate,
    /// A HorizontalPodAutoscaler from 1 on; Zerogate wakes and puts to sleep.
    Hpa,
    /// KEDA; Zerogate only wakes.
    Keda,
}

/// What demand is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Requests in flight, held ones included.
    Concurrency,
    /// Requests that arrive per second.
    RequestRate,
}

/// Bounds of what may wait for one app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// Most requests held at once.
    pub max_requests: usize,
    /// Longest that one is held.
    pub timeout: Duration,
}

// === impl AppId ===

impl AppId {
    /// The app `name` in `namespace`.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self(Arc::new(AppName { namespace: namespace.into(), name: name.into() }))
    }
}

impl Deref for AppId {
    type Target = AppName;

    fn deref(&self) -> &AppName {
        &self.0
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

// === impl AppSettings ===

impl AppSettings {
    /// Keeps once what these have alike with others.
    pub fn share(&mut self, other: &Self) {
        share(&mut self.scaling, &other.scaling);
        if let (Target::Scale(own), Target::Scale(other)) = (&mut self.target, &other.target) {
            let own = Arc::make_mut(own);
            share(&mut own.namespace, &other.namespace);
            share(&mut own.api_version, &other.api_version);
            share(&mut own.kind, &other.kind);
            if let (ServicePort::Name(own), ServicePort::Name(other)) = (&mut own.port, &other.port) {
                share(own, other);
            }
        }
    }
}

/// Keeps `own` once with `other` if they are equal.
pub fn share<T: PartialEq + ?Sized>(own: &mut Arc<T>, other: &Arc<T>) {
    if **own == **other {
        own.clone_from(other);
    }
}

// === impl Scaling ===

impl Scaling {
    /// What one replica is given at full use: `target`, or the hard limit if that is lower (Knative: `T = min(target, CC)`).
    pub fn capacity(&self) -> f64 {
        match (self.metric, self.concurrency_limit) {
            (Metric::Concurrency, Some(limit)) => self.target.min(f64::from(limit)),
            _ => self.target,
        }
    }

    /// What to steer for per replica: `max(0.01, capacity * utilization / 100)` (Knative's `target`).
    pub fn steering_target(&self) -> f64 {
        (self.capacity() * f64::from(self.utilization) / 100.0).max(0.01)
    }

    /// How many requests in flight to steer for per replica; `None` if there is no telling how many one can take.
    pub fn steering_concurrency(&self) -> Option<f64> {
        match self.metric {
            Metric::Concurrency => Some(self.steering_target()),
            Metric::RequestRate => {
                let limit = f64::from(self.concurrency_limit?);
                Some((limit * f64::from(self.utilization) / 100.0).max(0.01))
            }
        }
    }
}

impl Default for Scaling {
    fn default() -> Self {
        Self {
            by: ScaledBy::Zerogate,
            min_replicas: 0,
            max_replicas: 10,
            metric: Metric::Concurrency,
            target: 100.0,
            utilization: 70,
            concurrency_limit: None,
            stable_window: Duration::from_secs(60),
            panic_window: Duration::from_secs(6),
            panic_threshold: 200,
            idle_timeout: Duration::from_secs(60),
            scale_down_delay: Duration::ZERO,
            activation_replicas: 1,
        }
    }
}

impl Default for Hold {
    fn default() -> Self {
        Self { max_requests: 1000, timeout: Duration::from_secs(60) }
    }
}
