use std::path::Path;
use std::{env, fs};

use super::{HEAD, markdown};
use crate::config::load::Loader;
use crate::config::origin::Origin;

/// From the folder of the crate.
const REFERENCE: &str = "../docs/httpapp.md";

#[test]
fn the_reference_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(REFERENCE);
    let text = markdown();
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &text).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == text, "docs/httpapp.md is out of date: run UPDATE_DOCS=1 cargo test -p gateway reference");
}

#[test]
fn its_examples_are_right() {
    let examples: Vec<_> = HEAD.split("```yaml\n").skip(1).filter_map(|text| text.split("```").next()).collect();
    assert_eq!(examples.len(), 4);
    for example in examples {
        let mut loader = Loader::new(Origin::Either);
        loader.text("example".to_owned(), Path::new("/srv"), example);
        let declared = loader.finish().unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(declared.apps.len(), 1);
    }
}

#[test]
fn tables_have_no_stray_bars() {
    for line in markdown().lines().filter(|line| line.starts_with("| `")) {
        assert_eq!(line.matches(" | ").count(), 4, "{line}");
    }
}
