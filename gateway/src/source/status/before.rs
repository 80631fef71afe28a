//! What is remembered of a status that was told. There may be thousands of apps of which nothing more is ever told, so it is not
//! the status itself.

use std::hash::{DefaultHasher, Hasher};

use activator::Timestamp;
use activator::resource::{ACCEPTED, CERTIFICATE_READY, HttpAppStatus, LastDecision, READY, TARGET_FOUND};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff;

use super::tell::Told;

/// What the next status takes over from the last one, and by what it is seen whether it is another one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Before {
    pub(super) since: Since,
    pub(super) last_wake: Option<Time>,
    pub(super) last_decision: Option<Box<LastDecision>>,
    /// The moments that these stand for.
    pub(super) wake: Option<Timestamp>,
    pub(super) decision: Option<Timestamp>,
    /// Prints of the whole status, and of it without what is always on the move.
    whole: u64,
    calm: u64,
}

/// Since when each condition has the status that it has.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Since([Option<(Truth, Time)>; 4]);

/// In the order of [`Since`].
const KINDS: [&str; 4] = [ACCEPTED, TARGET_FOUND, READY, CERTIFICATE_READY];

/// The status of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Truth {
    True,
    False,
    Unknown,
}

/// What a new status has that the one before had not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    Nothing,
    /// What is always on the move.
    Moves,
    /// What somebody may wait for.
    Matters,
}

// === impl Before ===

impl Before {
    pub(super) fn of(told: &Told) -> Self {
        let Told { status, wake, decision } = told;
        Self {
            since: Since::of(&status.conditions),
            last_wake: status.last_wake.clone(),
            last_decision: status.last_decision.clone().map(Box::new),
            wake: *wake,
            decision: *decision,
            whole: print(status),
            calm: print(&calm(status.clone())),
        }
    }

    /// Another gateway has written this since. What the moments stand for is as it was: they are this gateway's own.
    pub(super) fn take_over(&mut self, written: Self) {
        *self = Self { wake: self.wake, decision: self.decision, ..written };
    }

    /// Of `told` it was written when the app was last woken, and nothing else.
    pub(super) fn woken(&mut self, told: &Told) {
        self.wake = told.wake;
        self.last_wake = told.status.last_wake.clone();
    }

    /// What `after` has that this had not.
    pub(super) fn change(&self, after: &HttpAppStatus) -> Change {
        if self.whole == print(after) {
            Change::Nothing
        } else if self.calm == print(&calm(after.clone())) {
            Change::Moves
        } else {
            Change::Matters
        }
    }
}

/// `status` without what is always on the move: how many requests there are, and words for what is the same but for these.
fn calm(mut status: HttpAppStatus) -> HttpAppStatus {
    status.in_flight = None;
    if let Some(decision) = &mut status.last_decision {
        decision.at = Time(jiff::Timestamp::UNIX_EPOCH);
        decision.reason.clear();
    }
    if let Some(failure) = &mut status.failure {
        failure.clear();
    }
    status.conditions.iter_mut().filter(|it| it.type_ == READY).for_each(|ready| ready.message.clear());
    status
}

/// Two that are not the same have the same print once in more statuses than will ever be told.
fn print(status: &HttpAppStatus) -> u64 {
    let mut hasher = DefaultHasher::new();
    // It can always be written.
    hasher.write(&serde_json::to_vec(status).unwrap_or_default());
    hasher.finish()
}

// === impl Since ===

impl Since {
    pub(super) fn of(conditions: &[Condition]) -> Self {
        Self(KINDS.map(|kind| {
            let condition = conditions.iter().find(|it| it.type_ == kind)?;
            Some((Truth::of(&condition.status)?, condition.last_transition_time.clone()))
        }))
    }

    /// Since when the condition `kind` has this status, if that is what it has.
    pub(super) fn get(&self, kind: &str, status: &str) -> Option<Time> {
        let at = KINDS.iter().position(|it| *it == kind)?;
        let (truth, since) = self.0[at].as_ref()?;
        (Truth::of(status)? == *truth).then(|| since.clone())
    }
}

// === impl Truth ===

impl Truth {
    fn of(status: &str) -> Option<Self> {
        match status {
            "True" => Some(Self::True),
            "False" => Some(Self::False),
            "Unknown" => Some(Self::Unknown),
            _ => None,
        }
    }
}
