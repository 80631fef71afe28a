//! Reads files and folders of documents.

mod files;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use activator::AppId;

pub use files::{File, holds_documents, list, read_stdin};

use super::clash::Taken;
use super::convert::{Faulty, settings};
use super::document;
use super::origin::Origin;
use super::problem::{Finding, Place, Problem, Problems, Report, Source, quotable};
use super::settings::{AppConfig, AuthoritySource, CertificateSource, Declared};
use super::yaml::{Documents, Node, RepeatedKey};
use crate::tls::authorities;
use crate::tls::files::load as load_certificate;

/// Collects what documents declare.
pub struct Loader {
    origin: Origin,
    declared: Declared,
    problems: Problems,
    taken: Taken,
    sources: usize,
    passed_over: usize,
}

/// What all the files declare. A path may be a folder: all `*.yaml` and `*.yml` files in it, sorted by name, hidden ones left out.
///
/// # Errors
/// All that is wrong with them.
pub fn load(paths: &[PathBuf]) -> Result<Declared, Problems> {
    let mut loader = Loader::new(Origin::Files);
    for file in list(paths) {
        loader.file(file);
    }
    loader.finish()
}

// === impl Loader ===

impl Loader {
    /// For documents that are to be used there.
    pub fn new(origin: Origin) -> Self {
        Self {
            origin,
            declared: Declared::default(),
            problems: Problems::default(),
            taken: Taken::default(),
            sources: 0,
            passed_over: 0,
        }
    }

    /// For documents for one machine or a cluster, with those at `paths`; `-` is standard input.
    pub fn of(paths: &[PathBuf]) -> Self {
        let mut loader = Self::new(Origin::Either);
        let (stdin, files): (Vec<_>, Vec<_>) = paths.iter().cloned().partition(|path| path == Path::new("-"));
        if !stdin.is_empty() {
            match read_stdin() {
                Ok(text) => loader.text("<stdin>".to_owned(), Path::new(""), &text),
                Err(message) => loader.unreadable("<stdin>".to_owned(), message),
            }
        }
        for file in list(&files) {
            loader.file(file);
        }
        loader
    }

    /// Adds a file.
    pub fn file(&mut self, file: File) {
        match file.read() {
            Ok(text) => {
                let folder = file.path.parent().unwrap_or(Path::new(""));
                self.text(file.name(), folder, &text);
            }
            Err(message) => self.unreadable(file.name(), message),
        }
    }

    /// Adds something that cannot be read.
    pub fn unreadable(&mut self, name: String, message: String) {
        let place = self.source(name);
        self.whole(place, message);
    }

    /// Adds a text; `folder` is what paths in it are relative to.
    pub fn text(&mut self, name: String, folder: &Path, text: &str) {
        let file = self.source(name);
        let mut empty = true;
        for document in Documents::new(text) {
            empty = false;
            match document {
                Ok(document) => self.document(&file, folder, document.number, document.root, &document.repeated),
                Err(fault) => self.problems.push(Problem {
                    place: Place { document: Some(fault.document), ..file.clone() },
                    line: Some(fault.line),
                    column: Some(fault.column),
                    field: String::new(),
                    message: fault.what,
                }),
            }
        }
        if empty {
            self.whole(file, "has no document; it needs an HTTPApp at least".to_owned());
        }
    }

    /// All that was declared, or all that was wrong.
    ///
    /// # Errors
    /// Anything was wrong.
    pub fn finish(mut self) -> Result<Declared, Problems> {
        if self.problems.is_empty() {
            return Ok(self.declared);
        }
        self.problems.sort();
        Err(self.problems)
    }

    /// How many files and texts were added.
    pub fn sources(&self) -> usize {
        self.sources
    }

    /// How many objects of other kinds there were beside; only where those are passed over.
    pub fn passed_over(&self) -> usize {
        self.passed_over
    }

    fn source(&mut self, name: String) -> Place {
        self.sources += 1;
        Place::file(Arc::new(Source { index: self.sources, name }))
    }

    fn whole(&mut self, place: Place, message: String) {
        self.problems.push(Problem { place, line: None, column: None, field: String::new(), message });
    }

    fn document(&mut self, file: &Place, folder: &Path, number: usize, mut tree: Node, repeated: &[RepeatedKey]) {
        if self.origin == Origin::Either {
            if let Some(items) = document::items(&mut tree) {
                return items.into_iter().for_each(|item| self.document(file, folder, number, item, repeated));
            }
            if document::is_of_another_kind(&tree) {
                self.passed_over += 1;
                return;
            }
        }
        document::strip(&mut tree);
        let tree = &tree;
        let id = identity(tree);
        let app = id.as_ref().map(|id| quotable(&id.to_string(), 120).into_owned());
        let place = Arc::new(Place { document: Some(number), app, ..file.clone() });
        let mut report = Report { place: &place, problems: &mut self.problems };
        for key in repeated {
            report.add(key.line, key.field.clone(), format!("is given twice; first in line {}", key.first));
        }
        if let Some(id) = id {
            self.taken.name(id, tree, &mut report);
        }
        match settings(tree, folder, self.origin) {
            Ok((id, config)) => {
                // Where it is only asked whether all is well; a gateway goes on with those that are.
                if self.origin == Origin::Either
                    && let Some(why) = certificate_problem(&config, SystemTime::now())
                {
                    report.add(tree.line_of("spec.tls.certificate"), "spec.tls.certificate", why);
                }
                if self.origin == Origin::Either
                    && let Some(why) = authority_problem(&config)
                {
                    report.add(tree.line_of("spec.target.tls.ca"), "spec.target.tls.ca", why);
                }
                self.taken.routes(config.edge.routes.iter().enumerate(), tree, &mut report);
                self.taken.target(&config.activator.target, tree, &mut report);
                self.declared.apps.insert(id, config);
            }
            Err(Faulty { found, routes, target }) => {
                for Finding { line, field, message } in found {
                    report.add(line.unwrap_or_else(|| tree.line_of(&field)), field, message);
                }
                self.taken.routes(routes.iter().map(|(index, route)| (*index, route)), tree, &mut report);
                if let Some(target) = target {
                    self.taken.target(&target, tree, &mut report);
                }
            }
        }
    }
}

/// What is wrong with the certificate in files that an app names.
fn certificate_problem(config: &AppConfig, now: SystemTime) -> Option<String> {
    let CertificateSource::Files { certificate, key } = config.edge.tls.as_ref()?.certificate.as_ref()? else {
        return None;
    };
    match load_certificate(certificate, key) {
        Err(why) => Some(why),
        Ok(loaded) => {
            let hosts = config.edge.routes.iter().flat_map(|route| &route.hosts);
            let wrong = loaded.lacks(hosts).or_else(|| loaded.untimely(now));
            wrong.map(|what| format!("{} {what}", certificate.display()))
        }
    }
}

/// What is wrong with the file of an authority that an app names.
fn authority_problem(config: &AppConfig) -> Option<String> {
    match &config.edge.trust.as_ref()?.authority {
        AuthoritySource::File(path) => authorities::load(path).err(),
        _ => None,
    }
}

/// The app's name, if it can be told so far.
fn identity(tree: &Node) -> Option<AppId> {
    let metadata = tree.get("metadata")?;
    let name = metadata.get("name")?.as_text()?;
    let namespace = match metadata.get("namespace") {
        Some(namespace) => namespace.as_text()?,
        None => "default",
    };
    Some(AppId::new(namespace, name))
}

#[cfg(test)]
mod tests;
