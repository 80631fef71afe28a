//! One object that is watched by its name, so that the gateway has to be allowed no others.

use std::fmt::Debug;

use activator::Clock;
use activator::platform::kubernetes::watch::{Change, Selection, watch};
use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::refused;

/// Tells `news`, under `key`, what `read` makes of the object whenever it changes, or why there is nothing: `read` is also told what
/// to call it. Ends when nobody takes the news any more.
pub(super) async fn follow<K, I, T>(
    client: Client,
    clock: Clock,
    (namespace, name): (&str, &str),
    read: impl Fn(&str, K) -> Result<T, String> + Send + Sync + 'static,
    key: I,
    news: mpsc::Sender<(I, Result<T, String>)>,
) where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug + Send + 'static,
    I: Clone,
    T: Send + 'static,
{
    let called = format!("{} {namespace}/{name}", K::kind(&()));
    let missing = || Err(format!("{called} does not exist"));
    let selection = Selection { fields: Some(format!("metadata.name={name}")), ..Selection::default() };
    let read = {
        let called = called.clone();
        move |object| read(&called, object)
    };
    let mut watch = watch(Api::<K>::namespaced(client, namespace), selection, clock, read);
    // Until anything is known.
    let mut silent = Some(watch.health.clone());
    loop {
        let change = match &mut silent {
            None => Ok(watch.changes.recv().await),
            Some(health) => tokio::select! {
                change = watch.changes.recv() => Ok(change),
                why = refused(health) => Err(why),
            },
        };
        silent = None;
        let seen = match change {
            Ok(None) => return,
            Ok(Some(Change::Applied(seen))) => seen,
            Ok(Some(Change::Restarted(all))) => all.into_iter().next().unwrap_or_else(missing),
            Ok(Some(Change::Deleted(_))) => missing(),
            // What there is comes next.
            Ok(Some(Change::SetBack)) => continue,
            Err(why) => Err(format!("{called} cannot be read: {why}")),
        };
        if news.send((key.clone(), seen)).await.is_err() {
            return;
        }
    }
}
