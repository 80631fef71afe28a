use super::*;
use crate::testing::certificates::{Pem, now, pem};

fn write(folder: &Path, name: &str, Pem { certificate, key }: &Pem) {
    std::fs::write(folder.join(format!("{name}.crt")), certificate).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), key).unwrap();
}

/// Each owner with what is wrong.
fn states(certificates: &Certificates) -> Vec<(String, Option<String>)> {
    certificates.states().into_iter().map(|state| (state.owner.to_string(), state.problem)).collect()
}

#[test]
fn those_of_apps_and_of_the_folder_are_found_and_a_folder_that_is_gone_keeps_what_was_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    write(folder.path(), "own", &pem(&["a"], 2030));
    write(&inner, "x", &pem(&["b"], 2030));
    let text = "apiVersion: zerogate.dev/v1alpha1\nkind: HTTPApp\nmetadata: {name: hello}\nspec: {routes: [{hosts: [a]}], \
                target: {process: {command: [x]}}, tls: {certificate: own.crt, key: own.key}}\n";
    let file = folder.path().join("app.yaml");
    std::fs::write(&file, text).unwrap();
    let declared = crate::config::load(&[file]).unwrap();
    let certificates = Certificates::default();
    certificates.want(&declared);
    take(&certificates, Some(&inner), now());
    let both = ["app default/hello", "x of --tls-folder"].map(|owner| (owner.to_owned(), None));
    assert_eq!(states(&certificates), both);

    std::fs::rename(&inner, folder.path().join("away")).unwrap();
    std::fs::remove_file(folder.path().join("own.key")).unwrap();
    take(&certificates, Some(&inner), now());
    let said = states(&certificates);
    let why = |owner: &str| said.iter().find(|it| it.0 == owner).unwrap_or_else(|| panic!("{said:?}")).1.clone();
    assert!(why("app default/hello").unwrap().contains("own.key cannot be read: there is no such file"), "{said:?}");
    assert!(why("--tls-folder").unwrap().contains("cannot be read"), "{said:?}");
    assert_eq!(why("x of --tls-folder"), None);
    assert!(certificates.states().iter().filter(|state| state.certificate.is_some()).count() == 2);

    std::fs::rename(folder.path().join("away"), &inner).unwrap();
    write(folder.path(), "own", &pem(&["a"], 2030));
    take(&certificates, Some(&inner), now());
    assert_eq!(states(&certificates), both);
    certificates.want(&Default::default());
    take(&certificates, None, now());
    assert_eq!(states(&certificates), []);
}
