//! Makes the objects that are kept from those that the API server sends.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta, OwnerReference};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::DynamicObject;
use serde_json::Value;

use super::object::{
    Container, ContainerPort, ContainerState, End, KubeletProbe, Labels, Name, Owner, Pod, PodRef, PortRef,
    ProbeAction, Scheduled, Service, ServicePort, Slice, SliceEndpoint, TargetObject,
};
use super::wire;

/// The annotation that says which pod of a ReplicaSet goes first.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
/// The label that says whose an EndpointSlice is.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// Longest text of Kubernetes that is kept, in bytes.
const LONGEST_TEXT: usize = 256;

impl From<wire::Pod> for Pod {
    fn from(pod: wire::Pod) -> Self {
        let spec = pod.spec.unwrap_or_default();
        let status = pod.status.unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        let gated = spec.readiness_gates.is_some_and(|gates| !gates.is_empty());
        let (init_statuses, statuses) =
            (status.init_container_statuses.unwrap_or_default(), status.container_statuses.unwrap_or_default());
        let deletion_cost = pod.metadata.annotations.as_ref().and_then(|all| all.get(DELETION_COST)?.parse().ok());
        Self {
            deletion_cost,
            owner: pod.metadata.owner_references.and_then(owner),
            deleting: pod.metadata.deletion_timestamp.is_some(),
            finished: matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")),
            scheduled: scheduled(spec.node_name.as_deref(), &conditions),
            ready: conditions.iter().any(|condition| condition.says("Ready", "True")),
            gated,
            ip: status.pod_ip.and_then(|ip| ip.parse().ok()),
            containers: containers(spec.containers.unwrap_or_default(), &statuses),
            init_containers: containers(spec.init_containers.unwrap_or_default(), &init_statuses),
            labels: Labels::from(pod.metadata.labels.unwrap_or_default()),
            uid: pod.metadata.uid.unwrap_or_default().into(),
            name: named(pod.metadata.namespace, pod.metadata.name),
        }
    }
}

impl From<wire::Service> for Service {
    fn from(service: wire::Service) -> Self {
        let spec = service.spec.unwrap_or_default();
        Self {
            external_name: spec.type_.as_deref() == Some("ExternalName"),
            selector: Labels::from(spec.selector.unwrap_or_default()),
            publish_not_ready: spec.publish_not_ready_addresses.unwrap_or_default(),
            ports: spec.ports.unwrap_or_default().into_iter().filter_map(service_port).collect(),
            name: name(service.metadata),
        }
    }
}

impl From<wire::EndpointSlice> for Slice {
    fn from(slice: wire::EndpointSlice) -> Self {
        let ports = slice.ports.unwrap_or_default().into_iter().filter(|port| is_tcp(port.protocol.as_deref()));
        Self {
            service: slice.metadata.labels.as_ref().and_then(|labels| Some(labels.get(SERVICE_NAME)?.as_str().into())),
            endpoints: slice.endpoints.unwrap_or_default().into_iter().filter_map(slice_endpoint).collect(),
            ports: ports
                .filter_map(|port| Some((port.name.unwrap_or_default().into(), u16::try_from(port.port?).ok()?)))
                .collect(),
            name: name(slice.metadata),
        }
    }
}

impl From<wire::Deployment> for TargetObject {
    fn from(deployment: wire::Deployment) -> Self {
        let status = deployment.status.unwrap_or_default();
        // What is said of an older state of it may hold no longer.
        let current = status.observed_generation >= deployment.metadata.generation;
        let refused = status
            .conditions
            .unwrap_or_default()
            .into_iter()
            .find(|condition| current && condition.says("ReplicaFailure", "True"));
        let refused = refused.map(|condition| {
            bounded(&condition.message.filter(|message| !message.is_empty()).or(condition.reason).unwrap_or_default())
        });
        target(deployment.metadata, deployment.spec.and_then(|spec| spec.replicas).or(Some(1)), refused)
    }
}

impl From<wire::StatefulSet> for TargetObject {
    fn from(set: wire::StatefulSet) -> Self {
        let spec = set.spec.unwrap_or_default();
        let first = spec.ordinals.and_then(|ordinals| ordinals.start?.try_into().ok()).unwrap_or_default();
        Self { first, ..target(set.metadata, spec.replicas.or(Some(1)), None) }
    }
}

