//! The documents that come with it: the API server takes them, and so does `zerogate check`.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::cluster::kubectl;
use crate::namespace::Namespace;
use crate::wait::soon;

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// What `zerogate check -f -` has to say about `document`, and whether that is good.
async fn check(document: &str) -> (bool, String) {
    zerogate("check", document).await
}

/// What `zerogate COMMAND -f -` has to say about `document`, and whether that is good.
pub async fn zerogate(command: &str, document: &str) -> (bool, String) {
    let args = [command, "-f", "-"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_zerogate"));
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    child.stdin.take().unwrap().write_all(document.as_bytes()).await.unwrap();
    let output = soon("it ends", child.wait_with_output()).await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn the_manifests_are_taken_by_the_api_server() {
    for folder in ["manifests", "manifests/namespaced"] {
        let folder = root().join(folder);
        let args = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--kustomize"];
        let said = kubectl(&[&args[..], &[folder.to_str().unwrap()]].concat(), "").await;
        assert!(said.contains("deployment.apps/zerogate serverside-applied"), "{said}");
    }
}

#[tokio::test]
async fn the_examples_are_taken_by_the_api_server_and_by_check() {
    let namespace = Namespace::new("examples").await;
    let mut examples = 0;
    for example in std::fs::read_dir(root().join("manifests/examples")).unwrap() {
        let path = example.unwrap().path();
        // What is for KEDA waits for KEDA.
        if path.is_dir() {
            continue;
        }
        let args = ["--namespace", &namespace.name, "apply", "--server-side", "--dry-run=server", "--filename"];
        kubectl(&[&args[..], &[path.to_str().unwrap()]].concat(), "").await;
        let (good, said) = check(&std::fs::read_to_string(&path).unwrap()).await;
        assert!(good, "{}: {said}", path.display());
        examples += 1;
    }
    assert!(examples >= 2);
}

#[tokio::test]
async fn check_and_the_api_server_refuse_the_same() {
    let namespace = Namespace::new("check").await;
    let document = |spec: &str| {
        format!(
            "apiVersion: zerogate.dev/v1alpha1\nkind: HTTPApp\nmetadata: {{name: a}}\nspec:\n  routes: [{{hosts: [a.example]}}]\n\
             \x20 target: {{scaleTargetRef: {{name: a}}, service: {{name: a}}}}\n{spec}"
        )
    };
    let (good, said) = check(&document("")).await;
    assert!(good, "{said}");
    for (spec, field) in [
        ("  scaling: {minReplicas: 5, maxReplicas: 2}\n", "scaling.minReplicas"),
        ("  scaling: {idleTimeout: 1d}\n", "scaling.idleTimeout"),
        ("  hold: {maxRequests: 0}\n", "hold.maxRequests"),
        ("  limits: {burst: 1}\n", "limits.burst"),
        ("  scaling: {maxReplica: 2}\n", "scaling.maxReplica"),
    ] {
        let document = document(spec);
        let (good, said) = check(&document).await;
        assert!(!good && said.contains(field), "{document}{said}");
        let refused = namespace.try_apply(&serde_json::to_value(parse(&document)).unwrap()).await;
        let refused = refused.expect_err(&document).to_string();
        assert!(refused.contains(field.rsplit('.').next().unwrap()), "{document}{refused}");
    }
}

fn parse(yaml: &str) -> serde_json::Value {
    serde_saphyr::from_str(yaml).unwrap()
}
