use clap::Parser;

use super::*;
use crate::cli::{Cli, Command};

const DOCUMENT: &str = "apiVersion: zerogate.dev/v1alpha1
kind: HTTPApp
metadata: {name: NAME, namespace: shop}
spec:
  routes: [{hosts: [NAME.example.org]}]
  target: {scaleTargetRef: {kind: StatefulSet, name: NAME-set}, service: {name: NAME}}
  scaling: {by: keda, maxReplicas: 7, minReplicas: 1, metric: requestRate, target: 25, utilization: 50}
";

fn keda(args: &[&str]) -> Result<String, String> {
    let all = ["zerogate", "keda"].iter().chain(args);
    let Command::Keda(args) = Cli::try_parse_from(all).map_err(|e| e.to_string())?.command else { panic!() };
    match args.filename.as_slice() {
        [] => undeclared(&args),
        _ => declared(&args),
    }
}

fn as_json(yaml: &str) -> serde_json::Value {
    serde_saphyr::from_str(yaml).unwrap()
}

#[test]
fn of_a_name_it_is_a_deployment_with_what_apps_have_by_default() {
    let object = as_json(&keda(&["hello"]).unwrap());
    assert_eq!((&object["kind"], &object["metadata"]["namespace"]), (&"ScaledObject".into(), &"default".into()));
    assert_eq!(object["spec"]["scaleTargetRef"]["kind"], "Deployment");
    assert_eq!(object["spec"]["maxReplicaCount"], 10);
    let trigger = &object["spec"]["triggers"][0];
    assert_eq!(trigger["type"], "external-push");
    assert_eq!(trigger["metadata"]["app"], "default/hello");
    assert!(trigger["metadata"].get("target").is_none(), "it is not known here");
}

#[test]
fn of_a_document_it_has_what_that_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("apps.yaml");
    std::fs::write(&path, format!("{}---\n{}", DOCUMENT.replace("NAME", "api"), DOCUMENT.replace("NAME", "web")))
        .unwrap();
    let path = path.to_str().unwrap();
    let both = keda(&["-f", path]).unwrap();
    assert_eq!(both.matches("kind: ScaledObject").count(), 2);
    let args = ["shop/web", "-f", path, "--trigger", "external", "--authentication", "zerogate", "--address", "zg:1"];
    let object = as_json(&keda(&args).unwrap());
    assert_eq!(object["metadata"]["name"], "web");
    assert_eq!(object["spec"]["scaleTargetRef"]["name"], "web-set");
    assert_eq!((&object["spec"]["minReplicaCount"], &object["spec"]["maxReplicaCount"]), (&1.into(), &7.into()));
    let trigger = &object["spec"]["triggers"][0];
    assert_eq!((&trigger["type"], &trigger["authenticationRef"]["name"]), (&"external".into(), &"zerogate".into()));
    assert_eq!(
        (&trigger["metadata"]["metric"], &trigger["metadata"]["target"]),
        (&"requestRate".into(), &"12.5".into())
    );
    assert_eq!(
        (&trigger["metadata"]["scalerAddress"], &trigger["metadata"]["enableTLS"]),
        (&"zg:1".into(), &"true".into())
    );
    let said = keda(&["shop/wbe", "-f", path]).unwrap_err();
    assert_eq!(said, "error: the files declare no HTTPApp `shop/wbe`; did you mean `web`?");
}

#[test]
fn every_value_of_the_metadata_is_text_and_is_understood() {
    for args in [&["hello"][..], &["a/b"]] {
        let object = as_json(&keda(args).unwrap());
        let metadata = object["spec"]["triggers"][0]["metadata"].as_object().unwrap().clone();
        let metadata = metadata.into_iter().map(|(key, value)| (key, value.as_str().unwrap().to_owned())).collect();
        crate::external_scaler::trigger::Trigger::read(&metadata, "default").unwrap();
    }
}

#[test]
fn what_is_no_name_and_what_is_no_cluster_is_refused() {
    for bad in ["", "a/b/c", "a b", "/x", "x/"] {
        assert!(keda(&[bad]).unwrap_err().contains("is no HTTPApp; give NAME or NAMESPACE/NAME"), "{bad}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("apps.yaml");
    let process = "apiVersion: zerogate.dev/v1alpha1\nkind: HTTPApp\nmetadata: {name: x}\nspec:\n  routes: [{hosts: [x]}]\n  \
                   target: {process: {command: [x]}}\n";
    std::fs::write(&path, process).unwrap();
    assert!(keda(&["-f", path.to_str().unwrap()]).unwrap_err().contains("which KEDA cannot scale"));
}
