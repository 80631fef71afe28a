//! What is kept of the cluster's objects: the few fields that are used.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

pub use super::owner::Owner;

/// What an object is called, and where it is: `namespace/name`, in one piece, since there are thousands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    whole: Box<str>,
    slash: u32,
}

/// A kind of target.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kind {
    /// As in `apps/v1`.
    pub api_version: Box<str>,
    /// As in `Deployment`.
    pub kind: Box<str>,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// What it is called.
    pub name: Arc<Name>,
    /// Tells it from one of the same name.
    pub uid: Box<str>,
    /// By which Services choose it.
    pub labels: Labels,
    /// Its controller, if it has one.
    pub owner: Option<Owner>,
    /// Once it has one.
    pub ip: Option<IpAddr>,
    /// It is to go; it may still serve what it has.
    pub deleting: bool,
    /// It has run to its end, or was evicted.
    pub finished: bool,
    /// How far the scheduler has come with it.
    pub scheduled: Scheduled,
    /// The kubelet calls it ready.
    pub ready: bool,
    /// It has conditions of its own that others set, so that nobody but Kubernetes can tell when it is ready.
    pub gated: bool,
    /// Its value of `controller.kubernetes.io/pod-deletion-cost`.
    pub deletion_cost: Option<i32>,
    /// What serves, in the order of the pod's spec.
    pub containers: Box<[Container]>,
    /// What has to succeed, or to run, before that.
    pub init_containers: Box<[Container]>,
}

/// How far the scheduler has come with a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheduled {
    /// It has not decided.
    No,
    /// It has found no node, and why.
    Impossible(Box<str>),
    /// A node was chosen.
    Yes,
}

/// One container of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// What it is called.
    pub name: Box<str>,
    /// Its TCP ports.
    pub ports: Box<[ContainerPort]>,
    /// What it does.
    pub state: ContainerState,
    /// How it ended the last time, if it ever has.
    pub last_end: Option<End>,
    /// How often it was started again.
    pub restarts: u32,
    /// Its startup probe has passed, or it has none and runs.
    pub started: bool,
    /// How the kubelet finds out that it has started.
    pub startup: Option<Box<KubeletProbe>>,
    /// How the kubelet finds out that it can take requests.
    pub readiness: Option<Box<KubeletProbe>>,
}

/// A TCP port that a container says it listens on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerPort {
    /// Its name, if it has one.
    pub name: Option<Box<str>>,
    /// Its number.
    pub number: u16,
}

/// What a container does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    /// Nothing is known of it yet.
    Unknown,
    /// It does not run, and why not.
    Waiting {
        /// Kubernetes' word for it; may be empty.
        reason: Box<str>,
        /// More about it, bounded; may be empty.
        message: Box<str>,
    },
    /// It runs.
    Running,
    /// It has ended.
    Ended(End),
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Kubernetes' word for it, such as `Error` or `OOMKilled`; may be empty.
    pub reason: Box<str>,
    /// Its exit code, or 0 if there is none.
    pub exit_code: i32,
    /// The signal that ended it, or 0.
    pub signal: i32,
}

/// What a kubelet does to find out about a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeletProbe {
    /// What it tries.
    pub action: ProbeAction,
    /// How long after the container's start it begins, in seconds.
    pub initial_delay: u32,
    /// How long a try may take, in seconds; at least 1.
    pub timeout: u32,
    /// How often in a row it has to succeed; at least 1.
    pub successes: u32,
}

/// What a kubelet tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeAction {
    /// Something that only the kubelet can do.
    Exec,
    /// To connect.
    TcpSocket {
        /// Where, if not at the pod.
        host: Option<Box<str>>,
        /// Which port.
        port: PortRef,
    },
    /// To be answered with a status of 200 to 399.
    HttpGet {
        /// Where, if not at the pod.
        host: Option<Box<str>>,
        /// Which port.
        port: PortRef,
        /// What is asked for.
        path: Box<str>,
        /// Over TLS, whose certificate is not looked at.
        https: bool,
        /// Sent besides; `Host` may be among them.
        headers: Box<[(Box<str>, Box<str>)]>,
    },
    /// That the health service says `SERVING`.
    Grpc {
        /// Which port.
        port: u16,
        /// The service asked about; empty for the whole server.
        service: Box<str>,
    },
}

/// A port by number, or by the name that a container gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortRef {
    /// The number.
    Number(u16),
    /// The name.
    Name(Box<str>),
}

/// A Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// What it is called.
    pub name: Arc<Name>,
    /// Which pods it leads to; without one, others say where it leads.
    pub selector: Labels,
    /// It is another name for something outside of the cluster.
    pub external_name: bool,
    /// Pods are to get traffic before they are ready.
    pub publish_not_ready: bool,
    /// Its TCP ports. Most Services have the same.
    pub ports: Arc<[ServicePort]>,
}

/// A TCP port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// Its name; a Service with several has one for each.
    pub name: Option<Box<str>>,
    /// Its number at the Service.
    pub number: u16,
    /// The pods' port.
    pub target: PortRef,
    /// What is spoken there, if it says so.
    pub app_protocol: Option<Box<str>>,
}

