//! A watch that never ends: tells all there is, follows, resumes where it was cut, begins anew where it cannot resume. What was
//! known stays known all along; all there is is told as a whole, so that nothing seems to go because a watch did.
//!
//! All there is comes by the watch itself, object by object, so that none but the one at hand is in memory as it was sent. The
//! API server takes it from what it has in memory, once that is as new as the request. One that cannot do that (before Kubernetes
//! 1.34, as it comes, or with an old etcd) is asked for a list, page by page.

mod health;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::StatusCode;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::client::Failed;
use crate::clock::{Clock, Timestamp};
use crate::failure::FailureCause;
use health::Report;
pub use health::{Health, Trouble};

/// Changes that wait for their consumer; beyond that the API server waits.
const CHANGES: usize = 256;
/// The mark at the end of all there is.
const IS_WHOLE: &str = "k8s.io/initial-events-end";
/// How long a watch may take to tell all there is. It bounds what may change meanwhile, too.
const WHOLE: Duration = Duration::from_secs(60);
/// Objects a page of a list.
const PAGE: u32 = 500;
/// How long a page may take, and the start of a watch.
const CALL: Duration = Duration::from_secs(30);
/// For how long a watch is asked for, in seconds; spread, so that they do not all end together.
const SHORTEST_WATCH: u32 = 240;
const LONGEST_WATCH: u32 = 300;
/// A watch that is silent for this much longer than was asked for is dead.
const OVERDUE: Duration = Duration::from_secs(15);
/// A watch that has brought nothing for so long when it ends, though the API server sends at least a bookmark each minute, may
/// never bring anything.
const SILENT: Duration = Duration::from_secs(150);
/// A watch that ends sooner than this, and has brought nothing, has failed.
const TOO_SHORT: Duration = Duration::from_secs(1);
/// Pauses after failures in a row: none after the first, then growing from the one to the other.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
/// Failures that are further apart are not in a row.
const APART: Duration = Duration::from_secs(30);
/// After each so many in a row it may be the place to resume from that is the matter.
const RELIST_AFTER: u32 = 4;

/// What a watch brings, of objects as they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<S> {
    /// It was added or changed.
    Applied(S),
    /// It was deleted; this is how it was last.
    Deleted(S),
    /// This is all there is; what was there before and is not in it is gone.
    Restarted(Vec<S>),
    /// The cluster was set back to an older state, and versions count anew from there. What there is then comes next.
    SetBack,
}

/// A watch of one kind of objects. It ends when this is dropped.
pub struct Watch<S> {
    /// What it brings.
    pub changes: mpsc::Receiver<Change<S>>,
    /// How it is.
    pub health: Health,
    relist: Arc<Notify>,
    task: JoinHandle<()>,
}

/// Which objects of a kind are watched; all by default.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// As in `app=hello,tier!=test`.
    pub labels: Option<String>,
    /// As in `status.phase!=Succeeded`.
    pub fields: Option<String>,
}

struct Watcher<K, S, F> {
    api: Api<K>,
    selection: Selection,
    slim: F,
    changes: mpsc::Sender<Change<S>>,
    report: Report,
    clock: Clock,
    /// As of when all is told that there is, and where to resume from.
    version: Option<String>,
    /// Nothing is to be resumed: begin with all there is.
    relist: bool,
    /// Somebody wants that.
    wanted: Arc<Notify>,
    /// It has brought something once after all there was.
    heard: bool,
    /// As far as is known, the server can begin a watch with all there is.
    streams: bool,
}

/// All there is, as far as it has come by a watch.
struct Whole<S> {
    all: Vec<S>,
    /// What happened after the first of that was sent.
    then: Vec<Change<S>>,
}

type Events<K> = BoxStream<'static, kube::Result<WatchEvent<K>>>;

