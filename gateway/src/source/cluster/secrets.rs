//! Certificates in Secrets of type `kubernetes.io/tls`. Each that an app names is watched by its name, so that the gateway has to
//! be allowed no others.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use activator::Clock;
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::named;
use crate::config::settings::CertificateSource;
use crate::tls::Certificates;
use crate::tls::certificate::Certificate;
use crate::tls::store::{Found, Origin, Owner, Wanted};

/// What such a Secret is called by its type.
const TYPE: &str = "kubernetes.io/tls";
/// Most Secrets: each is a watch of its own, of which the API server allows a connection some hundreds.
const MOST: usize = 200;
/// News that wait to be taken.
const NEWS: usize = 64;

/// Namespace and name.
type Key = (Arc<str>, Arc<str>);
/// What there is, or why it cannot be used.
type Seen = Result<Arc<Certificate>, String>;

/// A Secret that is watched until this is dropped.
struct Watched {
    /// Nothing is known of it yet, otherwise.
    seen: Option<Seen>,
    task: JoinHandle<()>,
}

/// Follows the Secrets that apps name. Never returns.
pub(super) async fn follow(client: Client, clock: Clock, certificates: Arc<Certificates>) {
    let mut wanted = certificates.wanted();
    let (sender, mut news) = mpsc::channel(NEWS);
    let mut watched: HashMap<Key, Watched> = HashMap::new();
    loop {
        let wants = wanted.borrow_and_update().clone();
        let keys: HashSet<Key> = wants.iter().filter_map(key).collect();
        watched.retain(|key, _| keys.contains(key));
        for key in keys {
            if watched.len() < MOST && !watched.contains_key(&key) {
                let task = tokio::spawn(follow_one(client.clone(), clock.clone(), key.clone(), sender.clone()));
                watched.insert(key, Watched { seen: None, task });
            }
        }
        take(&certificates, &wants, &watched);
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { std::future::pending::<()>().await },
            Some((key, seen)) = news.recv() => {
                if let Some(one) = watched.get_mut(&key) {
                    one.seen = Some(seen);
                }
            }
        }
    }
}

fn key(wanted: &Wanted) -> Option<Key> {
    match &wanted.from {
        CertificateSource::Secret(name) => Some((wanted.app.namespace.clone(), name.clone())),
        CertificateSource::Files { .. } => None,
    }
}

/// Takes what is known of the Secrets.
fn take(certificates: &Certificates, wants: &Arc<[Wanted]>, watched: &HashMap<Key, Watched>) {
    let mut silent = HashSet::new();
    let found = wants.iter().filter_map(|wanted| {
        let key = key(wanted)?;
        let certificate = match watched.get(&key) {
            None => Err(format!("there are more than {MOST} Secrets; let apps share some, or use --tls-folder")),
            Some(Watched { seen: None, .. }) => {
                silent.insert(Owner::App(wanted.app.clone()));
                return None;
            }
            Some(Watched { seen: Some(seen), .. }) => seen.clone(),
        };
        Some(Found { owner: Owner::App(wanted.app.clone()), hosts: wanted.hosts.clone(), certificate })
    });
    let found = found.collect();
    certificates.set(Origin::Secrets, found, |owner| silent.contains(owner), SystemTime::now());
    if silent.is_empty() {
        certificates.settle(wants.clone());
    }
}

/// Tells what becomes of one.
async fn follow_one(client: Client, clock: Clock, key: Key, news: mpsc::Sender<(Key, Seen)>) {
    let (namespace, name) = key.clone();
    named::follow(client, clock, (&namespace, &name), |called: &str, secret: Secret| read(called, &secret), key, news)
        .await;
}

/// What a Secret holds.
fn read(called: &str, secret: &Secret) -> Seen {
    if secret.type_.as_deref() != Some(TYPE) {
        let is = secret.type_.as_deref().unwrap_or("none");
        return Err(format!("{called} is of type {is}; it has to be {TYPE}"));
    }
    let part = |name: &str| {
        let data = secret.data.as_ref().and_then(|data| data.get(name));
        data.map(|bytes| bytes.0.as_slice()).ok_or_else(|| format!("{called} has no {name}"))
    };
    let (certificate, key) = (part("tls.crt")?, part("tls.key")?);
    let names = ["tls.crt", "tls.key"].map(|name| format!("{name} of {called}"));
    Certificate::of_pem((&names[0], certificate), (&names[1], key)).map(Arc::new)
}

// === impl Watched ===

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests;
