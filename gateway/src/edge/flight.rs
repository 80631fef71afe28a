//! What has to end with a request, whatever its end is: count, log line, slot, connection.

use std::sync::Arc;

use activator::admission::affinity::Affinity;
use activator::{Clock, Permit};
use http::header::STRICT_TRANSPORT_SECURITY;
use http::{HeaderMap, StatusCode};

use super::Edge;
use super::backend::Backend;
use super::body::UploadProgress;
use super::upstream::Lease;
use crate::access_log::Entry;

/// A request from its arrival to the end of its response: counted and logged once, on drop.
pub struct Record {
    backend: Arc<Backend>,
    status: Option<StatusCode>,
    bytes: u64,
    complete: bool,
    /// What led it to its endpoint.
    led_by: Option<Box<Affinity>>,
    /// It came by TLS.
    is_secure: bool,
    entry: Option<(Box<Entry>, Arc<Edge>)>,
}

/// A response on its way.
pub struct Flight {
    record: Record,
    permit: Option<Permit>,
    lease: Option<Lease>,
    upload: Option<Unfinished>,
    clock: Clock,
}

/// The body of a request that has its answer: in the end it may be read, so that whoever is to send it notices what has become of it.
struct Unfinished(Arc<UploadProgress>);

// === impl Record ===

impl Record {
    /// A request for `backend`, by TLS or not; `entry` if it is to be logged, and where.
    pub fn new(backend: Arc<Backend>, is_secure: bool, entry: Option<(Box<Entry>, Arc<Edge>)>) -> Self {
        Self { backend, status: None, bytes: 0, complete: false, led_by: None, is_secure, entry }
    }

    /// Adds what its client is to be told of TLS, if anything.
    pub fn add_hsts(&self, headers: &mut HeaderMap) {
        if self.is_secure
            && let Some(hsts) = self.backend.hsts()
        {
            headers.insert(STRICT_TRANSPORT_SECURITY, hsts.clone());
        }
    }

    /// Whom it is for.
    pub fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    /// Something leads it to an endpoint, or nothing does.
    pub fn was_led_by(&mut self, affinity: Option<Affinity>) {
        self.led_by = affinity.map(Box::new);
    }

    /// What leads it to an endpoint.
    pub fn led_by(&self) -> Option<Affinity> {
        self.led_by.as_deref().copied()
    }

    /// It got a permit.
    pub fn admitted(&mut self, permit: &Permit) {
        if let Some((entry, _)) = &mut self.entry {
            entry.held = permit.wait().map(|wait| wait.held);
        }
    }

    /// It is answered whole, by the gateway itself.
    pub fn refused(mut self, status: StatusCode) {
        self.status = Some(status);
        self.complete = true;
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.backend.count(self.status);
        if let Some((entry, edge)) = self.entry.take() {
            let now = edge.clock.now();
            edge.access_log.write(&entry, Some(self.backend.app.id()), self.status, self.bytes, self.complete, now);
        }
    }
}

// === impl Unfinished ===

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.0.open();
    }
}

// === impl Flight ===

impl Flight {
    /// A response with this status, from the app, that may have come before all of `upload` was sent.
    pub fn new(
        mut record: Record,
        permit: Permit,
        lease: Option<Lease>,
        upload: Option<Arc<UploadProgress>>,
        status: StatusCode,
    ) -> Self {
        record.status = Some(status);
        let clock = permit.app().clock().clone();
        Self { record, permit: Some(permit), lease, upload: upload.map(Unfinished), clock }
    }

    /// What time it is for this request.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// How the request's body is doing, if it has one.
    pub fn upload(&self) -> Option<&Arc<UploadProgress>> {
        self.upload.as_ref().map(|upload| &upload.0)
    }

    /// `bytes` more of the response's body have gone out.
    pub fn sent(&mut self, bytes: usize) {
        self.record.bytes += bytes as u64;
    }

    /// The response's body has ended as it should: its connection serves the next request, then its slot does.
    pub fn body_ended(&mut self) {
        self.record.complete = true;
        let now = self.clock.now();
        // A connection on which a body is still being sent would keep the next request waiting for it.
        let is_free = self.upload().is_none_or(|upload| upload.is_whole());
        if let Some(lease) = self.lease.take().filter(|_| is_free)
            && let Some(permit) = &self.permit
        {
            lease.give_back(permit.endpoint(), &self.clock, now);
        }
        if let Some(permit) = self.permit.take() {
            permit.end(now);
        }
    }

    /// The upgraded connection has ended; it is of no use to anybody else.
    pub fn tunnel_ended(&mut self) {
        self.lease = None;
        self.body_ended();
    }

    /// Adds what the client is to be told of TLS, if anything.
    pub fn add_hsts(&self, headers: &mut HeaderMap) {
        self.record.add_hsts(headers);
    }
}
