//! What kept an app from starting, in words for those who wait for it.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

/// Why a replica did not become usable, in words for those who wait for it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the app cannot be started: {cause}")]
pub struct StartFailure {
    /// What happened.
    pub cause: FailureCause,
    /// The last lines it printed, if any; bounded by the platform.
    pub output: Vec<String>,
    /// How long until it is worth another try.
    pub retry_after: Duration,
}

/// What kept a replica from becoming usable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailureCause {
    /// The program does not exist, may not be run, or the like.
    CannotRun {
        /// The program as configured.
        program: String,
        /// What the system says.
        why: String,
    },
    /// It ended before it was ready.
    Exited {
        /// "exit code 1", "signal 9".
        how: String,
    },
    /// It was ready, but keeps ending soon after.
    Crashed {
        /// As in `Exited`.
        how: String,
        /// How long it had been ready the last time.
        ran: Duration,
    },
    /// It runs but did not pass its readiness check in time.
    NeverReady {
        /// How long it was given.
        after: Duration,
        /// What the last check met.
        last: String,
    },
    /// No port was free for it.
    NoPort {
        /// The range or port that was tried.
        tried: String,
    },
    /// The platform did not answer.
    NoAnswer {
        /// How long it was given.
        after: Duration,
    },
    /// The image of a container cannot be had.
    ImagePull {
        /// The container.
        container: String,
        /// Kubernetes' word for it: `ErrImagePull`, `ImagePullBackOff`, `InvalidImageName`, `ErrImageNeverPull`.
        reason: String,
    },
    /// A container cannot be made or started: a missing ConfigMap or Secret, a command that is not there.
    Container {
        /// The container.
        container: String,
        /// Kubernetes' word for it, such as `CreateContainerConfigError`.
        reason: String,
    },
    /// A container keeps ending.
    CrashLoop {
        /// The container.
        container: String,
        /// "exit code 1", "OOMKilled".
        how: String,
    },
    /// An init container fails.
    InitContainer {
        /// The container.
        container: String,
        /// "exit code 1", or Kubernetes' word for it.
        how: String,
    },
    /// No node takes the pod.
    Unschedulable {
        /// What the scheduler says, without names of nodes.
        why: String,
    },
    /// Pods are refused: a quota, an admission webhook, a missing service account.
    PodsRefused {
        /// What Kubernetes says.
        why: String,
    },
    /// What is to be scaled does not exist.
    TargetMissing {
        /// As in `Deployment default/hello`.
        target: String,
    },
    /// What is to be scaled cannot be, such as a kind without a `/scale`.
    TargetUnusable {
        /// As in `Deployment default/hello`.
        target: String,
        /// What is the matter with it.
        why: String,
    },
    /// The app's Service does not exist.
    ServiceMissing {
        /// As in `default/hello`.
        service: String,
    },
    /// The app's Service leads nowhere that requests can be sent to: of type ExternalName, or without the port.
    ServiceUnusable {
        /// As in `default/hello`.
        service: String,
        /// What is the matter with it.
        why: String,
    },
    /// The gateway may not do what it has to.
    Forbidden {
        /// As in `patch`.
        verb: String,
        /// As in `deployments.apps/scale`.
        resource: String,
        /// Where, as in `default`.
        namespace: String,
    },
    /// The API server does not do what it is asked: an error of its own, or too many requests.
    ApiServer {
        /// The status and reason, as in `500 InternalError`.
        why: String,
    },
}

// === impl FailureCause ===

impl FailureCause {
    /// Whether it is about what is declared, and not about what becomes of it: it is over as soon as it is not seen any more,
    /// and needs no other try.
    pub fn is_of_declaration(&self) -> bool {
        use FailureCause::{ServiceMissing, ServiceUnusable, TargetMissing, TargetUnusable};
        matches!(self, TargetMissing { .. } | TargetUnusable { .. } | ServiceMissing { .. } | ServiceUnusable { .. })
    }

    /// A word for metrics: one of a fixed few.
    pub fn label(&self) -> &'static str {
        match self {
            Self::CannotRun { .. } => "cannot_run",
            Self::Exited { .. } => "exited",
            Self::Crashed { .. } => "crashed",
            Self::NeverReady { .. } => "never_ready",
            Self::NoPort { .. } => "no_port",
            Self::NoAnswer { .. } => "no_answer",
            Self::ImagePull { .. } => "image_pull",
            Self::Container { .. } => "container",
            Self::CrashLoop { .. } => "crash_loop",
            Self::InitContainer { .. } => "init_container",
            Self::Unschedulable { .. } => "unschedulable",
            Self::PodsRefused { .. } => "pods_refused",
            Self::TargetMissing { .. } => "target_missing",
            Self::TargetUnusable { .. } => "target_unusable",
            Self::ServiceMissing { .. } => "service_missing",
            Self::ServiceUnusable { .. } => "service_unusable",
            Self::Forbidden { .. } => "forbidden",
            Self::ApiServer { .. } => "api_server",
        }
    }
}

impl fmt::Display for FailureCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CannotRun { program, why } => write!(f, "its command `{program}` cannot be run: {why}"),
            Self::Exited { how } => write!(f, "it ended with {how} before it was ready"),
            Self::Crashed { how, ran } => {
                write!(f, "it keeps ending after it was ready, the last time after {} ms with {how}", ran.as_millis())
            }
            Self::NeverReady { after, last } => {
                write!(f, "it was not ready within {} s; the last readiness check said: {last}", after.as_secs_f64())
            }
            Self::NoPort { tried } => write!(f, "no port was free for it ({tried})"),
            Self::NoAnswer { after } => write!(f, "the platform did not answer within {} s", after.as_secs_f64()),
            Self::ImagePull { container, reason } => {
                write!(f, "the image of its container `{container}` cannot be pulled ({reason})")
            }
            Self::Container { container, reason } => {
                write!(f, "its container `{container}` cannot be started ({reason})")
            }
            Self::CrashLoop { container, how } => {
                write!(f, "its container `{container}` keeps ending, the last time with {how}")
            }
            Self::InitContainer { container, how } => write!(f, "its init container `{container}` fails: {how}"),
            Self::Unschedulable { why } => write!(f, "no node takes its pod: {why}"),
            Self::PodsRefused { why } => write!(f, "Kubernetes refuses its pods: {why}"),
            Self::TargetMissing { target } => write!(f, "{target} does not exist"),
            Self::TargetUnusable { target, why } => write!(f, "{target} cannot be scaled: {why}"),
            Self::ServiceMissing { service } => write!(f, "its Service {service} does not exist"),
            Self::ServiceUnusable { service, why } => write!(f, "its Service {service} cannot be used: {why}"),
            Self::Forbidden { verb, resource, namespace } => {
                write!(f, "the gateway may not {verb} {resource} in namespace {namespace}; grant it that (RBAC)")
            }
            Self::ApiServer { why } => write!(f, "the Kubernetes API server does not do it: {why}"),
        }
    }
}
