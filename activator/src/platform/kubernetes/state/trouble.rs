//! What keeps a pod from becoming ready, as Kubernetes tells.

use super::object::{Container, ContainerState, Pod, Scheduled};
use crate::failure::FailureCause;

/// Kubernetes' word for a container that waits before it is started once more.
const CRASH_LOOP: &str = "CrashLoopBackOff";

/// Kubernetes' word for a container that refers to what is not there.
const CONFIG: &str = "CreateContainerConfigError";

/// What keeps `pod` from becoming ready; nothing as long as it is on its way.
pub(super) fn of_pod(pod: &Pod) -> Option<FailureCause> {
    if let Scheduled::Impossible(why) = &pod.scheduled {
        // What follows tells how neither preemption nor taking devices back would help.
        let end = [" preemption:", " no new claims to deallocate"].iter().filter_map(|word| why.find(word)).min();
        let why = why[..end.unwrap_or(why.len())].trim_end_matches(['.', ',']).to_owned();
        return Some(FailureCause::Unschedulable { why });
    }
    pod.init_containers.iter().find_map(of_init_container).or_else(|| pod.containers.iter().find_map(of_container))
}

/// The container that keeps ending, if that is what `cause` says.
pub(super) fn crashing<'a>(pod: &'a Pod, cause: &FailureCause) -> Option<&'a Container> {
    let (FailureCause::CrashLoop { container: name, .. } | FailureCause::InitContainer { container: name, .. }) = cause
    else {
        return None;
    };
    let keeps_ending = |container: &&Container| {
        let waits = matches!(&container.state, ContainerState::Waiting { reason, .. } if &**reason == CRASH_LOOP);
        *container.name == **name && waits
    };
    pod.init_containers.iter().chain(&pod.containers).find(keeps_ending)
}

fn of_container(container: &Container) -> Option<FailureCause> {
    let ContainerState::Waiting { reason, message } = &container.state else { return None };
    let name = container.name.to_string();
    Some(match &**reason {
        "" | "ContainerCreating" | "PodInitializing" => return None,
        "ErrImagePull"
        | "ImagePullBackOff"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "ImageInspectError"
        | "RegistryUnavailable"
        | "SignatureValidationFailed" => FailureCause::ImagePull { container: name, reason: reason.to_string() },
        CRASH_LOOP => {
            let how = container.last_end.as_ref().map_or_else(|| CRASH_LOOP.to_owned(), |end| end.how());
            FailureCause::CrashLoop { container: name, how }
        }
        _ if is_of_user(reason, message) => {
            FailureCause::Container { container: name, reason: format!("{reason}: {message}") }
        }
        // Whatever else a runtime has to say tells of the node, its folders among it: not for those who wait.
        _ => FailureCause::Container { container: name, reason: reason.to_string() },
    })
}

/// Whether the message names nothing but objects that a user has made, or has forgotten to: a ConfigMap, a Secret, their keys.
fn is_of_user(reason: &str, message: &str) -> bool {
    let of_object = |word: &str| ["configmap", "secret"].contains(&word.to_lowercase().as_str());
    reason == CONFIG && message.split_whitespace().any(of_object) && !message.contains("/var/")
}

fn of_init_container(container: &Container) -> Option<FailureCause> {
    match &container.state {
        ContainerState::Ended(end) if end.exit_code != 0 => {
            Some(FailureCause::InitContainer { container: container.name.to_string(), how: end.how() })
        }
        _ => match of_container(container)? {
            FailureCause::CrashLoop { container, how } => Some(FailureCause::InitContainer { container, how }),
            other => Some(other),
        },
    }
}
