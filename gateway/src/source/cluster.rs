//! The `HTTPApp`s of a cluster.

mod authorities;
mod declared;
mod named;
mod scopes;
mod secrets;
#[cfg(test)]
mod testing;

use std::sync::Arc;
use std::time::Duration;

use activator::Clock;
use activator::failure::FailureCause;
use activator::platform::kubernetes::KubernetesPlatform;
use activator::platform::kubernetes::watch::{Change, Health, Selection, Watch, watch};
use activator::resource::HttpApp;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::apply;
use super::status::{Declarations, StatusWriter};
use crate::edge::Edge;
use crate::memory;
use declared::{All, Object, Reader};
use scopes::{Scope, Scopes};

/// How long further changes are waited for before what has changed is applied, all at once.
const GATHER: Duration = Duration::from_millis(20);
/// How many times as long as applying all took the last time it is not done again, so that thousands of new apps in a row are
/// not each paid for by all.
const REST: u32 = 9;
/// How long after nothing was applied any more the memory that it took is given back.
const CALM: Duration = Duration::from_secs(2);
/// How long is waited at the start until it is known of every app how many replicas it has.
const KNOWN: Duration = Duration::from_secs(15);
/// How long a namespace may be refused before the others are served without it: an API server that has just been started
/// refuses for a moment what it allows.
const PATIENCE: Duration = Duration::from_secs(3);

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

/// A change in one namespace, or in all of them; or why that cannot be read.
type Changed = (Scope, Result<Change<Object>, FailureCause>);

/// What one namespace brings, or all of them.
struct Feed {
    scope: Scope,
    watch: Watch<Object>,
    /// Until it has brought anything.
    silent: Option<Health>,
}

// === impl Cluster ===

impl Cluster {
    /// Applies what is declared once all of it is known, says so, and then follows every change. Never returns.
    pub async fn follow(self, edge: &Edge, applied: impl FnOnce()) {
        let Self { client, platform, namespaces, clock, status: (status, declarations) } = self;
        let secrets = secrets::follow(client.clone(), clock.clone(), edge.certificates.clone());
        let secrets = async {
            // Nobody gets certificates where no TLS is spoken.
            match edge.options.https_port {
                Some(_) => secrets.await,
                None => std::future::pending().await,
            }
        };
        let authorities = authorities::follow(client.clone(), clock.clone(), edge.authorities.clone());
        let watched = Watched { client, platform, namespaces, clock, declarations };
        // The next gateway writes already while this one drains, and has the last word.
        tokio::join!(
            watched.follow(edge, applied),
            status.run(edge.registry.shared(), edge.drain.left()),
            secrets,
            authorities
        );
    }
}

