//! The way into the cluster.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::wait::soon;

/// The cluster's folder: logs, the admin's kubeconfig.
pub fn folder() -> PathBuf {
    std::env::var_os("ZG_CLUSTER_RUN").expect("run by tests/cluster/suite, which sets ZG_CLUSTER_RUN").into()
}

/// A client with the admin's rights. Each test needs its own, since each has a runtime of its own.
pub async fn admin() -> Client {
    let kubeconfig = Kubeconfig::read_from(folder().join("admin.conf")).expect("the admin's kubeconfig");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// Runs `kubectl`, with this on standard input, and gives what it wrote; panics if it fails.
pub async fn kubectl(args: &[&str], input: &str) -> String {
    use tokio::io::AsyncWriteExt;
    let mut command = Command::new("kubectl");
    command.args(args).env("KUBECONFIG", folder().join("admin.conf")).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = tokio::process::Command::from(command).kill_on_drop(true).spawn().expect("kubectl is there");
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let output = soon("kubectl ends", child.wait_with_output()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "kubectl {}: {said}\n{input}", args.join(" "));
    String::from_utf8(output.stdout).unwrap()
}

/// Stops, starts, freezes, thaws or restarts one of the cluster's daemons. The whole suite shares them: a test that does this
/// has to run alone.
pub async fn daemon(order: &str, name: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/cluster/daemon");
    let status = tokio::process::Command::new(script).args([order, name]).status().await.unwrap();
    assert!(status.success(), "daemon {order} {name}");
}
