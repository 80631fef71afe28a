//! Certificates in files: of apps that name theirs, and of the folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::certificate::Certificate;
use super::folder::{self, Pair};
use super::store::{Certificates, Found, Origin, Owner, Wanted};
use crate::config::settings::CertificateSource;
use crate::config::{File, Fingerprint, Followed, Listing};

/// What may be certificates and keys.
pub(super) static FILES: Listing = Listing { list: folder::list, holds: folder::may_hold };
/// How often certificates are looked at, whether their time is over.
const LOOK: Duration = Duration::from_secs(60);

/// The certificate in these files.
///
/// # Errors
/// They cannot be used: which of them, and why.
pub fn load(certificate: &Path, key: &Path) -> Result<Certificate, String> {
    let read = |path: &Path| File::at(path.to_owned()).read().map_err(|why| format!("{} {why}", path.display()));
    let (certificate_text, key_text) = (read(certificate)?, read(key)?);
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    Certificate::of_pem((&certificate, certificate_text.as_bytes()), (&key, key_text.as_bytes()))
}

/// Takes what the files hold now, and tells what they held just before. Two at once do so one after the other, so that the last
/// one goes by what is wanted last.
fn take(certificates: &Certificates, folder: Option<&Path>, now: SystemTime) -> (Vec<PathBuf>, Fingerprint) {
    let _alone = certificates.loading.lock();
    let wanted = certificates.wanted().borrow().clone();
    let paths = paths(&wanted, folder);
    let seen = Fingerprint::take(&paths, &FILES);
    let apps = wanted.iter().filter_map(|Wanted { app, hosts, from }| match from {
        CertificateSource::Files { certificate, key } => Some(Found {
            owner: Owner::App(app.clone()),
            hosts: hosts.clone(),
            certificate: load(certificate, key).map(Arc::new),
        }),
        CertificateSource::Secret(_) => None,
    });
    let of_folder = |(name, Pair { certificate, key }): (String, Pair)| Found {
        owner: Owner::Folder(name),
        hosts: Arc::default(),
        certificate: load(&certificate, &key).map(Arc::new),
    };
    let mut found: Vec<_> = apps.collect();
    // One that cannot be read is not to be taken for an empty one.
    let mut keeps_folder = false;
    match folder.map(folder::pairs) {
        None => {}
        Some(Ok(pairs)) => found.extend(pairs.into_iter().map(of_folder)),
        Some(Err(why)) => {
            keeps_folder = true;
            found.push(Found { owner: Owner::Folder(String::new()), hosts: Arc::default(), certificate: Err(why) });
        }
    }
    certificates.set(Origin::Files, found, |owner| keeps_folder && matches!(owner, Owner::Folder(_)), now);
    (paths, seen)
}

/// Loads what is wanted and what is in `folder`, for the first time.
pub fn begin(certificates: &Certificates, folder: Option<&Path>, now: SystemTime) {
    take(certificates, folder, now);
}

/// Loads the files again whenever they change, and others when others are wanted. Never returns.
pub async fn follow(certificates: Arc<Certificates>, folder: Option<PathBuf>) {
    let wanted = certificates.wanted();
    let look = async {
        loop {
            sleep(LOOK).await;
            certificates.look(SystemTime::now());
        }
    };
    let to = certificates.clone();
    let load = take_again(wanted, move || take(&to, folder.as_deref(), SystemTime::now()));
    tokio::join!(look, load);
}

/// Has `take` load what is wanted, which names its files and what they held, now and whenever they change or others are wanted.
/// Never returns.
pub(super) async fn take_again<W>(
    mut wanted: watch::Receiver<W>,
    take: impl Fn() -> (Vec<PathBuf>, Fingerprint) + Send + Sync + 'static,
) {
    let (take, reload) = (Arc::new(take), Notify::new());
    let tell = async {
        while wanted.changed().await.is_ok() {
            reload.notify_one();
        }
        std::future::pending::<()>().await;
    };
    let load = async {
        let mut followed: Option<(Vec<PathBuf>, Followed)> = None;
        loop {
            let take = take.clone();
            let Ok((paths, seen)) = spawn_blocking(move || take()).await else { break };
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

/// All that is to be watched.
fn paths(wanted: &[Wanted], folder: Option<&Path>) -> Vec<PathBuf> {
    let apps = wanted.iter().filter_map(|wanted| match &wanted.from {
        CertificateSource::Files { certificate, key } => Some([certificate.clone(), key.clone()]),
        CertificateSource::Secret(_) => None,
    });
    let mut paths: Vec<_> = apps.flatten().chain(folder.map(folder::folders).unwrap_or_default()).collect();
    paths.sort();
    paths.dedup();
    paths
}

#[cfg(test)]
mod tests;