impl Watched {
    async fn follow(self, edge: &Edge, applied: impl FnOnce()) {
        let (mut changes, mut scopes) = changes(&self.client, &self.clock, &self.namespaces);
        let mut all = All::default();
        let is_shared = edge.registry.shared().fleet.is_shared();
        let mut applied = Some(applied);
        // When what has changed is to be applied.
        let mut due: Option<Instant> = None;
        let mut rested = self.clock.now();
        // When memory is to be given back.
        let mut calm: Option<Instant> = None;
        let (mut certificates, mut authorities) = (edge.certificates.changes(), edge.authorities.changes());
        loop {
            let now = self.clock.instant(self.clock.now());
            let (apply_at, calm_at) = (sleep_until(due.unwrap_or(now)), sleep_until(calm.unwrap_or(now)));
            tokio::select! {
                Some((scope, change)) = changes.next() => {
                    let news = match change {
                        Ok(change) => {
                            if matches!(change, Change::Restarted(_)) {
                                scopes.hear(&scope);
                            }
                            let news = all.take(scope.as_deref(), change);
                            for (id, written) in all.rewritten().filter(|_| is_shared) {
                                self.declarations.written(id, written);
                            }
                            news
                        }
                        Err(why) => {
                            scopes.refuse(&scope, why);
                            true
                        }
                    };
                    metrics::gauge!("zerogate_namespaces_unreadable").set(scopes.unreadable() as f64);
                    if news && scopes.are_known() && due.is_none() {
                        due = Some(self.clock.instant(rested.max(self.clock.now() + GATHER)));
                    }
                }
                // There is something else to tell of an app.
                Ok(()) = certificates.changed(), if applied.is_none() => {
                    due = due.or_else(|| Some(self.clock.instant(rested.max(self.clock.now() + GATHER))));
                }
                Ok(()) = authorities.changed(), if applied.is_none() => {
                    due = due.or_else(|| Some(self.clock.instant(rested.max(self.clock.now() + GATHER))));
                }
                () = calm_at, if calm.is_some() && due.is_none() => {
                    calm = None;
                    // It has no result, and if it cannot be run now, then next time.
                    let _ = tokio::task::spawn_blocking(memory::give_back).await;
                }
                () = apply_at, if due.is_some() => {
                    due = None;
                    if let Some(complaint) = scopes.complaint() {
                        tracing::error!("{complaint}");
                    }
                    let began = self.clock.now();
                    self.apply(edge, &mut all);
                    let ended = self.clock.now();
                    rested = ended + ended.since(began) * REST;
                    if let Some(applied) = applied.take() {
                        if timeout(KNOWN, self.platform.synced()).await.is_err() {
                            tracing::warn!("serving, though it is not known yet of all apps what runs");
                        }
                        if edge.options.https_port.is_some() && timeout(KNOWN, edge.certificates.settled()).await.is_err() {
                            tracing::warn!("serving, though not all Secrets with certificates are known yet");
                        }
                        applied();
                    }
                    calm = Some(self.clock.instant(self.clock.now() + CALM));
                }
            }
        }
    }

    fn apply(&self, edge: &Edge, all: &mut All) {
        let declared = all.declared();
        apply(edge, &declared);
        for (id, declaration) in all.news(&edge.certificates, &edge.authorities) {
            match declaration {
                Some(declaration) => self.declarations.set(id, declaration),
                None => self.declarations.remove(&id),
            }
        }
        tracing::info!(apps = declared.apps.len(), refused = all.refused(), "apps declared");
        metrics::counter!("zerogate_config_reloads_total", "result" => "applied").increment(1);
    }
}

/// What all watches bring, and of which nothing is known yet. Looks into these namespaces, or all if there are none.
fn changes(client: &Client, clock: &Clock, namespaces: &[String]) -> (BoxStream<'static, Changed>, Scopes) {
    let kind = ApiResource::erase::<HttpApp>(&());
    let scopes: Vec<Scope> = match namespaces {
        [] => vec![None],
        some => some.iter().map(|name| Some(name.as_str().into())).collect(),
    };
    let streams = scopes.iter().cloned().map(|scope| {
        let api: Api<DynamicObject> = match &scope {
            None => Api::all_with(client.clone(), &kind),
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &kind),
        };
        let reader = Reader::default();
        let watch = watch(api, Selection::default(), clock.clone(), move |object| reader.read(object));
        let silent = Some(watch.health.clone());
        stream::unfold(Feed { scope, watch, silent }, Feed::next).boxed()
    });
    (stream::select_all(streams).boxed(), Scopes::new(scopes))
}

// === impl Feed ===

impl Feed {
    /// The watch ends with the stream.
    async fn next(mut self) -> Option<(Changed, Self)> {
        let changed = match &mut self.silent {
            None => Ok(self.watch.changes.recv().await?),
            Some(health) => tokio::select! {
                change = self.watch.changes.recv() => Ok(change?),
                why = refused(health) => Err(why),
            },
        };
        self.silent = None;
        Some(((self.scope.clone(), changed), self))
    }
}

/// Waits until there is no patience left for a watch that is refused.
async fn refused(health: &mut Health) -> FailureCause {
    loop {
        let why = health.forbidden().await;
        sleep(PATIENCE).await;
        if health.is_forbidden() {
            return why;
        }
    }
}

#[cfg(test)]
mod tests;
