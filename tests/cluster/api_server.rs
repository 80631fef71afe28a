//! An API server of a test's own, without anything that runs pods: for what all tests would notice of the shared one.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::DynamicObject;
use kube::discovery::ApiResource;
use kube::{Client, Config};
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};
use tokio::process::{Child, Command};

use crate::cluster::folder;
use crate::kubeconfig;
use crate::ports::Ports;
use crate::wait::{soon, until};

/// Debian's etcd, not the cluster's: it is so old that an API server over it cannot begin a watch with all there is.
const ETCD: &str = "/usr/bin/etcd";

/// etcd and an API server.
pub struct ApiServer {
    /// Where it listens.
    pub address: SocketAddr,
    /// With the admin's rights.
    pub kubeconfig: NamedTempFile,
    client: Client,
    etcd: String,
    _store: Child,
    server: Child,
    data: TempDir,
    _ports: Ports,
}

impl ApiServer {
    /// Starts both.
    pub async fn start() -> Self {
        let (data, ports) = (TempDir::new().unwrap(), Ports::take());
        let mut free = ports.processes();
        let mut address = || SocketAddr::from(([127, 0, 0, 1], free.next().unwrap()));
        let (etcd, peers, api) = (format!("http://{}", address()), format!("http://{}", address()), address());
        let store = daemon(
            ETCD,
            data.path(),
            &[
                ("--data-dir", data.path().join("etcd").to_str().unwrap()),
                ("--listen-client-urls", &etcd),
                ("--advertise-client-urls", &etcd),
                ("--listen-peer-urls", &peers),
                ("--log-level", "error"),
            ],
        );
        let server = serve(&etcd, api, data.path());
        let kubeconfig = kubeconfig::of_admin(api);
        let config = Kubeconfig::read_from(kubeconfig.path()).unwrap();
        let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
        let client = Client::try_from(config).unwrap();
        let this = Self { address: api, kubeconfig, client, etcd, _store: store, server, data, _ports: ports };
        this.until_ready().await;
        this
    }

    async fn until_ready(&self) {
        until("the API server is ready", async || {
            let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(self.client.clone());
            namespaces.get("default").await.ok()
        })
        .await;
    }

    /// Forgets what was before `version`: the store by being compacted, the API server by being started again.
    pub async fn forget_before(&mut self, version: &str) {
        let (url, order) = (format!("{}/v3/kv/compaction", self.etcd), json!({"revision": version, "physical": true}));
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--fail", "--noproxy", "*", "--data", &order.to_string(), &url]).stdout(Stdio::null());
        assert!(soon("it is compacted", curl.status()).await.unwrap().success());
        self.server.kill().await.unwrap();
        self.server = serve(&self.etcd, self.address, self.data.path());
        self.until_ready().await;
    }

    /// Makes an object, in the namespace `default` if it is in any.
    pub async fn create(&self, object: &Value) -> Value {
        let text = |field: &str| object[field].as_str().unwrap();
        let (group, version) = text("apiVersion").rsplit_once('/').unwrap_or(("", text("apiVersion")));
        let kind = kube::core::GroupVersionKind::gvk(group, version, text("kind"));
        let resource = ApiResource::from_gvk(&kind);
        let api: Api<DynamicObject> = match text("kind") {
            "CustomResourceDefinition" => Api::all_with(self.client.clone(), &resource),
            _ => Api::namespaced_with(self.client.clone(), "default", &resource),
        };
        let object = serde_json::from_value(object.clone()).unwrap();
        let made = until("the object is made", async || match api.create(&PostParams::default(), &object).await {
            Ok(made) => Some(made),
            // A kind that was just defined is served a moment later.
            Err(kube::Error::Api(status)) if status.code == 404 => None,
            Err(error) => panic!("{error}"),
        })
        .await;
        serde_json::to_value(made).unwrap()
    }

    /// Runs `kubectl` with the admin's rights.
    pub async fn kubectl(&self, args: &[&str]) {
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(self.kubeconfig.path()).args(args).stdout(Stdio::null());
        assert!(command.status().await.unwrap().success(), "{args:?}");
    }
}

fn serve(etcd: &str, api: SocketAddr, data: &Path) -> Child {
    let pki = |name: &str| folder().join("pki").join(name).into_os_string().into_string().unwrap();
    daemon(
        "kube-apiserver",
        data,
        &[
            ("--etcd-servers", etcd),
            ("--bind-address", "127.0.0.1"),
            ("--secure-port", &api.port().to_string()),
            ("--endpoint-reconciler-type", "none"),
            ("--tls-cert-file", &pki("apiserver.crt")),
            ("--tls-private-key-file", &pki("apiserver.key")),
            ("--client-ca-file", &pki("ca.crt")),
            ("--authorization-mode", "RBAC"),
            ("--service-cluster-ip-range", "10.97.0.0/24"),
            ("--service-account-key-file", &pki("tokens.pub")),
            ("--service-account-signing-key-file", &pki("tokens.key")),
            ("--service-account-issuer", "https://kubernetes.default.svc"),
            ("--disable-admission-plugins", "ServiceAccount"),
        ],
    )
}

fn daemon(program: &str, logs: &Path, flags: &[(&str, &str)]) -> Child {
    let name = Path::new(program).file_name().unwrap();
    let log = std::fs::File::create(logs.join(name).with_extension("log")).unwrap();
    let flags = flags.iter().map(|(name, value)| format!("{name}={value}"));
    let mut command = Command::new(program);
    command.args(flags).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).kill_on_drop(true);
    command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// The file with the definition of `HTTPApp`.
pub fn definition() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("manifests/crd.yaml")
}

/// An app with the Deployment of this name; all go to one Service that leads to `echo`.
pub fn app(name: &str, change: Value) -> Value {
    let mut app = json!({
        "apiVersion": "zerogate.dev/v1alpha1", "kind": "HTTPApp", "metadata": {"name": name},
        "spec": {
            "routes": [{"hosts": [format!("{name}.localhost")]}],
            "target": {"scaleTargetRef": {"name": name}, "service": {"name": "echo"}},
        },
    });
    for (field, value) in change.as_object().unwrap() {
        app["spec"][field] = value.clone();
    }
    app
}

/// What the apps lead to: a process on the node, in place of pods.
pub async fn echo(server: &ApiServer, ports: &Ports, apps: &[&str]) -> Child {
    let node = kubeconfig::api_server().ip();
    let port = *ports.processes().start();
    let mut command = Command::new(env!("CARGO_BIN_EXE_zerogate"));
    command.args(["echo", "--addr", &node.to_string(), "--port", &port.to_string()]);
    let child = command.stdin(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let labels = json!({"app": "echo"});
    let pod = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a"}]}});
    for name in apps {
        let spec = json!({"replicas": 1, "selector": {"matchLabels": labels}, "template": pod});
        let metadata = json!({"name": name});
        server
            .create(&json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}))
            .await;
    }
    for object in [
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "echo"},
            "spec": {"ports": [{"name": "http", "port": 80}]},
        }),
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "echo-1", "labels": {"kubernetes.io/service-name": "echo"}},
            "addressType": "IPv4", "ports": [{"name": "http", "port": port}],
            "endpoints": [{"addresses": [node.to_string()], "conditions": {"ready": true}}],
        }),
    ] {
        server.create(&object).await;
    }
    child
}
