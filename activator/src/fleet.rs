//! Several gateways as one: each tells all others what it counts, one of them leads and decides, and what is to go is closed at
//! all of them first. Knows no network and reads no clock: messages and time are arguments.
//!
//! ```text
//! counts of apps ─► outbox ─► Message ─► another gateway ─► others (in each app): sums
//!                                  ▲                            │
//!  the one that leads: going ──────┘      empty ◄── closed ◄────┘
//! ```
//!
//! - **Any gateway wakes; one lowers.** Who does not lead gives no order but one from zero, for what it holds itself.
//! - **Not knowing lowers nothing.** As long as there is a gateway of which nobody knows what it counts, the number of replicas
//!   only grows.
//! - **Closed everywhere before it goes.** An endpoint is ordered away once every gateway has said that it is closed and empty
//!   there, this time. It is opened again when the one that leads says so.

mod active;
mod members;
mod message;
mod others;
mod outbox;
pub(crate) mod shares;
mod slots;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::app::App;
use crate::app::shares::Told;
use crate::clock::Timestamp;
use crate::settings::AppId;
use active::Active;
pub use members::{Known, Listed, Other, Standing};
use members::{Members, Taken};
pub use message::{ALL, AppNews, Counts, Going, Grants, Message, Ordered, Scope, Share, Shares};
pub(crate) use others::{Others, Sum};
pub use outbox::{CALM, Outbox, SPACING};
use shares::Sender;

/// How long what one that led has closed stays closed when nobody leads any more: its last orders have had their effect by then,
/// or never will.
pub(crate) const CLOSED_WITHOUT_LEADER: Duration = Duration::from_secs(15);

/// After how long a gateway gives back all shares that has heard neither of all others nor of the cluster: half of the time after
/// which others take it to be dead.
pub(crate) const FENCED_AFTER: Duration = Duration::from_secs(30);

/// The gateways that share what they count, as one of them sees it.
#[derive(Debug, Default)]
pub struct Fleet(Option<Box<Together>>);

#[derive(Debug)]
struct Together {
    name: Arc<str>,
    run: u64,
    state: Mutex<State>,
    active: Active,
    changes: Changes,
}

/// Something may be to be told to the others. Who waits for that has to have it
/// [enabled](tokio::sync::futures::Notified::enable) before the last look.
#[derive(Debug, Default)]
pub struct Changes {
    /// Whatever it is.
    pub any: Notify,
    /// Something that others wait for.
    pub urgent: Notify,
}

#[derive(Debug)]
struct State {
    members: Members,
    lead: Lead,
    /// The latest term that anybody has led in, as far as is known here.
    term: u64,
    /// In which term this gateway leads, or did last, and when that had begun for sure.
    led: Option<(u64, Timestamp)>,
    /// How often all shares were given back.
    fence: u32,
    /// When the cluster was reached last, or one that leads was heard.
    reached: Timestamp,
    /// Of the last change of shares.
    version: u64,
    /// Of the last message.
    number: u64,
    /// Of which apps each other gateway has told something.
    told: HashMap<Arc<str>, HashSet<AppId>>,
}

/// Who leads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Lead {
    /// Nobody, as far as is known here.
    #[default]
    Nobody,
    /// This gateway, in this term, and not from `until` on unless that is said anew.
    Mine {
        /// Grows each time that another leads.
        term: u64,
        /// Before anybody else can lead.
        until: Timestamp,
    },
    /// Another one.
    Other(Arc<str>),
}

/// What part this gateway has in decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// There is no other: all.
    Alone,
    /// It decides for all, in this term.
    Leads(u64),
    /// It wakes, and follows.
    Follows,
}

// === impl Changes ===

impl Changes {
    fn notify(&self) {
        self.any.notify_waiters();
        self.urgent.notify_waiters();
    }
}

// === impl Fleet ===

impl Fleet {
    /// The only gateway there is.
    pub fn alone() -> Self {
        Self(None)
    }

