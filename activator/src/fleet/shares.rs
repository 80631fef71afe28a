//! Slots of an app with a hard limit, shared out over gateways: each admits on its own and never asks, and together they never
//! let more in than the limit. Pure.
//!
//! ```text
//! the one that leads: ledger ── grants (version) ──► holder ─► slots of each endpoint
//!                        ▲                              │
//!                        └──── shares (as of version) ◄─┘
//! ```
//!
//! - **Only the one that leads gives, only the holder gives back.** The ledger has for each gateway the most that it may have: the
//!   highest share of all grants that it may still carry out. The sum of that is never more than the limit.
//! - **What is given back is given on once its holder has said so.** A lower share counts from the report that it is carried out;
//!   what is in use beyond it counts until it ends.
//! - **Nothing of an earlier term comes after a report.** Who has heard of a term carries out nothing of an earlier one, and says
//!   so. Who leads anew gives nothing to anybody that a gateway may have which has not said so.

mod ledger;
mod policy;

pub(crate) use ledger::{Ledger, Present, Sender};

/// Bits of a version that count within a term: enough for a change every millisecond, for thirty years.
const COUNTER: u32 = 40;

/// The version of the change `counter` in `term`. A later term's are all higher.
pub(crate) fn version(term: u64, counter: u64) -> u64 {
    (term << COUNTER) | (counter & ((1 << COUNTER) - 1))
}

/// What a gateway that holds shares has carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) as_of: u64,
    pub(crate) fence: u32,
}

// === impl Holder ===

impl Holder {
    /// Nothing yet, at a gateway that has heard of `term` and given all back `fence` times.
    pub(crate) fn new(term: u64, fence: u32) -> Self {
        Self { as_of: version(term, 0), fence }
    }

    /// From now on nothing of a term before `term` is carried out, and nothing from before the `fence`th time that all was given
    /// back.
    pub(crate) fn catch_up(&mut self, term: u64, fence: u32) {
        self.as_of = self.as_of.max(version(term, 0));
        self.fence = self.fence.max(fence);
    }

    /// Whether what is given with this `version` is to be carried out, and from now on is.
    pub(crate) fn takes(&mut self, version: u64, fence: u32) -> bool {
        let takes = fence == self.fence && version > self.as_of;
        if takes {
            self.as_of = version;
        }
        takes
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
