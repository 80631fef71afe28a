//! Runs apps in a Kubernetes cluster.
//!
//! ```text
//! watches ─► actor: what the cluster looks like ─► what that means for each app ─► observer
//!              ▲                                        │
//!              └── passed ◄── checks of pods ◄──────────┘
//! scale ─► orders ─► API server; then the actor, so that what an order takes away is in no observation any more
//! ```
//!
//! A sleeping app has no task, no timer and no connection here, only what is kept of its objects.

mod actor;
mod checking;
pub mod client;
mod era;
mod failing;
mod left;
pub mod logs;
mod message;
pub mod orders;
mod scale;
mod state;
mod told;
mod tracked;
pub mod watch;
mod watches;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use self::actor::{Actor, MESSAGES};
use self::checking::Network;
pub(crate) use self::checking::Prober;
use self::client::Clients;
use self::era::resource_version;
use self::left::Left;
use self::message::{Message, Ordered};
use self::orders::Orders;
#[cfg(test)]
pub(crate) use self::state::Check;
pub use self::state::findings::{Early, EarlyOff, Findings, Found};
use self::watches::Watches;
use super::contract::{Accepted, AppKey, Condition, NotAccepted, Order, Platform, Subject};
use crate::clock::Clock;
use crate::failure::FailureCause;
use crate::settings::Target;

/// How long an app's pods are not tried early after one of them has failed right after that.
const DISTRUST: Duration = Duration::from_secs(600);
/// How long may pass until it is known which pods are to go first, and is told to Kubernetes.
const CHOOSING: Duration = Duration::from_secs(2);

/// Runs apps in a Kubernetes cluster.
pub struct KubernetesPlatform {
    orders: Orders,
    left: Arc<Left>,
    actor: mpsc::Sender<Message>,
    task: JoinHandle<()>,
    clock: Clock,
}

/// An order on its way: if nobody waits for its answer any more, it may have had its effect all the same.
struct Doubt<'a> {
    actor: &'a mpsc::Sender<Message>,
    ordered: Option<Box<Ordered>>,
}

/// Which part of a cluster is looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KubernetesOptions {
    /// The namespaces that apps may be in; all if there are none.
    pub namespaces: Vec<String>,
}

// === impl KubernetesPlatform ===

impl KubernetesPlatform {
    /// Begins to watch the cluster; within a runtime, in which that goes on for as long as this lives.
    pub fn new(clients: Clients, options: &KubernetesOptions, clock: Clock) -> Self {
        Self::probing(clients, options, clock, Arc::new(Network))
    }

    /// The same, with pods tried by `prober`.
    pub(crate) fn probing(
        clients: Clients,
        options: &KubernetesOptions,
        clock: Clock,
        prober: Arc<dyn Prober>,
    ) -> Self {
        let (sender, messages) = mpsc::channel(MESSAGES);
        let left = Arc::<Left>::default();
        let watches = Watches::start(clients.reads.clone(), clock.clone(), &options.namespaces, &sender);
        let reads = clients.reads.clone();
        let actor = Actor::new(clock.clone(), reads, left.clone(), watches, prober, (sender.clone(), messages));
        Self {
            orders: Orders::new(clients, clock.clone()),
            left,
            actor: sender,
            task: tokio::spawn(actor.run()),
            clock,
        }
    }

    /// Waits until everything has been told once that apps need which are observed by then. Kinds that there are not, or may not
    /// be watched, are not waited for.
    pub async fn synced(&self) {
        let mut synced = self.left.synced.subscribe();
        // The sender is ours.
        let _ = synced.wait_for(|synced| *synced).await;
    }

    /// What was found out about the app's target and Service; `None` if the app is not known, or only since a moment ago.
    pub fn findings(&self, key: AppKey) -> Option<Findings> {
        self.left.findings.lock().get(&key).cloned()
    }

