//! What the actor is told by others.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::scale::Unread;
use super::state::object::{Kind, Name, Pod, Service, Slice, TargetObject};
use super::state::{Crash, Identity};
use super::watch::Change;
use crate::admission::Endpoint;
use crate::failure::FailureCause;
use crate::platform::contract::AppKey;
use crate::settings::ScaleTarget;

/// What the actor is told.
pub(super) enum Message {
    /// A watch of `scope`, a namespace or everywhere, has brought something.
    Changed { scope: Option<Arc<str>>, change: Changed },
    /// A watch cannot tell what happens, and why; or can again.
    Trouble { scope: Option<Arc<str>>, source: Source, cause: Option<FailureCause> },
    /// The API server does not know this kind.
    KindUnknown { scope: Option<Arc<str>>, kind: Arc<Kind> },
    /// The checks of a candidate have passed.
    Passed { app: AppKey, identity: Identity, incarnation: u32 },
    /// A container has printed this.
    OutputRead { app: AppKey, crash: Crash, lines: Vec<String> },
    /// The `/scale` of the app's target stands there, as of then; or could not be read.
    ScaleRead { app: AppKey, target: Arc<ScaleTarget>, read: Result<(u32, u64), Unread> },
    /// An order was answered as of an earlier version than it was decided by: the cluster was set back.
    SetBack,
    /// An order was answered.
    Ordered(Box<Ordered>),
    /// What [`Message::WhichPods`] was asked for was not ordered, or not accepted; and whether all of it was told.
    NotOrdered { app: AppKey, told: bool },
    /// Of which pods Kubernetes is to be told what, for an order that makes them fewer.
    WhichPods { app: AppKey, replicas: u32, victims: Vec<Arc<Endpoint>>, answer: oneshot::Sender<Vec<Costly>> },
}

/// Something that a watch has brought.
pub(super) enum Changed {
    Pods(Change<Pod>),
    Services(Change<Service>),
    Slices(Change<Slice>),
    Targets(Arc<Kind>, Change<TargetObject>),
}

/// What is watched.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Source {
    Pods,
    Services,
    Slices,
    Targets(Arc<Kind>),
}

/// An order that was answered, or got no answer.
pub(super) struct Ordered {
    pub(super) app: AppKey,
    pub(super) target: Arc<ScaleTarget>,
    pub(super) replicas: u32,
    pub(super) victims: Vec<Arc<Endpoint>>,
    /// As of when it was accepted; `None` if nobody knows whether it was.
    pub(super) version: Option<u64>,
    /// Told once it has been taken into account.
    pub(super) done: oneshot::Sender<()>,
}

/// What Kubernetes is to be told of a pod of an app that is to become smaller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Costly {
    pub(super) pod: Arc<Name>,
    /// What it is to cost to delete it; `None` if that is to be taken back.
    pub(super) cost: Option<i32>,
}

// === impl Changed ===

impl Changed {
    /// Of what this is all there is, if it is.
    pub(super) fn is_whole(&self) -> Option<Source> {
        match self {
            Self::Pods(Change::Restarted(_)) => Some(Source::Pods),
            Self::Services(Change::Restarted(_)) => Some(Source::Services),
            Self::Slices(Change::Restarted(_)) => Some(Source::Slices),
            Self::Targets(kind, Change::Restarted(_)) => Some(Source::Targets(kind.clone())),
            _ => None,
        }
    }
}
