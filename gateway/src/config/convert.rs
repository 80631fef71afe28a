//! From a document that has the right shape to settings that make sense; finds all that does not.

mod host;
mod limits;
mod route;
mod scaling;
mod target;

use std::path::Path;

use activator::{AppId, AppSettings};

use super::problem::{Report, quoted};
use super::resource::HttpApp;
use super::settings::{AppConfig, EdgeSettings};
use super::yaml::Node;

/// What the parts of a conversion need.
struct Conversion<'a, 'r> {
    tree: &'a Node,
    folder: &'a Path,
    report: &'a mut Report<'r>,
}

/// The settings that `app` stands for; `tree` is the document it was read from, `folder` where that is. `None` if anything
/// has been reported.
pub fn convert(app: &HttpApp, tree: &Node, folder: &Path, report: &mut Report<'_>) -> Option<(AppId, AppConfig)> {
    let before = report.problems.len();
    let mut conversion = Conversion { tree, folder, report };
    let name = &app.metadata.name;
    let namespace = &app.metadata.namespace;
    conversion.check("metadata.name", || check_name(name, true));
    conversion.check("metadata.namespace", || check_name(namespace, false));
    let routes = conversion.routes(&app.spec.routes);
    let target = conversion.target(&app.spec.target, &app.spec.scaling);
    let scaling = conversion.scaling(&app.spec.scaling);
    let hold = conversion.hold(&app.spec.hold, &app.spec.scaling);
    let limits = conversion.limits(&app.spec.limits);
    if report.problems.len() > before {
        return None;
    }
    let config = AppConfig {
        activator: AppSettings { target: target?, scaling, hold },
        edge: EdgeSettings { routes, timeouts: limits::timeouts(&app.spec.timeouts), limits },
    };
    Some((AppId::new(namespace.as_str(), name.as_str()), config))
}

// === impl Conversion ===

impl Conversion<'_, '_> {
    fn add(&mut self, field: &str, message: impl Into<String>) {
        self.report.add(self.tree.line_of(field), field, message);
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