    /// Has Kubernetes delete the victims of `order`, and what is not in use, before others: which pods go is its choice, and of
    /// those with the same cost it takes any.
    ///
    /// # Errors
    /// It could not be told now. If it may not be told at all, what else goes finishes what it has.
    async fn choose_victims(&self, order: &Order) -> Result<(), NotAccepted> {
        let (answer, pods) = oneshot::channel();
        let victims = order.victims.clone();
        let which = Message::WhichPods { app: order.key, replicas: order.replicas, victims, answer };
        if self.actor.send(which).await.is_err() {
            return Ok(());
        }
        let Ok(pods) = pods.await else { return Ok(()) };
        let set = pods.iter().map(|pod| async move {
            let set = self.orders.set_deletion_cost(pod.pod.namespace(), pod.pod.name(), pod.cost).await;
            if let Err(why) = &set {
                tracing::warn!(app = %order.id, pod = %pod.pod, cause = %why.cause, "it cannot be told when the pod is to go");
            }
            set
        });
        let passing = join_all(set).await.into_iter().filter_map(Result::err).find(|why| why.passing);
        passing.map_or(Ok(()), |why| Err(NotAccepted { in_doubt: false, ..why }))
    }

    /// What was chosen to go stays.
    async fn not_ordered(&self, app: AppKey, told: bool) {
        // Whoever is gone does not want to know.
        let _ = self.actor.send(Message::NotOrdered { app, told }).await;
    }
}

#[async_trait]
impl Platform for KubernetesPlatform {
    fn observe(&self, subject: Subject) {
        self.left.observe(subject);
    }

    async fn scale(&self, order: Order) -> Result<Accepted, NotAccepted> {
        let Target::Scale(target) = &order.settings.target else {
            let why = "in a cluster there are no processes; declare a scaleTargetRef".to_owned();
            let cause = FailureCause::TargetUnusable { target: order.id.to_string(), why };
            return Err(NotAccepted { cause, in_doubt: false, passing: false, retry_after: None });
        };
        let chooses = order.replicas > 0 && !order.urgent;
        if chooses {
            let chosen = tokio::time::timeout(CHOOSING, self.choose_victims(&order)).await;
            if let Err(why) = chosen.unwrap_or_else(|_| Err(not_chosen())) {
                self.not_ordered(order.key, false).await;
                return Err(why);
            }
        }
        let Order { key: app, replicas, victims, urgent, condition, decided_as_of, .. } = order;
        let (done, taken) = oneshot::channel();
        let ordered = Ordered { app, target: target.clone(), replicas, victims, version: None, done };
        let mut doubt = Doubt { actor: &self.actor, ordered: Some(Box::new(ordered)) };
        let condition = match condition {
            Condition::Always => Condition::Always,
            Condition::UnchangedSince(version) => Condition::UnchangedSince(resource_version(version)),
            Condition::StillZero(version) => Condition::StillZero(resource_version(version)),
        };
        let mut answer = self.orders.scale(target, replicas, urgent, condition).await;
        if answer.as_ref().is_ok_and(|accepted| accepted.version < resource_version(decided_as_of)) {
            // Versions only grow, unless the whole cluster was set back: what is known of it no longer holds.
            let _ = self.actor.send(Message::SetBack).await;
            answer = Err(set_back());
        }
        let Some(mut ordered) = doubt.ordered.take() else { return answer };
        match &answer {
            Ok(accepted) => ordered.version = Some(accepted.version),
            Err(refused) if refused.in_doubt => {}
            Err(_) if chooses => {
                self.not_ordered(app, true).await;
                return answer;
            }
            Err(_) => return answer,
        }
        if self.actor.send(Message::Ordered(ordered)).await.is_ok() {
            // It is there for as long as this is.
            let _ = taken.await;
        }
        answer.map(|accepted| Accepted { version: self.left.era.date(accepted.version) })
    }

    /// For 10 minutes its pods wait until Kubernetes calls them ready.
    fn distrust_early(&self, key: AppKey) {
        self.left.distrusted.lock().insert(key, self.clock.now() + DISTRUST);
        self.left.anything.notify_one();
    }

    /// Nothing is stopped: pods outlive the gateway.
    async fn stop(&self) {}
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if let Some(ordered) = self.ordered.take() {
            // Where there is no room for it, watches have more to tell, and will.
            let _ = self.actor.try_send(Message::Ordered(ordered));
        }
    }
}

impl Drop for KubernetesPlatform {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Kubernetes has not been told in time which pods are to go.
fn not_chosen() -> NotAccepted {
    let cause = FailureCause::NoAnswer { after: CHOOSING };
    NotAccepted { cause, in_doubt: false, passing: true, retry_after: None }
}

/// The cluster counts its versions anew, from a lower one.
fn set_back() -> NotAccepted {
    let cause = FailureCause::ApiServer { why: "it was set back to an older state; listing anew".to_owned() };
    NotAccepted { cause, in_doubt: true, passing: true, retry_after: None }
}

#[cfg(test)]
mod tests;
