//! Which watches there are: three for what leads to pods, one for each kind of target that is in use; all of these once, or
//! once for each chosen namespace.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::message::{Changed, Message, Source};
use super::scale;
use super::state::object::{Kind, Pod, Service, Slice, TargetObject};
use super::state::wire;
use super::watch::{Change, Selection, Watch, watch};
use crate::clock::Clock;
use crate::failure::FailureCause;
use crate::platform::contract::AppKey;
use crate::settings::ScaleTarget;

/// How often the API server is asked for a kind that it does not know.
const ASK_KIND: Duration = Duration::from_secs(5);

/// Most targets whose `/scale` is read at the same time.
const READS: usize = 8;

/// The watches of one cluster. They end when this is dropped.
pub(super) struct Watches {
    client: Client,
    clock: Clock,
    /// `None` for everywhere.
    scopes: Vec<Option<Arc<str>>>,
    kinds: HashSet<Arc<Kind>>,
    /// Those that have told nothing yet.
    silent: HashSet<(Source, Option<Arc<str>>)>,
    reads: Arc<Semaphore>,
    /// Told when all are to list anew.
    relist: tokio::sync::watch::Sender<()>,
    tasks: JoinSet<()>,
}

/// One scope of one thing that is watched.
#[derive(Clone)]
struct Feed {
    source: Source,
    scope: Option<Arc<str>>,
    sender: mpsc::Sender<Message>,
    relist: tokio::sync::watch::Receiver<()>,
}

// === impl Watches ===

impl Watches {
    /// Starts what is needed for any app. Nothing but `namespaces` is watched, or everything if there are none.
    pub(super) fn start(client: Client, clock: Clock, namespaces: &[String], sender: &mpsc::Sender<Message>) -> Self {
        let mut scopes: Vec<_> = namespaces.iter().map(|namespace| Some(Arc::from(namespace.as_str()))).collect();
        if scopes.is_empty() {
            scopes.push(None);
        }
        let mut this = Self {
            client,
            clock,
            scopes,
            kinds: HashSet::new(),
            silent: HashSet::new(),
            reads: Arc::new(Semaphore::new(READS)),
            relist: tokio::sync::watch::Sender::new(()),
            tasks: JoinSet::new(),
        };
        // Pods that have run to their end are of no use to anybody.
        let live = Selection { fields: Some("status.phase!=Succeeded,status.phase!=Failed".to_owned()), labels: None };
        this.add(Source::Pods, live, Pod::from as fn(wire::Pod) -> Pod, Changed::Pods, sender);
        this.add(
            Source::Services,
            Selection::default(),
            Service::from as fn(wire::Service) -> Service,
            Changed::Services,
            sender,
        );
        this.add(
            Source::Slices,
            Selection::default(),
            Slice::from as fn(wire::EndpointSlice) -> Slice,
            Changed::Slices,
            sender,
        );
        this
    }

    /// Watches targets of this kind too from now on.
    pub(super) fn need(&mut self, kind: &Arc<Kind>, sender: &mpsc::Sender<Message>) {
        if !self.kinds.insert(kind.clone()) {
            return;
        }
        let source = Source::Targets(kind.clone());
        let of_kind = kind.clone();
        let wrap = move |change| Changed::Targets(of_kind.clone(), change);
        match (&*kind.api_version, &*kind.kind) {
            ("apps/v1", "Deployment") => {
                let slim = TargetObject::from as fn(wire::Deployment) -> TargetObject;
                self.add(source, Selection::default(), slim, wrap, sender);
            }
            ("apps/v1", "StatefulSet") => {
                let slim = TargetObject::from as fn(wire::StatefulSet) -> TargetObject;
                self.add(source, Selection::default(), slim, wrap, sender);
            }
            _ => {
                let (client, clock, kind) = (self.client.clone(), self.clock.clone(), kind.clone());
                for scope in self.scopes.clone() {
                    self.silent.insert((source.clone(), scope.clone()));
                    let feed = self.feed(source.clone(), scope, sender);
                    self.tasks.spawn(feed_any(client.clone(), clock.clone(), kind.clone(), wrap.clone(), feed));
                }
            }
        }
    }

    /// Has all list anew.
    pub(super) fn relist(&self) {
        self.relist.send_replace(());
    }

    fn feed(&self, source: Source, scope: Option<Arc<str>>, sender: &mpsc::Sender<Message>) -> Feed {
        Feed { source, scope, sender: sender.clone(), relist: self.relist.subscribe() }
    }

    /// This one has told everything, or never will.
    pub(super) fn heard(&mut self, source: &Source, scope: &Option<Arc<str>>) {
        if !self.silent.is_empty() {
            self.silent.remove(&(source.clone(), scope.clone()));
        }
    }

    /// Whether all have told everything that can.
    pub(super) fn all_heard(&self) -> bool {
        self.silent.is_empty()
    }

    /// Reads the `/scale` of a target that does not show how many replicas it asks for, and tells what came of it.
    pub(super) fn read_scale(&mut self, app: AppKey, target: Arc<ScaleTarget>, sender: &mpsc::Sender<Message>) {
        while self.tasks.try_join_next().is_some() {}
        let (client, reads, sender) = (self.client.clone(), self.reads.clone(), sender.clone());
        self.tasks.spawn(async move {
            // It is never closed.
            let permit = reads.acquire().await;
            let read = scale::read(client, &target).await;
            drop(permit);
            let _ = sender.send(Message::ScaleRead { app, target, read }).await;
        });
    }

