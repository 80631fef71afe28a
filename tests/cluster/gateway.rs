//! The gateway in the cluster, as the manifests install it, or one of a test's own.

use std::net::SocketAddr;
use std::process::Stdio;

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::ListParams;
use kube::{Api, Client};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::client::{Client as Http, Reply, get};
use crate::cluster::folder;
use crate::namespace::Namespace;
use crate::ports::Ports;
use crate::wait::until;

/// A gateway, and where it is reached.
pub struct Gateway {
    /// Where clients send to: the Service `zerogate` of the gateway that all tests share.
    pub http: SocketAddr,
    /// Its admin address: the Service `zerogate-admin`.
    pub admin: SocketAddr,
    /// None of the one that all share.
    pub process: Option<(Child, Ports)>,
}

// === impl Gateway ===

impl Gateway {
    /// Finds it.
    pub async fn find(client: &Client) -> Self {
        let services: Api<Service> = Api::namespaced(client.clone(), "zerogate");
        let address = async |name: &str, port| {
            let service = services.get(name).await.unwrap_or_else(|error| panic!("the Service {name}: {error}"));
            let ip = service.spec.and_then(|spec| spec.cluster_ip).expect("a ClusterIP");
            SocketAddr::new(ip.parse().unwrap(), port)
        };
        Self { http: address("zerogate", 80).await, admin: address("zerogate-admin", 9090).await, process: None }
    }

    /// Starts one as a process on the node, with the admin's rights and these more flags; dropping it kills it. Two gateways
    /// do not share what they count: the shared one must not have the same apps.
    pub async fn start(flags: &[&str]) -> Self {
        let ports = Ports::take();
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let (http, admin) = (address(ports.http()), address(ports.admin()));
        let mut command = Command::new(env!("CARGO_BIN_EXE_zerogate"));
        command.args(["run", "--kubernetes", "--http", &http.to_string(), "--admin", &admin.to_string()]).args(flags);
        command.env("KUBECONFIG", folder().join("admin.conf")).stdin(Stdio::null()).kill_on_drop(true);
        let gateway = Self { http, admin, process: Some((command.spawn().unwrap(), ports)) };
        until("the gateway is ready", async || {
            tokio::net::TcpStream::connect(admin).await.ok()?;
            Http::http1(admin)
                .await
                .try_send(get(&admin.to_string(), "/readyz"))
                .await
                .ok()
                .filter(|reply| reply.status == 200)
        })
        .await;
        gateway
    }

    /// The gateway's pods.
    pub async fn pods(client: &Client) -> Vec<Pod> {
        let pods: Api<Pod> = Api::namespaced(client.clone(), "zerogate");
        pods.list(&ListParams::default().labels("app.kubernetes.io/name=zerogate")).await.unwrap().items
    }

    /// `GET http://HOST/PATH`, on a connection of its own.
    pub async fn get(&self, host: &str, path: &str) -> Reply {
        Http::http1(self.http).await.send(get(host, path)).await
    }

    /// Asks the admin server; it has to answer.
    pub async fn admin_get(&self, path: &str) -> Reply {
        Http::http1(self.admin).await.send(get(&self.admin.to_string(), path)).await
    }

    /// `/v1/apps/NAMESPACE/NAME`; none while the gateway does not know the app.
    pub async fn app(&self, namespace: &Namespace, name: &str) -> Option<Value> {
        let reply = self.admin_get(&format!("/v1/apps/{}/{name}", namespace.name)).await;
        (reply.status == 200).then(|| reply.json())
    }

    /// Waits until the gateway knows an app and this is so of it.
    pub async fn app_until(
        &self,
        namespace: &Namespace,
        name: &str,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Value {
        until(what, async || self.app(namespace, name).await.filter(&holds)).await
    }
}