impl From<DynamicObject> for TargetObject {
    fn from(object: DynamicObject) -> Self {
        let replicas = object.data.pointer("/spec/replicas").and_then(Value::as_i64);
        target(object.metadata, replicas.map(|replicas| i32::try_from(replicas).unwrap_or(i32::MAX)), None)
    }
}

impl From<BTreeMap<String, String>> for Labels {
    fn from(labels: BTreeMap<String, String>) -> Self {
        Self::new(labels.iter().map(|(key, value)| format!("{key}={value}\n")).collect::<String>())
    }
}

impl From<IntOrString> for PortRef {
    fn from(port: IntOrString) -> Self {
        match port {
            // None that can be: nothing is there.
            IntOrString::Int(number) => Self::Number(u16::try_from(number).unwrap_or_default()),
            IntOrString::String(name) => name.parse().map_or_else(|_| Self::Name(name.into()), Self::Number),
        }
    }
}

fn name(metadata: ObjectMeta) -> Arc<Name> {
    named(metadata.namespace, metadata.name)
}

fn named(namespace: Option<String>, name: Option<String>) -> Arc<Name> {
    Arc::new(Name::new(namespace.unwrap_or_default(), name.unwrap_or_default()))
}

fn target(mut metadata: ObjectMeta, replicas: Option<i32>, refused: Option<Box<str>>) -> TargetObject {
    let version = metadata.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or_default();
    TargetObject {
        uid: metadata.uid.take().unwrap_or_default().into(),
        version,
        as_of: version,
        unread: replicas.is_none(),
        replicas: replicas.map(|replicas| u32::try_from(replicas).unwrap_or_default()),
        writer: metadata.managed_fields.as_deref().and_then(writer),
        refused,
        deleting: metadata.deletion_timestamp.is_some(),
        first: 0,
        name: name(metadata),
    }
}

/// The one that has made it, and deletes it.
fn owner(references: Vec<OwnerReference>) -> Option<Owner> {
    let owner = references.into_iter().find(|reference| reference.controller == Some(true))?;
    Some(Owner { kind: owner.kind.into(), name: owner.name.into() })
}

/// Who owns `spec.replicas`; of several, who agree then, the one that wrote last.
fn writer(fields: &[ManagedFieldsEntry]) -> Option<Arc<str>> {
    let owners = fields.iter().filter(|entry| {
        entry.fields_v1.as_ref().is_some_and(|fields| fields.0.pointer("/f:spec/f:replicas").is_some())
    });
    owners.max_by_key(|entry| entry.time.as_ref().map(|time| time.0))?.manager.as_deref().map(Arc::from)
}

fn scheduled(node: Option<&str>, conditions: &[wire::Condition]) -> Scheduled {
    if node.is_some_and(|node| !node.is_empty()) {
        return Scheduled::Yes;
    }
    let impossible = conditions.iter().find(|condition| {
        condition.says("PodScheduled", "False") && condition.reason.as_deref() == Some("Unschedulable")
    });
    match impossible {
        Some(condition) => Scheduled::Impossible(bounded(condition.message.as_deref().unwrap_or_default())),
        None => Scheduled::No,
    }
}

fn containers(specs: Vec<wire::Container>, statuses: &[wire::ContainerStatus]) -> Box<[Container]> {
    let status = |spec: &wire::Container| statuses.iter().find(|status| status.name == spec.name);
    specs.into_iter().map(|spec| container(status(&spec), spec)).collect()
}

fn container(status: Option<&wire::ContainerStatus>, spec: wire::Container) -> Container {
    let last_end = status.and_then(|status| status.last_state.as_ref()?.terminated.as_ref()).map(end);
    Container {
        name: spec.name.unwrap_or_default().into(),
        ports: spec.ports.unwrap_or_default().into_iter().filter_map(container_port).collect(),
        state: status.and_then(|status| status.state.as_ref()).map_or(ContainerState::Unknown, container_state),
        last_end,
        restarts: status.and_then(|status| status.restart_count?.try_into().ok()).unwrap_or_default(),
        started: status.and_then(|status| status.started).unwrap_or_default(),
        startup: spec.startup_probe.and_then(probe).map(Box::new),
        readiness: spec.readiness_probe.and_then(probe).map(Box::new),
    }
}

