use std::collections::HashSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use activator::resource::human::ByteSize;

use crate::config::problem::file_name;

/// Largest file that is read.
const LARGEST: u64 = 16 << 20;

/// A file to read.
#[derive(Debug)]
pub struct File {
    /// Where it is.
    pub path: PathBuf,
    /// Why it is known already that it cannot be read.
    unreadable: Option<String>,
}

/// The files behind `paths`, each once: of a folder all `*.yaml` and `*.yml` in it, sorted by name, hidden ones left out.
pub fn list(paths: &[PathBuf]) -> Vec<File> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(File { path: path.clone(), unreadable: None });
            continue;
        }
        match in_folder(path) {
            // As with an empty file: a folder that was not mounted, or is being written anew, is not to remove every app.
            Ok(found) if found.is_empty() => {
                let why = "has no `*.yaml` or `*.yml` file; it needs an HTTPApp at least";
                files.push(File { path: path.clone(), unreadable: Some(why.to_owned()) });
            }
            Ok(mut found) => {
                found.sort();
                files.extend(found.into_iter().map(File::at));
            }
            Err(error) => files.push(File { path: path.clone(), unreadable: Some(cannot_be_read(&error)) }),
        }
    }
    let mut known = HashSet::new();
    files.retain(|file| known.insert(file.path.clone()));
    files
}

/// Whether a file of this name in a folder holds documents.
pub fn holds_documents(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// All that comes from standard input, up to the largest size of a file.
///
/// # Errors
/// Why it cannot be read.
pub fn read_stdin() -> Result<String, String> {
    read(&mut io::stdin().lock())
}

fn in_folder(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if holds_documents(&path) && !path.is_dir() {
            found.push(path);
        }
    }
    Ok(found)
}

fn read(from: &mut dyn Read) -> Result<String, String> {
    let mut bytes = Vec::new();
    from.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| cannot_be_read(&error))?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("is larger than {}; split it into several files", ByteSize(LARGEST)));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..valid].iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("is not UTF-8 text: see line {line}")
    })
}

fn cannot_be_read(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "cannot be read: there is no such file or folder".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

// === impl File ===

impl File {
    /// The one there.
    pub fn at(path: PathBuf) -> Self {
        Self { path, unreadable: None }
    }

    /// What to call it.
    pub fn name(&self) -> String {
        file_name(&self.path)
    }

    /// Its text.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn read(&self) -> Result<String, String> {
        if let Some(why) = &self.unreadable {
            return Err(why.clone());
        }
        // A pipe or device could keep the reader waiting for ever.
        let metadata = fs::metadata(&self.path).map_err(|error| cannot_be_read(&error))?;
        if !metadata.is_file() {
            return Err("is not a regular file".to_owned());
        }
        let mut file = fs::File::open(&self.path).map_err(|error| cannot_be_read(&error))?;
        read(&mut file)
    }
}
