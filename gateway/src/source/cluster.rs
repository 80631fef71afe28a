//! The `HTTPApp`s of a cluster.

mod declared;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use activator::Clock;
use activator::platform::kubernetes::KubernetesPlatform;
use activator::platform::kubernetes::watch::{Change, Selection, Watch, watch};
use activator::resource::HttpApp;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject};
use tokio::time::{Instant, sleep_until, timeout};

use super::apply;
use super::status::{Declarations, StatusWriter};
use crate::edge::Edge;
use crate::memory;
use declared::{All, Object, Reader};

/// How long further changes are waited for before what has changed is applied, all at once.
const GATHER: Duration = Duration::from_millis(20);
/// How many times as long as applying all took the last time it is not done again, so that thousands of new apps in a row are
/// not each paid for by all.
const REST: u32 = 9;
/// How long after nothing was applied any more the memory that it took is given back.
const CALM: Duration = Duration::from_secs(2);
/// How long is waited at the start until it is known of every app how many replicas it has.
const KNOWN: Duration = Duration::from_secs(15);

/// The `HTTPApp`s of a cluster, to be followed.
pub struct Cluster {
    /// For watches.
    pub client: Client,
    /// What runs the apps.
    pub platform: Arc<KubernetesPlatform>,
    /// Those that are looked at; all if there are none.
    pub namespaces: Vec<String>,
    /// The time.
    pub clock: Clock,
    /// Who tells the cluster what becomes of them, and where that is told what is declared.
    pub status: (StatusWriter, Declarations),
}

struct Watched {
    client: Client,
    platform: Arc<KubernetesPlatform>,
    namespaces: Vec<String>,
    clock: Clock,
    declarations: Declarations,
}

/// A change in one namespace, or in all of them.
type Changed = (Option<Arc<str>>, Change<Object>);

// === impl Cluster ===

impl Cluster {
    /// Applies what is declared once all of it is known, says so, and then follows every change. Never returns.
    pub async fn follow(self, edge: &Edge, applied: impl FnOnce()) {
        let Self { client, platform, namespaces, clock, status: (status, declarations) } = self;
        let watched = Watched { client, platform, namespaces, clock, declarations };
        tokio::join!(watched.follow(edge, applied), status.run(std::future::pending()));
    }
}

impl Watched {
    async fn follow(self, edge: &Edge, applied: impl FnOnce()) {
        let (mut changes, mut missing) = self.changes();
        let mut all = All::default();
        let mut applied = Some(applied);
        // When what has changed is to be applied.
        let mut due: Option<Instant> = None;
        let mut rested = self.clock.now();
        // When memory is to be given back.
        let mut calm: Option<Instant> = None;
        loop {
            let now = self.clock.instant(self.clock.now());
            let (apply_at, calm_at) = (sleep_until(due.unwrap_or(now)), sleep_until(calm.unwrap_or(now)));
            tokio::select! {
                Some((scope, change)) = changes.next() => {
                    if matches!(change, Change::Restarted(_)) {
                        missing.remove(&scope);
                    }
                    if all.take(scope.as_deref(), change) && missing.is_empty() && due.is_none() {
                        due = Some(self.clock.instant(rested.max(self.clock.now() + GATHER)));
                    }
                }
                () = calm_at, if calm.is_some() && due.is_none() => {
                    calm = None;
                    // It has no result, and if it cannot be run now, then next time.
                    let _ = tokio::task::spawn_blocking(memory::give_back).await;
                }
                () = apply_at, if due.is_some() => {
                    due = None;
                    let began = self.clock.now();
                    self.apply(edge, &mut all);
                    let ended = self.clock.now();
                    rested = ended + ended.since(began) * REST;
                    if let Some(applied) = applied.take() {
                        if timeout(KNOWN, self.platform.synced()).await.is_err() {
                            tracing::warn!("serving, though it is not known yet of all apps what runs");
                        }
                        applied();
                    }
                    calm = Some(self.clock.instant(self.clock.now() + CALM));
                }
            }
        }
    }

    /// What all watches bring, and the scopes that have not told all yet.
    fn changes(&self) -> (BoxStream<'static, Changed>, HashSet<Option<Arc<str>>>) {
        let kind = ApiResource::erase::<HttpApp>(&());
        let scopes: Vec<Option<Arc<str>>> = match self.namespaces.as_slice() {
            [] => vec![None],
            some => some.iter().map(|name| Some(name.as_str().into())).collect(),
        };
        let streams = scopes.iter().cloned().map(|scope| {
            let api: Api<DynamicObject> = match &scope {
                None => Api::all_with(self.client.clone(), &kind),
                Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &kind),
            };
            let reader = Reader::default();
            let watch = watch(api, Selection::default(), self.clock.clone(), move |object| reader.read(object));
            stream::unfold((scope, watch), next).boxed()
        });
        (stream::select_all(streams).boxed(), scopes.iter().cloned().collect())
    }

    fn apply(&self, edge: &Edge, all: &mut All) {
        let declared = all.declared();
        apply(edge, &declared);
        for (id, declaration) in all.news() {
            match declaration {
                Some(declaration) => self.declarations.set(id, declaration),
                None => self.declarations.remove(&id),
            }
        }
        tracing::info!(apps = declared.apps.len(), refused = all.refused(), "apps declared");
        metrics::counter!("zerogate_config_reloads_total", "result" => "applied").increment(1);
    }
}

/// The watch ends with the stream.
async fn next(
    (scope, mut watch): (Option<Arc<str>>, Watch<Object>),
) -> Option<(Changed, (Option<Arc<str>>, Watch<Object>))> {
    let change = watch.changes.recv().await?;
    Some(((scope.clone(), change), (scope, watch)))
}
