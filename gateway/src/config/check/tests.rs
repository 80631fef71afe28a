use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::slice;

use super::check;

const APPS: &str = r#"
apiVersion: zerogate.dev/v1alpha1
kind: HTTPApp
metadata: {name: one}
spec:
  routes: [{hosts: [one.localhost, "*.one.localhost"], paths: [{prefix: /a}, {prefix: /b}]}, {hosts: [x]}]
  target: {process: {command: [zerogate, echo, "--slow\n"]}}
---
apiVersion: zerogate.dev/v1alpha1
kind: HTTPApp
metadata: {name: two, namespace: other}
spec:
  routes: [{}]
  target: {process: {command: [two]}}
  scaling: {minReplicas: 1, maxReplicas: 1}
"#;

fn checked(paths: &[PathBuf]) -> (bool, String) {
    let mut out = Vec::new();
    let code = check(paths, &mut out);
    // The type has no comparison.
    (format!("{code:?}") == format!("{:?}", ExitCode::SUCCESS), String::from_utf8(out).unwrap())
}

#[test]
fn good_files_are_listed_app_by_app() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("apps.yaml");
    fs::write(&path, APPS).unwrap();
    let (ok, out) = checked(&[path]);
    assert!(ok, "{out}");
    assert_eq!(
        out,
        "\
default/one: one.localhost/a, one.localhost/b, *.one.localhost/a, *.one.localhost/b, … -> zerogate echo --slow\\n (0 to 10 replicas)
other/two: */ -> two (1 replica)
ok: 2 apps in 1 file
"
    );
}

#[test]
fn documents_of_a_cluster_are_good_and_other_kinds_beside_them_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("apps.yaml");
    let app = "{apiVersion: zerogate.dev/v1alpha1, kind: HTTPApp, metadata: {name: NAME, uid: u}, spec: {routes: [{hosts: \
               [NAME.example]}], target: {scaleTargetRef: {name: NAME}, service: {name: web-svc}}}, status: {}}";
    let list =
        format!("{{apiVersion: v1, kind: List, items: [{}, {}]}}", app.replace("NAME", "a"), app.replace("NAME", "b"));
    let deployment = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {}}";
    let service = "{apiVersion: v1, kind: Service, metadata: {name: web-svc}}";
    fs::write(&path, format!("{list}\n---\n{deployment}\n---\n{service}\n---\n{}", app.replace("NAME", "c"))).unwrap();
    let (ok, out) = checked(slice::from_ref(&path));
    assert!(ok, "{out}");
    assert_eq!(
        out,
        "\
default/a: a.example/ -> Deployment a by Service web-svc (0 to 10 replicas)
default/b: b.example/ -> Deployment b by Service web-svc (0 to 10 replicas)
default/c: c.example/ -> Deployment c by Service web-svc (0 to 10 replicas)
ok: 3 apps in 1 file; 2 objects of other kinds passed over
"
    );
    for wrong in [app.replace("zerogate.dev", "example.org"), app.replace("kind: HTTPApp", "kind: Pod")] {
        fs::write(&path, wrong).unwrap();
        let (ok, out) = checked(slice::from_ref(&path));
        assert!(!ok && out.contains("is unknown; it has to be"), "{out}");
    }
}

#[test]
fn the_examples_for_a_cluster_are_good() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/examples");
    let (ok, out) = checked(slice::from_ref(&folder));
    assert!(ok && out.contains(" -> Deployment "), "{out}");
}

#[test]
fn bad_files_are_told_of_and_fail() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("apps.yaml");
    fs::write(&path, APPS.replace("routes: [{}]", "routes: []")).unwrap();
    let none = folder.path().join("none");
    let (ok, out) = checked(&[path.clone(), none.clone()]);
    assert!(!ok, "{out}");
    assert_eq!(
        out,
        format!(
            "{}:13: document 2 (other/two): spec.routes: is empty; it has to have at least 1 item\n\
             {}: cannot be read: there is no such file or folder\n2 problems\n",
            path.display(),
            none.display()
        )
    );
}

#[test]
fn an_output_that_cannot_be_written_to_fails() {
    struct Closed;
    impl io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("apps.yaml");
    fs::write(&path, APPS).unwrap();
    let code = check(&[path], &mut Closed);
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::FAILURE));
}
