use std::fs::{create_dir, write};

use super::*;

/// The pairs in a folder with these files, each as `name: certificate + key`.
fn found(files: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        let _ = create_dir(path.parent().unwrap());
        write(path, "").unwrap();
    }
    let relative = |path: &Path| path.strip_prefix(folder.path()).unwrap().display().to_string();
    let pairs = pairs(folder.path()).unwrap();
    pairs.iter().map(|(name, it)| format!("{name}: {} + {}", relative(&it.certificate), relative(&it.key))).collect()
}

#[test]
fn what_tools_write_is_understood() {
    assert_eq!(found(&["a.crt", "a.key", "b.crt", "notes.txt"]), ["a: a.crt + a.key", "b: b.crt + b.key"]);
    assert_eq!(found(&["a.pem", "a-key.pem"]), ["a: a.pem + a-key.pem"]);
    assert_eq!(found(&["a.pem"]), ["a: a.pem + a.pem"]);
    assert_eq!(
        found(&["a/tls.crt", "a/tls.key", "a/ca.crt", "b/fullchain.pem", "b/privkey.pem", "b/cert.pem", "b/chain.pem"]),
        ["a: a/tls.crt + a/tls.key", "b: b/fullchain.pem + b/privkey.pem"]
    );
    assert_eq!(found(&[".hidden.crt", ".hidden/tls.crt", "..data/tls.crt"]), Vec::<String>::new());
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let why = pairs(Path::new("/no/such/folder")).unwrap_err();
    assert!(why.starts_with("--tls-folder /no/such/folder cannot be read"), "{why}");
}

#[test]
fn all_that_could_matter_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    create_dir(folder.path().join("a")).unwrap();
    for file in ["a/tls.crt", "b.crt", ".c.crt"] {
        write(folder.path().join(file), "").unwrap();
    }
    let paths = list(&[folder.path().to_owned(), "/elsewhere/x.key".into()]);
    let paths: Vec<_> = paths.iter().map(|file| file.path.display().to_string()).collect();
    let inner = |name| folder.path().join(name).display().to_string();
    assert_eq!(paths, ["/elsewhere/x.key".to_owned(), inner("a"), inner("a/tls.crt"), inner("b.crt")]);
    assert_eq!(folders(folder.path()), [folder.path().to_owned(), folder.path().join("a")]);
}