/// One of the lists of where a Service leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// What it is called.
    pub name: Arc<Name>,
    /// Whose it is: a Service of the same namespace.
    pub service: Option<Box<str>>,
    /// Where it leads.
    pub endpoints: Box<[SliceEndpoint]>,
    /// TCP ports, by the name that the Service's port has; the same for all of its endpoints.
    pub ports: Box<[(Box<str>, u16)]>,
}

/// One of the places where a Service leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceEndpoint {
    /// Its address; of several, which are the same place, the first.
    pub ip: IpAddr,
    /// Whether it is ready, if anybody has said so.
    pub ready: Option<bool>,
    /// It is to go.
    pub terminating: bool,
    /// The pod that it is, if it is one.
    pub pod: Option<PodRef>,
}

/// One pod, which another of the same name is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodRef {
    /// What it is called.
    pub name: Arc<Name>,
    /// Tells it from one of the same name.
    pub uid: Box<str>,
}

/// Something that is scaled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetObject {
    /// What it is called.
    pub name: Arc<Name>,
    /// Tells it from one of the same name.
    pub uid: Box<str>,
    /// Its resource version, which grows with each change.
    pub version: u64,
    /// How many replicas it asks for; `None` if it does not say so where most kinds do, and nobody has asked its `/scale`.
    pub replicas: Option<u32>,
    /// The version in which it asks for that: an older one than it has if it is unread.
    pub as_of: u64,
    /// It does not say so, and may have changed since it was asked.
    pub unread: bool,
    /// Who has written that, if that is known.
    pub writer: Option<Arc<str>>,
    /// Why its pods cannot be made, as long as that is so.
    pub refused: Option<Box<str>>,
    /// It is to go.
    pub deleting: bool,
    /// The ordinal of its first pod, where they are numbered.
    pub first: u32,
}

/// Labels, or a selector of them, in the order of their keys: `key=value`, each on a line, which neither can have in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(Box<str>);

// === impl Name ===

impl Name {
    /// `name` in `namespace`.
    pub fn new(namespace: impl AsRef<str>, name: impl AsRef<str>) -> Self {
        let (namespace, name) = (namespace.as_ref(), name.as_ref());
        // No namespace has a name so long.
        let slash = u32::try_from(namespace.len()).unwrap_or_default();
        Self { whole: format!("{namespace}/{name}").into(), slash }
    }

    /// Where it is.
    pub fn namespace(&self) -> &str {
        &self.whole[..self.slash as usize]
    }

    /// What it is called there, which is unique among those of its kind.
    pub fn name(&self) -> &str {
        &self.whole[self.slash as usize + 1..]
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.whole)
    }
}

// === impl Pod ===

impl Pod {
    /// Changes whenever one of its containers is started again: what was found out before holds no longer.
    pub fn incarnation(&self) -> u32 {
        self.containers.iter().map(|container| container.restarts).fold(0, u32::wrapping_add)
    }

    /// All of its containers run.
    pub fn runs(&self) -> bool {
        !self.containers.is_empty() && self.containers.iter().all(|c| c.state == ContainerState::Running)
    }

    /// The TCP port that some container of it calls `name`.
    pub fn port_named(&self, name: &str) -> Option<u16> {
        self.containers.iter().chain(&self.init_containers).find_map(|container| container.port_named(name))
    }

    /// Where `port` of it is, once it has an address.
    pub fn address(&self, port: u16) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.ip?, port))
    }
}

// === impl Slice ===

impl Slice {
    /// The Service that it is a list of.
    pub fn of_service(&self) -> Option<Arc<Name>> {
        Some(Arc::new(Name::new(self.name.namespace(), self.service.as_ref()?)))
    }
}

// === impl Container ===

impl Container {
    /// The TCP port that it calls `name`.
    pub fn port_named(&self, name: &str) -> Option<u16> {
        self.ports.iter().find(|port| port.name.as_deref() == Some(name)).map(|port| port.number)
    }

    /// The number of `port`, if it knows that name.
    pub fn port(&self, port: &PortRef) -> Option<u16> {
        match port {
            PortRef::Number(number) => Some(*number),
            PortRef::Name(name) => self.port_named(name),
        }
    }
}

// === impl End ===

impl End {
    /// As in "exit code 1", "signal 9", "OOMKilled".
    pub fn how(&self) -> String {
        match &*self.reason {
            "OOMKilled" => "OOMKilled".to_owned(),
            "" | "Error" | "Completed" if self.signal != 0 => format!("signal {}", self.signal),
            "" | "Error" | "Completed" => format!("exit code {}", self.exit_code),
            reason => format!("exit code {} ({reason})", self.exit_code),
        }
    }
}

// === impl Labels ===

impl Labels {
    pub(super) fn new(lines: String) -> Self {
        Self(lines.into())
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs().find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
    }

    /// Whether all of these are among `labels`. Nothing is chosen by an empty selector.
    pub fn choose(&self, labels: &Self) -> bool {
        !self.is_empty() && self.pairs().all(|pair| labels.pairs().any(|other| other == pair))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each with its value, as in `app=hello`.
    pub fn pairs(&self) -> impl Iterator<Item = &str> {
        self.0.lines()
    }
}
