//! How a watch is: whether it has ever told all there is, and what is the matter with it.

use std::time::Duration;

use http::StatusCode;
use tokio::sync::watch;

use super::Failed;
use crate::clock::{Clock, Timestamp};
use crate::failure::FailureCause;

/// How often a trouble that lasts is logged.
const AGAIN: Duration = Duration::from_secs(30);
/// What stands for all namespaces.
const EVERYWHERE: &str = "*";

/// How a watch is. Clones tell of the same watch.
#[derive(Debug, Clone)]
pub struct Health(watch::Receiver<State>);

/// What keeps a watch from telling what happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What is the matter.
    pub cause: FailureCause,
    /// Since when it is in trouble.
    pub since: Timestamp,
}

#[derive(Debug, Clone, Default)]
struct State {
    synced: bool,
    trouble: Option<Trouble>,
}

/// Where a watch says how it is.
pub(super) struct Report {
    state: watch::Sender<State>,
    clock: Clock,
    /// As in `pods`: what metrics call it.
    plural: String,
    /// As in `endpointslices.discovery.k8s.io`.
    resource: String,
    namespace: String,
    logged: Option<Timestamp>,
}

// === impl Health ===

impl Health {
    /// Whether it has told all there is, at least once.
    pub fn is_synced(&self) -> bool {
        self.0.borrow().synced
    }

    /// Waits until it has told all there is. Never returns if the watch ends before.
    pub async fn synced(&mut self) {
        if self.0.wait_for(|state| state.synced).await.is_err() {
            std::future::pending().await
        }
    }

    /// Waits until it is otherwise than when this was asked last. Never returns if the watch ends before.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// Waits until it may not even list what there is, before it has ever done so, and gives what it lacks. Never returns if it
    /// can, and if the watch ends before.
    pub async fn forbidden(&mut self) -> FailureCause {
        let cause = match self.0.wait_for(|state| state.lacks().is_some()).await {
            Ok(state) => state.lacks().cloned(),
            Err(_) => None,
        };
        match cause {
            Some(cause) => cause,
            None => std::future::pending().await,
        }
    }

    /// Whether it may not even list what there is, and has never done so.
    pub fn is_forbidden(&self) -> bool {
        self.0.borrow().lacks().is_some()
    }

    /// What is the matter with it now, if anything. What it told before still holds, as far as anybody knows.
    pub fn trouble(&self) -> Option<Trouble> {
        self.0.borrow().trouble.clone()
    }
}

// === impl State ===

impl State {
    /// The right that is missing to know anything at all.
    fn lacks(&self) -> Option<&FailureCause> {
        let cause = self.trouble.as_ref().map(|trouble| &trouble.cause)?;
        (!self.synced && matches!(cause, FailureCause::Forbidden { .. })).then_some(cause)
    }
}

// === impl Report ===

impl Report {
    /// For a watch of what is found at `url`, the path of a collection.
    pub(super) fn new(url: &str, clock: Clock) -> (Self, Health) {
        let segments: Vec<_> = url.split('/').filter(|segment| !segment.is_empty()).collect();
        let plural = segments.last().copied().unwrap_or_default().to_owned();
        let namespace = segments.iter().position(|s| *s == "namespaces").and_then(|at| segments.get(at + 1));
        // Namespaces themselves are in none.
        let namespace = namespace.filter(|_| plural != "namespaces").map_or(EVERYWHERE, |name| name).to_owned();
        let resource = match segments[..] {
            ["apis", group, ..] => format!("{plural}.{group}"),
            _ => plural.clone(),
        };
        let (state, health) = watch::channel(State::default());
        (Self { state, clock, plural, resource, namespace, logged: None }, Health(health))
    }

    pub(super) fn resource(&self) -> &str {
        &self.resource
    }

    /// What an error means that came when this was to be listed or watched.
    pub(super) fn cause(&self, verb: &str, error: &kube::Error) -> FailureCause {
        let why = match error {
            kube::Error::Api(status) if status.code == StatusCode::FORBIDDEN => {
                return FailureCause::Forbidden {
                    verb: verb.into(),
                    resource: self.resource.clone(),
                    namespace: self.namespace.clone(),
                };
            }
            kube::Error::Api(status) if status.code == StatusCode::NOT_FOUND => {
                format!("it has no {}; is the CRD installed?", self.resource)
            }
            kube::Error::Api(status) => format!("{} {}", status.code, status.reason),
            error => Failed::by(error).why,
        };
        FailureCause::ApiServer { why }
    }

    /// All there is has been told.
    pub(super) fn synced(&self) {
        self.state.send_if_modified(|state| !std::mem::replace(&mut state.synced, true));
    }

    /// It follows what happens.
    pub(super) fn well(&mut self) {
        let was = self.state.send_if_modified(|state| state.trouble.take().is_some());
        if was && self.logged.take().is_some() {
            tracing::info!("{} are watched again", self.resource);
        }
    }

    /// It does not; `worth_telling` if people may want to know.
    pub(super) fn trouble(&mut self, cause: FailureCause, worth_telling: bool) {
        metrics::counter!("zerogate_watch_errors_total", "resource" => self.plural.clone()).increment(1);
        let now = self.clock.now();
        if worth_telling && self.logged.is_none_or(|logged| now.since(logged) >= AGAIN) {
            self.logged = Some(now);
            tracing::warn!("{} cannot be watched: {cause}", self.resource);
        }
        self.state.send_modify(|state| {
            let since = state.trouble.as_ref().map_or(now, |trouble| trouble.since);
            state.trouble = Some(Trouble { cause, since });
        });
    }
}
