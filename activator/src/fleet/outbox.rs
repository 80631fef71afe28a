//! What one other gateway has been told, and so what it is to be told next.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::message::{AppNews, Message, Scope};
use super::{Fleet, Role};
use crate::clock::Timestamp;
use crate::settings::AppId;

/// How often all is told, whether it has changed or not.
const WHOLE_EVERY: Duration = Duration::from_secs(1);
/// Least time between two messages: twenty a second.
pub const SPACING: Duration = Duration::from_millis(50);

/// Least time between two messages if nobody waits for what has changed: requests at an app that is awake come and go.
pub const CALM: Duration = Duration::from_millis(200);

/// For one other gateway; made anew with each connection.
#[derive(Debug)]
pub struct Outbox {
    /// Whose it is.
    to: Arc<str>,
    told: HashMap<AppId, AppNews>,
    /// What has changed up to here was looked at.
    seen: u64,
    /// In which term all was told.
    term: u64,
    last: Option<Timestamp>,
    last_whole: Option<Timestamp>,
}

// === impl Outbox ===

impl Outbox {
    /// For the gateway of this name, which has been told nothing yet.
    pub fn to(name: impl Into<Arc<str>>) -> Self {
        Self { to: name.into(), told: HashMap::new(), seen: 0, term: 0, last: None, last_whole: None }
    }

    /// When the next message may go at the earliest.
    pub fn next_at(&self) -> Timestamp {
        self.last.map_or(Timestamp::ZERO, |last| last + SPACING)
    }

    /// When what is not urgent may go at the earliest.
    pub fn calm_at(&self) -> Timestamp {
        self.last.map_or(Timestamp::ZERO, |last| last + CALM)
    }

    /// When all is to be told again, whether it has changed or not.
    pub fn whole_at(&self) -> Timestamp {
        self.last_whole.map_or(Timestamp::ZERO, |last| last + WHOLE_EVERY)
    }
}

impl Default for Outbox {
    /// For a gateway whose name is not known: it is given no slots.
    fn default() -> Self {
        Self::to("")
    }
}

// === impl Fleet ===

impl Fleet {
    /// What there is to tell at `now` to one who has been told what `outbox` says, if anything: all of it once a second, what has
    /// changed at most every [`SPACING`] where others wait for it, and every [`CALM`] else.
    pub fn next_message(&self, outbox: &mut Outbox, now: Timestamp) -> Option<Message> {
        let together = self.0.as_ref()?;
        if now < outbox.next_at() {
            return None;
        }
        // Read first: what is told of slots then is as of this term at least, and all that is not told is as well.
        let (term, fence) = (self.term(), self.fence());
        let whole = term != outbox.term || outbox.last_whole.is_none() || now >= outbox.whole_at();
        let leads = match self.role(now) {
            Role::Leads(term) => Some(term),
            _ => None,
        };
        let mut apps = Vec::new();
        let unless_urgent = now < outbox.calm_at();
        let looked_at = match whole {
            true => together.active.all_for(&mut outbox.seen),
            false => together.active.changed(&mut outbox.seen, unless_urgent),
        };
        for app in looked_at {
            let news = app.news_for_gateways(&outbox.to, leads, now);
            let same = |told: &AppNews| {
                let same_slots = told.shares == news.shares && told.grants == news.grants;
                same_slots
                    && told.counts.same_demand(&news.counts)
                    && told.ordered == news.ordered
                    && told.going == news.going
                    && told.empty == news.empty
            };
            if whole || !outbox.told.get(&news.app).is_some_and(same) {
                apps.push(news);
            }
        }
        if !whole && apps.is_empty() {
            return None;
        }
        if whole {
            outbox.told.clear();
            (outbox.last_whole, outbox.term) = (Some(now), term);
        }
        outbox.told.extend(apps.iter().map(|news| (news.app.clone(), news.clone())));
        outbox.last = Some(now);
        let scope = if whole { Scope::Whole } else { Scope::Changes };
        self.message(leads, term, fence, scope, apps)
    }

    /// The last one of this run.
    pub fn farewell(&self) -> Option<Message> {
        self.message(None, self.term(), self.fence(), Scope::Farewell, Vec::new())
    }

    fn message(&self, leads: Option<u64>, term: u64, fence: u32, scope: Scope, apps: Vec<AppNews>) -> Option<Message> {
        let together = self.0.as_ref()?;
        let mut state = together.state.lock();
        state.number += 1;
        Some(Message {
            from: together.name.clone(),
            run: together.run,
            number: state.number,
            leads,
            term,
            fence,
            knows: state.members.runs_known(),
            scope,
            apps,
        })
    }
}
