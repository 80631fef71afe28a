//! What a gateway has to know of the others for slots of hard limits to be shared out, and when it gives its own back.

use std::sync::Arc;

use super::shares::{self, Present};
use super::{FENCED_AFTER, Fleet, Role};
use crate::clock::Timestamp;

// === impl Fleet ===

impl Fleet {
    /// The cluster has answered at `now`. Who has heard for long neither of it nor of one that leads nor of all others gives back
    /// its shares of hard limits: the others take it to be dead.
    pub fn reached_cluster(&self, now: Timestamp) {
        if let Some(together) = &self.0 {
            together.state.lock().reached = now;
        }
    }

    /// What becomes of shares of slots as time passes: they move where they are needed, or all are given back.
    pub(super) fn keep_shares(&self, now: Timestamp) {
        let Some(together) = &self.0 else { return };
        let leads = matches!(self.role(now), Role::Leads(_));
        let mut state = together.state.lock();
        let alone = !leads && now.since(state.reached) >= FENCED_AFTER;
        let fenced = alone && !state.members.all_heard_within(FENCED_AFTER, now);
        if fenced {
            state.fence += 1;
            // Once is enough for so long.
            state.reached = now;
        }
        drop(state);
        if fenced {
            tracing::warn!("heard of neither the cluster nor all other gateways: slots of hard limits are given back");
            self.tracked().iter().for_each(|app| app.give_slots_back());
        } else if leads {
            self.tracked().iter().for_each(|app| app.share_slots(now));
        }
    }

    /// The latest term that anybody has led in, as far as is known here.
    pub(crate) fn term(&self) -> u64 {
        self.0.as_ref().map_or(0, |together| together.state.lock().term)
    }

    /// How often all shares were given back.
    pub(crate) fn fence(&self) -> u32 {
        self.0.as_ref().map_or(0, |together| together.state.lock().fence)
    }

    /// The term in which this gateway leads, or did last and nobody has since, and when that had begun for sure.
    pub(crate) fn led(&self) -> Option<(u64, Timestamp)> {
        let state = self.0.as_ref()?.state.lock();
        state.led.filter(|(term, _)| *term == state.term)
    }

    /// This gateway's run.
    pub(crate) fn run(&self) -> Option<u64> {
        Some(self.0.as_ref()?.run)
    }

    /// This gateway's name.
    pub(crate) fn name(&self) -> Option<&Arc<str>> {
        Some(&self.0.as_ref()?.name)
    }

    /// Those that may have slots at `now`, this gateway among them; `None` if it is not known who there is, or it does not lead.
    pub(crate) fn present(&self, now: Timestamp) -> Option<Vec<Present>> {
        let together = self.0.as_ref()?;
        let (term, _) = self.led()?;
        let mut present = together.state.lock().members.present(term, now)?;
        present.push(Present { name: together.name.clone(), run: Some(together.run), had_none: true, may_get: true });
        Some(present)
    }

    /// Of a change of shares in `term`: higher than that of any before.
    pub(crate) fn next_version(&self, term: u64) -> u64 {
        let Some(together) = &self.0 else { return 0 };
        let mut state = together.state.lock();
        state.version += 1;
        shares::version(term, state.version)
    }
}
