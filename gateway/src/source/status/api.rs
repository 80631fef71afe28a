//! The calls that write a status and an event.

use std::collections::BTreeSet;
use std::time::Duration;

use activator::resource::HttpAppStatus;
use kube::Client;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::Request;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::book::{Done, Job, Part, Written};
use super::events::WRITER;
use super::wall::Wall;

/// How long a call may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// Begins the name of the trouble of lacking rights in a namespace.
const FORBIDDEN: &str = "403 ";

/// The field that several gateways write.
const LAST_WAKE: &str = "lastWake";

/// What is absent has to be said, or a merge leaves it there.
const OPTIONAL: [&str; 8] =
    ["observedGeneration", "state", "replicas", "readyReplicas", "inFlight", LAST_WAKE, "lastDecision", "failure"];

/// Makes the calls.
pub(super) struct Api {
    pub(super) client: Client,
    /// The pod that this is.
    pub(super) instance: String,
    /// What is known to go wrong: which kind of call, and how. Told once until it goes well again.
    pub(super) troubles: Mutex<BTreeSet<(Kind, String)>>,
}

/// A kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Status,
    NewEvent,
    EventAgain,
}

// === impl Api ===

impl Api {
    /// Writes what there is to write.
    pub(super) async fn carry_out(&self, job: Job, wall: Wall) -> Done {
        let status = async {
            let told = job.status.as_ref()?;
            Some(self.call(Kind::Status, &job, status_request(&job, &told.status)).await)
        };
        let event = async {
            let telling = job.event.as_ref()?;
            let body = telling.body(&job.app, &job.uid, &self.instance, wall);
            let path = format!("/apis/events.k8s.io/v1/namespaces/{}/events", job.app.namespace);
            Some(match telling.new {
                true => self.call(Kind::NewEvent, &job, new_event_request(&path, &body)).await,
                false => {
                    let request = Request::new(path).patch(&telling.name, &parameters(), &Patch::Merge(&body));
                    self.call(Kind::EventAgain, &job, request).await
                }
            })
        };
        let (status, event) = tokio::join!(status, event);
        Done { job, status, event }
    }

    async fn call(
        &self,
        kind: Kind,
        job: &Job,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Written {
        let Ok(request) = request else { return Written::Refused };
        let answer = tokio::time::timeout(DEADLINE, self.client.request_text(request)).await;
        let (written, why) = match answer {
            Ok(Ok(_)) => {
                self.goes_well(kind, &job.app.namespace);
                return Written::Yes;
            }
            // For the first time: it was deleted meanwhile.
            Ok(Err(kube::Error::Api(no))) if no.code == 404 && !(kind == Kind::Status && job.again) => {
                return Written::Gone;
            }
            Ok(Err(kube::Error::Api(no))) if no.code == 404 => {
                let why = format!(
                    "the API server knows no status of it; see that manifests/crd.yaml is installed, with its status \
                     subresource; it says: {}",
                    no.message
                );
                (Written::Gone, ("404".into(), why))
            }
            Ok(Err(kube::Error::Api(no))) if no.code == 403 && no.message.contains("being terminated") => {
                return Written::Refused;
            }
            Ok(Err(kube::Error::Api(no))) if no.code == 403 => {
                let (verb, resource) = kind.verb_and_resource();
                let namespace = &job.app.namespace;
                let why = format!(
                    "the gateway may not {verb} {resource} in namespace {namespace}; grant it that (RBAC); the API server says: {}",
                    no.message
                );
                (Written::Forbidden, (forbidden_in(namespace), why))
            }
            Ok(Err(kube::Error::Api(no))) => {
                let passing = no.code == 409 || no.code == 429 || no.code >= 500;
                let written = if passing { Written::NotNow } else { Written::Refused };
                (written, (no.code.to_string(), format!("{} {}: {}", no.code, no.reason, no.message)))
            }
            Ok(Err(error)) => (Written::NotNow, ("no answer".into(), error.to_string())),
            Err(_) => (Written::NotNow, ("no answer".into(), format!("no answer within {} s", DEADLINE.as_secs()))),
        };
        self.goes_wrong(kind, job, why);
        written
    }

    fn goes_well(&self, kind: Kind, namespace: &str) {
        // That it goes well here says nothing of rights elsewhere.
        let elsewhere = |trouble: &str| trouble.starts_with(FORBIDDEN) && *trouble != forbidden_in(namespace);
        self.troubles.lock().retain(|(of, trouble)| *of != kind || elsewhere(trouble));
    }

    fn goes_wrong(&self, kind: Kind, job: &Job, (trouble, why): (String, String)) {
        let mut troubles = self.troubles.lock();
        // As many kinds as there are statuses, and for 403 namespaces.
        if troubles.len() < 1000 && troubles.insert((kind, trouble)) {
            tracing::warn!(app = %job.app, what = kind.words(), why, "what is told of apps cannot be written");
        }
    }
}

fn forbidden_in(namespace: &str) -> String {
    format!("{FORBIDDEN}{namespace}")
}

fn parameters() -> PatchParams {
    PatchParams { field_manager: Some(WRITER.into()), ..PatchParams::default() }
}

fn status_request(job: &Job, status: &HttpAppStatus) -> Result<http::Request<Vec<u8>>, kube::core::request::Error> {
    let path = format!("/apis/zerogate.dev/v1alpha1/namespaces/{}/httpapps", job.app.namespace);
    let body = match job.part {
        Part::Whole => json!({ "status": whole(status) }),
        Part::NotWake => {
            let mut whole = whole(status);
            if let Value::Object(fields) = &mut whole {
                fields.remove(LAST_WAKE);
            }
            json!({ "status": whole })
        }
        Part::Wake => json!({ "status": { LAST_WAKE: status.last_wake } }),
    };
    Request::new(path).patch_subresource("status", &job.app.name, &parameters(), &Patch::Merge(body))
}

fn new_event_request(path: &str, body: &Value) -> Result<http::Request<Vec<u8>>, kube::core::request::Error> {
    let body = serde_json::to_vec(body).map_err(kube::core::request::Error::SerializeBody)?;
    let parameters = PostParams { field_manager: Some(WRITER.into()), ..PostParams::default() };
    Request::new(path).create(&parameters, body)
}

/// `status` with all its fields.
fn whole(status: &HttpAppStatus) -> Value {
    let mut whole = serde_json::to_value(status).unwrap_or_default();
    if let Value::Object(fields) = &mut whole {
        for field in OPTIONAL {
            fields.entry(field).or_insert(Value::Null);
        }
    }
    whole
}

// === impl Kind ===

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::NewEvent | Self::EventAgain => "event",
        }
    }

    fn verb_and_resource(self) -> (&'static str, &'static str) {
        match self {
            Self::Status => ("patch", "httpapps.zerogate.dev/status"),
            Self::NewEvent => ("create", "events.events.k8s.io"),
            Self::EventAgain => ("patch", "events.events.k8s.io"),
        }
    }
}
