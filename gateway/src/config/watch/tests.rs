use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{DOCUMENTS, Fingerprint, watch};
use crate::config::settings::Declared;
use crate::config::{Problems, load};

/// Longest that a test waits for what it expects; far more than that takes.
const PATIENCE: Duration = Duration::from_secs(20);

struct Watched {
    reload: Arc<Notify>,
    changes: mpsc::UnboundedReceiver<Result<Declared, Problems>>,
    task: JoinHandle<()>,
}

impl Watched {
    fn start(paths: &[PathBuf]) -> Self {
        let (sender, changes) = mpsc::unbounded_channel();
        let reload = Arc::new(Notify::new());
        let seen = Fingerprint::take(paths, &DOCUMENTS);
        let task = tokio::spawn(watch(paths.to_vec(), seen, Arc::clone(&reload), move |change| {
            let _ = sender.send(change);
        }));
        Self { reload, changes, task }
    }

    async fn next(&mut self) -> Result<Declared, Problems> {
        let change = timeout(PATIENCE, self.changes.recv()).await.expect("no change was told of");
        change.expect("the watch has ended")
    }

    /// Waits until exactly these apps are declared; states in between may be told of or not.
    async fn until(&mut self, names: &[&str]) {
        timeout(PATIENCE, async { while !self.next().await.is_ok_and(|declared| apps(&declared) == names) {} })
            .await
            .unwrap_or_else(|_| panic!("never declared: {names:?}"));
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn apps(declared: &Declared) -> Vec<&str> {
    declared.apps.keys().map(|id| &*id.name).collect()
}

fn app(name: &str) -> String {
    format!(
        "apiVersion: zerogate.dev/v1alpha1\nkind: HTTPApp\nmetadata: {{name: {name}}}\nspec:\n  routes: [{{hosts: [{name}]}}]\n  \
         target: {{process: {{command: [x]}}}}\n---\n"
    )
}

fn write(path: &Path, names: &[&str]) {
    fs::write(path, names.iter().map(|name| app(name)).collect::<String>()).unwrap();
}

/// Writes to another file and renames that, as editors do.
fn replace(path: &Path, names: &[&str]) {
    let other = path.with_extension("new");
    write(&other, names);
    fs::rename(&other, path).unwrap();
}

fn folder_with(file: &str, names: &[&str]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(file);
    write(&path, names);
    (folder, path)
}

#[tokio::test]
async fn a_file_written_or_replaced_is_loaded_again() {
    let (_folder, path) = folder_with("apps.yaml", &["a"]);
    let mut watched = Watched::start(std::slice::from_ref(&path));
    write(&path, &["a", "b"]);
    watched.until(&["a", "b"]).await;
    replace(&path, &["c"]);
    watched.until(&["c"]).await;
    replace(&path, &["d"]);
    watched.until(&["d"]).await;
}

#[tokio::test]
async fn a_bad_change_is_told_of_and_a_good_one_after_it_too() {
    let (_folder, path) = folder_with("apps.yaml", &["a"]);
    let mut watched = Watched::start(std::slice::from_ref(&path));
    fs::write(path.with_extension("new"), "kind: [\n").unwrap();
    fs::rename(path.with_extension("new"), &path).unwrap();
    let problems = watched.next().await.unwrap_err().to_string();
    assert!(problems.contains("is not YAML"), "{problems}");
    fs::remove_file(&path).unwrap();
    let problems = watched.next().await.unwrap_err().to_string();
    assert!(problems.contains("there is no such file"), "{problems}");
    write(&path, &["a", "b"]);
    watched.until(&["a", "b"]).await;
}

#[tokio::test]
async fn files_that_come_and_go_in_a_folder_are_followed() {
    let (folder, path) = folder_with("a.yaml", &["a"]);
    let mut watched = Watched::start(&[folder.path().to_owned()]);
    write(&folder.path().join("b.yml"), &["b"]);
    watched.until(&["a", "b"]).await;
    write(&folder.path().join(".c.yaml"), &["c"]);
    write(&folder.path().join("d.txt"), &["d"]);
    fs::remove_file(path).unwrap();
    watched.until(&["b"]).await;
}

#[tokio::test]
async fn a_mounted_config_map_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("..1")).unwrap();
    write(&at("..1/apps.yaml"), &["a"]);
    symlink("..1", at("..data")).unwrap();
    symlink("..data/apps.yaml", at("apps.yaml")).unwrap();
    let mut watched = Watched::start(&[at("apps.yaml")]);
    for (version, name) in [("..2", "b"), ("..3", "c")] {
        fs::create_dir(at(version)).unwrap();
        write(&at(version).join("apps.yaml"), &[name]);
        symlink(version, at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        watched.until(&[name]).await;
    }
}

#[tokio::test]
async fn a_linked_file_is_followed_where_it_is() {
    let (_real, path) = folder_with("real.yaml", &["a"]);
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("apps.yaml");
    symlink(&path, &link).unwrap();
    let mut watched = Watched::start(&[link]);
    write(&path, &["b"]);
    watched.until(&["b"]).await;
}

#[tokio::test]
async fn a_link_to_a_folder_is_followed_where_it_leads_next() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (release, name) in [("1", "a"), ("2", "b")] {
        fs::create_dir(at(release)).unwrap();
        write(&at(release).join("apps.yaml"), &[name]);
    }
    symlink("1", at("current")).unwrap();
    let mut watched = Watched::start(&[at("current/apps.yaml")]);
    symlink("2", at("next")).unwrap();
    fs::rename(at("next"), at("current")).unwrap();
    watched.until(&["b"]).await;
    replace(&at("2/apps.yaml"), &["c"]);
    watched.until(&["c"]).await;
}

