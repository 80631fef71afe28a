//! What manifests/ has of the program's own is what the program says.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::document::ZEROGATE;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests")
}

/// What `zerogate` prints with these arguments.
fn printed(args: &[&str]) -> String {
    let output = Command::new(ZEROGATE).args(args).current_dir(folder()).output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_crd_is_the_printed_one() {
    let written = std::fs::read_to_string(folder().join("crd.yaml")).unwrap();
    assert!(written == printed(&["crd"]), "please run: zerogate crd > manifests/crd.yaml");
}

#[test]
fn the_examples_pass_check() {
    let said = printed(&["check", "-f", "examples"]);
    assert!(said.contains("ok: 2 apps in 2 files"), "{said}");
    let said = printed(&["check", "-f", "examples/keda/app.yaml"]);
    assert!(said.contains("ok: 1 app in 1 file"), "{said}");
}

/// The documents of a file, without what the namespace adds.
fn documents(yaml: &str) -> Vec<Value> {
    let mut documents: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
    for document in &mut documents {
        document["metadata"].as_object_mut().unwrap().remove("namespace");
        for trigger in document["spec"]["triggers"].as_array_mut().into_iter().flatten() {
            let app = trigger["metadata"]["app"].as_str().map(|app| app.trim_start_matches("default/").to_owned());
            trigger["metadata"]["app"] = app.into();
        }
    }
    documents
}

#[test]
fn the_examples_for_keda_are_what_is_printed() {
    for (example, flags) in [
        ("push.yaml", &[][..]),
        ("external.yaml", &["--trigger", "external"]),
        ("tls.yaml", &["--authentication", "zerogate"]),
    ] {
        let printed = printed(&[&["keda", "-f", "examples/keda/app.yaml"], flags].concat());
        let written = std::fs::read_to_string(folder().join("examples/keda").join(example)).unwrap();
        assert_eq!(documents(&written).pop(), documents(&printed).pop(), "{example}");
    }
}
