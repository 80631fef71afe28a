//! What `/v1/apps` shows of an app.

use std::time::{Duration, SystemTime};

use activator::app::RecordedDecision;
use activator::settings::Target;
use activator::wake::Wake;
use activator::{App, Endpoint, Timestamp};
use serde::Serialize;

use crate::tls::store::State;

/// An app in the list of all.
#[derive(Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    namespace: String,
    name: String,
    state: &'static str,
    in_flight: u32,
    held: usize,
    replicas: Replicas,
}

/// An app on its own.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Details {
    #[serde(flatten)]
    summary: Summary,
    /// At all gateways together, as far as that is known here.
    in_flight_everywhere: u32,
    /// What the target asks for; null as long as that is not known.
    target_replicas: Option<u32>,
    endpoints: Vec<EndpointView>,
    last_wake: Option<WakeView>,
    failure: Option<FailureView>,
    refused_order: Option<RefusedOrderView>,
    other_writer: Option<OtherWriterView>,
    /// Of its own; null if it has none.
    certificate: Option<CertificateView>,
    decisions: Vec<DecisionView>,
}

#[derive(Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
struct Replicas {
    wanted: u32,
    starting: u32,
    ready: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EndpointView {
    name: String,
    address: String,
    in_flight: u32,
    suspect: bool,
}

/// Milliseconds from the first held request. Of `started_ms` and `pod_ip_ms` there is the one that its target has.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WakeView {
    asked_at: String,
    wanted: u32,
    scale_call_ms: Option<f64>,
    pod_scheduled_ms: Option<f64>,
    started_ms: Option<f64>,
    pod_ip_ms: Option<f64>,
    listening_ms: Option<f64>,
    ready_by_kubelet_ms: Option<f64>,
    first_byte_ms: Option<f64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FailureView {
    at: String,
    cause: &'static str,
    detail: String,
    output: Vec<String>,
    retry_at: String,
}

/// The last order, as long as it was not accepted.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RefusedOrderView {
    cause: &'static str,
    detail: String,
    in_doubt: bool,
    passing: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OtherWriterView {
    name: Option<String>,
    replicas: u32,
    at: String,
    /// Null if what it writes does not stand against what the gateway decides.
    yields_until: Option<String>,
}

/// A certificate that clients may get.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateView {
    /// Whose it is.
    of: String,
    /// The one in use; null if there is none.
    hosts: Option<Vec<String>>,
    not_after: Option<String>,
    /// What is wrong with it, or with the one that should take its place.
    problem: Option<String>,
}

#[derive(Debug, Serialize)]
struct DecisionView {
    at: String,
    replicas: u32,
    reason: String,
}

/// Tells the time of day of a [`Timestamp`].
#[derive(Debug, Clone, Copy)]
struct Wall {
    now: Timestamp,
    time: SystemTime,
}

/// How many replicas take requests.
pub fn ready(app: &App) -> u32 {
    u32::try_from(app.endpoints().len()).unwrap_or(u32::MAX)
}

// === impl Summary ===

impl Summary {
    /// `app` as it is at `now`.
    pub fn of(app: &App, now: Timestamp) -> Self {
        Self {
            namespace: app.id().namespace.to_string(),
            name: app.id().name.to_string(),
            state: app.state(now).label(),
            in_flight: app.in_flight(),
            held: app.held(),
            replicas: Replicas { wanted: app.wanted(), starting: app.starting(), ready: ready(app) },
        }
    }
}

// === impl Details ===

impl Details {
    /// `app` as it is at `now`, with its certificate.
    pub fn of(app: &App, certificate: Option<&State>, now: Timestamp) -> Self {
        let wall = Wall { now, time: SystemTime::now() };
        let endpoint = |endpoint: &Endpoint| EndpointView {
            name: endpoint.name().to_owned(),
            address: endpoint.address().to_string(),
            in_flight: endpoint.in_flight(),
            suspect: endpoint.is_suspect(now),
        };
        Self {
            summary: Summary::of(app, now),
            in_flight_everywhere: app.in_flight_everywhere(now),
            target_replicas: app.spec_replicas(),
            endpoints: app.endpoints().iter().map(|e| endpoint(e)).collect(),
            last_wake: app.wake().map(|wake| WakeView::of(&wake, &app.settings().target, wall)),
            failure: app.failure().map(|failure| FailureView {
                at: wall.at(failure.at),
                cause: failure.failure.cause.label(),
                detail: failure.failure.to_string(),
                output: failure.failure.output.clone(),
                retry_at: wall.at(failure.retry_at()),
            }),
            refused_order: app.refused_order().map(|refused| RefusedOrderView {
                cause: refused.cause.label(),
                detail: refused.cause.to_string(),
                in_doubt: refused.in_doubt,
                passing: refused.passing,
            }),
            other_writer: app.other_writer().map(|other| OtherWriterView {
                name: other.name.as_deref().map(str::to_owned),
                replicas: other.replicas,
                at: wall.at(other.at),
                yields_until: (other.yields_until > now).then(|| wall.at(other.yields_until)),
            }),
            certificate: certificate.map(CertificateView::of),
            decisions: app.decisions().iter().map(|recorded| DecisionView::of(recorded, wall)).collect(),
        }
    }
}

impl CertificateView {
    /// Of a certificate as it is.
    pub fn of(State { owner, certificate, problem }: &State) -> Self {
        Self {
            of: owner.to_string(),
            hosts: certificate.as_ref().map(|it| it.names.iter().map(|name| name.to_string()).collect()),
            not_after: certificate.as_ref().map(|it| it.until()),
            problem: problem.clone(),
        }
    }
}

impl WakeView {
    fn of(wake: &Wake, target: &Target, wall: Wall) -> Self {
        let since = |at: Option<Timestamp>| at.map(|at| millis(at.since(wake.asked)));
        let (process, pod) = match target {
            Target::Process(_) => (wake.started, None),
            Target::Scale(_) => (None, wake.started),
        };
        Self {
            asked_at: wall.at(wake.asked),
            wanted: wake.wanted,
            scale_call_ms: since(wake.scaled),
            pod_scheduled_ms: since(wake.scheduled),
            started_ms: since(process),
            pod_ip_ms: since(pod),
            listening_ms: since(wake.ready),
            ready_by_kubelet_ms: since(wake.ready_by_kubelet),
            first_byte_ms: since(wake.first_byte),
        }
    }
}

impl DecisionView {
    fn of(recorded: &RecordedDecision, wall: Wall) -> Self {
        Self {
            at: wall.at(recorded.at),
            replicas: recorded.decision.replicas,
            reason: recorded.decision.reason.to_string(),
        }
    }
}

// === impl Wall ===

impl Wall {
    fn at(self, at: Timestamp) -> String {
        humantime::format_rfc3339_millis(self.time - self.now.since(at) + at.since(self.now)).to_string()
    }
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
