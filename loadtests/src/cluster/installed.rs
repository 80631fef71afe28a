//! The gateway as the manifests have installed it: pods, reached by its Services and one by one.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::Result;
use crate::clock::Moment;
use crate::gateway::sum;
use crate::http::fetch;

/// Where it is installed.
const NAMESPACE: &str = "zerogate";
/// What its Deployment is called.
const NAME: &str = "zerogate";
/// How long it may take until there are as many as are asked for: those that go may have to drain first.
const SCALED: Duration = Duration::from_secs(120);
/// How long an answer of the admin API may take.
const ADMIN_LIMIT: Duration = Duration::from_secs(10);

/// The gateways that run.
pub struct Installed {
    /// Where requests go: the Service `zerogate`.
    pub http: SocketAddr,
    admin: SocketAddr,
    /// The process of the first, as this machine knows it.
    pub pid: u32,
    /// Each of them.
    pub all: Vec<One>,
}

/// One gateway.
#[derive(Debug, Clone)]
pub struct One {
    /// Its pod.
    pub name: String,
    /// Its process, as this machine knows it.
    pub pid: u32,
    /// Where it takes requests itself.
    pub http: SocketAddr,
    admin: SocketAddr,
}

// === impl Installed ===

impl Installed {
    /// How many of them there are to be.
    pub async fn how_many(client: &Client) -> Result<usize> {
        let found = Api::<Deployment>::namespaced(client.clone(), NAMESPACE).get(NAME).await?;
        Ok(usize::try_from(found.spec.and_then(|spec| spec.replicas).unwrap_or(1))?)
    }

    /// Has so many of them run, and finds them once they are ready and know each other.
    pub async fn of(client: &Client, replicas: usize) -> Result<Self> {
        let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        let deployments = Api::<Deployment>::namespaced(client.clone(), NAMESPACE);
        deployments.patch_scale(NAME, &PatchParams::default(), &patch).await?;
        Self::found(client, replicas).await
    }

    /// Finds them once there are so many, all of them are ready, and they know each other.
    pub async fn found(client: &Client, replicas: usize) -> Result<Self> {
        let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
        let started = Moment::now();
        let all = loop {
            let found = pods.list(&ListParams::default().labels("app.kubernetes.io/name=zerogate")).await?.items;
            let mut all = Vec::new();
            for pod in &found {
                all.extend(One::of(pod)?);
            }
            if found.len() == replicas && all.len() == replicas && know_each_other(&all).await {
                break all;
            }
            if started.elapsed() > SCALED {
                return Err(format!(
                    "{} of {} pods of the gateway are ready, {replicas} are to be",
                    all.len(),
                    found.len()
                )
                .into());
            }
            sleep(Duration::from_millis(100)).await;
        };
        let services: Api<Service> = Api::namespaced(client.clone(), NAMESPACE);
        let address = async |name: &str, port| -> Result<SocketAddr> {
            let ip = services.get(name).await?.spec.and_then(|spec| spec.cluster_ip).ok_or("no ClusterIP")?;
            Ok(SocketAddr::new(ip.parse()?, port))
        };
        let (http, admin) = (address("zerogate", 80).await?, address("zerogate-admin", 9090).await?);
        for service in [http, admin] {
            accepts(service).await?;
        }
        Ok(Self { http, admin, pid: all[0].pid, all })
    }

    /// What the admin API answers.
    pub async fn ask(&self, path: &str) -> Result<Value> {
        let answer = fetch(self.admin, path, ADMIN_LIMIT).await?;
        match answer.status {
            200 => Ok(serde_json::from_slice(&answer.body)?),
            status => Err(format!("admin API: {status} for {path}").into()),
        }
    }

    /// How many replicas of an app it knows, those asked for included; `None` while it does not know the app.
    pub async fn replicas(&self, namespace: &str, name: &str) -> Option<u64> {
        let app = self.ask(&format!("/v1/apps/{namespace}/{name}")).await.ok()?;
        ["wanted", "starting", "ready"].into_iter().map(|of| app["replicas"][of].as_u64()).sum()
    }

    /// Waits until it knows so many apps of a namespace.
    pub async fn knows(&self, namespace: &str, count: usize, limit: Duration) -> Result<()> {
        let started = Moment::now();
        loop {
            let all = self.ask("/v1/apps").await?;
            let known =
                all["apps"].as_array().into_iter().flatten().filter(|app| app["namespace"] == namespace).count();
            if known == count {
                return Ok(());
            }
            if started.elapsed() > limit {
                return Err(format!("the gateway knows {known} of {count} apps after {limit:?}").into());
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until an app sleeps.
    pub async fn sleeps(&self, namespace: &str, name: &str, limit: Duration) -> Result<()> {
        let started = Moment::now();
        while self.replicas(namespace, name).await != Some(0) {
            if started.elapsed() > limit {
                return Err(format!("{name} does not sleep after {limit:?}").into());
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

// === impl One ===

impl One {
    /// The gateway of a pod; `None` if it is not ready, or is about to go.
    fn of(pod: &Pod) -> Result<Option<Self>> {
        let status = pod.status.clone().unwrap_or_default();
        let mut conditions = status.conditions.iter().flatten();
        let ready = conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True");
        let (true, None, Some(ip)) = (ready, &pod.metadata.deletion_timestamp, status.pod_ip) else { return Ok(None) };
        let Some(pid) = process_of(&pod.uid().unwrap_or_default())? else { return Ok(None) };
        let at = |port| -> Result<SocketAddr> { Ok(SocketAddr::new(ip.parse()?, port)) };
        Ok(Some(Self { name: pod.name_any(), pid, http: at(8080)?, admin: at(9090)? }))
    }

    /// What its admin API answers.
    pub async fn ask(&self, path: &str) -> Result<Value> {
        Ok(serde_json::from_slice(&fetch(self.admin, path, ADMIN_LIMIT).await?.body)?)
    }

    /// The metric `name` of it, summed over all series that have each of `labels` (`key="value"`).
    pub async fn metric(&self, name: &str, labels: &[&str]) -> Result<f64> {
        let page = String::from_utf8(fetch(self.admin, "/metrics", ADMIN_LIMIT).await?.body)?;
        Ok(sum(&page, name, labels))
    }
}

/// Whether each knows what all others count.
async fn know_each_other(all: &[One]) -> bool {
    for one in all {
        let Ok(view) = one.ask("/v1/fleet").await else { return false };
        if view["knowsAll"] != true || view["heard"] != all.len() - 1 || view["leader"].is_null() {
            return false;
        }
    }
    true
}

/// Waits until a Service leads somewhere: for a moment after a rollout it may not.
async fn accepts(service: SocketAddr) -> Result<()> {
    let started = Moment::now();
    while let Err(error) = TcpStream::connect(service).await {
        if started.elapsed() > ADMIN_LIMIT {
            return Err(format!("{service}: {error}").into());
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// The process called zerogate in the control groups of a pod.
fn process_of(uid: &str) -> Result<Option<u32>> {
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // It may end while it is looked at.
        let read = |file| fs::read_to_string(entry.path().join(file)).unwrap_or_default();
        if read("comm").trim() == "zerogate" && read("cgroup").contains(uid) {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}
