//! From a document that has the right shape to settings that make sense; finds all that does not.

mod affinity;
mod forwarding;
mod host;
mod limits;
mod route;
mod scaling;
mod target;
mod tls;
mod trust;

use std::path::Path;
use std::sync::Arc;

use activator::resource::Document;
use activator::settings::Target;
use activator::{AppId, AppSettings};

use super::conform::{StandIns, conform, mend};
use super::document;
use super::origin::Origin;
use super::problem::{Finding, quoted};
use super::settings::{AppConfig, EdgeSettings, Route};
use super::yaml::Node;

/// What the parts of a conversion need.
struct Conversion<'a> {
    folder: &'a Path,
    origin: Origin,
    /// What is not as it was written, and nothing is to be said of.
    stand_ins: &'a StandIns,
    found: Vec<Finding>,
}

/// A document that stands for no settings.
pub struct Faulty {
    /// All that is wrong with it, never nothing.
    pub found: Vec<Finding>,
    /// Those of its routes that are as they were written, with their places, so that it can be told which another app has.
    pub routes: Vec<(usize, Route)>,
    /// What would run it, likewise.
    pub target: Option<Target>,
}

/// The settings that a document stands for; `folder` is what paths in it are relative to.
///
/// # Errors
/// All that is wrong with its shape, and all that makes no sense; the latter without lines.
pub fn settings(tree: &Node, folder: &Path, origin: Origin) -> Result<(AppId, AppConfig), Faulty> {
    let found = conform(tree);
    if found.is_empty() {
        return convert(&document::read(tree)?, folder, origin, &StandIns::default());
    }
    let Some((mended, stand_ins)) = mend(tree, &found) else { return Err(found.into()) };
    let more = document::read(&mended).map_err(Faulty::from);
    match more.and_then(|document| convert(&document, folder, origin, &stand_ins)) {
        Ok((_, config)) => Err(Faulty {
            routes: written(config.edge.routes.clone(), &stand_ins),
            target: Some(config.activator.target.clone()).filter(|_| !stand_ins.has("spec.target")),
            found,
        }),
        Err(more) => Err(Faulty { found: [found, more.found].concat(), ..more }),
    }
}

fn convert(
    document: &Document,
    folder: &Path,
    origin: Origin,
    stand_ins: &StandIns,
) -> Result<(AppId, AppConfig), Faulty> {
    let mut conversion = Conversion { folder, origin, stand_ins, found: Vec::new() };
    let Document { metadata, spec, .. } = document;
    conversion.check("metadata.name", || check_name(&metadata.name, true));
    conversion.check("metadata.namespace", || check_name(&metadata.namespace, false));
    let id = AppId::new(metadata.namespace.as_str(), metadata.name.as_str());
    let routes = conversion.routes(&spec.routes);
    let target = conversion.target(&id, &spec.target, &spec.scaling);
    let scaling = conversion.scaling(&spec.scaling, &spec.target);
    let hold = conversion.hold(&spec.hold, &spec.scaling);
    let limits = conversion.limits(&spec.limits);
    let forwarding = conversion.forwarding(&spec.forwarding);
    let affinity = conversion.affinity(&id, &spec.affinity).map(Arc::new);
    let tls = conversion.tls(&spec.tls);
    let trust = conversion.trust(&id, &spec.target);
    match target {
        Some(target) if conversion.found.is_empty() => {
            let most_in_flight = limits::most_in_flight(&spec.limits);
            let timeouts = limits::timeouts(&spec.timeouts).into();
            let edge = EdgeSettings { routes, timeouts, limits, most_in_flight, forwarding, affinity, tls, trust };
            Ok((
                id,
                AppConfig {
                    activator: AppSettings { target, scaling: scaling.into(), hold }.into(),
                    edge: edge.into(),
                },
            ))
        }
        target => Err(Faulty {
            found: conversion.found,
            routes: written(routes, stand_ins),
            target: target.filter(|_| !stand_ins.has("spec.target")),
        }),
    }
}

/// Those that are as they were written, with their places.
fn written(routes: Vec<Route>, stand_ins: &StandIns) -> Vec<(usize, Route)> {
    let routes = routes.into_iter().enumerate();
    routes.filter(|(index, _)| !stand_ins.has(&format!("spec.routes[{index}]"))).collect()
}

// === impl Faulty ===

impl From<Vec<Finding>> for Faulty {
    fn from(found: Vec<Finding>) -> Self {
        Self { found, routes: Vec::new(), target: None }
    }
}

// === impl Conversion ===

impl Conversion<'_> {
    fn add(&mut self, field: &str, message: impl Into<String>) {
        self.clash(field, &[], message);
    }

    /// Reports what is wrong with `field` because of what `others` are.
    fn clash(&mut self, field: &str, others: &[&str], message: impl Into<String>) {
        if !others.iter().chain([&field]).any(|field| self.stand_ins.has(field)) {
            self.found.push(Finding { line: None, field: field.to_owned(), message: message.into() });
        }
    }

    /// Reports what `check` finds.
    fn check(&mut self, field: &str, check: impl FnOnce() -> Result<(), String>) {
        if let Err(message) = check() {
            self.add(field, message);
        }
    }
}

/// Whether `name` is a DNS-1123 name; `dots` says whether it may have several labels.
fn check_name(name: &str, dots: bool) -> Result<(), String> {
    let characters =
        if dots { "lower-case letters, digits, `-` and `.`" } else { "lower-case letters, digits and `-`" };
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || (dots && c == '.');
    if let Some(c) = name.chars().find(|c| !allowed(*c)) {
        return Err(format!("{} has {}; a name has {characters} only", quoted(name), quoted(&c.to_string())));
    }
    if name.split('.').any(|label| label.is_empty() || label.starts_with('-') || label.ends_with('-')) {
        let part = if dots { "a name and each part between dots begin and end" } else { "a name begins and ends" };
        return Err(format!("{} is no name: {part} with a letter or digit", quoted(name)));
    }
    Ok(())
}
