//! Does at the API server what the election says, and follows the Lease.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use activator::fleet::Lead;
use activator::platform::kubernetes::watch::{Change, Selection, watch};
use activator::{Clock, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff;
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt};
use tokio::time::{sleep_until, timeout};

use super::{DURATION, Election, LEADS, Next, Outcome, Part, Record, Write};

/// How long a call may take.
const CALL: Duration = Duration::from_secs(2);

/// The way to the Lease.
pub(in super::super) struct Holder {
    api: Api<Lease>,
    name: String,
    /// Which run of which gateway this is.
    me: Arc<str>,
    clock: Clock,
    /// When this gateway became the holder, by the time of day.
    acquired: Option<jiff::Timestamp>,
    /// That the Lease cannot be written was logged.
    logged: bool,
}

// === impl Holder ===

impl Holder {
    /// For the run `me` of a gateway, by the Lease `namespace/name`.
    pub(in super::super) fn new(client: Client, namespace: &str, name: &str, me: Arc<str>, clock: Clock) -> Self {
        let api = Api::namespaced(client, namespace);
        Self { api, name: name.to_owned(), me, clock, acquired: None, logged: false }
    }

    /// Takes part from when `ready` resolves until `leaving` does, and tells each time who leads. Never returns.
    pub(in super::super) async fn run(
        mut self,
        ready: impl Future<Output = ()>,
        leaving: impl Future<Output = ()>,
        tell: impl Fn(Lead),
    ) {
        let (mut ready, mut leaving) = (pin!(ready), pin!(leaving));
        let mut election = Election::new(self.me.clone());
        let selection = Selection { fields: Some(format!("metadata.name={}", self.name)), ..Selection::default() };
        let mut watched = watch(self.api.clone(), selection, self.clock.clone(), record);
        let mut part = Part::Waits;
        loop {
            let now = self.clock.now();
            tell(election.lead(now));
            let wait = match election.next(now) {
                Next::Wait(at) => at,
                Next::Write(write) => {
                    let outcome = self.carry_out(write).await;
                    election.done(now, outcome, self.clock.now());
                    continue;
                }
            };
            let due = async {
                match wait {
                    Some(at) => sleep_until(self.clock.instant(at)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(change) = watched.changes.recv() => take(&mut election, change, self.clock.now()),
                () = due => {}
                () = &mut leaving, if part != Part::Leaves => {
                    part = Part::Leaves;
                    election.play(part);
                }
                () = &mut ready, if part == Part::Waits => {
                    part = Part::Stands;
                    election.play(part);
                }
            }
        }
    }

    async fn carry_out(&mut self, write: Write) -> Outcome {
        let parameters = PostParams::default();
        let call = async {
            match &write {
                Write::Make { term } => {
                    let lease = self.lease(None, Some(&self.me), *term);
                    self.api.create(&parameters, &lease).await
                }
                Write::Hold { version, term, .. } => {
                    let lease = self.lease(Some(version), Some(&self.me), *term);
                    self.api.replace(&self.name, &parameters, &lease).await
                }
                Write::Release { version, term } => {
                    let lease = self.lease(Some(version), None, *term);
                    self.api.replace(&self.name, &parameters, &lease).await
                }
            }
        };
        let answer = timeout(CALL, call).await;
        let outcome = match answer {
            Ok(Ok(lease)) => Outcome::Done(record(lease)),
            // Somebody else was faster, or an earlier write of ours has had its effect after all; or it is gone.
            Ok(Err(kube::Error::Api(no))) if [404, 409].contains(&no.code) => match self.read().await {
                Ok(lease) => Outcome::Other(lease.map(record)),
                Err(why) => self.failed(&write, &why),
            },
            Ok(Err(why)) => self.failed(&write, &why),
            Err(_) => {
                tracing::debug!("no answer about the Lease within {} s", CALL.as_secs());
                Outcome::NotNow
            }
        };
        if let Outcome::Done(_) = outcome {
            if std::mem::take(&mut self.logged) {
                tracing::info!("the Lease is written again");
            }
            self.acquired = match write {
                Write::Make { .. } | Write::Hold { new: true, .. } => Some(jiff::Timestamp::now()),
                Write::Release { .. } => None,
                Write::Hold { new: false, .. } => self.acquired,
            };
        }
        outcome
    }

    async fn read(&self) -> kube::Result<Option<Lease>> {
        match timeout(CALL, self.api.get_opt(&self.name)).await {
            Ok(answer) => answer,
            Err(late) => Err(kube::Error::Service(Box::new(late))),
        }
    }

    fn failed(&mut self, write: &Write, why: &kube::Error) -> Outcome {
        let refused = matches!(why, kube::Error::Api(no) if no.code < 500 && no.code != 429);
        if !std::mem::replace(&mut self.logged, true) {
            let next = match refused {
                true => "see that its Role is installed, manifests/gateway/fleet.yaml has it",
                false => "it is tried again",
            };
            tracing::warn!(lease = %self.name, ?write, "the Lease by which one gateway leads cannot be written: {why}; {next}");
        }
        if refused { Outcome::Refused } else { Outcome::NotNow }
    }

    fn lease(&self, version: Option<&str>, holder: Option<&str>, term: u64) -> Lease {
        let now = jiff::Timestamp::now();
        let labels = [("app.kubernetes.io/name".to_owned(), "zerogate".to_owned())];
        Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                labels: Some(labels.into()),
                resource_version: version.map(str::to_owned),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                // Empty is how it is given back.
                holder_identity: Some(holder.unwrap_or_default().to_owned()),
                lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
                acquire_time: Some(MicroTime(self.acquired.unwrap_or(now))),
                renew_time: Some(MicroTime(now)),
                lease_transitions: Some(i32::try_from(term).unwrap_or(i32::MAX)),
                ..LeaseSpec::default()
            }),
        }
    }
}

fn take(election: &mut Election, change: Change<Record>, now: Timestamp) {
    match change {
        Change::Applied(record) => election.see(Some(record), now),
        Change::Deleted(_) => election.see(None, now),
        // There is one of this name at most.
        Change::Restarted(all) => election.see(all.into_iter().next(), now),
        Change::SetBack => election.forget(),
    }
}

fn record(lease: Lease) -> Record {
    let version = lease.resource_version().unwrap_or_default();
    let spec = lease.spec.unwrap_or_default();
    let term = spec.lease_transitions.and_then(|term| u64::try_from(term).ok()).unwrap_or_default();
    Record { holder: spec.holder_identity.filter(|holder| !holder.is_empty()).map(Into::into), term, version }
}

// It is given up before another can be asked.
const _: () = assert!(CALL.as_millis() < LEADS.as_millis());
