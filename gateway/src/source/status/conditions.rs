//! The conditions of an app, each with its reason in a word and in a sentence.

use std::time::Duration;

use activator::Timestamp;
use activator::app::{AppState, OtherWriter};
use activator::platform::FailureCause;
use activator::platform::kubernetes::{Early, Found};
use activator::resource::{ACCEPTED, AUTHORITY_READY, CERTIFICATE_READY, READY, TARGET_FOUND};
use activator::settings::ScaledBy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::before::Since;
use super::known::Known;
use super::wall::Wall;
use super::{Accepted, Certified, Declaration, words};
use crate::tls::authorities::Standing;

/// How long another writer is named after it has written.
pub(super) const NAMED_FOR: Duration = Duration::from_secs(600);
/// Most bytes of a message.
const LONGEST: usize = 2048;
/// Most problems and routes that are told.
const MOST_LISTED: usize = 10;

/// What a condition says.
struct Verdict {
    status: &'static str,
    reason: String,
    message: String,
}

/// All conditions. One whose status is that of `before` has been so since then.
pub(super) fn conditions(
    known: Option<&Known>,
    declaration: &Declaration,
    before: &Since,
    wall: Wall,
) -> Vec<Condition> {
    let all = [
        Some((ACCEPTED, accepted(&declaration.accepted))),
        Some((TARGET_FOUND, target_found(known, declaration))),
        Some((READY, ready(known, declaration, wall.now))),
        declaration.certificate.as_ref().map(|it| (CERTIFICATE_READY, certificate(it))),
        declaration.authority.as_ref().map(|it| (AUTHORITY_READY, authority(it))),
    ];
    let condition = |(kind, verdict): (&str, Verdict)| {
        let since = before.get(kind, verdict.status);
        Condition {
            type_: kind.to_owned(),
            status: verdict.status.to_owned(),
            reason: verdict.reason,
            message: words::bounded(&verdict.message, LONGEST),
            observed_generation: declaration.generation,
            last_transition_time: since.unwrap_or_else(|| wall.at(wall.now)),
        }
    };
    all.into_iter().flatten().map(condition).collect()
}

fn accepted(accepted: &Accepted) -> Verdict {
    match accepted {
        Accepted::InForce => Verdict::yes("InForce", "the settings are in force"),
        Accepted::InPart { taken } => Verdict::yes(
            "RoutesTakenInPart",
            format!("the settings are in force, but for some routes: {}", words::listed(taken, MOST_LISTED)),
        ),
        Accepted::RoutesTaken { taken } => Verdict::no("RoutesTaken", words::listed(taken, MOST_LISTED)),
        Accepted::TargetTaken { taken } => Verdict::no("TargetTaken", taken.as_str()),
        Accepted::Refused { problems, last_good } => {
            let then = if *last_good { "; the last settings that were right stay in force" } else { "" };
            Verdict::no("Invalid", format!("{}{then}", words::listed(problems, MOST_LISTED)))
        }
    }
}

fn certificate(certified: &Certified) -> Verdict {
    match certified {
        Certified::InUse { until } => {
            Verdict::yes("InUse", format!("the certificate is in use and valid until {until}"))
        }
        Certified::NotUsable { why, until: None } => Verdict::no("NotUsable", why.as_str()),
        Certified::NotUsable { why, until: Some(until) } => {
            Verdict::no("NotUsable", format!("{why}; in use is one that is valid until {until}"))
        }
    }
}

fn authority(Standing { problem, is_usable }: &Standing) -> Verdict {
    match (problem, is_usable) {
        (None, _) => Verdict::yes("InUse", "the app is known by the certificates that target.tls names"),
        (Some(why), false) => Verdict::no("NotUsable", why.as_str()),
        (Some(why), true) => Verdict::no("NotUsable", format!("{why}; in use is what was there before")),
    }
}

fn target_found(known: Option<&Known>, declaration: &Declaration) -> Verdict {
    let Some(known) = known else { return unseen(declaration) };
    if let Some(cause) = [&known.findings.target, &known.findings.service].into_iter().find_map(cause) {
        return Verdict::no(words::reason(cause.label()), cause.to_string());
    }
    let Known { target, service, findings, .. } = known;
    if [&findings.target, &findings.service].contains(&&Found::Unknown) {
        return match &known.failure {
            Some(it) => Verdict::unknown(words::reason(it.failure.cause.label()), it.failure.cause.to_string()),
            None => Verdict::unknown("NotSeenYet", format!("{target} and Service {service} are still looked for")),
        };
    }
    let early = match findings.early {
        off @ Early::Off(_) => format!("; {off}"),
        Early::On | Early::Unknown => String::new(),
    };
    Verdict::yes("Found", format!("{target} and Service {service} are there{early}"))
}

