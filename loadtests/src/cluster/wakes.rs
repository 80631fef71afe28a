//! One wake, with the time of each of its steps.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::Cluster;
use super::app::Namespace;
use super::audit::Audit;
use super::seen::{Pods, Seen, Step};
use crate::Result;
use crate::clock::{Moment, Wall};
use crate::http::{Answer, Connection, get};

/// How long nothing is done before a wake: an app that sleeps has done so for a while, and a node is not done with a pod when
/// the pod is gone.
const CALM: Duration = Duration::from_secs(1);
/// How long a wake may take.
pub const LONGEST: Duration = Duration::from_secs(60);

/// Milliseconds after the request, or after the order where there is no gateway.
#[derive(Debug, Clone, Serialize)]
pub struct Wake {
    /// When that was; the gateway's log at `trace` has the steps in between.
    pub sent: Wall,
    /// The API server had the PATCH.
    pub patch: f64,
    /// A pod had a node.
    pub scheduled: f64,
    /// It had an IP.
    pub ip: f64,
    /// The app listened, by its own word.
    pub listening: f64,
    /// The kubelet called the pod ready.
    pub ready: f64,
    /// It did so in the very update that told the IP: nobody who goes by the API can have been there before.
    pub ip_with_ready: bool,
    /// An EndpointSlice had it as ready.
    pub endpoint: f64,
    /// The first byte of the answer was there.
    pub first_byte: f64,
}

/// Waits until nothing is left of an app, and forgets what was seen of it.
async fn rest(seen: &Seen, app: &str) -> Result<()> {
    seen.until(app, "asleep", LONGEST, Pods::is_gone).await?;
    seen.forget(app);
    Ok(())
}

/// Wakes an app by a request to the gateway.
pub async fn by_request(cluster: &Cluster, namespace: &Namespace, seen: &Seen, app: &str) -> Result<Wake> {
    rest(seen, app).await?;
    cluster.gateway.sleeps(&namespace.name, app, LONGEST).await?;
    sleep(CALM).await;
    let mut audit = Audit::from_now(&cluster.folder)?;
    let mut client = Connection::open(cluster.gateway.http).await?;
    let request = get(&namespace.host(app), "/");
    let sent = Wall::now();
    let answer = timeout(LONGEST, client.exchange(&request)).await.map_err(|_| format!("{app}: no answer"))??;
    finish(namespace, seen, &mut audit, app, sent, &answer).await
}

/// Wakes an app by scaling it, and asks its pod as soon as an EndpointSlice has it.
pub async fn by_hand(cluster: &Cluster, namespace: &Namespace, seen: &Seen, app: &str) -> Result<Wake> {
    rest(seen, app).await?;
    sleep(CALM).await;
    let mut audit = Audit::from_now(&cluster.folder)?;
    let sent = Wall::now();
    scale(namespace, app, 1).await?;
    let there = seen.until(app, "in an EndpointSlice", LONGEST, |pods| pods.at(Step::Endpoint).is_some()).await?;
    let ip = there.ip.ok_or("a pod without an IP")?;
    let mut client = Connection::open((ip.parse::<std::net::IpAddr>()?, 8000).into()).await?;
    let answer = timeout(LONGEST, client.exchange(&get(app, "/"))).await??;
    let wake = finish(namespace, seen, &mut audit, app, sent, &answer).await;
    scale(namespace, app, 0).await?;
    wake
}

async fn scale(namespace: &Namespace, app: &str, replicas: u32) -> Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(namespace.client.clone(), &namespace.name);
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    deployments.patch_scale(app, &PatchParams::default(), &patch).await?;
    Ok(())
}

async fn finish(
    namespace: &Namespace,
    seen: &Seen,
    audit: &mut Audit,
    app: &str,
    sent: Wall,
    answer: &Answer,
) -> Result<Wake> {
    let first_byte = Wall::at(answer.first_byte);
    let said = String::from_utf8_lossy(&answer.body);
    let body: Value = serde_json::from_str(&said).unwrap_or_default();
    let listening = body["listening_since"].as_str().and_then(Wall::parse);
    let listening = listening.ok_or_else(|| format!("{app}: {} {said}", answer.status))?;
    let whole = |pods: &Pods| pods.at(Step::Ready).is_some() && pods.at(Step::Endpoint).is_some();
    let pods = seen.until(app, "ready", LONGEST, whole).await?;
    let calls = audit.take()?;
    let scaling = calls.iter().filter(|call| call.scales(&namespace.name, app)).filter_map(|call| call.received());
    let patch = scaling.min().ok_or("no PATCH in the audit log")?;
    let step = |step| pods.at(step).map_or(f64::NAN, |at| at.ms_since(sent));
    Ok(Wake {
        sent,
        patch: patch.ms_since(sent),
        scheduled: step(Step::Scheduled),
        ip: step(Step::Ip),
        listening: listening.ms_since(sent),
        ready: step(Step::Ready),
        ip_with_ready: pods.ip_with_ready,
        endpoint: step(Step::Endpoint),
        first_byte: first_byte.ms_since(sent),
    })
}

// === impl Wake ===

impl Wake {
    /// From when the app could be reached, as far as the API tells: it listened, and its pod's IP was known.
    pub fn after_reachable(&self) -> f64 {
        self.first_byte - self.listening.max(self.ip)
    }

    /// The first byte came after the kubelet's word, though the IP was known before that.
    pub fn is_late(&self) -> bool {
        self.first_byte > self.ready && !self.ip_with_ready
    }
}

/// The time that `work` takes, in milliseconds.
pub async fn timed<T>(work: impl Future<Output = T>) -> (T, f64) {
    let started = Moment::now();
    let done = work.await;
    (done, started.elapsed().as_secs_f64() * 1e3)
}
