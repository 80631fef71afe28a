//! Request bodies that come back: an app may refuse a request before anything of its body is sent.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::{RequestBody, Watched};
use crate::edge::client_body::ClientBody;

/// How long whoever sends a body may take to let go of it once its request is refused.
const PATIENCE: Duration = Duration::from_millis(100);

/// Where a body goes that is let go of untouched.
#[derive(Default)]
pub(super) struct Home {
    body: Mutex<Option<Box<Watched<ClientBody>>>>,
    came: Notify,
}

/// A body that was sent off, and may come back.
pub struct Lent(pub(super) Arc<Home>);

// === impl Home ===

impl Home {
    pub(super) fn take_in(&self, body: Box<Watched<ClientBody>>) {
        *self.body.lock() = Some(body);
        self.came.notify_one();
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // As it would have ended where it was let go of.
        drop(RequestBody(self.body.get_mut().take()));
    }
}

// === impl Lent ===

impl Lent {
    /// The body, if nothing was taken of it.
    pub async fn back(self) -> Option<RequestBody> {
        // Whoever has touched it knows nothing of its home any more.
        if self.0.body.lock().is_none() && Arc::strong_count(&self.0) > 1 {
            let _ = timeout(PATIENCE, self.0.came.notified()).await;
        }
        let body = self.0.body.lock().take()?;
        Some(RequestBody(Some(body)))
    }
}
