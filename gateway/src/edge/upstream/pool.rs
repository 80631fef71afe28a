//! Connections to endpoints that no request is on. Each endpoint owns its pool, so a connection never outlives what it was made
//! to: a process started later on the same port is another endpoint with another pool.
//!
//! One shard per worker thread, so that the locks are not contended; a thread whose shard is empty takes from another
//! before it connects, so that an app with few slots sees few connections.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use activator::{Clock, Endpoint, Timestamp};
use parking_lot::Mutex;

use super::{Connection, Http2};

/// Idle connections kept per shard.
const MOST_IDLE_PER_SHARD: usize = 1024;
const SHARDS: usize = 16;

/// The connections of one endpoint.
pub(super) struct Pool {
    shards: [Mutex<Shard>; SHARDS],
    sweeping: AtomicBool,
    /// Held while a connection that is to be shared is made, so that the many released by a wake make one.
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Shard {
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
        Self { shards: Default::default(), sweeping: AtomicBool::new(false), connecting: tokio::sync::Mutex::new(()) }
    }

    fn home(&self) -> usize {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static HOME: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
        HOME.with(|home| *home)
    }

    /// The connection used last on this thread, or else on another.
    pub(super) fn take(&self, now: Timestamp) -> Option<Connection> {
        let home = self.home();
        (0..SHARDS).find_map(|i| self.shards[(home + i) % SHARDS].lock().take(now))
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
        let mut shard = self.shards[self.home()].lock();
        if shard.idle.len() < MOST_IDLE_PER_SHARD {
            shard.idle.push_back(idle);
        }
    }

    pub(super) fn shared(&self) -> Option<Http2> {
        self.shards[self.home()].lock().shared.clone().filter(|connection| !connection.is_closed())
    }

    /// A new shared connection, made by `connect`, or the one that another request has made meanwhile.
    pub(super) async fn share(&self, connect: impl Future<Output = io::Result<Http2>>) -> io::Result<Http2> {
        let _alone = self.connecting.lock().await;
        if let Some(connection) = self.shared() {
            return Ok(connection);
        }
        let connection = connect.await?;
        self.shards[self.home()].lock().shared = Some(connection.clone());
        Ok(connection)
    }

    /// Closes idle connections that are too old, or all. Returns how many are left.
    pub(super) fn sweep(&self, now: Timestamp, all: bool) -> usize {
        self.shards
            .iter()
            .map(|shard| {
                let mut shard = shard.lock();
                shard.idle.retain(|idle| !all && idle.until > now && !idle.connection.is_closed());
                shard.idle.len()
            })
            .sum()
    }
}

impl Shard {
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
