//! The one task that knows the cluster: takes what watches bring, and reports to each app what that means for it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::checking::{Checker, Prober};
use super::left::Left;
use super::logs;
use super::message::{Changed, Costly, Message, Ordered, Source};
use super::scale::Reading;
use super::state::findings::Found;
use super::state::object::Kind;
use super::state::{Cluster, Crash, Touched};
use super::told::Told;
use super::tracked::Tracked;
use super::watch::Change;
use super::watches::Watches;
use crate::admission::Endpoint;
use crate::clock::{Clock, Timestamp};
use crate::failure::FailureCause;
use crate::platform::contract::{AppKey, Observation, Subject};
use crate::settings::{ScaleTarget, Target};

/// Messages that wait for the actor; beyond that, watches wait.
pub(super) const MESSAGES: usize = 1024;
/// Most messages that are taken before what they mean is reported.
const AT_ONCE: usize = 256;
/// How often apps are looked for that are gone.
const SWEEP: Duration = Duration::from_secs(10);
/// How long further checks of an app that has many endpoints in use are waited for before it is reported that some have passed:
/// each report is about all of them.
const GATHER: Duration = Duration::from_millis(20);
/// Most containers whose output is read at the same time.
const READS: usize = 8;

/// The task that knows the cluster.
pub(super) struct Actor {
    clock: Clock,
    client: Client,
    left: Arc<Left>,
    messages: mpsc::Receiver<Message>,
    sender: mpsc::Sender<Message>,
    cluster: Cluster,
    /// Boxed, so that room which is kept free costs little.
    apps: HashMap<AppKey, Box<App>>,
    watches: Watches,
    troubles: HashMap<(Source, Option<Arc<str>>), FailureCause>,
    checker: Checker,
    reads: Arc<Semaphore>,
    touched: Touched,
    due: BTreeSet<(Timestamp, AppKey)>,
}

/// One app.
struct App {
    subject: Subject,
    target: Arc<ScaleTarget>,
    tracked: Tracked,
    due: Option<Timestamp>,
    /// Of its target's `/scale`, if that has to be read.
    reading: Reading,
    told: Told,
}

// === impl Actor ===

impl Actor {
    pub(super) fn new(
        clock: Clock,
        client: Client,
        left: Arc<Left>,
        watches: Watches,
        prober: Arc<dyn Prober>,
        (sender, messages): (mpsc::Sender<Message>, mpsc::Receiver<Message>),
    ) -> Self {
        Self {
            checker: Checker::new(clock.clone(), prober, sender.clone()),
            clock,
            client,
            left,
            messages,
            sender,
            cluster: Cluster::default(),
            apps: HashMap::new(),
            watches,
            troubles: HashMap::new(),
            reads: Arc::new(Semaphore::new(READS)),
            touched: Touched::new(),
            due: BTreeSet::new(),
        }
    }

    /// Runs for as long as anybody may tell it something.
    pub(super) async fn run(mut self) {
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let left = self.left.clone();
        loop {
            let due = self.due.first().map(|(at, _)| self.clock.instant(*at));
            let mut done = Vec::new();
            tokio::select! {
                biased;
                () = left.anything.notified() => {}
                message = self.messages.recv() => match message {
                    Some(message) => self.take(message, &mut done),
                    None => return,
                },
                () = until(due) => {}
                _ = sweep.tick() => self.sweep(),
            }
            self.take_left();
            for _ in 0..AT_ONCE {
                let Ok(message) = self.messages.try_recv() else { break };
                self.take(message, &mut done);
            }
            self.take_due();
            self.report();
            left.tell_synced(self.watches.all_heard());
            for done in done {
                // Whoever has given up does not want to know.
                let _ = done.send(());
            }
        }
    }

    fn take_left(&mut self) {
        self.left.take_subjects().into_values().for_each(|subject| self.observe(subject));
        let distrusted = std::mem::take(&mut *self.left.distrusted.lock());
        for (key, until) in distrusted {
            if let Some(app) = self.apps.get_mut(&key) {
                app.tracked.distrust(until);
                self.touched.insert(key);
            }
        }
    }

    fn observe(&mut self, subject: Subject) {
        let key = subject.key;
        let Target::Scale(target) = &subject.settings.target else { return };
        let target = target.clone();
        self.cluster.observe(key, &target);
        self.watches.need(&Arc::new(Kind::of(&target)), &self.sender);
        match self.apps.get_mut(&key) {
            Some(app) => {
                if app.target != target {
                    app.reading.forget();
                }
                (app.subject, app.target) = (subject, target);
                app.tracked.report_anew();
            }
            None => {
                let app = App {
                    subject,
                    target,
                    tracked: Tracked::default(),
                    due: None,
                    reading: Reading::default(),
                    told: Told::default(),
                };
                self.apps.insert(key, Box::new(app));
            }
        }
        self.touched.insert(key);
    }

