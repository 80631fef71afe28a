//! The gateway in the cluster, as the manifests install it, or one of a test's own.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::ListParams;
use kube::{Api, Client};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;

use crate::client::{Client as Http, Reply, get};
use crate::cluster::folder;
use crate::namespace::Namespace;
use crate::ports::Ports;
use crate::wait::{soon, until};

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

    /// Starts one as a process on the node, with the admin's rights and these more flags; dropping it kills it. It is alone, so
    /// the one that all share must not have the same apps. Its log is in the cluster's folder.
    pub async fn start(flags: &[&str]) -> Self {
        let gateway = Self::launch(&folder().join("admin.conf"), flags);
        gateway.until_ready().await;
        gateway
    }

    /// Starts one with the rights of this kubeconfig, and does not wait for it.
    pub fn launch(kubeconfig: &Path, flags: &[&str]) -> Self {
        let ports = Ports::take();
        let (http, admin) = (local(ports.http()), local(ports.admin()));
        let child = spawn(kubeconfig, &ports, flags);
        Self { http, admin, process: Some((child, ports)) }
    }

    /// Starts one for the apps of one namespace.
    pub async fn of(namespace: &Namespace) -> Self {
        Self::start(&["--namespaces", &namespace.name]).await
    }

    /// Where KEDA reaches one of a test's own.
    pub fn scaler(&self) -> SocketAddr {
        local(self.process.as_ref().expect("one of the test's own").1.scaler())
    }

    /// Tells it to stop, and waits until it has.
    pub async fn stop(&mut self) {
        let (child, _) = self.process.as_mut().expect("one of the test's own");
        let pid = Pid::from_raw(child.id().expect("it runs").try_into().unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        soon("the gateway ends", child.wait()).await.unwrap();
    }

    /// Has it stand still, or go on.
    pub fn freeze(&self, frozen: bool) {
        let (child, _) = self.process.as_ref().expect("one of the test's own");
        let pid = Pid::from_raw(child.id().expect("it runs").try_into().unwrap()).unwrap();
        kill_process(pid, if frozen { Signal::STOP } else { Signal::CONT }).unwrap();
    }

    /// Kills it as it is, with SIGKILL.
    pub async fn kill(&mut self) {
        let (child, _) = self.process.as_mut().expect("one of the test's own");
        child.kill().await.unwrap();
    }

    /// Starts it again at the same addresses.
    pub async fn start_again(&mut self, flags: &[&str]) {
        let (child, ports) = self.process.as_mut().expect("one of the test's own");
        *child = spawn(&folder().join("admin.conf"), ports, flags);
        self.until_ready().await;
    }

    /// Waits until it says that it is ready.
    pub async fn until_ready(&self) {
        until("the gateway is ready", async || (self.probe("/readyz").await? == 200).then_some(())).await;
    }

    /// The status that its admin server answers with; none while it does not answer.
    pub async fn probe(&self, path: &str) -> Option<u16> {
        tokio::net::TcpStream::connect(self.admin).await.ok()?;
        let reply = Http::http1(self.admin).await.try_send(get(&self.admin.to_string(), path)).await;
        Some(reply.ok()?.status.as_u16())
    }

    /// What it has logged so far, if it is one of a test's own.
    pub fn logged(&self) -> String {
        assert!(self.process.is_some(), "a gateway of the test's own");
        String::from_utf8_lossy(&std::fs::read(log(self.http)).unwrap()).into_owned()
    }

    /// Waits until it has logged a line with all of these words.
    pub async fn until_logged(&self, words: &[&str]) -> String {
        let line =
            |log: String| log.lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned);
        until(&format!("logged: {words:?}"), async || line(self.logged())).await
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

    /// The same in a task.
    pub fn spawn_get(&self, host: &str, path: &str) -> JoinHandle<Reply> {
        let (http, request) = (self.http, get(host, path));
        tokio::spawn(async move { Http::http1(http).await.send(request).await })
    }

    /// Opens a WebSocket at `/ws`.
    pub async fn websocket(&self, host: &str) -> WebSocketStream<TcpStream> {
        let stream = TcpStream::connect(self.http).await.unwrap();
        soon("a WebSocket", tokio_tungstenite::client_async(format!("ws://{host}/ws"), stream)).await.unwrap().0
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

impl Drop for Gateway {
    fn drop(&mut self) {
        if self.process.is_none() {
            return;
        }
        if std::thread::panicking() {
            eprintln!("the gateway's log is {}", log(self.http).display());
        } else {
            let _ = std::fs::remove_file(log(self.http));
        }
    }
}

fn log(http: SocketAddr) -> PathBuf {
    folder().join(format!("log/gateway-{}.log", http.port()))
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn spawn(kubeconfig: &Path, ports: &Ports, flags: &[&str]) -> Child {
    let (http, admin, scaler) = (local(ports.http()), local(ports.admin()), local(ports.scaler()));
    // The one that `up` has installed can be had too: what is measured has to be optimised.
    let program = std::env::var_os("ZG_GATEWAY").unwrap_or_else(|| env!("CARGO_BIN_EXE_zerogate").into());
    let log = File::options().create(true).append(true).open(log(http)).unwrap();
    let mut command = Command::new(program);
    command.args(["run", "--kubernetes", "--http", &http.to_string(), "--admin", &admin.to_string()]);
    command.args(["--scaler", &scaler.to_string()]).args(flags);
    command.env("KUBECONFIG", kubeconfig).stdin(Stdio::null()).stderr(log).kill_on_drop(true);
    command.spawn().unwrap()
}
