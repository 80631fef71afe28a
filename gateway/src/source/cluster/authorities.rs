//! Authorities in Secrets and ConfigMaps. Each that an app names is watched by its name, so that the gateway has to be allowed no
//! others.

use std::collections::HashMap;
use std::sync::Arc;

use activator::Clock;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Client, Resource};
use rustls::pki_types::CertificateDer;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::rustls;

use super::named;
use crate::config::settings::{AuthoritySource, KeyOf};
use crate::tls::authorities::{Authorities, of_pem};

/// Most objects: each is a watch of its own, of which the API server allows a connection some hundreds.
const MOST: usize = 200;
/// News that wait to be taken.
const NEWS: usize = 64;

/// What there is, or why it cannot be used.
type Seen = Result<Vec<CertificateDer<'static>>, String>;
type News = mpsc::Sender<(AuthoritySource, Seen)>;

/// An object that is watched until this is dropped.
struct Watched(JoinHandle<()>);

/// An object that has keys with texts.
trait Keyed: Resource<DynamicType = (), Scope = NamespaceResourceScope> {
    fn text(&self, key: &str) -> Option<&[u8]>;
}

/// Follows the objects that apps name. Never returns.
pub(super) async fn follow(client: Client, clock: Clock, authorities: Arc<Authorities>) {
    let mut wanted = authorities.wanted();
    let (sender, mut news) = mpsc::channel(NEWS);
    let mut watched: HashMap<AuthoritySource, Watched> = HashMap::new();
    loop {
        let wants = wanted.borrow_and_update().clone();
        watched.retain(|source, _| wants.contains(source));
        for source in wants.iter() {
            if watched.contains_key(source) {
                continue;
            }
            if watched.len() >= MOST {
                authorities.set(source, Err(format!("there are more than {MOST} of them; let apps share some")));
                continue;
            }
            let (client, clock, sender) = (client.clone(), clock.clone(), sender.clone());
            let task = match source.clone() {
                AuthoritySource::Secret(of) => {
                    tokio::spawn(follow_one::<Secret>(client, clock, of, source.clone(), sender))
                }
                AuthoritySource::ConfigMap(of) => {
                    tokio::spawn(follow_one::<ConfigMap>(client, clock, of, source.clone(), sender))
                }
                AuthoritySource::System | AuthoritySource::File(_) => continue,
            };
            watched.insert(source.clone(), Watched(task));
        }
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { std::future::pending::<()>().await },
            Some((source, seen)) = news.recv() => if watched.contains_key(&source) { authorities.set(&source, seen) },
        }
    }
}

/// Tells what becomes of one.
async fn follow_one<K>(client: Client, clock: Clock, of: KeyOf, source: AuthoritySource, news: News)
where
    K: Keyed + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    let KeyOf { namespace, name, key } = of;
    let read = move |called: &str, object: K| {
        let text = object.text(&key).ok_or_else(|| format!("{called} has no {key}"))?;
        of_pem((&format!("{key} of {called}"), text))
    };
    named::follow(client, clock, (&namespace, &name), read, source, news).await;
}

// === impl Keyed ===

impl Keyed for Secret {
    fn text(&self, key: &str) -> Option<&[u8]> {
        self.data.as_ref()?.get(key).map(|bytes| bytes.0.as_slice())
    }
}

impl Keyed for ConfigMap {
    fn text(&self, key: &str) -> Option<&[u8]> {
        let text = self.data.as_ref().and_then(|data| data.get(key)).map(String::as_bytes);
        text.or_else(|| self.binary_data.as_ref()?.get(key).map(|bytes| bytes.0.as_slice()))
    }
}

// === impl Watched ===

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests;