/// Why a watch came to an end.
enum End {
    /// The server has closed it, as it does after the time asked for.
    Closed,
    /// The server has closed it before it had told all there is.
    Incomplete,
    /// Where it was cannot be resumed from any more.
    Expired,
    /// What `verb` needed could not be had.
    Failed(&'static str, kube::Error),
    /// It was to take no longer than this.
    Late(Duration),
    /// Nobody wants to know any more.
    Unwanted,
}

/// Watches what `api` leads to, from now on; `slim` makes of each object what is kept of it. Within a runtime.
pub fn watch<K, S, F>(api: Api<K>, selection: Selection, clock: Clock, slim: F) -> Watch<S>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    S: Send + 'static,
    F: Fn(K) -> S + Send + Sync + 'static,
{
    let (sender, changes) = mpsc::channel(CHANGES);
    let (report, health) = Report::new(api.resource_url(), clock.clone());
    let wanted = Arc::<Notify>::default();
    let relist = wanted.clone();
    let watcher = Watcher {
        api,
        selection,
        slim,
        changes: sender,
        report,
        clock,
        version: None,
        relist: true,
        wanted,
        heard: false,
        streams: true,
    };
    Watch { changes, health, relist, task: tokio::spawn(watcher.run()) }
}

// === impl Watch ===

impl<S> Watch<S> {
    /// Has it begin anew, with all there is, as soon as it can.
    pub fn relist(&self) {
        self.relist.notify_one();
    }
}

impl<S> Drop for Watch<S> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// === impl Watcher ===

impl<K, S, F> Watcher<K, S, F>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    S: Send + 'static,
    F: Fn(K) -> S + Send + Sync + 'static,
{
    async fn run(mut self) {
        let (mut failures, mut last) = (0, Timestamp::ZERO);
        loop {
            let begin = self.clock.now();
            let before = self.version.clone();
            let end = self.follow().await;
            let now = self.clock.now();
            let cannot = end.is_inability();
            let trouble = match end {
                End::Unwanted => return,
                End::Closed if now.since(begin) < TOO_SHORT && before == self.version && !self.relist => {
                    FailureCause::ApiServer { why: "it ends the watch at once".into() }
                }
                End::Incomplete => FailureCause::ApiServer { why: "it ends the watch before it has told all".into() },
                End::Closed => continue,
                End::Expired => {
                    tracing::debug!(resource = self.report.resource(), "a watch cannot be resumed, listing anew");
                    self.relist = true;
                    FailureCause::ApiServer { why: "410 Expired".into() }
                }
                End::Failed(verb, why) => self.report.cause(verb, &why),
                End::Late(after) => FailureCause::NoAnswer { after },
            };
            failures = if now.since(last) > APART { 1 } else { failures + 1 };
            last = now;
            // Where the watch does not tell all there is, the list does from then on.
            self.streams &= !(self.relist && (cannot || failures > 1));
            if u32::is_multiple_of(failures, RELIST_AFTER) {
                self.relist = true;
            }
            // That a watch expires, or breaks once, is daily life.
            self.report.trouble(trouble, failures > 1);
            tokio::time::sleep(pause(failures)).await;
        }
    }

    /// Tells all there is if need be, and then what changes, until the watch ends.
    async fn follow(&mut self) -> End {
        let begun = self.clock.now();
        let mut whole = (self.relist && self.streams).then(Whole::default);
        let opened = match &whole {
            Some(_) => self.open("", true).await,
            None => self.resume().await,
        };
        let opened = match opened {
            Err(End::Failed(_, kube::Error::Api(no))) if whole.is_some() && ![429, 503, 504].contains(&no.code) => {
                // It cannot, or it does not let us: the list tells.
                self.streams &= ![400, 422, 500].contains(&no.code);
                whole = None;
                self.resume().await
            }
            opened => opened,
        };
        let (mut events, idle) = match opened {
            Ok(opened) => opened,
            Err(end) => return end,
        };
        if whole.is_none() {
            self.report.well();
        }
        let mut silent = true;
        loop {
            if whole.is_some() && self.clock.now().since(begun) > WHOLE {
                // The next time in pieces.
                self.streams = false;
                return End::Late(WHOLE);
            }
            let patience = if whole.is_some() { CALL } else { idle };
            let next = tokio::select! {
                biased;
                next = tokio::time::timeout(patience, events.next()) => next,
                () = self.wanted.notified(), if whole.is_none() => {
                    self.relist = true;
                    return End::Closed;
                }
            };
            // From a version that the cluster has not reached, since it was set back, nothing would ever come.
            self.relist |= silent && self.heard && self.clock.now().since(begun) >= SILENT;
            let event = match next {
                Err(_) => return End::Late(patience),
                Ok(None) if whole.is_some() => return End::Incomplete,
                Ok(None) => return End::Closed,
                Ok(Some(Err(why))) => return End::failed("watch", why),
                Ok(Some(Ok(event))) => event,
            };
            silent = false;
            if whole.is_none() {
                (self.heard, self.relist) = (true, false);
            }
            let (version, change) = match event {
                WatchEvent::Added(object) if let Some(whole) = whole.as_mut().filter(|whole| whole.then.is_empty()) => {
                    whole.all.push((self.slim)(object));
                    continue;
                }
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    (object.resource_version(), Change::Applied((self.slim)(object)))
                }
                WatchEvent::Deleted(object) => (object.resource_version(), Change::Deleted((self.slim)(object))),
                WatchEvent::Bookmark(mark) => {
                    let version = mark.metadata.resource_version;
                    let is_whole = mark.metadata.annotations.contains_key(IS_WHOLE);
                    if let Some(whole) = whole.take_if(|_| is_whole) {
                        if let Err(end) = self.tell(whole, version).await {
                            return end;
                        }
                        self.report.well();
                    } else if whole.is_none() {
                        self.version = Some(version);
                    }
                    continue;
                }
                WatchEvent::Error(status) => return End::failed("watch", kube::Error::Api(status.boxed())),
            };
            if let Some(whole) = &mut whole {
                whole.then.push(change);
                continue;
            }
            self.version = version;
            if self.changes.send(change).await.is_err() {
                return End::Unwanted;
            }
        }
    }

