//! Orders to the API server: what is scaled, and which pod is to go first. One call each, nothing read before it.

mod answer;
mod budget;
mod kinds;

use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt, Limited};
use kube::Client;
use kube::client::Body;
use serde_json::json;
use tokio::sync::Semaphore;

use super::client::Clients;
use crate::clock::Clock;
use crate::failure::FailureCause;
use crate::platform::contract::{Accepted, Condition, NotAccepted, WRITER};
use crate::settings::ScaleTarget;
use answer::Asked;
use budget::Budget;
use kinds::Kinds;

/// How long one call may take.
const CALL: Duration = Duration::from_secs(5);
/// Most urgent orders in flight at once; as many as the API server takes on one connection.
const URGENT: usize = 100;
/// Answers beyond this length are none.
const LONGEST_ANSWER: usize = 1024 * 1024;
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Sends orders, the urgent ones without waiting behind the others.
pub struct Orders {
    clients: Clients,
    kinds: Kinds,
    urgent: Semaphore,
    budget: Budget,
}

// === impl Orders ===

impl Orders {
    /// Orders over `clients`.
    pub fn new(clients: Clients, clock: Clock) -> Self {
        let kinds = Kinds::new(clients.reads.clone());
        Self { clients, kinds, urgent: Semaphore::new(URGENT), budget: Budget::new(clock) }
    }

    /// Has `target` scaled to `replicas`. An `urgent` order, which requests wait for, goes out at once; of the others 20 a
    /// second do, 40 in a burst, after a wait of at most 2 s. The versions of a `condition` are resource versions.
    ///
    /// # Errors
    /// It was not accepted, or nobody knows: no answer within 5 s.
    pub async fn scale(
        &self,
        target: &ScaleTarget,
        replicas: u32,
        urgent: bool,
        condition: Condition,
    ) -> Result<Accepted, NotAccepted> {
        let (client, _permit) = if urgent {
            (&self.clients.orders, Some(in_time(self.urgent.acquire()).await?))
        } else {
            self.budget.take().await?;
            (&self.clients.reads, None)
        };
        let plural = match kinds::well_known(target) {
            Some(plural) => plural.into(),
            None => in_time(self.kinds.plural(target)).await??,
        };
        let asked = Asked::to_scale(target, &plural)?;
        let patched = match condition {
            Condition::Always => patch(client, &asked, &scaled_to(replicas, None)).await,
            Condition::UnchangedSince(version) => patch(client, &asked, &scaled_to(replicas, Some(version))).await,
            Condition::StillZero(version) => from_zero(client, &asked, replicas, version).await,
        };
        match patched {
            Ok(answer) => answer::accepted(&answer),
            Err(refused) => {
                if matches!(refused.cause, FailureCause::TargetMissing { .. }) {
                    self.kinds.forget(target);
                }
                Err(refused)
            }
        }
    }

    /// Tells Kubernetes in which order pods are to go when replicas become fewer: those with the lowest cost first. `None` takes
    /// it back. A pod that is gone is fine. Never urgent.
    ///
    /// # Errors
    /// It was not accepted, or nobody knows.
    pub async fn set_deletion_cost(&self, namespace: &str, pod: &str, cost: Option<i32>) -> Result<(), NotAccepted> {
        self.budget.take().await?;
        let asked = Asked::to_annotate(namespace, pod)?;
        let cost = cost.map(|cost| cost.to_string());
        let change = json!({ "metadata": { "annotations": { DELETION_COST: cost } } });
        match patch(&self.clients.reads, &asked, &change).await {
            Err(NotAccepted { cause: FailureCause::TargetMissing { .. }, .. }) => Ok(()),
            answer => answer.map(drop),
        }
    }
}

fn scaled_to(replicas: u32, unless_changed_since: Option<u64>) -> serde_json::Value {
    let mut change = json!({ "spec": { "replicas": replicas } });
    if let Some(version) = unless_changed_since {
        change["metadata"] = json!({ "resourceVersion": version.to_string() });
    }
    change
}

/// Scales up from zero, as it was at `version`. What has changed since may be something else, its status for one: an empty patch,
/// for which no other right is needed, tells.
async fn from_zero(client: &Client, asked: &Asked, replicas: u32, version: u64) -> Result<Vec<u8>, NotAccepted> {
    let first = patch(client, asked, &scaled_to(replicas, Some(version))).await;
    if !first.as_ref().is_err_and(answer::is_conflict) {
        return first;
    }
    let now = patch(client, asked, &json!({})).await?;
    match answer::scale(&now)? {
        (0, version) => patch(client, asked, &scaled_to(replicas, Some(version))).await,
        // Somebody else has woken it.
        _ => first,
    }
}

/// Sends one merge patch, and returns the body of the answer that accepts it.
async fn patch(client: &Client, asked: &Asked, change: &serde_json::Value) -> Result<Vec<u8>, NotAccepted> {
    let request = Request::patch(format!("{}?fieldManager={WRITER}", asked.path))
        .header(http::header::CONTENT_TYPE, "application/merge-patch+json")
        .header(http::header::ACCEPT, "application/json")
        .body(Body::from(change.to_string().into_bytes()))
        .map_err(|why| asked.unusable(why.to_string()))?;
    tracing::trace!(path = asked.path, "an order goes out");
    let call = async {
        let (head, body) = client.send(request).await.map_err(|why| answer::unanswered(&why))?.into_parts();
        tracing::trace!(path = asked.path, status = head.status.as_u16(), "an order is answered");
        let body = Limited::new(body, LONGEST_ANSWER).collect().await;
        if head.status.is_success() {
            return body.map(|body| body.to_bytes().into()).map_err(|why| answer::broken(&*why));
        }
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        Err(asked.refused(head.status, &head.headers, &body))
    };
    tokio::time::timeout(CALL, call).await.unwrap_or_else(|_| Err(answer::too_late(CALL, true)))
}

/// What has to be there before a call can be made. If it is not in time, nothing has been sent.
async fn in_time<F: Future>(future: F) -> Result<F::Output, NotAccepted> {
    tokio::time::timeout(CALL, future).await.map_err(|_| answer::too_late(CALL, false))
}

#[cfg(test)]
mod tests;
