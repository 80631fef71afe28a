use std::path::Path;
use std::{env, fs};

use activator::resource::schema;

use super::yaml;
use crate::config::yaml::Documents;

/// From the folder of the crate.
const MANIFEST: &str = "../manifests/crd.yaml";

#[test]
fn the_manifest_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(MANIFEST);
    let text = yaml().unwrap();
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == text, "manifests/crd.yaml is out of date: run UPDATE_DOCS=1 cargo test -p gateway crd");
}

/// The YAML means what was meant, whatever has to be quoted in it.
#[test]
fn it_reads_back_as_what_was_written() {
    let text = yaml().unwrap();
    let documents: Vec<_> = Documents::new(&text).collect::<Result<_, _>>().unwrap();
    let [document] = documents.as_slice() else { panic!("{} documents", documents.len()) };
    assert!(document.repeated.is_empty());
    assert_eq!(document.root.to_json(), serde_json::to_value(schema::crd()).unwrap());
}
