//! Connections to endpoints that no request is on. Each endpoint owns its pool, so a connection never outlives what it was made
//! to: a process started later on the same port is another endpoint with another pool.
//!
//! One shard per worker thread, so that the locks are not contended. A connection goes back to the thread that opened it, where its
//! driver runs: on any other each request costs both threads a wake. A thread whose shard is empty takes from another before it
//! connects, so that an app sees few connections, but not for ever.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use activator::{Clock, Endpoint, Timestamp};
use parking_lot::Mutex;

use super::http2::Http2;
use super::shards::{SHARDS, home};
use super::tls::Made;
use super::{Connection, SendError};

/// Idle connections kept per shard.
const MOST_IDLE_PER_SHARD: usize = 1024;
/// After so many loans from others a thread opens a connection of its own.
const MOST_LOANS: u32 = 32;

/// The connections of one endpoint.
pub(super) struct Pool {
    shards: [Shard; SHARDS],
    sweeping: AtomicBool,
    /// It has chosen to have one request at a time on a connection, where it could choose.
    takes_one: AtomicBool,
    /// Held while a connection that is to be shared is made, so that the many released by a wake make one.
    connecting: tokio::sync::Mutex<()>,
}

/// Cache lines of its own (they are fetched in pairs).
#[derive(Default)]
#[repr(align(128))]
struct Shard {
    kept: Mutex<Kept>,
    /// Connections of others that its thread has used since it opened the last one.
    loans: AtomicU32,
}

#[derive(Default)]
struct Kept {
    /// The one used last is at the back.
    idle: VecDeque<Idle>,
    shared: Option<Http2>,
}

/// A connection, and until when it may be used again.
pub(super) struct Idle {
    pub(super) connection: Connection,
    pub(super) until: Timestamp,
}

// === impl Pool ===

impl Pool {
    pub(super) fn new() -> Self {
        Self {
            shards: Default::default(),
            sweeping: AtomicBool::new(false),
            takes_one: AtomicBool::new(false),
            connecting: tokio::sync::Mutex::new(()),
        }
    }

    /// The connection that this thread used last of its own, or else another's; nothing if it had better open one, which `narrow`
    /// endpoints, that may take few connections, are spared.
    pub(super) fn take(&self, now: Timestamp, narrow: impl FnOnce() -> bool) -> Option<Connection> {
        let home = home();
        let own = &self.shards[home];
        if let Some(connection) = own.kept.lock().take(now) {
            return Some(connection);
        }
        if own.loans.load(Ordering::Relaxed) >= MOST_LOANS && !narrow() {
            own.loans.store(0, Ordering::Relaxed);
            return None;
        }
        let connection = (1..SHARDS).find_map(|i| self.shards[(home + i) % SHARDS].kept.lock().take(now))?;
        own.loans.fetch_add(1, Ordering::Relaxed);
        Some(connection)
    }

    /// Keeps `idle` for the next request to `endpoint`.
    pub(super) fn put(endpoint: &Arc<Endpoint>, idle: Idle, clock: &Clock) {
        let pool = endpoint.attachment(Self::new);
        pool.keep(idle);
        if !pool.sweeping.load(Ordering::Relaxed) && !pool.sweeping.swap(true, Ordering::AcqRel) {
            tokio::spawn(sweep(Arc::downgrade(endpoint), clock.clone()));
        }
    }

    fn keep(&self, idle: Idle) {
        let mut shard = self.shards[idle.connection.home()].kept.lock();
        if shard.idle.len() < MOST_IDLE_PER_SHARD {
            shard.idle.push_back(idle);
        }
    }

    pub(super) fn shared(&self) -> Option<Http2> {
        self.shards[home()].kept.lock().shared.clone().filter(|connection| !connection.is_closed())
    }

    /// A new shared connection, made by `connect`, or the one that another request has made meanwhile.
    pub(super) async fn share(&self, connect: impl Future<Output = io::Result<Http2>>) -> io::Result<Http2> {
        let _alone = self.connecting.lock().await;
        if let Some(connection) = self.shared() {
            return Ok(connection);
        }
        let connection = connect.await?;
        self.shards[home()].kept.lock().shared = Some(connection.clone());
        Ok(connection)
    }

    /// Whether a new connection may turn out to be one that is shared.
    pub(super) fn may_share(&self) -> bool {
        !self.takes_one.load(Ordering::Relaxed)
    }

    /// The same, where `connect` may make one that carries one request at a time. Then nobody waits for the others any more.
    pub(super) async fn share_or_keep(
        &self,
        connect: impl Future<Output = Result<Made, SendError>>,
    ) -> Result<Made, SendError> {
        let alone = self.connecting.lock().await;
        if let Some(connection) = self.shared() {
            return Ok(Made::Http2(connection));
        }
        if !self.may_share() {
            drop(alone);
            return connect.await;
        }
        let made = connect.await?;
        match &made {
            Made::Http2(connection) => self.shards[home()].kept.lock().shared = Some(connection.clone()),
            Made::Http1(_) => self.takes_one.store(true, Ordering::Relaxed),
        }
        Ok(made)
    }

    /// Closes idle connections that are too old, or all. Returns how many are left.
    pub(super) fn sweep(&self, now: Timestamp, all: bool) -> usize {
        self.shards
            .iter()
            .map(|shard| {
                let mut shard = shard.kept.lock();
                shard.idle.retain(|idle| !all && idle.until > now && !idle.connection.is_closed());
                shard.idle.len()
            })
            .sum()
    }
}

impl Kept {
    fn take(&mut self, now: Timestamp) -> Option<Connection> {
        while let Some(idle) = self.idle.pop_back() {
            if idle.until > now && !idle.connection.is_closed() {
                return Some(idle.connection);
            }
        }
        None
    }
}

/// Closes what has been idle too long; ends when nothing is idle any more.
async fn sweep(endpoint: Weak<Endpoint>, clock: Clock) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let Some(endpoint) = endpoint.upgrade() else { return };
        let pool = endpoint.attachment(Pool::new);
        if pool.sweep(clock.now(), endpoint.is_closed()) == 0 {
            pool.sweeping.store(false, Ordering::Release);
            // One may have been given back between the look and the store; whoever does so next begins again, and what is
            // too old is never handed out.
            return;
        }
    }
}
