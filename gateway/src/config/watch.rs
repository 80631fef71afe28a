//! Follows changes of the files.

mod folders;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::load::{list, load};
use super::problem::Problems;
use super::settings::Declared;
use folders::Folders;

/// How long nothing may have happened before a change is looked at: files are seldom written at one go.
const QUIET: Duration = Duration::from_millis(100);

/// How often a change is waited out before it is looked at all the same.
const MOST_WAITS: usize = 10;

/// How often the files are looked at as long as the system does not tell of changes.
const RESCAN: Duration = Duration::from_secs(5);

/// Stands for what the files hold; equal if that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(u64);

// === impl Fingerprint ===

impl Fingerprint {
    /// Of what the files behind `paths` hold now. Reads them all.
    pub fn take(paths: &[PathBuf]) -> Self {
        let mut hasher = DefaultHasher::new();
        for file in list(paths) {
            file.path.hash(&mut hasher);
            file.read().hash(&mut hasher);
        }
        Self(hasher.finish())
    }
}

/// Loads the files behind `paths` again whenever what they hold is no longer `seen`, and whenever `reload` is notified, and calls
/// `on_change` with the outcome. Runs until dropped.
///
/// `seen` is to be taken before the first [`load`], so that no change in between is missed. The folders of the files are
/// watched, since editors and ConfigMaps replace files instead of writing to them. Where that fails it warns once and looks
/// at the files every few seconds.
pub async fn watch(
    paths: Vec<PathBuf>,
    mut seen: Fingerprint,
    reload: Arc<Notify>,
    mut on_change: impl FnMut(Result<Declared, Problems>),
) {
    let paths: Arc<[PathBuf]> = paths.into();
    let changed = Arc::new(Notify::new());
    let mut folders = Folders::new(Arc::clone(&changed));
    let mut asked = false;
    loop {
        let follow = Arc::clone(&paths);
        let Ok((back, now)) = spawn_blocking(move || {
            folders.follow(&follow);
            (folders, Fingerprint::take(&follow))
        })
        .await
        else {
            return;
        };
        folders = back;
        if asked || now != seen {
            seen = now;
            let paths = Arc::clone(&paths);
            let Ok(loaded) = spawn_blocking(move || load(&paths)).await else { return };
            on_change(loaded);
        }
        let rescan = async {
            match folders.all_watched() {
                true => std::future::pending().await,
                false => sleep(RESCAN).await,
            }
        };
        asked = tokio::select! {
            () = reload.notified() => true,
            () = settled(&changed) => false,
            () = rescan => false,
        };
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