    /// The gateway called `name`, in a run that no other run of any gateway has the number of; it knows of no other yet.
    pub fn of(name: impl Into<Arc<str>>, run: u64) -> Self {
        let state = State {
            members: Members::new(run),
            lead: Lead::Nobody,
            term: 0,
            led: None,
            fence: 0,
            reached: Timestamp::ZERO,
            version: 0,
            number: 0,
            told: HashMap::new(),
        };
        Self(Some(Box::new(Together {
            name: name.into(),
            run,
            state: Mutex::new(state),
            active: Active::default(),
            changes: Changes::default(),
        })))
    }

    /// Whether there may be others.
    pub fn is_shared(&self) -> bool {
        self.0.is_some()
    }

    /// What part this gateway has at `now`.
    pub fn role(&self, now: Timestamp) -> Role {
        let Some(together) = &self.0 else { return Role::Alone };
        match together.state.lock().lead {
            Lead::Mine { term, until } if now < until => Role::Leads(term),
            _ => Role::Follows,
        }
    }

    /// Whether this gateway decides at `now`.
    pub fn decides(&self, now: Timestamp) -> bool {
        self.role(now) != Role::Follows
    }

    /// Whether this gateway may have fewer replicas run at `now`: it decides, and knows what all count.
    pub fn may_lower(&self, now: Timestamp) -> bool {
        self.decides(now) && self.knows_all(now)
    }

    /// Whether it is known at `now` what all gateways count.
    pub fn knows_all(&self, now: Timestamp) -> bool {
        self.0.as_ref().is_none_or(|together| together.state.lock().members.all_known(now))
    }

    /// How many others there are at `now`, by what is known of them.
    pub fn known(&self, now: Timestamp) -> Known {
        match &self.0 {
            None => Known { listed: true, ..Known::default() },
            Some(together) => together.state.lock().members.known(now),
        }
    }

    /// Each of the others as it stands at `now`, by name.
    pub fn others(&self, now: Timestamp) -> Vec<Other> {
        self.0.as_ref().map(|together| together.state.lock().members.each(now)).unwrap_or_default()
    }

    /// Whether this gateway has told all others what it counts, and they it: from then on it may take requests.
    pub fn has_joined(&self, now: Timestamp) -> bool {
        self.0.as_ref().is_none_or(|together| together.state.lock().members.all_know_each_other(now))
    }

    /// The cluster lists these gateways at `now`, this one perhaps among them.
    pub fn list(&self, listed: impl IntoIterator<Item = Listed>, now: Timestamp) {
        let Some(together) = &self.0 else { return };
        let others = listed.into_iter().filter(|one| one.name != together.name);
        let mut state = together.state.lock();
        state.members.list(others, now);
        state.reached = now;
        drop(state);
        together.changes.notify();
    }

    /// This one leads. Said again before it ends, it goes on.
    pub fn led_by(&self, lead: Lead) {
        let Some(together) = &self.0 else { return };
        let mut state = together.state.lock();
        let mut begins = false;
        if let Lead::Mine { term, until } = lead {
            state.term = state.term.max(term);
            begins = state.led.is_none_or(|(led, _)| led < term);
            if begins {
                state.led = Some((term, until));
                state.members.begin_lead();
            }
        }
        state.lead = lead;
        drop(state);
        if begins {
            self.tracked().iter().for_each(|app| app.share_slots(app.clock().now()));
            together.changes.notify();
        }
    }

