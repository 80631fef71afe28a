//! Which port of a Service an app means, and where that is at a pod.

use super::object::{Pod, PortRef, Service, ServicePort};
use crate::settings::{self, Protocol};

/// The port that is meant.
///
/// # Errors
/// Why it is none that requests could be sent to.
pub(super) fn chosen<'a>(service: &'a Service, choice: &settings::ServicePort) -> Result<&'a ServicePort, String> {
    if service.external_name {
        return Err("it is of type ExternalName, which leads out of the cluster".to_owned());
    }
    match choice {
        settings::ServicePort::Only => match &*service.ports {
            [only] => Ok(only),
            [] => Err("it has no TCP port".to_owned()),
            several => Err(format!("it has {} ports ({}); say which one", several.len(), listed(several))),
        },
        settings::ServicePort::Number(number) => {
            service.ports.iter().find(|port| port.number == *number).ok_or_else(|| none(service, number.to_string()))
        }
        settings::ServicePort::Name(name) => service
            .ports
            .iter()
            .find(|port| port.name.as_deref() == Some(&**name))
            .ok_or_else(|| none(service, format!("`{name}`"))),
    }
}

/// Where `port` is at `pod`.
///
/// # Errors
/// Why it is nowhere.
pub(super) fn at(port: &ServicePort, pod: &Pod) -> Result<u16, String> {
    match &port.target {
        PortRef::Number(number) => Ok(*number),
        PortRef::Name(name) => {
            pod.port_named(name).ok_or_else(|| format!("no container of its pods has the port `{name}` that it names"))
        }
    }
}

/// What is spoken there, as far as the Service says.
pub(super) fn protocol(port: &ServicePort) -> Protocol {
    match port.app_protocol.as_deref() {
        Some("kubernetes.io/h2c" | "h2c" | "http2" | "grpc") => Protocol::H2c,
        Some("https" | "HTTPS" | "kubernetes.io/wss" | "wss") => Protocol::Https,
        _ => Protocol::Http1,
    }
}

fn none(service: &Service, wanted: String) -> String {
    match &*service.ports {
        [] => format!("it has no port {wanted}, nor any other for TCP"),
        ports => format!("it has no port {wanted}, but {}", listed(ports)),
    }
}

fn listed(ports: &[ServicePort]) -> String {
    let name = |port: &ServicePort| match &port.name {
        Some(name) => format!("{} `{name}`", port.number),
        None => port.number.to_string(),
    };
    ports.iter().take(5).map(name).collect::<Vec<_>>().join(", ")
}
