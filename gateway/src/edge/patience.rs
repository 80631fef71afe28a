//! How long a request waits for the head of its response. The time for the head counts from the end of the request; while a body
//! is on its way to the app, something has to move. The time for the whole request counts from its permit.

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use super::body::UploadProgress;
use super::problem::Timeout;
use super::timer::LazyTimer;
use crate::config::settings::Timeouts;

/// The patience with one request.
#[derive(Debug)]
pub struct Patience {
    head: Duration,
    /// For an upload that stands still.
    stalled: Duration,
    upload: Option<Arc<UploadProgress>>,
    /// When to look whether it is over.
    until: Instant,
    /// When the whole request has to be over, and how long it had.
    deadline: Option<(Instant, Duration)>,
}

// === impl Patience ===

impl Patience {
    /// For a request that got its permit at `now`, with the progress of its body if it has one.
    pub fn new(timeouts: &Timeouts, upload: Option<Arc<UploadProgress>>, now: Instant) -> Self {
        let head = timeouts.response_header;
        let deadline = timeouts.request.map(|whole| (now + whole, whole));
        let mut patience = Self { head, stalled: head.max(timeouts.idle), upload, until: now, deadline };
        patience.renew(now);
        patience
    }

    /// Begins the wait for the head anew: the request goes out again at `now`.
    pub fn renew(&mut self, now: Instant) {
        self.look_at(now + self.head);
    }

    fn look_at(&mut self, at: Instant) {
        self.until = self.deadline.map_or(at, |(deadline, _)| at.min(deadline));
    }

    /// How the body is doing that the request has.
    pub fn upload(&self) -> Option<&Arc<UploadProgress>> {
        self.upload.as_ref()
    }

    /// Whether all of the request has been sent, so that it is the app that is waited for.
    pub fn has_sent_all(&self) -> bool {
        self.upload.as_ref().is_none_or(|upload| upload.is_whole())
    }

    /// When the whole request has to be over.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline.map(|(deadline, _)| deadline)
    }

    /// What `future` gives, if it is done before the whole request has to be over.
    ///
    /// # Errors
    /// It is not.
    pub async fn before_deadline<T>(&self, future: impl Future<Output = T>) -> Result<T, Timeout> {
        match self.deadline {
            None => Ok(future.await),
            Some((at, after)) => tokio::time::timeout_at(at, future).await.map_err(|_| Timeout::Request { after }),
        }
    }

    /// Ready once it is over.
    pub fn poll_over(&mut self, timer: &mut LazyTimer, cx: &mut Context<'_>) -> Poll<Timeout> {
        loop {
            ready!(timer.poll_until(cx, self.until));
            if let Some((deadline, after)) = self.deadline
                && self.until >= deadline
            {
                return Poll::Ready(Timeout::Request { after });
            }
            // Still uploading: there is time as long as something moves; a client that sends nothing has its own bound.
            let left = self.upload.as_ref().map_or(Duration::ZERO, |upload| match upload.ended_for() {
                None => self.stalled.saturating_sub(upload.still_for()),
                Some(ended) => self.head.saturating_sub(ended),
            });
            if left.is_zero() {
                return Poll::Ready(Timeout::Head { after: self.head });
            }
            self.look_at(self.until + left);
        }
    }
}

#[cfg(test)]
mod tests;
