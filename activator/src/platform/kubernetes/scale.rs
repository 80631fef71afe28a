//! Reads how many replicas a target asks for, where it does not show that itself: its `/scale` does.

use std::time::Duration;

use kube::api::{Api, DynamicObject};
use kube::{Client, Error};

use super::client::Failed;
use super::state::View;
use super::state::object::Kind;
use super::watches::find;
use crate::clock::Timestamp;
use crate::failure::FailureCause;
use crate::settings::ScaleTarget;

/// How long it may take.
const READ: Duration = Duration::from_secs(5);
/// How long until it is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// Most characters of a message that are passed on.
const LONGEST_WORDS: usize = 300;

/// A `/scale` that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unread {
    pub(super) cause: FailureCause,
    /// Nobody has said anything about the target itself: those who wait for it go on waiting.
    passing: bool,
}

/// How it stands with the reading of one target's `/scale`.
#[derive(Debug, Default)]
pub(super) struct Reading {
    under_way: bool,
    /// What the last try met, and when there is to be another.
    failed: Option<(Unread, Timestamp)>,
}

/// How many replicas the `/scale` of `target` asks for, and as of when.
///
/// # Errors
/// It could not be read within 5 s, and why.
pub(super) async fn read(client: Client, target: &ScaleTarget) -> Result<(u32, u64), Unread> {
    let late = |_| Err(Unread { cause: FailureCause::NoAnswer { after: READ }, passing: true });
    tokio::time::timeout(READ, ask(client, target)).await.unwrap_or_else(late)
}

async fn ask(client: Client, target: &ScaleTarget) -> Result<(u32, u64), Unread> {
    let found = find(&client, &Kind::of(target)).await;
    let found = found.map_err(|why| Unread::by(why, target, format!("the kinds of {}", target.api_version)))?;
    let resource =
        found.ok_or_else(|| Unread::unusable(target, "the API server does not know this kind".to_owned()))?;
    let group = if resource.group.is_empty() { String::new() } else { format!(".{}", resource.group) };
    let called = format!("{}{group}/scale", resource.plural);
    let api: Api<DynamicObject> = Api::namespaced_with(client, &target.namespace, &resource);
    let scale = api.get_scale(&target.name).await.map_err(|why| Unread::by(why, target, called))?;
    let replicas = scale.spec.and_then(|spec| spec.replicas).unwrap_or_default();
    let version = scale.metadata.resource_version.and_then(|version| version.parse().ok());
    let no_version = || Unread::unusable(target, "its /scale has no resource version".to_owned());
    Ok((u32::try_from(replicas).unwrap_or_default(), version.ok_or_else(no_version)?))
}

// === impl Unread ===

impl Unread {
    /// What an error means that came when `resource` was to be read.
    fn by(error: Error, target: &ScaleTarget, resource: String) -> Self {
        let Error::Api(status) = &error else {
            return Self { cause: FailureCause::ApiServer { why: Failed::by(&error).why }, passing: true };
        };
        let says = |words: &str| status.message.contains(words);
        match status.code {
            403 => {
                let (verb, namespace) = ("get".to_owned(), target.namespace.to_string());
                Self { cause: FailureCause::Forbidden { verb, resource, namespace }, passing: false }
            }
            404 if says("could not find the requested resource") => {
                Self::unusable(target, format!("the kind {} has no /scale", target.kind))
            }
            404 => Self { cause: FailureCause::TargetMissing { target: named(target) }, passing: false },
            // So it says if the object lacks what its kind says is its number of replicas.
            500 if says("replicas field") && says("does not exist") => {
                let message = status.message.trim_start_matches("Internal error occurred: ");
                let message: String = message.chars().filter(|c| !c.is_control()).take(LONGEST_WORDS).collect();
                Self::unusable(target, format!("{message}; write a number there"))
            }
            code => {
                let why = format!("{code} {} when {resource} was to be read", status.reason);
                Self { cause: FailureCause::ApiServer { why }, passing: matches!(code, 429 | 503 | 504) }
            }
        }
    }

    fn unusable(target: &ScaleTarget, why: String) -> Self {
        Self { cause: FailureCause::TargetUnusable { target: named(target), why }, passing: false }
    }
}

fn named(target: &ScaleTarget) -> String {
    format!("{} {}/{}", target.kind, target.namespace, target.name)
}

// === impl Reading ===

impl Reading {
    /// Whether it is to be read from now on; the caller does, and tells when that is [`Reading::done`].
    pub(super) fn begin(&mut self, now: Timestamp) -> bool {
        let begins = !self.under_way && self.again().is_none_or(|at| at <= now);
        self.under_way |= begins;
        begins
    }

    /// It was read, or not.
    pub(super) fn done(&mut self, unread: Option<Unread>, now: Timestamp) {
        self.under_way = false;
        if let Some(unread) = &unread
            && self.failed.as_ref().is_none_or(|(before, _)| before != unread)
        {
            tracing::warn!("the /scale of a target cannot be read, trying again: {}", unread.cause);
        }
        self.failed = unread.map(|unread| (unread, now + AGAIN));
    }

    /// When it is to be tried again, if it could not be read.
    pub(super) fn again(&self) -> Option<Timestamp> {
        self.failed.as_ref().filter(|_| !self.under_way).map(|(_, again)| *again)
    }

    /// What failed was about another target, or is of no interest any more.
    pub(super) fn forget(&mut self) {
        self.failed = None;
    }

    /// Has `view` say why nothing is known of the target, if nothing is and there is more to it than that it takes a while.
    pub(super) fn explain(&self, view: &mut View) {
        if view.spec.is_none()
            && view.failure.is_none()
            && let Some((Unread { cause, passing: false }, _)) = &self.failed
        {
            view.failure = Some(cause.clone());
            view.hopeless = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unread(passing: bool) -> Unread {
        Unread { cause: FailureCause::ApiServer { why: "500".to_owned() }, passing }
    }

    #[test]
    fn one_is_tried_at_a_time_and_again_after_a_pause() {
        let mut reading = Reading::default();
        let at = Timestamp::from_millis;
        assert!(reading.begin(at(0)));
        assert!(!reading.begin(at(1)));
        reading.done(Some(unread(false)), at(10));
        assert_eq!((reading.begin(at(5_009)), reading.again()), (false, Some(at(5_010))));
        assert!(reading.begin(at(5_010)));
        assert_eq!(reading.again(), None, "that is being done");
        reading.done(None, at(5_020));
        assert!(reading.begin(at(5_020)), "it has changed once more");
    }

    #[test]
    fn what_was_met_is_told_where_nothing_is_known_until_it_can_be_read() {
        let mut reading = Reading::default();
        let told = |reading: &Reading, mut view: View| {
            reading.explain(&mut view);
            view.hopeless
        };
        reading.done(Some(unread(true)), Timestamp::ZERO);
        assert!(!told(&reading, View::default()), "it may pass");
        reading.done(Some(unread(false)), Timestamp::ZERO);
        assert!(told(&reading, View::default()));
        let spec = Some(crate::platform::contract::SpecReplicas { replicas: 1, version: 1, writer: None });
        assert!(!told(&reading, View { spec, ..View::default() }), "as it was read before");
        assert!(reading.begin(Timestamp::from_millis(5_000)));
        assert!(told(&reading, View::default()), "while it is tried once more");
        reading.done(None, Timestamp::from_millis(5_000));
        assert!(!told(&reading, View::default()));
    }
}
