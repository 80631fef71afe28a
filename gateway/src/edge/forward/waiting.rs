//! The wait for an app's answer, and what it says of the endpoint if the client gives it up.

use std::sync::Arc;
use std::time::Duration;

use activator::Permit;
use activator::admission::Fault;

use crate::edge::body::UploadProgress;
use crate::edge::patience::Patience;

/// A client that leaves sooner says nothing of the app.
const PATIENT: Duration = Duration::from_secs(1);

/// The wait of one request. Dropped before it is over, the client has given up.
pub(super) struct Waiting<'a> {
    permit: &'a Permit,
    upload: Option<Arc<UploadProgress>>,
}

// === impl Waiting ===

impl<'a> Waiting<'a> {
    /// Of a request that has just got this permit.
    pub(super) fn new(permit: &'a Permit, patience: &Patience) -> Self {
        Self { permit, upload: patience.upload().cloned() }
    }

    /// There is an answer, or the reason why there is none.
    pub(super) fn over(mut self) {
        self.upload = None;
        std::mem::forget(self);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let app = self.permit.app();
        let since = self.permit.arrived() + self.permit.wait().map_or(Duration::ZERO, |wait| wait.held);
        // Whoever still sends may have left for that.
        let was_sent = self.upload.as_ref().is_none_or(|upload| upload.is_whole());
        if was_sent && app.clock().now().since(since) >= PATIENT {
            app.blame(self.permit.endpoint(), Fault::GivenUp);
        }
    }
}
