//! Authorities in files.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Authorities, load};
use crate::config::Fingerprint;
use crate::config::settings::AuthoritySource;
use crate::tls::files::{FILES, take_again};

/// Loads those that are wanted, and tells what they held just before.
pub fn begin(authorities: &Authorities) {
    take(authorities);
}

fn take(authorities: &Authorities) -> (Vec<PathBuf>, Fingerprint) {
    let wanted = authorities.wanted().borrow().clone();
    let paths: Vec<_> = wanted.iter().filter_map(path).cloned().collect();
    let seen = Fingerprint::take(&paths, &FILES);
    for source in wanted.iter() {
        if let Some(path) = path(source) {
            authorities.set(source, load(path));
        }
    }
    (paths, seen)
}

fn path(source: &AuthoritySource) -> Option<&PathBuf> {
    match source {
        AuthoritySource::File(path) => Some(path),
        _ => None,
    }
}

/// Loads the files again whenever they change, and others when others are wanted. Never returns.
pub async fn follow(authorities: Arc<Authorities>) {
    let wanted = authorities.wanted();
    take_again(wanted, move || take(&authorities)).await;
}
