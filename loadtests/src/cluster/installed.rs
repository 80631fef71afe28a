//! The gateway as the manifests have installed it: a pod, reached by its Services.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::ListParams;
use kube::{Api, Client};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::Result;
use crate::clock::Moment;
use crate::http::fetch;

/// Where it is installed.
const NAMESPACE: &str = "zerogate";
/// How long an answer of the admin API may take.
const ADMIN_LIMIT: Duration = Duration::from_secs(10);

/// The gateway's pod.
pub struct Installed {
    /// Where requests go: the Service `zerogate`.
    pub http: SocketAddr,
    admin: SocketAddr,
    /// Its process, as this machine knows it.
    pub pid: u32,
}

// === impl Installed ===

impl Installed {
    /// Finds it.
    pub async fn find(client: &Client) -> Result<Self> {
        let services: Api<Service> = Api::namespaced(client.clone(), NAMESPACE);
        let address = async |name: &str, port| -> Result<SocketAddr> {
            let ip = services.get(name).await?.spec.and_then(|spec| spec.cluster_ip).ok_or("no ClusterIP")?;
            Ok(SocketAddr::new(ip.parse()?, port))
        };
        let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
        let pods = pods.list(&ListParams::default().labels("app.kubernetes.io/name=zerogate")).await?;
        // One that a rollout has replaced may still be draining.
        let alive = pods.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
        let uids: Vec<String> = alive.filter_map(|pod| pod.metadata.uid).collect();
        let [uid] = uids.as_slice() else { return Err(format!("{} pods of the gateway", uids.len()).into()) };
        let pid = process_of(uid)?.ok_or("the gateway's process is not to be found")?;
        let (http, admin) = (address("zerogate", 80).await?, address("zerogate-admin", 9090).await?);
        for service in [http, admin] {
            accepts(service).await?;
        }
        Ok(Self { http, admin, pid })
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
