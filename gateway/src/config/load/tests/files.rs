use std::fs;

use activator::AppId;
use activator::settings::Target;

use super::other;
use crate::config::load;

#[test]
fn files_and_folders_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (file, app) in [("b.yaml", "b"), ("a.yml", "a"), (".hidden.yaml", "h"), ("notes.txt", "t"), ("more.d", "m")] {
        fs::write(at(file), other(app)).unwrap();
    }
    fs::create_dir(at("folder.yaml")).unwrap();
    let names = |paths: &[std::path::PathBuf]| {
        let declared = load(paths).unwrap_or_else(|problems| panic!("{problems}"));
        declared.apps.into_keys().map(|id| id.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&[folder.path().to_owned()]), ["a", "b"]);
    assert_eq!(names(&[folder.path().to_owned(), at("a.yml"), at("notes.txt")]), ["a", "b", "t"]);
    let declared = load(&[at("a.yml")]).unwrap();
    let Target::Process(process) = &declared.apps[&AppId::new("n", "a")].activator.target else { panic!("a process") };
    assert_eq!(process.working_dir.as_deref(), Some(folder.path()));

    fs::write(at("again.yaml"), other("b").replace("b.example", "else")).unwrap();
    let message = load(&[folder.path().to_owned()]).unwrap_err().to_string();
    let (first, second) = (at("again.yaml"), at("b.yaml"));
    assert_eq!(
        message,
        format!(
            "{}:3: document 1 (n/b): metadata.name: app `n/b` is declared already by metadata.name of n/b at {}:3\n1 problem",
            second.display(),
            first.display()
        )
    );
}

#[test]
fn files_that_cannot_be_read_are_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("empty")).unwrap();
    fs::write(at("empty.yaml"), "# nothing yet\n---\n").unwrap();
    fs::write(at("latin.yaml"), b"a: b\nc: \xe4\n").unwrap();
    fs::File::create(at("large.yaml")).unwrap().set_len((16 << 20) + 1).unwrap();
    for (path, what) in [
        (at("none.yaml"), "cannot be read: there is no such file or folder"),
        (at("empty.yaml"), "has no document; it needs an HTTPApp at least"),
        (at("empty"), "has no `*.yaml` or `*.yml` file; it needs an HTTPApp at least"),
        (at("latin.yaml"), "is not UTF-8 text: see line 2"),
        (at("large.yaml"), "is larger than 16MiB; split it into several files"),
        ("/dev/zero".into(), "is not a regular file"),
    ] {
        let message = load(std::slice::from_ref(&path)).unwrap_err().to_string();
        assert_eq!(message, format!("{}: {what}\n1 problem", path.display()));
    }
}
