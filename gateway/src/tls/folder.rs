//! Folders of certificates: which files belong together. What tools write is taken as it is: `NAME.crt` with `NAME.key`,
//! `NAME.pem` with `NAME-key.pem` (mkcert) or with the key in it (HAProxy), and in a folder for each certificate `tls.crt`
//! with `tls.key` (a mounted Secret) or `fullchain.pem` with `privkey.pem` (certbot).

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::File;

/// Most certificates in a folder.
const MOST: usize = 10_000;

/// A certificate with its key, which may be the same file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// The certificates in `folder`, and in the folders in it, by name.
///
/// # Errors
/// It cannot be read, or there are too many.
pub fn pairs(folder: &Path) -> Result<BTreeMap<String, Pair>, String> {
    let mut pairs = BTreeMap::new();
    let unreadable = |e| format!("--tls-folder {} cannot be read: {e}", folder.display());
    let Inside { files, folders } = inside(folder).map_err(unreadable)?;
    add(&mut pairs, &files, |stem| stem.to_owned());
    for inner in folders {
        let name = text(inner.file_name());
        // It may be gone already.
        let files = inside(&inner).map(|inside| inside.files).unwrap_or_default();
        add(&mut pairs, &files, |stem| match stem {
            "tls" | "fullchain" => name.clone(),
            stem => format!("{name}/{stem}"),
        });
    }
    if pairs.len() > MOST {
        return Err(format!("--tls-folder {} has {} certificates; it may have {MOST}", folder.display(), pairs.len()));
    }
    Ok(pairs)
}

/// All that is in these folders and in the folders in them, and the folders themselves; what is a file stands for itself.
pub fn list(paths: &[PathBuf]) -> Vec<File> {
    let mut all = Vec::new();
    for path in paths {
        let Ok(Inside { files, folders }) = inside(path) else {
            all.push(path.clone());
            continue;
        };
        all.extend(files);
        for folder in folders {
            all.extend(inside(&folder).map(|inside| inside.files).unwrap_or_default());
            all.push(folder);
        }
    }
    all.sort();
    all.dedup();
    all.into_iter().map(File::at).collect()
}

/// The folders to watch for all of that.
pub fn folders(folder: &Path) -> Vec<PathBuf> {
    let inner = inside(folder).map(|inside| inside.folders).unwrap_or_default();
    [folder.to_owned()].into_iter().chain(inner).collect()
}

/// Whether something of this name in a folder may be part of one.
pub fn may_hold(path: &Path) -> bool {
    !is_hidden(path)
}

/// What is in a folder, sorted, but for what is hidden.
#[derive(Default)]
struct Inside {
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

fn inside(folder: &Path) -> io::Result<Inside> {
    let mut inside = Inside::default();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if is_hidden(&path) {
            continue;
        }
        match path.is_dir() {
            true => inside.folders.push(path),
            false => inside.files.push(path),
        }
    }
    inside.files.sort();
    inside.folders.sort();
    Ok(inside)
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn add(pairs: &mut BTreeMap<String, Pair>, files: &[PathBuf], name: impl Fn(&str) -> String) {
    let has = |name: &str| files.iter().any(|path| path.file_name() == Some(OsStr::new(name)));
    let (is_certbots, is_secrets) = (has("fullchain.pem"), has("tls.crt"));
    for certificate in files {
        let stem = text(certificate.file_stem());
        let key = match text(certificate.extension()).as_str() {
            // Whose it is signed by, which goes with no key here.
            "crt" if is_secrets && stem == "ca" => continue,
            "crt" => certificate.with_extension("key"),
            "pem" if is_certbots && stem == "fullchain" => certificate.with_file_name("privkey.pem"),
            "pem" if is_certbots || stem.ends_with("-key") => continue,
            "pem" => {
                let beside = certificate.with_file_name(format!("{stem}-key.pem"));
                if files.contains(&beside) { beside } else { certificate.clone() }
            }
            _ => continue,
        };
        pairs.insert(name(&stem), Pair { certificate: certificate.clone(), key });
    }
}

fn text(name: Option<&OsStr>) -> String {
    name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
