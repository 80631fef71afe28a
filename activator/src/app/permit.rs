//! Permits: the right to send one request to one endpoint, and the count that each request is.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::App;
use crate::admission::Endpoint;
use crate::admission::affinity::Affinity;
use crate::clock::Timestamp;
use crate::hold::Refusal;

/// One request, counted from its arrival to its end: dropping it is the only way down.
#[must_use]
#[derive(Debug)]
pub struct Ticket {
    pub(crate) app: Arc<App>,
    arrived: Timestamp,
    /// When it ended, if whoever ended it has looked at the clock.
    ended: Option<Timestamp>,
}

/// The right to send one request to one endpoint. Dropping it gives the slot to whoever waits and ends the request's count.
#[must_use]
#[derive(Debug)]
pub struct Permit {
    // Field order: the slot goes back before the count goes down, so a count of 0 means that every slot is free.
    slot: Slot,
    ticket: Ticket,
    wait: Option<Wait>,
}

/// How long a request was held, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// From its arrival to its permit.
    pub held: Duration,
    /// From the wake's begin to its first usable endpoint, if the app had to be woken for it.
    pub wake: Option<Duration>,
}

/// One slot of one endpoint.
pub(crate) struct Slot {
    app: Arc<App>,
    endpoint: Arc<Endpoint>,
}

// === impl Ticket ===

impl Ticket {
    pub(crate) fn new(app: Arc<App>, arrived: Timestamp) -> Self {
        Self { app, arrived, ended: None }
    }

    /// The app it counts for.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// When the request came.
    pub fn arrived(&self) -> Timestamp {
        self.arrived
    }

    /// Until when it may wait, all its waits together.
    pub fn deadline(&self) -> Timestamp {
        self.arrived + self.app.settings().hold.timeout
    }

    /// Waits for `pause` before it tries again, or until its deadline if that is sooner, and counts as held meanwhile.
    ///
    /// # Errors
    /// As with [`Ticket::hold`], but for the deadline.
    pub async fn pause(self, pause: Duration, header_bytes: usize) -> Result<Self, Refusal> {
        self.app.pause(self.deadline(), pause, header_bytes).await?;
        Ok(self)
    }

    /// A permit if some endpoint has a free slot and nobody waits; lock-free. Otherwise the ticket back.
    ///
    /// # Errors
    /// The ticket, for [`Ticket::hold`].
    pub fn try_admit(self, now: Timestamp) -> Result<Permit, Self> {
        self.try_admit_to(now, None)
    }

    /// The same, at the endpoint that `affinity` leads to if that has a free slot.
    ///
    /// # Errors
    /// The ticket, for [`Ticket::hold_for`].
    pub fn try_admit_to(self, now: Timestamp, affinity: Option<Affinity>) -> Result<Permit, Self> {
        match self.app.try_slot_unless_held(now, affinity) {
            Some(endpoint) => {
                let slot = Slot::new(self.app.clone(), endpoint);
                Ok(Permit { slot, ticket: self, wait: None })
            }
            None => Err(self),
        }
    }

    /// Waits in line for a permit; wakes the app if it sleeps. `header_bytes` is what the request keeps in memory meanwhile.
    /// Dropping the future leaves the line at once.
    ///
    /// # Errors
    /// Why it will get none: the line is full, the deadline has passed, the app cannot start, the gateway stops.
    pub async fn hold(self, header_bytes: usize) -> Result<Permit, Refusal> {
        self.hold_for(header_bytes, None).await
    }

    /// The same, for a permit to send it where `affinity` leads to if there is a free slot when its turn comes.
    ///
    /// # Errors
    /// As with [`Ticket::hold`].
    pub async fn hold_for(self, header_bytes: usize, affinity: Option<Affinity>) -> Result<Permit, Refusal> {
        let app = self.app.clone();
        let slot = app.wait_in_line(self.arrived, header_bytes, affinity).await?;
        let wait = Wait { held: app.clock().now().since(self.arrived), wake: app.wake_duration_since(self.arrived) };
        Ok(Permit { slot, ticket: self, wait: Some(wait) })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.app.leave(self.ended.unwrap_or_else(|| self.app.clock().now()));
    }
}

// === impl Permit ===

impl Permit {
    /// Where to send the request.
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.slot.endpoint
    }

    /// The app it counts for.
    pub fn app(&self) -> &Arc<App> {
        &self.ticket.app
    }

    /// When the request came.
    pub fn arrived(&self) -> Timestamp {
        self.ticket.arrived
    }

    /// How long it was held; `None` for a request that found a free slot.
    pub fn wait(&self) -> Option<Wait> {
        self.wait
    }

    /// The request has ended at `now`; the same as dropping the permit, but for the look at the clock.
    pub fn end(mut self, now: Timestamp) {
        self.ticket.ended = Some(now);
    }

    /// Gives the slot back but goes on counting: nothing has been sent, another endpoint is to be tried.
    pub fn give_back(self) -> Ticket {
        self.ticket
    }
}

// === impl Slot ===

impl Slot {
    pub(crate) fn new(app: Arc<App>, endpoint: Arc<Endpoint>) -> Self {
        app.note_request();
        Self { app, endpoint }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(pause) = self.endpoint.release() {
            self.app.resume_later(&self.endpoint, pause);
        }
        self.app.note_request();
        self.app.serve_line();
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)
    }
}
