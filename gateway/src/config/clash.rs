//! What only one app may have: its name, a host with a path, a target, a fixed port.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use activator::AppId;
use activator::settings::{PortChoice, Target};

use super::grant::{keys, target_key, told};
use super::problem::{Place, Report};
use super::settings::{HeaderMatch, HostPattern, Route};
use super::yaml::Node;

/// What the documents so far have.
#[derive(Default)]
pub struct Taken {
    names: HashMap<AppId, Owner>,
    routes: HashMap<RouteKey, Owner>,
    targets: HashMap<[String; 4], Owner>,
    ports: HashMap<u16, Owner>,
}

/// What no two routes may have in common.
type RouteKey = (HostPattern, String, Vec<HeaderMatch>);

/// Who had it first.
#[derive(Clone)]
struct Owner {
    place: Arc<Place>,
    field: Arc<str>,
    line: usize,
}

// === impl Taken ===

impl Taken {
    /// Takes a name, or reports who has it.
    pub fn name(&mut self, id: AppId, tree: &Node, report: &mut Report<'_>) {
        let field = "metadata.name";
        let owner = Owner::new(report, field, tree.line_of(field));
        match self.names.entry(id) {
            Entry::Vacant(free) => {
                free.insert(owner);
            }
            Entry::Occupied(taken) => {
                let message = format!("app `{}` is declared already {}", taken.key(), taken.get().told_to(report));
                report.add(owner.line, field, message);
            }
        }
    }

    /// Takes the routes of an app, each with its place, or reports who has them.
    pub fn routes<'r>(
        &mut self,
        routes: impl Iterator<Item = (usize, &'r Route)>,
        tree: &Node,
        report: &mut Report<'_>,
    ) {
        for (index, route) in routes {
            self.route(index, route, tree, report);
        }
    }

    /// Takes what runs an app and the port of that, or reports who has them.
    pub fn target(&mut self, target: &Target, tree: &Node, report: &mut Report<'_>) {
        if let Target::Scale(target) = target {
            let field = "spec.target.scaleTargetRef";
            let owner = Owner::new(report, field, tree.line_of(field));
            let (namespace, group, kind, name) = target_key(target);
            match self.targets.entry([namespace, group, kind, name].map(str::to_owned)) {
                Entry::Vacant(free) => {
                    free.insert(owner);
                }
                Entry::Occupied(taken) => {
                    let first = taken.get().told_to(report);
                    let message = format!("{kind} {namespace}/{name} is the target of another app already, {first}");
                    report.add(owner.line, field, message);
                }
            }
        }
        if let Target::Process(process) = target
            && let PortChoice::Fixed(port) = process.port
        {
            let field = "spec.target.process.port";
            let owner = Owner::new(report, field, tree.line_of(field));
            if let Some(first) = self.ports.get(&port) {
                let message = format!("{port} is the port of another app already {}", first.told_to(report));
                report.add(owner.line, field, message);
            } else {
                self.ports.insert(port, owner);
            }
        }
    }

    fn route(&mut self, index: usize, route: &Route, tree: &Node, report: &mut Report<'_>) {
        let field = format!("spec.routes[{index}]");
        let owner = Owner::new(report, &field, tree.line_of(&field));
        for key in keys(route) {
            let (host, path, headers) = key;
            match self.routes.entry((host.clone(), path.to_owned(), headers.to_vec())) {
                Entry::Vacant(free) => {
                    free.insert(owner.clone());
                }
                Entry::Occupied(taken) => {
                    let first = taken.get().told_to(report);
                    report.add(owner.line, field.clone(), format!("{} is routed already {first}", told(key)));
                }
            }
        }
    }
}

// === impl Owner ===

impl Owner {
    fn new(report: &Report<'_>, field: &str, line: usize) -> Self {
        Self { place: Arc::clone(report.place), field: field.into(), line }
    }

    /// Where it is, for someone who is at another place.
    fn told_to(&self, report: &Report<'_>) -> String {
        let Self { place, field, line } = self;
        if Arc::ptr_eq(place, report.place) {
            return format!("by {field} of the same document, line {line}");
        }
        let app = place.app.as_deref().unwrap_or("an app without a name");
        format!("by {field} of {app} at {}:{line}", place.source.name)
    }
}