#[tokio::test]
async fn a_folder_replaced_by_another_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("apps")).unwrap();
    write(&at("apps/a.yaml"), &["a"]);
    let mut watched = Watched::start(&[at("apps")]);
    // It has to be watched before it goes: only then is a change in it told of.
    write(&at("apps/a.yaml"), &["b"]);
    watched.until(&["b"]).await;
    fs::create_dir(at("other")).unwrap();
    write(&at("other/a.yaml"), &["c"]);
    fs::rename(at("apps"), at("old")).unwrap();
    fs::rename(at("other"), at("apps")).unwrap();
    watched.until(&["c"]).await;
    write(&at("apps/a.yaml"), &["d"]);
    watched.until(&["d"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_cannot_be_watched_is_looked_at_now_and_then() {
    let folder = tempfile::tempdir().unwrap();
    let later = folder.path().join("later");
    let mut watched = Watched::start(&[later.join("apps.yaml")]);
    watched.reload.notify_one();
    assert!(watched.next().await.is_err());
    fs::create_dir(&later).unwrap();
    write(&later.join("apps.yaml"), &["a"]);
    watched.until(&["a"]).await;
}

#[tokio::test]
async fn a_change_before_the_watch_begins_is_not_missed() {
    let (_folder, path) = folder_with("apps.yaml", &["a"]);
    let paths = [path.clone()];
    let seen = Fingerprint::take(&paths, &DOCUMENTS);
    write(&path, &["b"]);
    let (sender, mut changes) = mpsc::unbounded_channel();
    let task = tokio::spawn(watch(paths.to_vec(), seen, Arc::default(), move |change| {
        let _ = sender.send(change);
    }));
    let change = timeout(PATIENCE, changes.recv()).await.unwrap().unwrap();
    assert_eq!(apps(&change.unwrap()), ["b"]);
    task.abort();
}

#[tokio::test]
async fn a_reload_that_is_asked_for_is_always_told_of() {
    let (_folder, path) = folder_with("apps.yaml", &["a"]);
    let mut watched = Watched::start(std::slice::from_ref(&path));
    for _ in 0..2 {
        watched.reload.notify_one();
        assert_eq!(watched.next().await, load(std::slice::from_ref(&path)));
    }
}

#[test]
fn a_fingerprint_changes_with_what_the_files_hold_only() {
    let (folder, path) = folder_with("apps.yaml", &["a"]);
    let paths = [folder.path().to_owned()];
    let first = Fingerprint::take(&paths, &DOCUMENTS);
    replace(&path, &["a"]);
    assert_eq!(Fingerprint::take(&paths, &DOCUMENTS), first);
    write(&path, &["b"]);
    assert_ne!(Fingerprint::take(&paths, &DOCUMENTS), first);
}
