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
use activator::{AppId, AppSettings};

use super::origin::Origin;
use super::problem::{Finding, quoted};
use super::settings::{AppConfig, EdgeSettings};

/// What the parts of a conversion need.
struct Conversion<'a> {
    folder: &'a Path,
    origin: Origin,
    found: Vec<Finding>,
}

/// The settings that `document` stands for; `folder` is what paths in it are relative to.
///
/// # Errors
/// All that makes no sense, without lines.
pub fn convert(document: &Document, folder: &Path, origin: Origin) -> Result<(AppId, AppConfig), Vec<Finding>> {
    let mut conversion = Conversion { folder, origin, found: Vec::new() };
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
        _ => Err(conversion.found),
    }
}

// === impl Conversion ===

impl Conversion<'_> {
    fn add(&mut self, field: &str, message: impl Into<String>) {
        self.found.push(Finding { line: None, field: field.to_owned(), message: message.into() });
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
