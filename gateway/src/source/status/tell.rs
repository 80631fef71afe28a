//! The status of an app.

use activator::Timestamp;
use activator::app::AppState;
use activator::resource::{HttpAppStatus, LastDecision};

use super::Declaration;
use super::before::Before;
use super::book::Says;
use super::conditions::{NAMED_FOR, conditions, output};
use super::known::Known;
use super::wall::Wall;
use super::words;

/// Most bytes of what keeps an app from starting, and of the reason of a decision.
const LONGEST: usize = 1024;

/// A status, and the moments that its times stand for: those times stay what they are, however the time of day is corrected.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Told {
    pub(super) status: HttpAppStatus,
    pub(super) wake: Option<Timestamp>,
    pub(super) decision: Option<Timestamp>,
}

/// What is to be told of an app by a gateway that `says` so much, where `before` is what was told last.
pub(super) fn tell(known: Option<&Known>, says: Says, declaration: &Declaration, before: &Before, wall: Wall) -> Told {
    let mut status = HttpAppStatus {
        conditions: conditions(known, declaration, &before.since, wall),
        observed_generation: declaration.generation,
        // What happened before the gateway was started has happened all the same.
        last_wake: before.last_wake.clone(),
        last_decision: before.last_decision.as_deref().cloned(),
        ..HttpAppStatus::default()
    };
    let Some(known) = known else { return Told { status, wake: before.wake, decision: before.decision } };

    let is_unknown = known.replicas.is_none() && known.state == AppState::Asleep;
    status.state = (!is_unknown).then(|| known.state.label().to_owned());
    status.replicas = known.replicas;
    status.ready_replicas = Some(known.ready);
    status.in_flight = Some(known.in_flight);
    status.failure = known
        .standing_failure()
        .map(|it| words::bounded(&format!("{}{}", it.failure, output(&it.failure.output)), LONGEST));
    let wake = known.wake.as_ref().map(|woken| woken.wake.asked);
    if let Some(asked) = wake.filter(|_| wake != before.wake) {
        status.last_wake = Some(wall.at(asked));
    }
    // What this gateway decided before it was the one that decides was for itself.
    let decision = known.decision.as_ref().filter(|decided| match says {
        Says::Everything => true,
        Says::Since(since) => decided.at >= since,
        Says::Wakes => false,
    });
    if let Some(decided) = decision {
        let at = match (&before.last_decision, before.decision) {
            (Some(last), Some(at)) if at == decided.at => last.at.clone(),
            _ => wall.at(decided.at),
        };
        let reason = words::bounded(&decided.reason, LONGEST);
        status.last_decision = Some(LastDecision { at, replicas: decided.replicas, reason });
    }
    let decision = decision.map(|decided| decided.at);
    Told { status, wake: wake.or(before.wake), decision: decision.or(before.decision) }
}

/// When what there is to tell changes by itself, after `now`.
pub(super) fn changes_by_itself(known: &Known, now: Timestamp) -> Option<Timestamp> {
    let retried = known.failure.as_ref().filter(|_| known.state == AppState::Failing).map(|it| it.retry_at());
    let named = known.other_writer.as_ref().map(|it| it.at + NAMED_FOR);
    let yielded = known.other_writer.as_ref().map(|it| it.yields_until);
    [retried, named, yielded].into_iter().flatten().filter(|at| *at > now).min()
}

#[cfg(test)]
mod tests;
