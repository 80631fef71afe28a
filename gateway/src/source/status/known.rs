//! What is known of an app at one moment, as a value.

use activator::app::{AppState, Failure, OtherWriter};
use activator::platform::NotAccepted;
use activator::platform::kubernetes::{Findings, Found};
use activator::settings::{ScaledBy, Target};
use activator::wake::Wake;
use activator::{App, Timestamp};

/// What is known of an app at one moment.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) state: AppState,
    /// What its target asks for, as far as that is known.
    pub(super) replicas: Option<u32>,
    pub(super) ready: u32,
    pub(super) in_flight: u32,
    pub(super) wake: Option<Woken>,
    pub(super) decision: Option<Decided>,
    pub(super) failure: Option<Failure>,
    pub(super) refused: Option<NotAccepted>,
    pub(super) other_writer: Option<OtherWriter>,
    pub(super) by: ScaledBy,
    /// As in `Deployment default/hello`.
    pub(super) target: String,
    /// As in `default/hello`.
    pub(super) service: String,
    pub(super) findings: Findings,
}

/// Its last wake.
#[derive(Debug, Clone)]
pub(super) struct Woken {
    pub(super) wake: Wake,
    /// What it was for, in words, if that is known.
    pub(super) why: Option<String>,
}

/// Its last decision.
#[derive(Debug, Clone)]
pub(super) struct Decided {
    pub(super) at: Timestamp,
    pub(super) replicas: u32,
    pub(super) reason: String,
}

// === impl Known ===

impl Known {
    /// `app` as it is at `now`.
    pub(super) fn of(app: &App, findings: Findings, now: Timestamp) -> Self {
        let decisions = app.decisions();
        let wake = app.wake().map(|wake| {
            let is_its = |at: Timestamp, label: &str| label == "wake" && at >= wake.asked;
            let why = decisions.iter().rev().find(|it| is_its(it.at, it.decision.reason.label()));
            Woken { wake, why: why.map(|it| it.decision.reason.to_string()) }
        });
        let settings = app.settings();
        let (target, service) = match &settings.target {
            Target::Scale(it) => {
                (format!("{} {}/{}", it.kind, it.namespace, it.name), format!("{}/{}", it.namespace, it.service))
            }
            Target::Process(_) => (app.id().to_string(), app.id().to_string()),
        };
        Self {
            state: app.state(now),
            replicas: app.spec_replicas(),
            ready: u32::try_from(app.endpoints().len()).unwrap_or(u32::MAX),
            in_flight: app.in_flight_everywhere(now),
            wake,
            decision: decisions.last().map(|last| Decided {
                at: last.at,
                replicas: last.decision.replicas,
                reason: last.decision.reason.to_string(),
            }),
            failure: app.failure(),
            refused: app.refused_order(),
            other_writer: app.other_writer(),
            by: settings.scaling.by,
            target,
            service,
            findings,
        }
    }

    /// Whether there is nothing to tell of it yet.
    pub(super) fn is_unknown(&self) -> bool {
        let unknown = [&self.findings.target, &self.findings.service].contains(&&Found::Unknown);
        (unknown || self.replicas.is_none()) && self.failure.is_none() && self.ready == 0
    }

    /// Whether there is anything that may be worth an event, now or later.
    pub(super) fn is_eventful(&self) -> bool {
        self.state != AppState::Asleep || self.wake.is_some() || self.failure.is_some() || self.other_writer.is_some()
    }

    /// The last failed start, as long as it tells what the next one would meet: not if what was missing has been found since.
    pub(super) fn standing_failure(&self) -> Option<&Failure> {
        use activator::failure::FailureCause::{ServiceMissing, ServiceUnusable, TargetMissing, TargetUnusable};
        let failure = self.failure.as_ref()?;
        let found = self.findings.target == Found::Yes && self.findings.service == Found::Yes;
        let was_missing = matches!(
            failure.failure.cause,
            TargetMissing { .. } | TargetUnusable { .. } | ServiceMissing { .. } | ServiceUnusable { .. }
        );
        (!(found && was_missing && self.state == AppState::Asleep)).then_some(failure)
    }
}
