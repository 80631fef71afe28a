//! What manifests/ has of the program's own is what the program says.

use std::path::{Path, PathBuf};
use std::process::Command;

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
}
