//! Follows changes of the files.

mod folders;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::load::{File, holds_documents, list, load};
use super::problem::Problems;
use super::settings::Declared;
use folders::Folders;

/// How long nothing may have happened before a change is looked at: files are seldom written at one go.
const QUIET: Duration = Duration::from_millis(100);

/// How often a change is waited out before it is looked at all the same.
const MOST_WAITS: usize = 10;

/// How often the files are looked at as long as the system does not tell of changes.
const RESCAN: Duration = Duration::from_secs(5);

/// Which files there are behind paths, some of which are folders.
pub struct Listing {
    /// All of them, in an order that stays.
    pub list: fn(&[PathBuf]) -> Vec<File>,
    /// Whether something of this name in a folder may be one.
    pub holds: fn(&Path) -> bool,
}

/// Documents; single files may be anything.
pub static DOCUMENTS: Listing = Listing { list, holds: holds_documents };

/// Stands for what the files hold; equal if that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(u64);

// === impl Fingerprint ===

impl Fingerprint {
    /// Of what the files behind `paths` hold now. Reads them all.
    pub fn take(paths: &[PathBuf], listing: &Listing) -> Self {
        let mut hasher = DefaultHasher::new();
        for file in (listing.list)(paths) {
            file.path.hash(&mut hasher);
            file.read().hash(&mut hasher);
        }
        Self(hasher.finish())
    }
}

/// Loads the files behind `paths` again whenever what they hold is no longer `seen`, and whenever `reload` is notified, and calls
/// `on_change` with the outcome. Runs until dropped.
///
/// `seen` is to be taken before the first [`load`], so that no change in between is missed.
pub async fn watch(
    paths: Vec<PathBuf>,
    seen: Fingerprint,
    reload: Arc<Notify>,
    mut on_change: impl FnMut(Result<Declared, Problems>),
) {
    let mut followed = Followed::new(paths.clone(), &DOCUMENTS, seen);
    while followed.changed(&reload).await {
        let paths = paths.clone();
        let Ok(loaded) = spawn_blocking(move || load(&paths)).await else { return };
        on_change(loaded);
    }
}

/// Files that are followed.
///
/// Their folders are watched, since editors and ConfigMaps replace files instead of writing to them. Where that fails it is
/// warned of once, and the files are looked at every few seconds.
pub struct Followed {
    paths: Arc<[PathBuf]>,
    listing: &'static Listing,
    seen: Fingerprint,
    changed: Arc<Notify>,
    /// Taken while it is looked at.
    folders: Option<Folders>,
}

// === impl Followed ===

impl Followed {
    /// Those behind `paths`, of which it is known that they held what was `seen`.
    pub fn new(paths: Vec<PathBuf>, listing: &'static Listing, seen: Fingerprint) -> Self {
        let changed = Arc::new(Notify::new());
        let folders = Some(Folders::new(listing, Arc::clone(&changed)));
        Self { paths: paths.into(), listing, seen, changed, folders }
    }

    /// Waits until they hold something else than at the last time, or until `reload` is notified. False when the program ends.
    /// To be called again and not to be dropped in between.
    pub async fn changed(&mut self, reload: &Notify) -> bool {
        let mut asked = false;
        loop {
            let Some(mut folders) = self.folders.take() else { return false };
            let (follow, listing) = (Arc::clone(&self.paths), self.listing);
            let looked = spawn_blocking(move || {
                folders.follow(&follow);
                (folders, Fingerprint::take(&follow, listing))
            });
            let Ok((folders, now)) = looked.await else { return false };
            let all_watched = folders.all_watched();
            self.folders = Some(folders);
            if asked || now != self.seen {
                self.seen = now;
                return true;
            }
            let rescan = async {
                match all_watched {
                    true => std::future::pending().await,
                    false => sleep(RESCAN).await,
                }
            };
            asked = tokio::select! {
                () = reload.notified() => true,
                () = settled(&self.changed) => false,
                () = rescan => false,
            };
        }
    }
}

impl Followed {
    /// Has `load` read them whenever they change, and `apply` take what it made of them. What cannot be used is told of, and nothing is
    /// applied; `whose` they are is said, and `count` is told of either. Never returns.
    pub async fn reload<T: Send + 'static>(
        mut self,
        whose: &'static str,
        count: impl Fn(&'static str),
        load: impl Fn() -> Result<T, String> + Clone + Send + 'static,
        apply: impl Fn(T),
    ) {
        let nobody = Notify::new();
        while self.changed(&nobody).await {
            let Ok(loaded) = spawn_blocking(load.clone()).await else { break };
            let result = match loaded {
                Ok(loaded) => {
                    apply(loaded);
                    tracing::info!("{whose} have changed and are used for new connections");
                    "applied"
                }
                Err(why) => {
                    tracing::error!("{whose} have changed and are not used, the last good ones stay: {why}");
                    "refused"
                }
            };
            count(result);
        }
        std::future::pending().await
    }
}

/// Waits for a change, and then until there has been none for a while.
async fn settled(changed: &Notify) {
    changed.notified().await;
    for _ in 0..MOST_WAITS {
        if timeout(QUIET, changed.notified()).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
