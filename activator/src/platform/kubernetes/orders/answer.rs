//! What was asked of the API server, and what its answers mean.

use std::error::Error;
use std::time::Duration;

use http::header::{HeaderMap, RETRY_AFTER};
use http::{StatusCode, Uri};
use kube::core::Status;
use serde::Deserialize;

use crate::failure::FailureCause;
use crate::platform::contract::{Accepted, NotAccepted};
use crate::platform::kubernetes::client::Failed;
use crate::settings::ScaleTarget;

/// Most characters of a message that are passed on.
const LONGEST_WORDS: usize = 300;
/// Nothing is put off for longer because the server says so.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// One call, in words and as a path.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) path: String,
    /// As in `Deployment default/hello`.
    target: String,
    /// As in `deployments.apps/scale`.
    resource: String,
    namespace: String,
}

#[derive(Deserialize)]
struct Answer {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
}

#[derive(Deserialize, Default)]
struct Spec {
    #[serde(default)]
    replicas: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    resource_version: String,
}

/// As of when an order was accepted, by the object in `answer`.
pub(super) fn accepted(answer: &[u8]) -> Result<Accepted, NotAccepted> {
    scale(answer).map(|(_, version)| Accepted { version })
}

/// How many replicas the `/scale` in `answer` asks for, and as of when.
pub(super) fn scale(answer: &[u8]) -> Result<(u32, u64), NotAccepted> {
    let answer = serde_json::from_slice::<Answer>(answer).map_err(|why| broken(&why))?;
    let version = answer.metadata.resource_version.parse().map_err(|why| broken(&why))?;
    Ok((answer.spec.replicas, version))
}

/// Whether what an order was bound to has changed.
pub(super) fn is_conflict(refused: &NotAccepted) -> bool {
    matches!(&refused.cause, FailureCause::ApiServer { why } if why.starts_with("409"))
}

/// An answer that says yes, but cannot be read: the order may well have had its effect.
pub(super) fn broken(why: &dyn Error) -> NotAccepted {
    let cause = FailureCause::ApiServer { why: clean(&format!("its answer cannot be read: {why}")) };
    NotAccepted { cause, in_doubt: true, passing: true, retry_after: None }
}

/// No answer within `after`; `sent` if something was on its way.
pub(super) fn too_late(after: Duration, sent: bool) -> NotAccepted {
    NotAccepted { cause: FailureCause::NoAnswer { after }, in_doubt: sent, passing: true, retry_after: None }
}

/// We have sent so much that this would have to wait for too long.
pub(super) fn too_many(wait: Duration) -> NotAccepted {
    let cause = FailureCause::ApiServer { why: "the gateway has too many orders for it at the moment".into() };
    NotAccepted { cause, in_doubt: false, passing: true, retry_after: Some(wait) }
}

/// The call failed without an answer.
pub(super) fn unanswered(error: &kube::Error) -> NotAccepted {
    let Failed { unsent, why } = Failed::by(error);
    let cause = FailureCause::ApiServer { why: clean(&why) };
    NotAccepted { cause, in_doubt: !unsent, passing: true, retry_after: None }
}

/// What is wrong with `target`, whatever is asked of it.
pub(super) fn unusable(target: &ScaleTarget, why: String) -> NotAccepted {
    unusable_named(format!("{} {}/{}", target.kind, target.namespace, target.name), why)
}

/// `path` as it stands, if each of its segments is what a name can be: it goes into the path of a call.
pub(super) fn segments<'a>(target: &ScaleTarget, path: &'a str) -> Result<&'a str, NotAccepted> {
    let odd = path.split('/').find(|segment| !is_name(segment));
    odd.map_or(Ok(path), |odd| Err(unusable(target, format!("`{}` is not a name", clean(odd)))))
}

// === impl Asked ===

impl Asked {
    /// To change the `/scale` of `target`, whose kind is `plural` in paths.
    pub(super) fn to_scale(target: &ScaleTarget, plural: &str) -> Result<Self, NotAccepted> {
        let ScaleTarget { namespace, api_version, kind, name, .. } = target;
        for name in [namespace, name, plural] {
            if !is_name(name) {
                return Err(unusable(target, format!("`{}` is not a name", clean(name))));
            }
        }
        let (root, resource) = match segments(target, api_version)?.split_once('/') {
            Some((group, _)) => ("apis", format!("{plural}.{group}/scale")),
            None => ("api", format!("{plural}/scale")),
        };
        Ok(Self {
            path: format!("/{root}/{api_version}/namespaces/{namespace}/{plural}/{name}/scale"),
            target: format!("{kind} {namespace}/{name}"),
            resource,
            namespace: namespace.to_string(),
        })
    }

    /// To change the annotations of a pod.
    pub(super) fn to_annotate(namespace: &str, pod: &str) -> Result<Self, NotAccepted> {
        let target = format!("Pod {namespace}/{pod}");
        if !is_name(namespace) || !is_name(pod) {
            return Err(unusable_named(clean(&target), "that is not a name".into()));
        }
        Ok(Self {
            path: format!("/api/v1/namespaces/{namespace}/pods/{pod}"),
            target,
            resource: "pods".into(),
            namespace: namespace.into(),
        })
    }

    /// The target cannot be asked that.
    pub(super) fn unusable(&self, why: String) -> NotAccepted {
        unusable_named(self.target.clone(), why)
    }

    /// The meaning of an answer with a status that is no success.
    pub(super) fn refused(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> NotAccepted {
        let told = serde_json::from_slice::<Status>(body).unwrap_or_default();
        let says = |told: &Status| match &*told.message {
            "" => status.to_string(),
            message => clean(message),
        };
        let cause = match status.as_u16() {
            404 => FailureCause::TargetMissing { target: self.target.clone() },
            // An admission webhook or a quota says 403 as well, in other words.
            403 if told.message.is_empty() || told.message.contains("cannot patch resource") => {
                FailureCause::Forbidden {
                    verb: "patch".into(),
                    resource: self.resource.clone(),
                    namespace: self.namespace.clone(),
                }
            }
            400 | 403 | 405 | 415 | 422 => {
                FailureCause::TargetUnusable { target: self.target.clone(), why: says(&told) }
            }
            _ if told.reason.is_empty() => FailureCause::ApiServer { why: status.to_string() },
            code => FailureCause::ApiServer { why: format!("{code} {}", clean(&told.reason)) },
        };
        NotAccepted {
            passing: matches!(cause, FailureCause::ApiServer { .. }),
            // 503 is said before anything is done.
            in_doubt: status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE,
            retry_after: retry_after(headers, &told),
            cause,
        }
    }
}

fn unusable_named(target: String, why: String) -> NotAccepted {
    let cause = FailureCause::TargetUnusable { target, why };
    NotAccepted { cause, in_doubt: false, passing: false, retry_after: None }
}

fn retry_after(headers: &HeaderMap, told: &Status) -> Option<Duration> {
    let header = headers.get(RETRY_AFTER).and_then(|after| after.to_str().ok()?.trim().parse().ok());
    let details = told.details.as_ref().map(|details| u64::from(details.retry_after_seconds)).filter(|s| *s > 0);
    Some(Duration::from_secs(header.or(details)?).min(LONGEST_PAUSE))
}

/// Whether it can stand between two slashes of a path as it is.
fn is_name(name: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_' | b':');
    !matches!(name, "" | "." | "..") && name.bytes().all(plain) && name.parse::<Uri>().is_ok()
}

/// Without control characters, and bounded.
fn clean(words: &str) -> String {
    words.chars().take(LONGEST_WORDS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
