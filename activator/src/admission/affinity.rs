//! Which endpoint a client's requests lead to, one after the other, without anything being remembered of the client: every gateway
//! finds the same one.

use std::sync::Arc;

use super::{Endpoint, pick};
use crate::clock::Timestamp;

/// What leads a request to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Affinity {
    /// A hash of what tells clients apart: of all endpoints one goes best with it (highest random weight, Thaler and Ravishankar
    /// 1998), and if that is full or gone, another one. When replicas come or go, only those clients go elsewhere that have to.
    Key(u64),
    /// The endpoint that has this [`Endpoint::token`].
    Token(u64),
}

// === impl Affinity ===

impl Affinity {
    /// The key for a client that is told by `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self::Key(hash(bytes))
    }
}

/// A slot at the endpoint that `affinity` leads to, if it may have another request and is not suspect; or else at any.
pub(crate) fn pick_for(
    endpoints: &[Arc<Endpoint>],
    limit: u32,
    now: Timestamp,
    affinity: Affinity,
) -> Option<&Arc<Endpoint>> {
    let usable = |endpoint: &&Arc<Endpoint>| !endpoint.is_suspect(now) && endpoint.try_acquire(limit, now);
    match affinity {
        Affinity::Token(token) => endpoints.iter().find(|endpoint| endpoint.token() == token).filter(usable),
        Affinity::Key(key) => {
            let weight = |endpoint: &&Arc<Endpoint>| mix(key ^ endpoint.token());
            endpoints.iter().max_by_key(weight).filter(usable).or_else(|| {
                let mut others: Vec<_> = endpoints.iter().collect();
                others.sort_unstable_by_key(|endpoint| std::cmp::Reverse(weight(endpoint)));
                others.into_iter().skip(1).find(usable)
            })
        }
    }
    .or_else(|| pick(endpoints, limit, now))
}

/// A hash that is the same in every gateway of whatever version: FNV-1a, mixed.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)))
}

/// Spreads what is in a few bits over all of them (the finalizer of SplitMix64).
fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests;
