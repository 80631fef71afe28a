use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode};
use notify::{ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::warn;

use super::Listing;

/// The folders that are watched.
pub(super) struct Folders {
    listing: &'static Listing,
    watcher: Option<RecommendedWatcher>,
    interest: Arc<Mutex<Interest>>,
    watched: BTreeSet<PathBuf>,
    all_watched: bool,
    warned: bool,
}

/// Which changes matter.
struct Interest {
    listing: &'static Listing,
    /// The folders themselves.
    folders: BTreeSet<PathBuf>,
    /// Files of these names.
    names: BTreeSet<OsString>,
    /// Any file that the listing may hold.
    any: bool,
}

// === impl Folders ===

impl Folders {
    /// None yet; `changed` is notified of changes that matter.
    pub(super) fn new(listing: &'static Listing, changed: Arc<Notify>) -> Self {
        let interest = Arc::new(Mutex::new(Interest::none(listing)));
        let told = Arc::clone(&interest);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| !told.lock().concerns(&event)) {
                return;
            }
            changed.notify_one();
        });
        let mut folders =
            Self { listing, watcher: None, interest, watched: BTreeSet::new(), all_watched: false, warned: false };
        match watcher {
            Ok(watcher) => folders.watcher = Some(watcher),
            Err(error) => folders.warn(&error),
        }
        folders
    }

    /// Whether the system tells of every change.
    pub(super) fn all_watched(&self) -> bool {
        self.all_watched
    }

    /// Watches the folders that `paths` are in now, and those that symbolic links lead to, and no others.
    pub(super) fn follow(&mut self, paths: &[PathBuf]) {
        let interest = Interest::of(paths, self.listing);
        let folders = interest.folders.clone();
        *self.interest.lock() = interest;
        let Some(mut watcher) = self.watcher.take() else { return };
        for gone in self.watched.difference(&folders) {
            // The folder may be gone itself, and its watch with it.
            let _ = watcher.unwatch(gone);
        }
        self.watched.clear();
        self.all_watched = true;
        for folder in folders {
            // Again even if it was before: it may have been replaced by another of the same name.
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(folder);
                }
                Err(error) => {
                    self.all_watched = false;
                    if !is_gone(&error) {
                        self.warn(&error);
                    }
                }
            }
        }
        self.watcher = Some(watcher);
    }

    fn warn(&mut self, error: &notify::Error) {
        if !self.warned {
            self.warned = true;
            warn!(%error, "the files cannot be watched for changes; looking at them every few seconds instead");
        }
    }
}

/// Whether the folder has gone since it was looked for, as when a ConfigMap is swapped: the next look finds what has taken its place.
fn is_gone(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(error) => error.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}

// === impl Interest ===

impl Interest {
    fn none(listing: &'static Listing) -> Self {
        Self { listing, folders: BTreeSet::new(), names: BTreeSet::new(), any: false }
    }

    fn of(paths: &[PathBuf], listing: &'static Listing) -> Self {
        let mut interest = Self::none(listing);
        for path in paths {
            if path.is_dir() {
                interest.any = true;
                interest.folders.insert(path.clone());
            } else {
                interest.file(path);
            }
            for link in path.ancestors().filter(|path| path.is_symlink()) {
                interest.file(link);
            }
        }
        for file in (listing.list)(paths).into_iter().filter(|file| file.path.is_symlink()) {
            if let Ok(target) = file.path.canonicalize() {
                interest.file(&target);
            }
        }
        interest
    }

    fn file(&mut self, path: &Path) {
        self.names.extend(path.file_name().map(OsString::from));
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        self.folders.insert(folder.to_owned());
    }

    fn concerns(&self, event: &Event) -> bool {
        let read = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
            // Our own reading is told of too.
            EventKind::Access(_) => true,
            _ => false,
        };
        !read && (event.need_rescan() || event.paths.iter().any(|path| self.concerns_path(path)))
    }

    fn concerns_path(&self, path: &Path) -> bool {
        // A ConfigMap's files change when the link `..data` is replaced.
        let name = |name| self.names.contains(name) || name == "..data";
        self.folders.contains(path) || path.file_name().is_some_and(name) || (self.any && (self.listing.holds)(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DOCUMENTS;

    #[test]
    fn of_a_folder_that_has_gone_meanwhile_nobody_is_warned() {
        let folder = tempfile::tempdir().unwrap();
        let mut folders = Folders::new(&DOCUMENTS, Arc::default());
        folders.follow(&[folder.path().join("gone/apps.yaml")]);
        assert!(!folders.warned && !folders.all_watched());
        folders.follow(&[folder.path().join("apps.yaml")]);
        assert!(folders.all_watched());
    }
}