    /// From where it was, or from a list on.
    async fn resume(&mut self) -> Result<(Events<K>, Duration), End> {
        let from = match &self.version {
            Some(version) if !self.relist => version.clone(),
            _ => self.list().await?,
        };
        self.open(&from, false).await
    }

    /// Opens a watch, if `whole` one that tells first all there is. Returns after how long a silence it is dead, too.
    async fn open(&self, from: &str, whole: bool) -> Result<(Events<K>, Duration), End> {
        let seconds = fastrand::u32(SHORTEST_WATCH..LONGEST_WATCH);
        let params = WatchParams {
            label_selector: self.selection.labels.clone(),
            field_selector: self.selection.fields.clone(),
            timeout: Some(seconds),
            bookmarks: true,
            send_initial_events: whole,
        };
        let opened = tokio::time::timeout(CALL, self.api.watch(&params, from)).await.map_err(|_| End::Late(CALL))?;
        let events = opened.map_err(|why| End::failed("watch", why))?;
        Ok((events.boxed(), Duration::from_secs(seconds.into()) + OVERDUE))
    }

    /// Tells all there is as of `version`.
    async fn tell(&mut self, Whole { all, then }: Whole<S>, version: String) -> Result<(), End> {
        let set_back = (number(&version) < self.version.as_deref().and_then(number)).then_some(Change::SetBack);
        if set_back.is_some() {
            tracing::warn!("{} were set back to an older state", self.report.resource());
        }
        for change in set_back.into_iter().chain([Change::Restarted(all)]).chain(then) {
            self.changes.send(change).await.map_err(|_| End::Unwanted)?;
        }
        self.report.synced();
        (self.version, self.relist) = (Some(version), false);
        Ok(())
    }

    /// Lists all there is, page by page, tells it as one, and returns as of when it is.
    async fn list(&mut self) -> Result<String, End> {
        let mut all = Vec::new();
        let mut params = ListParams {
            label_selector: self.selection.labels.clone(),
            field_selector: self.selection.fields.clone(),
            limit: Some(PAGE),
            ..ListParams::default()
        };
        let version = loop {
            let listed = tokio::time::timeout(CALL, self.api.list(&params)).await.map_err(|_| End::Late(CALL))?;
            let page = listed.map_err(|why| End::failed("list", why))?;
            all.extend(page.items.into_iter().map(&self.slim));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params.continue_token = Some(token),
                None => break page.metadata.resource_version.unwrap_or_default(),
            }
        };
        self.tell(Whole { all, then: Vec::new() }, version.clone()).await?;
        Ok(version)
    }
}

// === impl Whole ===

impl<S> Default for Whole<S> {
    fn default() -> Self {
        Self { all: Vec::new(), then: Vec::new() }
    }
}

// === impl End ===

impl End {
    /// Whether the server says, or shows, that it cannot do what it is asked. With an etcd that is too old to tell how far it is,
    /// it says 500 to whoever wants a watch to begin with all there is.
    fn is_inability(&self) -> bool {
        match self {
            Self::Failed(_, kube::Error::Api(no)) => [400, 422, 500].contains(&no.code),
            Self::Late(_) => true,
            _ => false,
        }
    }

    fn failed(verb: &'static str, why: kube::Error) -> Self {
        match &why {
            kube::Error::Api(status) if status.code == StatusCode::GONE.as_u16() => Self::Expired,
            _ => Self::Failed(verb, why),
        }
    }
}

fn number(version: &str) -> Option<u64> {
    version.parse().ok()
}

/// How long to wait after so many failures in a row; the moment is not the same for all gateways.
fn pause(failures: u32) -> Duration {
    let longest = match failures {
        0 | 1 => return Duration::ZERO,
        more => (SHORTEST * 2_u32.saturating_pow(more - 2)).min(LONGEST),
    };
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests;
