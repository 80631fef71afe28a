//! The task that tells the API server.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use activator::app::Shared;
use activator::platform::AppKey;
use activator::platform::kubernetes::{Findings, KubernetesPlatform};
use activator::{App, AppId, Clock};
use kube::Client;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;

use super::api::Api;
use super::before::Before;
use super::book::{Book, Done};
use super::events::WRITER;
use super::known::Known;
use super::wall::Wall;
use super::{Declaration, words};

/// Most apps that are written at a time.
const AT_ONCE: usize = 8;
/// Most apps that are looked at without looking for anything else.
const AT_A_STRETCH: usize = 256;

/// Most bytes of the name that a gateway has in events, by Kubernetes' word.
const LONGEST_INSTANCE: usize = 128;

/// How often it is looked which of several gateways decides.
const WHO_DECIDES: Duration = Duration::from_secs(1);

/// Writes statuses and events; of several gateways the one that decides, and each the wakes that are its own.
pub struct StatusWriter {
    api: Arc<Api>,
    findings: Box<dyn Fn(AppKey) -> Option<Findings> + Send + Sync>,
    clock: Clock,
    news: UnboundedReceiver<Arc<App>>,
    declarations: Declarations,
    book: Book,
}

/// Where is said what is declared. Clones say it to the same [`StatusWriter`].
#[derive(Clone, Default)]
pub struct Declarations(Arc<Changed>);

/// What is declared otherwise than the writer knows, so as many as there are apps at most.
#[derive(Default)]
struct Changed {
    declarations: Mutex<BTreeMap<AppId, Option<Declaration>>>,
    /// Statuses that another gateway has written since, so as many as there are apps at most.
    written: Mutex<BTreeMap<AppId, Box<Before>>>,
    any: Notify,
}

// === impl Declarations ===

impl Declarations {
    /// This is declared, be it accepted or not. May be said again of what has not changed. Does not wait.
    pub fn set(&self, id: AppId, declaration: Declaration) {
        self.0.declarations.lock().insert(id, Some(declaration));
        self.0.any.notify_one();
    }

    /// The object has this status now. Whoever has written it: what this gateway has, it knows already.
    pub fn written(&self, id: AppId, written: Box<Before>) {
        self.0.written.lock().insert(id, written);
        self.0.any.notify_one();
    }

    /// This is not declared any more.
    pub fn remove(&self, id: &AppId) {
        self.0.declarations.lock().insert(id.clone(), None);
        self.0.any.notify_one();
    }
}

// === impl StatusWriter ===

impl StatusWriter {
    /// One that writes with `client`, of the apps that `news` tells of and that are declared. In events this gateway is called
    /// as its host is, which in a cluster is its pod.
    pub fn new(
        client: Client,
        platform: Arc<KubernetesPlatform>,
        clock: Clock,
        news: UnboundedReceiver<Arc<App>>,
    ) -> (Self, Declarations) {
        let instance = std::env::var("HOSTNAME").unwrap_or_default();
        Self::finding(client, &instance, Box::new(move |key| platform.findings(key)), clock, news)
    }

    fn finding(
        client: Client,
        instance: &str,
        findings: Box<dyn Fn(AppKey) -> Option<Findings> + Send + Sync>,
        clock: Clock,
        news: UnboundedReceiver<Arc<App>>,
    ) -> (Self, Declarations) {
        let instance = words::bounded(if instance.is_empty() { WRITER } else { instance }, LONGEST_INSTANCE);
        let declarations = Declarations::default();
        let api = Arc::new(Api { client, instance, troubles: Mutex::new(BTreeSet::new()) });
        let writer = Self { api, findings, clock, news, declarations: declarations.clone(), book: Book::default() };
        (writer, declarations)
    }

    /// Writes until `stop` is over, whenever the gateway of `shared` decides. What is not written by then is left.
    pub async fn run(mut self, shared: &Shared, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let who_decides = async || match shared.fleet.is_shared() {
            true => tokio::time::sleep(WHO_DECIDES).await,
            false => std::future::pending().await,
        };
        let mut looked = Box::pin(who_decides());
        let mut calls = JoinSet::new();
        loop {
            let now = self.clock.now();
            if shared.fleet.is_shared() {
                self.book.decides(shared.fleet.decides(now), now);
            }
            self.start_due(&mut calls);
            let next = self.book.next().filter(|_| calls.len() < AT_ONCE);
            let due = until(next.map(|at| self.clock.instant(at)));
            tokio::select! {
                () = &mut stop => return,
                () = self.declarations.0.any.notified() => self.take_declarations(),
                Some(app) = self.news.recv() => self.take_news(&app),
                Some(done) = calls.join_next() => {
                    if let Ok(done) = done {
                        self.book.done(done, self.clock.now());
                    }
                }
                () = due => {}
                () = &mut looked => looked = Box::pin(who_decides()),
            }
        }
    }

    fn take_declarations(&mut self) {
        let now = self.clock.now();
        let changed = std::mem::take(&mut *self.declarations.0.declarations.lock());
        let any_gone = changed.values().any(Option::is_none);
        for (id, declaration) in changed {
            self.book.declare(id, declaration, now);
        }
        if any_gone {
            self.book.sweep();
        }
        let written = std::mem::take(&mut *self.declarations.0.written.lock());
        for (id, written) in written {
            self.book.written_by_another(&id, *written);
        }
    }

    fn take_news(&mut self, app: &Arc<App>) {
        app.take_news();
        // One that closes is not declared any more, or the gateway stops.
        if !app.is_closing() {
            self.book.news(app, self.clock.now());
        }
    }

    fn start_due(&mut self, calls: &mut JoinSet<Done>) {
        let now = self.clock.now();
        for _ in 0..AT_A_STRETCH {
            if calls.len() >= AT_ONCE {
                return;
            }
            let Some((id, app)) = self.book.take_due(now) else { return };
            let known = app.map(|app| {
                let findings = (self.findings)(app.subject().key).unwrap_or_default();
                Known::of(&app, findings, now)
            });
            let wall = Wall::read(&self.clock);
            if let Some(job) = self.book.look(&id, known.as_ref(), wall) {
                let api = self.api.clone();
                calls.spawn(async move { api.carry_out(job, wall).await });
            }
        }
    }
}

async fn until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
