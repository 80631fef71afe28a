//! The gateway in the cluster, as the manifests install it.

use std::net::SocketAddr;

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::ListParams;
use kube::{Api, Client};
use serde_json::Value;

use crate::client::{Client as Http, Reply, get};
use crate::namespace::Namespace;
use crate::wait::until;

/// The gateway that all tests share.
pub struct Gateway {
    /// Where clients send to: the Service `zerogate`.
    pub http: SocketAddr,
    /// Its admin address: the Service `zerogate-admin`.
    pub admin: SocketAddr,
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
        Self { http: address("zerogate", 80).await, admin: address("zerogate-admin", 9090).await }
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