    /// Takes a message that has come at `now`. `find` tells the app of a name.
    pub fn receive(&self, message: Message, find: impl Fn(&AppId) -> Option<Arc<App>>, now: Timestamp) {
        let Some(together) = &self.0 else { return };
        let (from, run) = (message.from.clone(), message.run);
        let sender = Sender { run, fence: message.fence };
        let mut state = together.state.lock();
        let taken = state.members.hear(&message, now);
        let mut ended = match taken {
            Taken::Ignored => return,
            Taken::Yes => HashSet::new(),
            Taken::NewRun | Taken::Over => state.told.remove(&from).unwrap_or_default(),
        };
        // What an earlier one says that led is late.
        let leads = message.leads.filter(|term| *term >= state.term);
        if leads.is_some() {
            state.reached = now;
        }
        let new_term = leads.is_some_and(|term| term > state.term);
        state.term = state.term.max(leads.unwrap_or_default());
        let told = state.told.entry(from.clone()).or_default();
        let mut silent = match message.scope {
            Scope::Whole => std::mem::take(told),
            Scope::Changes | Scope::Farewell => HashSet::new(),
        };
        for news in &message.apps {
            silent.remove(&news.app);
            ended.remove(&news.app);
            told.insert(news.app.clone());
        }
        if taken == Taken::Over {
            state.told.remove(&from);
        }
        drop(state);
        if new_term {
            // All is told anew in it.
            together.changes.notify();
        }

        for app in ended.iter().filter_map(&find) {
            app.forget_gateway(&from, now);
        }
        for app in silent.iter().filter_map(&find) {
            app.gateway_is_silent(&from, leads, now);
            app.hear_of_slots(&from, sender, &Told::Nothing(message.term), 0, leads.map(|_| None), now);
        }
        for mut news in message.apps {
            // One that is not declared here, or not yet, takes no requests here either.
            if let Some(app) = find(&news.app) {
                let told = news.shares.take().map_or(Told::NoLimit, Told::Shares);
                let (held, grants) = (news.counts.held, news.grants.take());
                app.hear_gateway(&from, run, leads, news, now);
                app.hear_of_slots(&from, sender, &told, held, leads.map(|_| grants), now);
            }
        }
    }

    /// Looks at `now` whether there are gateways whose counts are not kept any longer. `find` tells the app of a name.
    pub fn expire(&self, find: impl Fn(&AppId) -> Option<Arc<App>>, now: Timestamp) {
        let Some(together) = &self.0 else { return };
        let mut state = together.state.lock();
        let mut gone = Vec::new();
        for name in state.members.expire(now) {
            gone.push((state.told.remove(&name).unwrap_or_default(), name));
        }
        let (lost, back) = state.members.take_changes(now);
        drop(state);
        together.active.settle();
        for Other { name, silent_for, ready, .. } in lost {
            tracing::warn!(
                gateway = &*name,
                ?silent_for,
                ready,
                "another gateway is not heard: as long as it is not known what it counts there will only be more replicas"
            );
        }
        for name in back {
            tracing::info!(gateway = &*name, "another gateway is heard again");
        }
        for (apps, name) in gone {
            tracing::warn!(gateway = &*name, "not heard of any more: what it counted is dropped");
            for app in apps.iter().filter_map(&find) {
                app.forget_gateway(&name, now);
            }
        }
        self.keep_shares(now);
    }

    /// Notified when there may be something to tell the others before all is told again; `None` if there are none.
    pub fn changes(&self) -> Option<&Changes> {
        self.0.as_ref().map(|together| &together.changes)
    }

    /// Something of the app at this address has changed, which notes that once until somebody has looked.
    pub(crate) fn note(&self, address: usize) {
        if let Some(together) = &self.0
            && together.active.note(address)
        {
            together.changes.any.notify_waiters();
        }
    }

    /// The same, of which others wait to be told; it `is_new` if it was not noted before.
    pub(crate) fn note_urgent(&self, address: usize, is_new: bool) {
        if let Some(together) = &self.0 {
            together.active.note_urgent(address, is_new);
            together.changes.notify();
        }
    }

    /// This app has demand or replicas from now on.
    pub(crate) fn track(&self, app: &Arc<App>) {
        if let Some(together) = &self.0 {
            together.active.track(app);
            together.changes.notify();
        }
    }

    /// This app has no demand and no replicas any more.
    pub(crate) fn untrack(&self, app: &Arc<App>) {
        if let Some(together) = &self.0 {
            together.active.untrack(app, app.has_closings() || app.has_shares());
        }
    }

    /// Apps of which there may be something to tell.
    fn tracked(&self) -> Vec<Arc<App>> {
        self.0.as_ref().map(|together| together.active.all()).unwrap_or_default()
    }

    /// Whether every other gateway has said that it has closed `endpoint` of `app` that time and has nothing at it.
    pub(crate) fn is_empty_elsewhere(&self, others: &Others, endpoint: &str, number: u64, now: Timestamp) -> bool {
        let Some(together) = &self.0 else { return true };
        let everybody = together.state.lock().members.everybody(now);
        everybody.is_some_and(|all| all.iter().all(|(name, run)| others.is_empty_at(name, *run, endpoint, number)))
    }
}

#[cfg(test)]
mod tests;