fn ready(known: Option<&Known>, declaration: &Declaration, now: Timestamp) -> Verdict {
    match declaration.accepted {
        Accepted::RoutesTaken { .. } => {
            let why = "other apps have all its routes, so that no request comes here, and nothing scales it: pods that run stay";
            return Verdict::no("RoutesTaken", why);
        }
        Accepted::TargetTaken { .. } => return Verdict::no("TargetTaken", "another app has its target"),
        _ => {}
    }
    let Some(known) = known else {
        return match &declaration.accepted {
            Accepted::Refused { .. } => Verdict::no("NotAccepted", "the settings are not accepted"),
            _ => unseen(declaration),
        };
    };
    let missing = [&known.findings.target, &known.findings.service].into_iter().find_map(cause);
    let verdict = match known.state {
        AppState::Awake => Verdict::yes("Awake", "replicas take requests"),
        _ if let Some(it) = known.standing_failure() => {
            let words = format!("{}{}", it.failure, output(&it.failure.output));
            Verdict::no(words::reason(it.failure.cause.label()), words)
        }
        _ if let Some(cause) = missing => Verdict::no(words::reason(cause.label()), cause.to_string()),
        AppState::Waking => Verdict::yes("Waking", format!("replicas are on their way{}", not_ordered(known))),
        AppState::Asleep if known.replicas.is_none() => {
            Verdict::unknown("NotSeenYet", "it is not known yet how many replicas there are")
        }
        AppState::Asleep => Verdict::yes("Asleep", "no replica runs; a request wakes it"),
        AppState::Failing => Verdict::no("Failing", "the last start failed"),
    };
    Verdict { message: format!("{}{}", verdict.message, other_writer(known, now)), ..verdict }
}

fn cause(found: &Found) -> Option<&FailureCause> {
    match found {
        Found::No(cause) => Some(cause),
        Found::Unknown | Found::Yes => None,
    }
}

fn unseen(declaration: &Declaration) -> Verdict {
    match declaration.accepted {
        Accepted::Refused { .. } => {
            Verdict::unknown("NotAccepted", "nothing is looked for before the settings are accepted")
        }
        Accepted::RoutesTaken { .. } => {
            Verdict::unknown("RoutesTaken", "nothing is looked for as long as other apps have all its routes")
        }
        Accepted::TargetTaken { .. } => {
            Verdict::unknown("TargetTaken", "nothing is looked for as long as another app has its target")
        }
        _ => Verdict::unknown("NotSeenYet", "nothing is known of it yet"),
    }
}

/// Why the last order was not accepted, if it was not.
fn not_ordered(known: &Known) -> String {
    known.refused.as_ref().map(|it| format!("; the last scale call failed: {}", it.cause)).unwrap_or_default()
}

fn other_writer(known: &Known, now: Timestamp) -> String {
    match &known.other_writer {
        Some(it) if now < it.at + NAMED_FOR => format!("; {}", words_of_writer(it, known.by, now)),
        _ => String::new(),
    }
}

/// Who else has written what, and what follows from that.
pub(super) fn words_of_writer(writer: &OtherWriter, by: ScaledBy, now: Timestamp) -> String {
    let who =
        writer.name.as_ref().map_or_else(|| "another writer".to_owned(), |name| format!("another writer, `{name}`,"));
    // Whoever is meant to scale it is never written over.
    let yields = by == ScaledBy::Zerogate && now < writer.yields_until;
    let then = if yields { ", again and again; what it writes stands for now" } else { "" };
    let s = if writer.replicas == 1 { "" } else { "s" };
    format!("{who} has set {} replica{s}{then}", writer.replicas)
}

/// What an app printed last.
pub(super) fn output(lines: &[String]) -> String {
    if lines.is_empty() { String::new() } else { format!("; it printed last: {}", lines.join(" | ")) }
}

// === impl Verdict ===

impl Verdict {
    fn yes(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status: "True", reason: reason.into(), message: message.into() }
    }

    fn no(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status: "False", reason: reason.into(), message: message.into() }
    }

    fn unknown(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status: "Unknown", reason: reason.into(), message: message.into() }
    }
}

#[cfg(test)]
mod tests;
