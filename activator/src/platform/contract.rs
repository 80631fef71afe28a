//! What passes between the activator and what runs its apps: orders one way, observations the other.
//!
//! A platform knows no app. It is told what to observe ([`Subject`]), reports what it sees as a whole ([`Observation`]), and
//! takes orders ([`Order`]), each answered with [`Accepted`] or [`NotAccepted`]. What follows from that, one place decides:
//! the app that the subject stands for.

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;

use crate::admission::Endpoint;
pub use crate::failure::{FailureCause, StartFailure};
use crate::settings::{AppId, AppSettings};

/// Under what name gateways write the number of replicas, see [`SpecReplicas::writer`].
pub const WRITER: &str = "zerogate";

/// Scales targets and tells what becomes of them.
#[async_trait]
pub trait Platform: Send + Sync + 'static {
    /// Observes `subject` from now on: reports to it what is known at once, and anew whenever that changes, until its
    /// observer is gone. Called again with the same key when its settings have changed. Does not wait.
    fn observe(&self, subject: Subject);

    /// Has as many replicas run as the order says, from now on until told otherwise. Returns once the order is accepted, not
    /// when the replicas are there; asking for what is already the case changes nothing.
    ///
    /// Before it returns, accepted or in doubt, the victims are in no observation any more, nor is anything else that the order
    /// takes away; an endpoint that is in a later one may be used, since it is known to stay. Observations of one app never
    /// overtake each other.
    ///
    /// # Errors
    /// The order was not accepted, or nobody knows whether it was. That the app cannot start is none: that is observed.
    async fn scale(&self, order: Order) -> Result<Accepted, NotAccepted>;

    /// An endpoint of the app that was reported before the cluster itself called it ready has failed a request: none is
    /// reported so early for a while, and what is early now leaves the observation. Does not wait. Nothing to do for a platform
    /// that marks no endpoint so.
    fn distrust_early(&self, _key: AppKey) {}

    /// Stops what does not outlive the gateway, and returns once nothing of it is left. Pods outlive it, processes do not.
    async fn stop(&self);

    /// Stops it at once; a [`Platform::stop`] that is under way then returns.
    fn kill_now(&self) {}
}

/// Who takes observations of one app.
pub trait Observer: Send + Sync + 'static {
    /// Takes what is the case now. The last one holds; it may be the same as the one before.
    fn observed(&self, observation: Observation);
}

/// Tells one app from all others, for as long as the program runs: one that is declared again under the same name is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppKey(pub u64);

/// An app that a platform has to do with.
#[derive(Clone)]
pub struct Subject {
    /// Tells it from all others.
    pub key: AppKey,
    /// What people call it.
    pub id: AppId,
    /// What it is to be; its `target` is what is observed and scaled.
    pub settings: Arc<AppSettings>,
    /// Which of the app's targets this is, from 0: grows when its settings name another object.
    pub target_number: u64,
    /// Where observations go. Gone with the app: then there is nothing to observe any more.
    pub observer: Weak<dyn Observer>,
}

/// What is the case with an app: a whole, not a change. What is not in it is not there.
#[derive(Debug, Clone, Default)]
pub struct Observation {
    /// Which of the app's targets it is about, as in [`Subject::target_number`].
    pub target_number: u64,
    /// Replicas that its target asks for. `None` as long as that is not known, which is not zero: nothing is decided then.
    pub spec: Option<SpecReplicas>,
    /// What can take requests now, by identity: one that was there before is the same `Arc`. What was there and is
    /// not in it any more gets nothing new, and finishes what it has.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// Replicas on their way that are not usable yet and have not failed either.
    pub starting: u32,
    /// What keeps replicas from becoming usable, as long as it does. Another `Arc` is another failure.
    pub failure: Option<Arc<StartFailure>>,
    /// How far the furthest of the replicas on their way has come.
    pub reached: Reached,
}

/// The number of replicas that a target asks for, and as of when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecReplicas {
    /// How many.
    pub replicas: u32,
    /// Grows with each change of the target; to be compared with that of [`Accepted`]. What is older than the last accepted
    /// order does not count.
    pub version: u64,
    /// Who has written that number, if that is known: a field manager's name.
    pub writer: Option<Arc<str>>,
}

/// What a wake has reached, as Kubernetes or the system tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reached {
    /// A node was chosen for a pod.
    pub scheduled: bool,
    /// A replica runs, though it may not listen yet: a process was spawned, a pod has its IP.
    pub started: bool,
    /// The platform itself calls one ready, which may be long after the gateway found it so.
    pub ready_by_platform: bool,
}

/// How many replicas of an app there are to be.
#[derive(Debug, Clone)]
pub struct Order {
    /// Which app.
    pub key: AppKey,
    /// What people call it.
    pub id: AppId,
    /// What it is scaled by.
    pub settings: Arc<AppSettings>,
    /// How many.
    pub replicas: u32,
    /// What goes first where this makes replicas fewer: closed for it, and empty.
    pub victims: Vec<Arc<Endpoint>>,
    /// Whether requests wait for it.
    pub urgent: bool,
    /// As of when the target was known by which this was decided, see [`SpecReplicas::version`].
    pub decided_as_of: u64,
    /// What has to be the case for it to be accepted.
    pub condition: Condition,
}

/// What has to be the case for an order to be accepted. Versions are those of [`SpecReplicas::version`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Nothing: a wake goes out whatever has been written meanwhile.
    Always,
    /// The target has not changed since then.
    UnchangedSince(u64),
    /// The target asks for none, as it did then: of several gateways that wake it, only one has its way.
    StillZero(u64),
}

/// An order was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// As of when, see [`SpecReplicas::version`].
    pub version: u64,
}

/// An order was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAccepted {
    /// Why, in words for those who wait.
    pub cause: FailureCause,
    /// Whether the order may have had its effect all the same: no answer has come, or one that leaves it open.
    pub in_doubt: bool,
    /// Whether the next try may well succeed. Then those who wait go on waiting; otherwise they are told the cause.
    pub passing: bool,
    /// How long until it is worth another try, if the platform has said so.
    pub retry_after: Option<Duration>,
}
