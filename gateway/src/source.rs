//! Where apps come from: files on one machine, or the API server of a cluster. Both end in one [`apply`]; after it everything is
//! the same.

pub mod cluster;
pub mod status;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use activator::AppId;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::config::settings::{AppConfig, Declared};
use crate::config::{self, Fingerprint, Problems};
use crate::edge::Edge;
use crate::edge::backend::Backend;
use crate::edge::route::Router;
use cluster::Cluster;

/// Where apps come from.
pub enum Source {
    /// Files and folders, as they were when they were read.
    Files {
        /// Where they are.
        paths: Vec<PathBuf>,
        /// What they held.
        seen: Fingerprint,
        /// What that declared.
        declared: Declared,
    },
    /// The API server.
    Cluster(Box<Cluster>),
}

// === impl Source ===

impl Source {
    /// Applies what is declared, says once that it has, and then follows every change. Never returns.
    pub async fn follow(self, edge: &Edge, applied: impl FnOnce()) {
        match self {
            Self::Files { paths, seen, declared } => {
                apply(edge, &declared);
                applied();
                let reload = Arc::new(Notify::new());
                let watch = config::watch(paths, seen, reload.clone(), |loaded| changed(edge, loaded));
                tokio::select! {
                    // Whatever ends the watch, apps go on to wake and sleep.
                    () = async { watch.await; std::future::pending().await } => {}
                    () = reload_on_hangup(&reload) => {}
                }
            }
            Self::Cluster(cluster) => cluster.follow(edge, applied).await,
        }
    }
}

/// Makes `declared` what is routed to. Requests on their way go on by what they began with. Of apps that have not changed
/// nothing is made anew but their place in the tables.
pub fn apply(edge: &Edge, declared: &Declared) {
    let settings = declared.apps.iter().map(|(id, app)| (id.clone(), app.activator.clone()));
    let (files, authorities) = (&edge.files, &edge.authorities);
    authorities.want(declared);
    edge.registry.apply(settings, |apps| {
        let before = edge.router.load();
        let before: HashMap<&AppId, &Arc<Backend>> =
            before.backends().iter().map(|backend| (backend.app.id(), backend)).collect();
        let backends = declared.apps.iter().filter_map(|(id, AppConfig { edge, .. })| {
            let (app, before) = (apps.get(id)?, before.get(id).copied());
            let same = before.filter(|before| before.is_of(app, edge)).cloned();
            let backend = same.unwrap_or_else(|| {
                let before = before.map(|it| &**it);
                Backend::new(app.clone(), edge, files, authorities, before).into()
            });
            Some((backend, &edge.routes))
        });
        edge.router.store(Arc::new(Router::new(backends)));
    });
    edge.certificates.want(declared);
}

fn changed(edge: &Edge, loaded: Result<Declared, Problems>) {
    let result = match loaded {
        Ok(declared) => {
            apply(edge, &declared);
            tracing::info!(apps = declared.apps.len(), "configuration changed");
            "applied"
        }
        Err(problems) => {
            tracing::error!("the changed configuration is not used, the last good one stays:\n{problems}");
            "refused"
        }
    };
    metrics::counter!("zerogate_config_reloads_total", "result" => result).increment(1);
}

async fn reload_on_hangup(reload: &Notify) {
    match signal(SignalKind::hangup()) {
        Ok(mut hangup) => {
            while hangup.recv().await.is_some() {
                reload.notify_one();
            }
        }
        Err(e) => tracing::warn!(error = %e, "SIGHUP will not reload the configuration"),
    }
    std::future::pending().await
}
