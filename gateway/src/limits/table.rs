//! What clients have used of their limit: a table that does not grow beyond a bound, and in which no two share a place.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;
use parking_lot::Mutex;

/// Clients that are remembered at most.
pub(super) const MOST: usize = 1 << 18;
/// So that threads seldom meet.
const SHARDS: usize = 64;

/// When each client will have its whole burst again, by a hash of what tells it apart. While there is no room in it, those who are
/// not in it pass, and are counted as such: a stranger is not to pay for what others have used.
#[derive(Debug)]
pub(super) struct Table(Box<[Mutex<Shard>; SHARDS]>);

// A key is a hash already, made with a secret; this one only has to spread it.
type Shard = HashMap<u64, Nanos, RandomState>;

// === impl Table ===

impl Table {
    pub(super) fn new() -> Self {
        Self(Box::new(std::array::from_fn(|_| Mutex::default())))
    }

    fn shard(&self, key: u64) -> &Mutex<Shard> {
        &self.0[(key >> 32) as usize % SHARDS]
    }
}

impl StateStore for Table {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, key: &u64, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut shard = self.shard(*key).lock();
        if let Some(known) = shard.get_mut(key) {
            let (passes, next) = measure(Some(*known))?;
            *known = next;
            return Ok(passes);
        }
        let (passes, next) = measure(None)?;
        if shard.len() < MOST / SHARDS {
            shard.insert(*key, next);
        } else {
            drop(shard);
            metrics::counter!("zerogate_clients_not_limited_total").increment(1);
        }
        Ok(passes)
    }
}

impl ShrinkableKeyedStateStore<u64> for Table {
    fn retain_recent(&self, drop_below: Nanos) {
        self.0.iter().for_each(|shard| shard.lock().retain(|_, next| *next > drop_below));
    }

    fn shrink_to_fit(&self) {
        self.0.iter().for_each(|shard| shard.lock().shrink_to_fit());
    }

    fn len(&self) -> usize {
        self.0.iter().map(|shard| shard.lock().len()).sum()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
