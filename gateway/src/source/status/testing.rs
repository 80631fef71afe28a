//! What the tests of several modules here need.

use std::sync::Arc;
use std::time::Duration;

use activator::app::{AppState, Failure, OtherWriter};
use activator::failure::{FailureCause, StartFailure};
use activator::platform::kubernetes::{Findings, Found};
use activator::settings::ScaledBy;
use activator::wake::Wake;
use activator::{AppId, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff;

use super::known::{Decided, Known, Woken};
use super::wall::Wall;
use super::{Accepted, Declaration};

/// So many seconds after the clock was made.
pub(super) fn secs(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

/// The clock was made at midnight.
pub(super) fn wall(seconds: u64) -> Wall {
    at(secs(seconds))
}

pub(super) fn at(now: Timestamp) -> Wall {
    let midnight: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
    Wall { now, time: midnight + now.since(Timestamp::ZERO) }
}

pub(super) fn id(name: &str) -> AppId {
    AppId::new("default", name)
}

pub(super) fn declared(accepted: Accepted) -> Declaration {
    Declaration { uid: "u1".into(), generation: Some(3), accepted, certificate: None, authority: None, written: None }
}

/// Asleep, and all there.
pub(super) fn asleep() -> Known {
    Known {
        state: AppState::Asleep,
        replicas: Some(0),
        ready: 0,
        in_flight: 0,
        wake: None,
        decision: None,
        failure: None,
        refused: None,
        other_writer: None,
        by: ScaledBy::Zerogate,
        target: "Deployment default/hello".into(),
        service: "default/hello".into(),
        findings: Findings { target: Found::Yes, service: Found::Yes, ..Findings::default() },
    }
}

pub(super) fn awake(replicas: u32) -> Known {
    Known { state: AppState::Awake, replicas: Some(replicas), ready: replicas, in_flight: 1, ..asleep() }
}

pub(super) fn waking() -> Known {
    Known { state: AppState::Waking, replicas: Some(1), in_flight: 1, ..asleep() }
}

pub(super) fn failing(cause: FailureCause, since: Timestamp) -> Known {
    let failure = Arc::new(StartFailure { cause, output: Vec::new(), retry_after: Duration::from_secs(10) });
    let failure = Some(Failure { failure, at: since });
    Known { state: AppState::Failing, replicas: Some(1), failure, ..asleep() }
}

pub(super) fn missing() -> FailureCause {
    FailureCause::TargetMissing { target: "Deployment default/hello".into() }
}

pub(super) fn crash() -> FailureCause {
    FailureCause::CrashLoop { container: "app".into(), how: "exit code 3".into() }
}

pub(super) fn decided(at: Timestamp, replicas: u32, reason: &str) -> Option<Decided> {
    Some(Decided { at, replicas, reason: reason.into() })
}

/// A wake from `asked` to `ready`.
pub(super) fn woken(asked: Timestamp, ready: Option<Timestamp>) -> Option<Woken> {
    Some(Woken { wake: Wake { ready, ..Wake::new(asked, 1) }, why: Some("wake: 2 held, wants 1".into()) })
}

pub(super) fn written_by(name: Option<&str>, replicas: u32, at: Timestamp, yields_until: Timestamp) -> OtherWriter {
    OtherWriter { name: name.map(Into::into), replicas, at, over_ours: yields_until > at, yields_until }
}

/// Each condition in one line.
pub(super) fn lines(conditions: &[Condition]) -> Vec<String> {
    let line = |it: &Condition| format!("{} {} {}: {}", it.type_, it.status, it.reason, it.message);
    conditions.iter().map(line).collect()
}