fn container_port(port: wire::ContainerPort) -> Option<ContainerPort> {
    is_tcp(port.protocol.as_deref()).then_some(())?;
    Some(ContainerPort { name: port.name.map(Into::into), number: u16::try_from(port.container_port?).ok()? })
}

fn container_state(state: &wire::ContainerState) -> ContainerState {
    if state.running.is_some() {
        ContainerState::Running
    } else if let Some(ended) = &state.terminated {
        ContainerState::Ended(end(ended))
    } else if let Some(waiting) = &state.waiting {
        ContainerState::Waiting {
            reason: bounded(waiting.reason.as_deref().unwrap_or_default()),
            message: bounded(waiting.message.as_deref().unwrap_or_default()),
        }
    } else {
        ContainerState::Unknown
    }
}

fn end(ended: &wire::Terminated) -> End {
    End {
        reason: bounded(ended.reason.as_deref().unwrap_or_default()),
        exit_code: ended.exit_code.unwrap_or_default(),
        signal: ended.signal.unwrap_or_default(),
    }
}

fn probe(probe: wire::Probe) -> Option<KubeletProbe> {
    let action = if probe.exec.is_some() {
        ProbeAction::Exec
    } else if let Some(http) = probe.http_get {
        let headers = http.http_headers.unwrap_or_default().into_iter();
        ProbeAction::HttpGet {
            host: http.host.filter(|host| !host.is_empty()).map(Into::into),
            port: http.port.into(),
            path: http.path.filter(|path| !path.is_empty()).unwrap_or_else(|| "/".to_owned()).into(),
            https: http.scheme.as_deref() == Some("HTTPS"),
            headers: headers.map(|header| (header.name.into(), header.value.into())).collect(),
        }
    } else if let Some(tcp) = probe.tcp_socket {
        ProbeAction::TcpSocket { host: tcp.host.filter(|host| !host.is_empty()).map(Into::into), port: tcp.port.into() }
    } else {
        let grpc = probe.grpc?;
        ProbeAction::Grpc {
            port: u16::try_from(grpc.port).unwrap_or_default(),
            service: grpc.service.unwrap_or_default().into(),
        }
    };
    let number = |number: Option<i32>| u32::try_from(number.unwrap_or_default()).unwrap_or_default();
    Some(KubeletProbe {
        action,
        initial_delay: number(probe.initial_delay_seconds),
        timeout: number(probe.timeout_seconds).max(1),
        successes: number(probe.success_threshold).max(1),
    })
}

fn service_port(port: wire::ServicePort) -> Option<ServicePort> {
    is_tcp(port.protocol.as_deref()).then_some(())?;
    let number = u16::try_from(port.port?).ok()?;
    Some(ServicePort {
        name: port.name.filter(|name| !name.is_empty()).map(Into::into),
        number,
        target: match port.target_port.map(PortRef::from) {
            None | Some(PortRef::Number(0)) => PortRef::Number(number),
            Some(target) => target,
        },
        app_protocol: port.app_protocol.map(Into::into),
    })
}

fn slice_endpoint(endpoint: wire::Endpoint) -> Option<SliceEndpoint> {
    let ip: IpAddr = endpoint.addresses?.first()?.parse().ok()?;
    let conditions = endpoint.conditions.unwrap_or_default();
    let pod = endpoint.target_ref.filter(|target| target.kind.as_deref() == Some("Pod"));
    let pod = pod.map(|pod| PodRef { name: named(pod.namespace, pod.name), uid: pod.uid.unwrap_or_default().into() });
    Some(SliceEndpoint { ip, ready: conditions.ready, terminating: conditions.terminating.unwrap_or_default(), pod })
}

fn is_tcp(protocol: Option<&str>) -> bool {
    matches!(protocol, None | Some("TCP" | ""))
}

/// The beginning of `text`, on one line.
fn bounded(text: &str) -> Box<str> {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() > LONGEST_TEXT {
        line.truncate(line.floor_char_boundary(LONGEST_TEXT - '…'.len_utf8()));
        line.push('…');
    }
    line.into()
}
