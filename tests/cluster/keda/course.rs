//! How many replicas a Deployment asks for, over time.

use std::sync::Arc;

use activator::{Clock, Timestamp};
use futures_util::{StreamExt, pin_mut};
use k8s_openapi::api::apps::v1::Deployment;
use kube::runtime::{WatchStreamExt, watcher};
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::namespace::Namespace;
use crate::wait::until;

/// What a Deployment has asked for from some moment on, with the times at which that was seen.
pub struct Course {
    seen: Arc<Mutex<Vec<(Timestamp, i32)>>>,
    task: JoinHandle<()>,
}

// === impl Course ===

impl Course {
    /// From now on; `clock` gives the times.
    pub async fn of(namespace: &Namespace, name: &str, clock: &Clock) -> Self {
        let seen = Arc::<Mutex<Vec<_>>>::default();
        let (api, name) = (namespace.api::<Deployment>(), name.to_owned());
        let (clock, noted) = (clock.clone(), seen.clone());
        let task = tokio::spawn(async move {
            let states = watcher::watch_object(api, &name).default_backoff();
            pin_mut!(states);
            while let Some(state) = states.next().await {
                let Some(replicas) = state.ok().flatten().and_then(|found| found.spec?.replicas) else { continue };
                let mut noted = noted.lock();
                if noted.last().is_none_or(|(_, last)| *last != replicas) {
                    noted.push((clock.now(), replicas));
                }
            }
        });
        until("it is watched", async || (!seen.lock().is_empty()).then_some(())).await;
        Self { seen, task }
    }

    /// The numbers, one after the other.
    pub fn numbers(&self) -> Vec<i32> {
        self.seen.lock().iter().map(|(_, replicas)| *replicas).collect()
    }

    /// When it first asked for so many; it will, if it has not yet.
    pub async fn first(&self, replicas: i32) -> Timestamp {
        let first = || self.seen.lock().iter().find(|(_, asked)| *asked == replicas).map(|(at, _)| *at);
        until(&format!("it asks for {replicas}"), async || first()).await
    }

    /// When it was last put to zero, if it was.
    pub fn last_zero(&self) -> Option<Timestamp> {
        self.seen.lock().iter().rev().find(|(_, replicas)| *replicas == 0).map(|(at, _)| *at)
    }
}

impl Drop for Course {
    fn drop(&mut self) {
        self.task.abort();
    }
}
