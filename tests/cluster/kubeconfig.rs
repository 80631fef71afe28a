//! Kubeconfigs of a test's own.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;

use kube::config::Kubeconfig;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::cluster::folder;

/// Where the API server listens.
pub fn api_server() -> SocketAddr {
    let kubeconfig = Kubeconfig::read_from(folder().join("admin.conf")).expect("the admin's kubeconfig");
    let cluster = kubeconfig.clusters[0].cluster.as_ref().expect("a cluster");
    let server = cluster.server.as_deref().and_then(|server| server.strip_prefix("https://"));
    server.and_then(|server| server.parse().ok()).expect("an address")
}

/// One with the admin's rights, for the API server at `server`.
pub fn of_admin(server: SocketAddr) -> NamedTempFile {
    let pki = folder().join("pki");
    written(server, json!({"client-certificate": pki.join("admin.crt"), "client-key": pki.join("admin.key")}))
}

/// One with the rights of who has this token.
pub fn of_token(token: &str) -> NamedTempFile {
    written(api_server(), json!({"token": token}))
}

/// One with the rights of who has the token that this file holds, whenever it is read.
pub fn of_token_file(file: &Path) -> NamedTempFile {
    written(api_server(), json!({"tokenFile": file}))
}

fn written(server: SocketAddr, user: Value) -> NamedTempFile {
    let authority = folder().join("pki/ca.crt");
    let cluster = json!({"server": format!("https://{server}"), "certificate-authority": authority});
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config",
        "clusters": [{"name": "it", "cluster": cluster}],
        "users": [{"name": "it", "user": user}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "current-context": "it",
    });
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(kubeconfig.to_string().as_bytes()).unwrap();
    file
}
