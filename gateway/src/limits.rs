//! How many requests may come: per app and per client, looked at before anything is held, so that a refused request never
//! wakes an app. The cell rate algorithm (GCRA) is governor's.

mod table;

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use activator::Clock;
use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use http::HeaderMap;

use crate::config::settings::{ClientKey, Limits, Rate};
use crate::edge::EdgeOptions;
use crate::edge::headers::Peer;
use crate::edge::problem::Problem;
use table::Table;

/// The limits of one app.
pub struct AppLimits {
    settings: Limits,
    app: Option<Whole>,
    clients: Option<Clients>,
    clock: Ticks,
}

/// What all clients share.
struct Whole {
    limiter: RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Nanos>>,
    burst: u32,
}

struct Clients {
    limiter: RateLimiter<u64, Table, Ticks, NoOpMiddleware<Nanos>>,
    burst: u32,
    by: ClientKey,
    hasher: RandomState,
}

/// governor on our clock.
#[derive(Debug, Clone)]
struct Ticks(Clock);

// === impl AppLimits ===

impl AppLimits {
    /// The limits that `settings` ask for.
    pub fn new(settings: &Limits, clock: Clock) -> Self {
        let clock = Ticks(clock);
        let app = settings.app.map(|rate| Whole {
            limiter: RateLimiter::direct_with_clock(quota(rate), clock.clone()),
            burst: rate.burst,
        });
        let clients = settings.per_client.as_ref().map(|limit| Clients {
            limiter: RateLimiter::new(quota(limit.rate), Table::new(), clock.clone()),
            burst: limit.rate.burst,
            by: limit.by.clone(),
            hasher: RandomState::new(),
        });
        Self { settings: settings.clone(), app, clients, clock }
    }

    /// What it was made from: equal settings need no new limits, which would forget who has used them up.
    pub fn settings(&self) -> &Limits {
        &self.settings
    }

    /// Whether a request with these headers may come now. It came from `peer`.
    ///
    /// # Errors
    /// It may not, and when the next one may.
    pub fn check(&self, headers: &HeaderMap, peer: &Peer, options: &EdgeOptions) -> Result<(), Problem> {
        // The client first: one that is over its own limit uses up nothing of what all share.
        if let Some(clients) = &self.clients {
            let key = clients.key(headers, peer, options);
            clients.limiter.check_key(&key).map_err(|over| Problem::RateLimited {
                policy: "client",
                burst: clients.burst,
                wait: over.wait_time_from(self.clock.now()),
            })?;
        }
        if let Some(whole) = &self.app {
            whole.limiter.check().map_err(|over| Problem::RateLimited {
                policy: "app",
                burst: whole.burst,
                wait: over.wait_time_from(self.clock.now()),
            })?;
        }
        Ok(())
    }

    /// Forgets clients that have their whole burst again. Returns how many are remembered.
    pub fn forget_idle(&self) -> usize {
        let Some(clients) = &self.clients else { return 0 };
        clients.limiter.retain_recent();
        clients.limiter.shrink_to_fit();
        clients.limiter.len()
    }
}

impl Clients {
    fn key(&self, headers: &HeaderMap, peer: &Peer, options: &EdgeOptions) -> u64 {
        match &self.by {
            ClientKey::Header(name) if headers.contains_key(name) => {
                self.hasher.hash_one(headers.get(name).map(http::HeaderValue::as_bytes))
            }
            _ => self.hasher.hash_one(network(peer.client(headers, options))),
        }
    }
}

/// One client's address: with IPv6 everybody has a /64 to himself.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
    }
}

fn quota(rate: Rate) -> Quota {
    let burst = NonZeroU32::new(rate.burst).unwrap_or(NonZeroU32::MIN);
    // A rate is between 0 and 1e9 per second, so the period is at least a nanosecond.
    let period = Duration::from_nanos((1e9 / rate.per_second).clamp(1.0, 1e18) as u64);
    Quota::with_period(period).unwrap_or_else(|| Quota::per_second(burst)).allow_burst(burst)
}

// === impl Ticks ===

impl GovernorClock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.now().as_nanos())
    }
}

#[cfg(test)]
mod tests;
