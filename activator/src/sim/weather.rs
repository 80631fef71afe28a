//! How bad things are in one world: how late answers and events come, how often they are lost.

use std::time::Duration;

use fastrand::Rng;

/// What may go wrong, and how often. Shares are of 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weather {
    /// How long a call takes on its way there, and on its way back.
    pub(super) call: Span,
    /// The share of calls that take up to [`Weather::LATE`] instead.
    pub(super) late: f64,
    /// The share of writes whose answer is lost: half of them have had no effect.
    pub(super) lost: f64,
    /// The share of calls that are refused: 409, 429, 500, 503.
    pub(super) refused: f64,
    /// The share of writes that arrive a second time, within [`Weather::AGAIN`].
    pub(super) doubled: f64,
    /// How long an event takes.
    pub(super) event: Span,
    /// The share of events that take up to [`Weather::LATE`] instead, and those behind them with them.
    pub(super) event_late: f64,
    /// The share of events that are told twice.
    pub(super) repeated: f64,
    /// The share of events after which the watch breaks.
    pub(super) cut: f64,
    /// The share of watches that cannot be resumed where they were.
    pub(super) expired: f64,
    /// The share of lists that come from a cache which is behind.
    pub(super) stale: f64,
    /// Whether a watch can begin with all there is.
    pub(super) streams: bool,
    /// How long controllers take to notice something.
    pub(super) controller: Span,
    /// The share of rounds in which the API server is away for a while.
    pub(super) outage: f64,
    /// The share of rounds in which somebody else writes replicas.
    pub(super) others: f64,
    /// The share of rounds in which a node is lost with all of its pods.
    pub(super) node_lost: f64,
    /// The share of rounds in which the gateway is killed and another one started.
    pub(super) killed: f64,
}

/// From one length of time to another, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span(pub(super) u64, pub(super) u64);

// === impl Weather ===

impl Weather {
    /// The longest that what is late takes.
    pub(super) const LATE: Span = Span(200, 4_000);
    /// When what is doubled arrives again.
    pub(super) const AGAIN: Span = Span(0, 4_000);
    /// Until a broken connection is noticed.
    pub(super) const BROKEN: Span = Span(0, 10_000);
    /// How long the API server is away.
    pub(super) const AWAY: Span = Span(1_000, 15_000);

    /// Nothing goes wrong, and everything takes its time.
    pub(super) fn fair() -> Self {
        Self {
            call: Span(0, 3),
            late: 0.0,
            lost: 0.0,
            refused: 0.0,
            doubled: 0.0,
            event: Span(0, 5),
            event_late: 0.0,
            repeated: 0.0,
            cut: 0.0,
            expired: 0.0,
            stale: 0.0,
            streams: true,
            controller: Span(1, 50),
            outage: 0.0,
            others: 0.0,
            node_lost: 0.0,
            killed: 0.0,
        }
    }

    /// Another one in each world: one in five is fair, and in the others about half of the troubles are there.
    pub(super) fn any(random: &mut Rng) -> Self {
        if random.u32(..5) == 0 {
            return Self::fair();
        }
        let mut share = |most: f64| if random.bool() { random.f64() * most } else { 0.0 };
        let (late, lost, refused, doubled) = (share(0.3), share(0.3), share(0.3), share(0.1));
        let (event_late, repeated, cut, expired, stale) = (share(0.2), share(0.2), share(0.1), share(0.5), share(0.5));
        let (outage, others, node_lost, killed) = (share(0.1), share(0.2), share(0.1), share(0.15));
        Self {
            call: Span(0, random.u64(1..30)),
            late,
            lost,
            refused,
            doubled,
            event: Span(0, random.u64(1..100)),
            event_late,
            repeated,
            cut,
            expired,
            stale,
            controller: Span(1, random.u64(5..1_000)),
            streams: random.bool(),
            outage,
            others,
            node_lost,
            killed,
        }
    }
}

// === impl Span ===

impl Span {
    pub(super) fn any(self, random: &mut Rng) -> Duration {
        Duration::from_millis(random.u64(self.0..=self.1))
    }
}

/// Whether something happens that does in `share` of all cases.
pub(super) fn happens(random: &mut Rng, share: f64) -> bool {
    share > 0.0 && random.f64() < share
}
