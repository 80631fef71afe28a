//! Whose a pod is: a Service may choose others than those of the app's target, such as those of another Deployment.

use super::object::Pod;
use crate::admission::removal::Removal;
use crate::settings::ScaleTarget;

/// The label by which a Deployment tells its ReplicaSets, and their pods, from each other.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// What has made a pod, and deletes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// As in `ReplicaSet`.
    pub kind: Box<str>,
    /// What it is called.
    pub name: Box<str>,
}

/// How `pod` goes when `target`, whose first pod has the ordinal `first` if they have any, is to have fewer.
pub(super) fn removal(pod: &Pod, target: &ScaleTarget, first: u32) -> Removal {
    let owner = |kind: &str| pod.owner.as_ref().filter(|owner| *owner.kind == *kind);
    match (&*target.api_version, &*target.kind) {
        ("apps/v1", "Deployment") => {
            let made = |name: &str| {
                let (deployment, hash) = name.rsplit_once('-')?;
                Some(*deployment == *target.name && pod.labels.get(TEMPLATE_HASH) == Some(hash))
            };
            let own = owner("ReplicaSet").is_some_and(|set| made(&set.name) == Some(true));
            if own { Removal::AsTold } else { Removal::Never }
        }
        ("apps/v1", "StatefulSet") => match owner("StatefulSet") {
            Some(set) if *set.name == *target.name => {
                let ordinal = pod.name.name().rsplit_once('-').and_then(|(_, ordinal)| ordinal.parse::<u32>().ok());
                ordinal.map_or(Removal::AsTold, |ordinal| Removal::Ranked(ordinal.saturating_sub(first)))
            }
            _ => Removal::Never,
        },
        // What such a kind makes its pods by, and which of them goes first, only it knows.
        _ => Removal::AsTold,
    }
}