    /// Why nothing is known of `target`, if there is more to it than that it takes a moment.
    pub(super) fn trouble(
        &self,
        troubles: &HashMap<(Source, Option<Arc<str>>), FailureCause>,
        target: &ScaleTarget,
    ) -> Option<FailureCause> {
        let covers = |scope: &Option<Arc<str>>| scope.as_ref().is_none_or(|scope| *scope == target.namespace);
        if !self.scopes.iter().any(covers) {
            let why = "the gateway was told to watch other namespaces only".to_owned();
            let target = format!("{} {}/{}", target.kind, target.namespace, target.name);
            return Some(FailureCause::TargetUnusable { target, why });
        }
        let concerns = |source: &Source| match source {
            Source::Targets(kind) => *kind.api_version == *target.api_version && *kind.kind == *target.kind,
            _ => true,
        };
        let cause = troubles.iter().find(|((source, scope), _)| concerns(source) && covers(scope));
        cause.map(|(_, cause)| cause.clone())
    }

    fn add<K, S>(
        &mut self,
        source: Source,
        selection: Selection,
        slim: fn(K) -> S,
        wrap: impl Fn(Change<S>) -> Changed + Clone + Send + Sync + 'static,
        sender: &mpsc::Sender<Message>,
    ) where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + Debug
            + Send
            + 'static,
        S: Send + 'static,
    {
        for scope in self.scopes.clone() {
            let api: Api<K> = match &scope {
                Some(namespace) => Api::namespaced(self.client.clone(), namespace),
                None => Api::all(self.client.clone()),
            };
            self.silent.insert((source.clone(), scope.clone()));
            let watch = watch(api, selection.clone(), self.clock.clone(), slim);
            let feed = self.feed(source.clone(), scope, sender);
            self.tasks.spawn(feed.run(watch, wrap.clone()));
        }
    }
}

// === impl Feed ===

impl Feed {
    /// Passes on what `watch` brings, and that it may not be watched, for as long as that is so.
    async fn run<S: Send + 'static>(mut self, mut watch: Watch<S>, wrap: impl Fn(Change<S>) -> Changed) {
        let mut told = None;
        loop {
            tokio::select! {
                // Always alike, so that what went wrong once can be had again.
                biased;
                change = watch.changes.recv() => {
                    let Some(change) = change else { return };
                    let message = Message::Changed { scope: self.scope.clone(), change: wrap(change) };
                    if self.sender.send(message).await.is_err() {
                        return;
                    }
                }
                // Its sender is there as long as this is.
                _ = self.relist.changed() => watch.relist(),
                () = watch.health.changed() => {
                    let forbidden = |cause: &FailureCause| matches!(cause, FailureCause::Forbidden { .. });
                    let cause = watch.health.trouble().map(|trouble| trouble.cause).filter(forbidden);
                    if !self.tell(&mut told, cause).await {
                        return;
                    }
                }
            }
        }
    }

    /// Tells what is the matter, if that is new. Whether anybody listens.
    async fn tell(&self, told: &mut Option<FailureCause>, cause: Option<FailureCause>) -> bool {
        if *told == cause {
            return true;
        }
        told.clone_from(&cause);
        let message = Message::Trouble { scope: self.scope.clone(), source: self.source.clone(), cause };
        self.sender.send(message).await.is_ok()
    }
}

/// Watches a kind of which only the API server knows what it is called in paths.
async fn feed_any(
    client: Client,
    clock: Clock,
    kind: Arc<Kind>,
    wrap: impl Fn(Change<TargetObject>) -> Changed,
    feed: Feed,
) {
    let resource = loop {
        match find(&client, &kind).await {
            Ok(Some(resource)) => break resource,
            Ok(None) => {
                if feed
                    .sender
                    .send(Message::KindUnknown { scope: feed.scope.clone(), kind: kind.clone() })
                    .await
                    .is_err()
                {
                    return;
                }
            }
            Err(why) => tracing::warn!("the API server does not tell what the kind {} is: {why}", kind.kind),
        }
        tokio::time::sleep(ASK_KIND).await;
    };
    let api: Api<DynamicObject> = match &feed.scope {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    feed.run(watch(api, Selection::default(), clock, TargetObject::from), wrap).await;
}

/// What the kind is called in paths; nothing if there is no such kind.
pub(super) async fn find(client: &Client, kind: &Kind) -> kube::Result<Option<ApiResource>> {
    let (group, version) = kind.api_version.split_once('/').unwrap_or(("", &kind.api_version));
    let listed = if group.is_empty() {
        client.list_core_api_resources(version).await
    } else {
        client.list_api_group_resources(&kind.api_version).await
    };
    let listed = match listed {
        Ok(listed) => listed,
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(None),
        Err(why) => return Err(why),
    };
    let found = listed.resources.iter().find(|one| one.kind == *kind.kind && !one.name.contains('/'));
    let kind = GroupVersionKind::gvk(group, version, &kind.kind);
    Ok(found.map(|found| ApiResource::from_gvk_with_plural(&kind, &found.name)))
}
