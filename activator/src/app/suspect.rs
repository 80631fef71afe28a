//! Endpoints that are not used for a while: those that have failed requests, to which others are preferred and which are asked
//! before they are used as before, and those that may end after their first answer.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::App;
use crate::admission::{Endpoint, Fault};
use crate::clock::Timestamp;
use crate::platform::readiness::Probe;

/// How long before the end of a suspicion an endpoint is asked: longer than one try may take, so that one that fails is not used.
const ASKED_BEFORE: Duration = Duration::from_millis(1500);
/// How long others are preferred still to one that has not passed.
const NOT_YET: Duration = Duration::from_secs(2);

/// Waits for the end of one endpoint's suspicion. Keeps neither while it waits.
struct Watch {
    app: Weak<App>,
    endpoint: Weak<Endpoint>,
}

// === impl App ===

impl App {
    /// Blames `endpoint` for a request that it has not answered: others may be preferred to it for a while. The last one is used
    /// all the same.
    pub fn blame(self: &Arc<Self>, endpoint: &Arc<Endpoint>, fault: Fault) {
        let now = self.clock().now();
        if let Some(until) = endpoint.blame(fault, now) {
            let wait = until.since(now);
            tracing::warn!(app = %self.id, endpoint = endpoint.name(), ?fault, ?wait, "does not answer; others are preferred if there are any");
            self.suspect(endpoint, until);
        }
    }

    /// Prefers other endpoints to `endpoint` until `until` at least: it has failed a request. The last one is used all the same.
    /// Who is in line because of that is served as soon as it is over.
    pub fn suspect(self: &Arc<Self>, endpoint: &Arc<Endpoint>, until: Timestamp) {
        // A request may end when the runtime is gone already; then nobody is served any more.
        if endpoint.suspect(until)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let watch = Watch { app: Arc::downgrade(self), endpoint: Arc::downgrade(endpoint) };
            runtime.spawn(watch.run());
        }
        self.note_request();
    }

    /// `endpoint` has answered: it is as good as others from now on.
    pub fn trust(self: &Arc<Self>, endpoint: &Endpoint) {
        if endpoint.trust() {
            self.note_request();
            self.serve_line();
        }
    }
}

// === impl App: endpoints that may end ===

impl App {
    /// Uses `endpoint` again after `pause`, if it is still there.
    pub(super) fn resume_later(self: &Arc<Self>, endpoint: &Arc<Endpoint>, pause: Duration) {
        let (app, endpoint) = (Arc::downgrade(self), Arc::downgrade(endpoint));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                tokio::time::sleep(pause).await;
                if let (Some(app), Some(endpoint)) = (app.upgrade(), endpoint.upgrade()) {
                    endpoint.resume();
                    app.serve_line();
                }
            });
        }
    }
}

// === impl Watch ===

impl Watch {
    async fn run(self) {
        while let Some(left) = self.left() {
            let Some(probe) = self.probe() else {
                tokio::time::sleep(left).await;
                continue;
            };
            tokio::time::sleep(left.saturating_sub(ASKED_BEFORE)).await;
            match self.left() {
                // It has failed again.
                Some(left) if left > ASKED_BEFORE => {}
                Some(left) => match tokio::time::timeout(left, probe.check()).await {
                    // What was slow to say yes has said so; the rest of the time has to pass all the same.
                    Ok(Ok(())) => tokio::time::sleep(self.left().unwrap_or_default()).await,
                    _ => self.distrust(),
                },
                None => return,
            }
        }
    }

    /// How long it is still suspect; nothing once it is over, and those in line are served.
    fn left(&self) -> Option<Duration> {
        let (app, endpoint) = (self.app.upgrade()?, self.endpoint.upgrade()?);
        let left = endpoint.still_suspect(app.clock().now());
        if left.is_none() {
            app.serve_line();
        }
        left
    }

    /// What to ask it, unless it gets nothing more anyway.
    fn probe(&self) -> Option<Probe> {
        let endpoint = self.endpoint.upgrade().filter(|endpoint| !endpoint.is_closed())?;
        Some(Probe::new(endpoint.readiness()?.clone(), endpoint.address()))
    }

    /// It has not passed.
    fn distrust(&self) {
        let (Some(app), Some(endpoint)) = (self.app.upgrade(), self.endpoint.upgrade()) else { return };
        let now = app.clock().now();
        // It may have answered a request meanwhile.
        if endpoint.is_suspect(now) {
            endpoint.suspect(now + NOT_YET);
        }
    }
}
