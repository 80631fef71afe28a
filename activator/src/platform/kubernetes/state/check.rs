//! How the gateway finds out by itself that a pod can take a request: the way the kubelet would.

use std::net::SocketAddr;
use std::time::Duration;

use super::findings::EarlyOff;
use super::object::{Container, KubeletProbe, Pod, ProbeAction};
use crate::settings::{Protocol, Readiness, ScaleTarget};

/// How long a try may take where nobody has said so.
const TIMEOUT: Duration = Duration::from_secs(1);

/// One check. What has several is ready once each has passed, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Not before that time after the container's start.
    pub after: Duration,
    /// How long one try may take.
    pub timeout: Duration,
    /// Whom to ask.
    pub address: SocketAddr,
    /// What to try.
    pub try_: Try,
}

/// What to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Try {
    /// As the app says.
    Own(Readiness),
    /// To connect.
    TcpSocket,
    /// As a kubelet's `httpGet`.
    HttpGet {
        /// What is asked for.
        path: Box<str>,
        /// Over TLS, whose certificate is not looked at.
        https: bool,
        /// Sent besides; `Host` may be among them.
        headers: Box<[(Box<str>, Box<str>)]>,
    },
    /// That the health service says `SERVING`.
    Grpc {
        /// The service asked about; empty for the whole server.
        service: Box<str>,
    },
}

/// What stands for a pod's readiness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Plan {
    /// These checks are as good as Kubernetes' word, and earlier.
    InsteadOf(Vec<Check>),
    /// Kubernetes' word, and nothing else is as good.
    KubernetesOnly(EarlyOff),
    /// Kubernetes' word, but that says too little by itself: these have to pass as well.
    Besides(Vec<Check>, EarlyOff),
}

/// What stands for the readiness of `pod`, which serves at `address` and speaks `protocol`.
pub(super) fn plan(
    settings: &ScaleTarget,
    protocol: Protocol,
    pod: &Pod,
    address: SocketAddr,
    distrusted: bool,
) -> Plan {
    let off = if !settings.early_readiness {
        Some(EarlyOff::Settings)
    } else if pod.gated {
        Some(EarlyOff::Gates)
    } else {
        distrusted.then_some(EarlyOff::Distrusted)
    };
    if let Some(readiness) = &settings.readiness {
        let own = vec![own(readiness, protocol, address)];
        return match off {
            Some(off) => Plan::Besides(own, off),
            None => Plan::InsteadOf(own),
        };
    }
    match (probes(pod, address), off) {
        // Kubernetes calls ready whatever runs, and then a request may come before anybody listens.
        (Err(why @ (EarlyOff::NoProbe | EarlyOff::Ambiguous)), off) => {
            Plan::Besides(vec![connect(address)], off.unwrap_or(why))
        }
        (Err(why), off) => Plan::KubernetesOnly(off.unwrap_or(why)),
        (Ok(_), Some(off)) => Plan::KubernetesOnly(off),
        (Ok(checks), None) => Plan::InsteadOf(checks),
    }
}

/// The app's own check, made in what it speaks.
pub(super) fn own(readiness: &Readiness, protocol: Protocol, address: SocketAddr) -> Check {
    let mut readiness = readiness.clone();
    if let Readiness::HttpGet { protocol: spoken, .. } = &mut readiness {
        *spoken = protocol;
    }
    Check { after: Duration::ZERO, timeout: TIMEOUT, address, try_: Try::Own(readiness) }
}

/// That somebody listens.
pub(super) fn connect(address: SocketAddr) -> Check {
    Check { after: Duration::ZERO, timeout: TIMEOUT, address, try_: Try::TcpSocket }
}

/// The pod's probes: those that tell of the start, then those that tell whether it can take a request, of all containers, as
/// all have to be ready.
fn probes(pod: &Pod, address: SocketAddr) -> Result<Vec<Check>, EarlyOff> {
    let with_probe = |container: &&Container| container.readiness.is_some() || container.startup.is_some();
    match serving(pod, address.port()) {
        Some(container) if !with_probe(&container) => return Err(EarlyOff::NoProbe),
        None if !pod.containers.iter().any(|container| with_probe(&container)) => return Err(EarlyOff::NoProbe),
        None if !pod.containers.iter().all(|container| with_probe(&container)) => return Err(EarlyOff::Ambiguous),
        _ => {}
    }
    let containers = || pod.init_containers.iter().chain(&pod.containers);
    let startup = containers().filter(|c| !c.started).filter_map(|c| Some((c, c.startup.as_deref()?)));
    let readiness = containers().filter_map(|c| Some((c, c.readiness.as_deref()?)));
    startup.chain(readiness).map(|(container, probe)| check(container, probe, address)).collect()
}

/// The container that listens on `port`, if that is clear.
fn serving(pod: &Pod, port: u16) -> Option<&Container> {
    let has_port = |container: &&Container| container.ports.iter().any(|declared| declared.number == port);
    match &*pod.containers {
        [only] => Some(only),
        several => several.iter().find(has_port),
    }
}

fn check(container: &Container, probe: &KubeletProbe, address: SocketAddr) -> Result<Check, EarlyOff> {
    if probe.successes > 1 {
        return Err(EarlyOff::Successes);
    }
    let (port, try_) = match &probe.action {
        ProbeAction::Exec => return Err(EarlyOff::Exec),
        ProbeAction::TcpSocket { host: Some(_), .. } | ProbeAction::HttpGet { host: Some(_), .. } => {
            return Err(EarlyOff::OtherHost);
        }
        ProbeAction::TcpSocket { host: None, port } => (container.port(port), Try::TcpSocket),
        ProbeAction::HttpGet { host: None, port, path, https, headers } => {
            let get = Try::HttpGet { path: path.clone(), https: *https, headers: headers.clone() };
            (container.port(port), get)
        }
        ProbeAction::Grpc { port, service } => (Some(*port), Try::Grpc { service: service.clone() }),
    };
    let port = port.filter(|port| *port != 0).ok_or(EarlyOff::NoSuchPort)?;
    let (after, timeout) = (Duration::from_secs(probe.initial_delay.into()), Duration::from_secs(probe.timeout.into()));
    Ok(Check { after, timeout, address: SocketAddr::new(address.ip(), port), try_ })
}