    fn take(&mut self, message: Message, done: &mut Vec<oneshot::Sender<()>>) {
        match message {
            Message::Changed { scope, change } => self.change(scope, change),
            Message::Trouble { scope, source, cause } => {
                if cause.is_some() && matches!(source, Source::Targets(_)) {
                    self.watches.heard(&source, &scope);
                }
                let place = (source, scope);
                let before = self.troubles.remove(&place);
                if before != cause {
                    self.touched.extend(self.apps.keys());
                }
                if let Some(cause) = cause {
                    self.troubles.insert(place, cause);
                }
            }
            Message::KindUnknown { scope, kind } => {
                self.cluster.kind_known(&kind, false, &mut self.touched);
                self.watches.heard(&Source::Targets(kind), &scope);
            }
            Message::Passed { app: key, identity, incarnation } => {
                if let Some(app) = self.apps.get_mut(&key) {
                    app.tracked.passed(&identity, incarnation);
                    if app.tracked.has_many() {
                        self.look_again(key, self.clock.now() + GATHER);
                    } else {
                        self.touched.insert(key);
                    }
                }
            }
            Message::OutputRead { app: key, crash, lines } => {
                if let Some(app) = self.apps.get_mut(&key) {
                    app.tracked.output_read(&crash, lines);
                    self.touched.insert(key);
                }
            }
            Message::ScaleRead { app: key, target, read } => {
                if let Some(app) = self.apps.get_mut(&key) {
                    // Of another target than it was then it says nothing.
                    let unread = read.as_ref().err().filter(|_| app.target == target);
                    app.reading.done(unread.cloned(), self.clock.now());
                    self.touched.insert(key);
                }
                if let Ok((replicas, version)) = read {
                    self.cluster.scale_read(&target, replicas, version, &mut self.touched);
                }
            }
            Message::SetBack => {
                tracing::warn!("the cluster was set back to an older state: everything is listed anew");
                self.watches.relist();
            }
            Message::Ordered(ordered) => {
                self.ordered(&ordered);
                done.push(ordered.done);
            }
            Message::NotOrdered { app: key, told } => {
                if let Some(app) = self.apps.get_mut(&key) {
                    app.tracked.not_ordered();
                    if !told {
                        app.told.doubt();
                    }
                    self.touched.insert(key);
                }
            }
            Message::WhichPods { app: key, replicas, victims, answer } => {
                let pods = self.which_pods(key, replicas as usize, &victims);
                if let Some(app) = self.apps.get_mut(&key) {
                    app.tracked.choosing(replicas, self.clock.now());
                }
                let _ = answer.send(pods);
            }
        }
    }

    fn change(&mut self, scope: Option<Arc<str>>, change: Changed) {
        if let Some(source) = change.is_whole() {
            self.watches.heard(&source, &scope);
        }
        let (cluster, touched) = (&mut self.cluster, &mut self.touched);
        match change {
            Changed::Targets(kind, Change::SetBack) => {
                cluster.set_back(&kind, scope.as_deref());
                self.left.era.begin_next();
            }
            Changed::Pods(Change::SetBack) | Changed::Services(Change::SetBack) | Changed::Slices(Change::SetBack) => {}
            Changed::Pods(Change::Applied(pod)) => cluster.apply_pod(pod, touched),
            Changed::Pods(Change::Deleted(pod)) => cluster.delete_pod(&pod, touched),
            Changed::Pods(Change::Restarted(pods)) => cluster.replace_pods(scope.as_deref(), pods, touched),
            Changed::Services(Change::Applied(service)) => cluster.apply_service(service, touched),
            Changed::Services(Change::Deleted(service)) => cluster.delete_service(&service, touched),
            Changed::Services(Change::Restarted(all)) => cluster.replace_services(scope.as_deref(), all, touched),
            Changed::Slices(Change::Applied(slice)) => cluster.apply_slice(slice, touched),
            Changed::Slices(Change::Deleted(slice)) => cluster.delete_slice(&slice, touched),
            Changed::Slices(Change::Restarted(all)) => cluster.replace_slices(scope.as_deref(), all, touched),
            Changed::Targets(kind, Change::Applied(target)) => cluster.apply_target(&kind, target, touched),
            Changed::Targets(kind, Change::Deleted(target)) => cluster.delete_target(&kind, &target, touched),
            Changed::Targets(kind, Change::Restarted(all)) => {
                cluster.replace_targets(&kind, scope.as_deref(), all, touched);
            }
        }
    }

    fn ordered(&mut self, ordered: &Ordered) {
        let Ordered { app: key, target, replicas, victims, version, .. } = ordered;
        if let Some(version) = version {
            self.cluster.accepted(target, *replicas, *version, &mut self.touched);
        }
        if let Some(app) = self.apps.get_mut(key).filter(|app| app.target.is_same_object(target)) {
            app.tracked.ordered(*replicas, victims, version.is_none(), self.clock.now());
            self.touched.insert(*key);
        }
    }

