//! What gateways tell each other.

use std::sync::Arc;
use std::time::Duration;

use crate::settings::AppId;

/// What one gateway tells another, numbered so that one that comes late or twice does no harm.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The gateway's name: its pod's.
    pub from: Arc<str>,
    /// Which run of it this is; drawn when it starts.
    pub run: u64,
    /// Grows with each message of a run.
    pub number: u64,
    /// The term in which the sender leads, if it does.
    pub leads: Option<u64>,
    /// The latest term that the sender has heard of: what was given in an earlier one it does not carry out any more.
    pub term: u64,
    /// How often the sender has given back all shares, since others may have taken it to be dead: what it was given before is void.
    pub fence: u32,
    /// The runs of others of which the sender knows all they count. Few: one for each gateway.
    pub knows: Vec<u64>,
    /// What it is about.
    pub scope: Scope,
    /// Each app at most once.
    pub apps: Vec<AppNews>,
}

/// What a [`Message`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All there is to tell: of what is not in it nothing is in flight, and nothing is to go.
    Whole,
    /// What has changed.
    Changes,
    /// Its run is over: nothing is in flight there any more.
    Farewell,
}

/// What a gateway tells of one app: a whole, not a change.
#[derive(Debug, Clone, PartialEq)]
pub struct AppNews {
    /// Which.
    pub app: AppId,
    /// What is asked of it there.
    pub counts: Counts,
    /// Endpoints that are used there though the platform does not call them ready.
    pub early: u32,
    /// What is to take no request anywhere, told by the one that leads.
    pub going: Vec<Going>,
    /// What of that takes no request at the sender, and has none there.
    pub empty: Vec<Going>,
    /// The sender's last order that was accepted, if there is one.
    pub ordered: Option<Ordered>,
    /// Slots of a hard limit that the sender has; `None` if the app has no hard limit there, or has never had an endpoint.
    pub shares: Option<Shares>,
    /// Slots of a hard limit that the receiver is given, by the one that leads.
    pub grants: Option<Grants>,
}

/// An order that was accepted: by that the others know it for one of the fleet's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ordered {
    /// How many replicas it asked for.
    pub replicas: u32,
    /// As of when, see [`crate::platform::SpecReplicas::version`].
    pub version: u64,
}

/// Slots of an app with a hard limit that a gateway has, as they are after it has carried out what it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shares {
    /// The [`Grants::version`] that has been carried out: none before it ever will be.
    pub as_of: u64,
    /// Each endpoint that it knows of, once.
    pub each: Vec<Share>,
}

/// Slots of one endpoint that a gateway has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// What its platform calls it.
    pub endpoint: Box<str>,
    /// Slots that may be in use at once. More are, for a while, if the share was lowered.
    pub slots: u32,
    /// Slots that are in use.
    pub in_use: u32,
    /// Whether requests of the sender would go there.
    pub usable: bool,
}

/// Slots of an app with a hard limit that a gateway is given: a whole, nothing but these are its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grants {
    /// The run of the gateway that they are for.
    pub run: u64,
    /// The [`Message::fence`] that they go by: to a later one they do not count.
    pub fence: u32,
    /// Grows with each change, over all terms.
    pub version: u64,
    /// Slots of each endpoint. Of others it has none.
    pub slots: Vec<(Box<str>, u32)>,
}

/// Requests of one app at one gateway. Times are spans, since clocks differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests in flight, held ones included.
    pub in_flight: u32,
    /// Requests held.
    pub held: u32,
    /// The most in flight at once since this was last told, or a little longer.
    pub peak: u32,
    /// Requests that have come in this run.
    pub arrivals: u64,
    /// Microseconds that requests have spent in flight in this run, all together.
    pub request_micros: u64,
    /// How long nothing has been in flight; `None` if nothing ever was.
    pub idle: Option<Duration>,
}

/// Instead of an endpoint: whatever there is.
pub const ALL: &str = "*";

/// An endpoint that is to take no request any more, at any gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Going {
    /// What its platform calls it, or [`ALL`].
    pub endpoint: Box<str>,
    /// Which time it is closed: an answer to an earlier time does not count for it.
    pub number: u64,
}

// === impl Counts ===

impl Counts {
    /// Whether they say the same, but for what goes on by itself: time, and what a request in flight spends of it.
    pub fn same_demand(&self, other: &Self) -> bool {
        let told = |counts: &Self| (counts.in_flight, counts.held, counts.arrivals);
        told(self) == told(other) && self.peak <= other.peak
    }
}
