//! What a kind is called in paths.

use std::collections::HashMap;
use std::sync::Arc;

use kube::Client;
use parking_lot::Mutex;

use super::answer;
use crate::failure::FailureCause;
use crate::platform::contract::NotAccepted;
use crate::settings::ScaleTarget;

/// Most kinds that are remembered; there are no clusters with so many that are scaled.
const MOST: usize = 256;

/// Asks the API server, and remembers.
pub(super) struct Kinds {
    client: Client,
    /// By API version and kind.
    found: Mutex<HashMap<Key, Arc<str>>>,
}

type Key = (Arc<str>, Arc<str>);

/// The plural of kinds that need no asking.
pub(super) fn well_known(target: &ScaleTarget) -> Option<&'static str> {
    match (&*target.api_version, &*target.kind) {
        ("apps/v1", "Deployment") => Some("deployments"),
        ("apps/v1", "StatefulSet") => Some("statefulsets"),
        ("apps/v1", "ReplicaSet") => Some("replicasets"),
        ("v1", "ReplicationController") => Some("replicationcontrollers"),
        _ => None,
    }
}

// === impl Kinds ===

impl Kinds {
    pub(super) fn new(client: Client) -> Self {
        Self { client, found: Mutex::default() }
    }

    /// The plural of the target's kind.
    pub(super) async fn plural(&self, target: &ScaleTarget) -> Result<Arc<str>, NotAccepted> {
        let key = (target.api_version.clone(), target.kind.clone());
        if let Some(plural) = self.found.lock().get(&key) {
            return Ok(plural.clone());
        }
        let plural = self.ask(target).await?;
        let mut found = self.found.lock();
        if found.len() >= MOST {
            found.clear();
        }
        found.insert(key, plural.clone());
        Ok(plural)
    }

    /// Asks anew the next time: the kind may have become another.
    pub(super) fn forget(&self, target: &ScaleTarget) {
        self.found.lock().remove(&(target.api_version.clone(), target.kind.clone()));
    }

    async fn ask(&self, target: &ScaleTarget) -> Result<Arc<str>, NotAccepted> {
        let version = answer::segments(target, &target.api_version)?;
        let listed = if version.contains('/') {
            self.client.list_api_group_resources(version).await
        } else {
            self.client.list_core_api_resources(version).await
        };
        let no_such_kind = || answer::unusable(target, format!("the cluster has no kind {} in {version}", target.kind));
        let resources = match listed {
            Ok(listed) => listed.resources,
            Err(kube::Error::Api(status)) if status.code == 404 => return Err(no_such_kind()),
            Err(kube::Error::Api(status)) if status.code == 403 => {
                let (verb, resource, namespace) = ("get".into(), format!("the kinds of {version}"), "*".into());
                let cause = FailureCause::Forbidden { verb, resource, namespace };
                return Err(NotAccepted { cause, in_doubt: false, passing: false, retry_after: None });
            }
            // Nothing has been ordered yet.
            Err(why) => return Err(NotAccepted { in_doubt: false, ..answer::unanswered(&why) }),
        };
        let of_kind = |name: &&str| !name.contains('/');
        let named = resources.iter().filter(|resource| *resource.kind == *target.kind).map(|resource| &*resource.name);
        let plural = named.clone().find(of_kind).ok_or_else(no_such_kind)?;
        let scale = format!("{plural}/scale");
        if !resources.iter().any(|resource| resource.name == scale) {
            return Err(answer::unusable(target, format!("the kind {} has no /scale", target.kind)));
        }
        Ok(plural.into())
    }
}