    /// What to tell Kubernetes of the app's pods, before they become fewer: all go first that are not in use. Where no more are
    /// known than are to stay none is chosen, but there may be some that nobody has told of yet, and what is in use must not go
    /// before those because it was to go once.
    fn which_pods(&mut self, key: AppKey, replicas: usize, victims: &[Arc<Endpoint>]) -> Vec<Costly> {
        let Some(app) = self.apps.get_mut(&key) else { return Vec::new() };
        let all_stay = self.cluster.costs(key).count() <= replicas;
        let stay: Vec<_> = app
            .tracked
            .in_use()
            .filter(|(endpoint, _)| !victims.iter().any(|victim| Arc::ptr_eq(victim, endpoint)))
            .map(|(_, identity)| identity)
            .collect();
        let mut pods: Vec<_> = self.cluster.costs(key).collect();
        // Always in the same order, so that what went wrong once can be had again.
        pods.sort_by(|a, b| a.name.cmp(&b.name));
        app.told.keep(pods.iter().copied());
        let costly = pods.into_iter().filter_map(|pod| {
            let goes_first = !stay.iter().any(|identity| identity.uid == pod.uid);
            let cost = if goes_first && all_stay { None } else { app.told.change(pod, goes_first) };
            Some(Costly { pod: pod.name.clone(), cost: cost? })
        });
        costly.collect()
    }

    /// Reports to an app at `at`, at the latest.
    fn look_again(&mut self, key: AppKey, at: Timestamp) {
        let Some(app) = self.apps.get_mut(&key).filter(|app| app.due.is_none_or(|due| due > at)) else { return };
        if let Some(due) = app.due.replace(at) {
            self.due.remove(&(due, key));
        }
        self.due.insert((at, key));
    }

    fn take_due(&mut self) {
        let now = self.clock.now();
        while let Some((at, key)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, key));
            if let Some(app) = self.apps.get_mut(&key) {
                app.due = None;
            }
            self.touched.insert(key);
        }
    }

    /// Tells every app that may have changed how it is now.
    fn report(&mut self) {
        let now = self.clock.now();
        for key in std::mem::take(&mut self.touched) {
            if !self.report_to(key, now) {
                self.forget(key);
            }
        }
    }

    /// Whether anybody still wants to know.
    fn report_to(&mut self, key: AppKey, now: Timestamp) -> bool {
        let Some(app) = self.apps.get_mut(&key) else { return true };
        let Some(observer) = app.subject.observer.upgrade() else { return false };
        let distrusted = app.tracked.distrusted(now);
        let mut view = self.cluster.view(key, distrusted.is_some());
        // Nothing is known of it, or nothing of the pods that it asks for.
        let none = view.pods == 0 && view.candidates.is_empty();
        let unknown = view.spec.as_ref().is_none_or(|spec| spec.replicas > 0 && none);
        if unknown
            && view.failure.is_none()
            && let Some(cause) = self.watches.trouble(&self.troubles, &app.target)
        {
            view.findings.target = Found::No(Box::new(cause.clone()));
            view.failure = Some(cause);
            view.hopeless = true;
        }
        if view.unread {
            app.reading.explain(&mut view);
            if app.reading.begin(now) {
                self.watches.read_scale(key, app.target.clone(), &self.sender);
            }
        } else {
            app.reading.forget();
        }
        if let Some(spec) = &mut view.spec {
            spec.version = self.left.era.date(spec.version);
        }
        self.left.found(key, view.findings.clone());
        let mut update = app.tracked.update(view, app.target.start_timeout, now);
        for at in distrusted.into_iter().chain(app.reading.again()) {
            update.look_again(at);
        }
        for check in update.check {
            let identity = check.identity.clone();
            app.tracked.checking(&identity, self.checker.start(key, check));
        }
        if let Some(crash) = update.read_output {
            read_output(&self.client, &self.reads, &self.sender, key, crash);
        }
        if app.due != update.again {
            if let Some(at) = std::mem::replace(&mut app.due, update.again) {
                self.due.remove(&(at, key));
            }
            self.due.extend(update.again.map(|at| (at, key)));
        }
        if let Some(observation) = update.observation {
            observer.observed(Observation { target_number: app.subject.target_number, ..observation });
        }
        true
    }

    fn sweep(&mut self) {
        let gone = self.apps.iter().filter(|(_, app)| app.subject.observer.strong_count() == 0);
        let gone: Vec<_> = gone.map(|(key, _)| *key).collect();
        gone.into_iter().for_each(|key| self.forget(key));
    }

    fn forget(&mut self, key: AppKey) {
        self.cluster.forget(key);
        self.left.findings.lock().remove(&key);
        if let Some(at) = self.apps.remove(&key).and_then(|app| app.due) {
            self.due.remove(&(at, key));
        }
    }
}

/// Finds out what a container has printed, and tells the actor; nothing, if that may not be known.
fn read_output(client: &Client, reads: &Arc<Semaphore>, sender: &mpsc::Sender<Message>, app: AppKey, crash: Crash) {
    let (client, reads, sender) = (client.clone(), reads.clone(), sender.clone());
    tokio::spawn(async move {
        // One too many: what it has printed is not worth waiting for.
        let lines = match reads.try_acquire() {
            Ok(_permit) => {
                let (namespace, pod) = (crash.pod.namespace(), crash.pod.name());
                logs::last_lines(&client, namespace, pod, &crash.container, true).await
            }
            Err(_) => Vec::new(),
        };
        let _ = sender.send(Message::OutputRead { app, crash, lines }).await;
    });
}

async fn until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
