//! Open files as a budget: each connection is one, a client's as one to an app. Connections to apps take what clients' leave, but for
//! some that are kept back for all else (starts, readiness checks, the admin address); and no app takes more than it leaves to others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::shutdown::Drain;

/// Of so many open files one is kept back, within bounds.
const KEPT_BACK: usize = 16;
const LEAST_KEPT_BACK: usize = 32;
const MOST_KEPT_BACK: usize = 1024;
/// When so few are left, as a part of all, connections that nobody uses are closed at once.
const TIGHT: usize = 8;

/// Open files that connections may take.
#[derive(Debug)]
pub struct OpenFiles {
    most: usize,
    /// Who counts those of clients.
    clients: Arc<Drain>,
    /// Those to apps.
    used: AtomicUsize,
    waiting: AtomicUsize,
    freed: Notify,
}

/// Those of them that one app's connections take.
#[derive(Debug)]
pub struct FileShare {
    files: Arc<OpenFiles>,
    used: AtomicUsize,
}

/// One connection's; dropping it gives it back.
#[derive(Debug)]
pub struct OpenFile(Arc<FileShare>);

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// All are taken.
    All,
    /// The app has as many as are left for all.
    Share,
}

// === impl OpenFiles ===

impl OpenFiles {
    /// Of `allowed` open files, those that are not kept back; clients' connections are counted by `clients`.
    pub fn new(allowed: usize, clients: Arc<Drain>) -> Arc<Self> {
        let most = allowed.saturating_sub(kept_back(allowed));
        Arc::new(Self { most, clients, used: AtomicUsize::new(0), waiting: AtomicUsize::new(0), freed: Notify::new() })
    }

    fn left(&self) -> usize {
        self.most.saturating_sub(self.clients.connections() + self.used.load(Ordering::Relaxed))
    }
}

/// How many of `allowed` open files no connection takes.
pub fn kept_back(allowed: usize) -> usize {
    (allowed / KEPT_BACK).clamp(LEAST_KEPT_BACK, MOST_KEPT_BACK).min(allowed / 2)
}

// === impl FileShare ===

impl FileShare {
    /// The share of one more app.
    pub fn new(files: Arc<OpenFiles>) -> Arc<Self> {
        Arc::new(Self { files, used: AtomicUsize::new(0) })
    }

    /// Takes one, unless the app has as many as are left for all: one app gets half of what clients leave, two a third each, and
    /// there is always one for the next. Those who come at the same moment may take a few more.
    ///
    /// # Errors
    /// What is short.
    pub fn take(self: &Arc<Self>) -> Result<OpenFile, Lack> {
        let (own, left) = (self.used.load(Ordering::Relaxed), self.files.left());
        if left == 0 {
            return Err(Lack::All);
        }
        if own > 0 && own >= left {
            return Err(Lack::Share);
        }
        self.used.fetch_add(1, Ordering::Relaxed);
        self.files.used.fetch_add(1, Ordering::Relaxed);
        Ok(OpenFile(self.clone()))
    }

    /// The same, waiting for one up to `longest`.
    ///
    /// # Errors
    /// What is short.
    pub async fn take_within(self: &Arc<Self>, longest: Duration) -> Result<OpenFile, Lack> {
        let mut lack = match self.take() {
            Ok(file) => return Ok(file),
            Err(lack) => lack,
        };
        self.files.waiting.fetch_add(1, Ordering::SeqCst);
        let taken = tokio::time::timeout(longest, async {
            loop {
                let freed = self.files.freed.notified();
                match self.take() {
                    Ok(file) => return file,
                    Err(why) => lack = why,
                }
                freed.await;
            }
        });
        let _waits = Waits(&self.files);
        taken.await.map_err(|_| lack)
    }

    /// Whether connections that nobody uses had better be closed.
    pub fn is_tight(&self) -> bool {
        self.files.left() < self.files.most / TIGHT
    }
}

/// Somebody who waits for one, until this is dropped.
struct Waits<'a>(&'a OpenFiles);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let Self(share) = self;
        share.used.fetch_sub(1, Ordering::SeqCst);
        share.files.used.fetch_sub(1, Ordering::SeqCst);
        if share.files.waiting.load(Ordering::SeqCst) > 0 {
            // All of them: whoever is woken may be of an app that has its share already.
            share.files.freed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests;
