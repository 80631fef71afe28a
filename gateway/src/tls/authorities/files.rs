//! Authorities in files.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::spawn_blocking;

use super::{Authorities, load};
use crate::config::settings::AuthoritySource;
use crate::config::{Fingerprint, Followed};
use crate::tls::files::FILES;

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
    let reload = Notify::new();
    let tell = async {
        let mut wanted = authorities.wanted();
        while wanted.changed().await.is_ok() {
            reload.notify_one();
        }
        std::future::pending::<()>().await;
    };
    let load = async {
        let mut followed: Option<(Vec<PathBuf>, Followed)> = None;
        loop {
            let to = authorities.clone();
            let Ok((paths, seen)) = spawn_blocking(move || take(&to)).await else { break };
            if followed.as_ref().is_none_or(|(before, _)| *before != paths) {
                followed = Some((paths.clone(), Followed::new(paths, &FILES, seen)));
            }
            let Some((_, followed)) = &mut followed else { break };
            if !followed.changed(&reload).await {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::join!(tell, load);
}
