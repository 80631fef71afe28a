//! What `zerogate check` does.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use activator::settings::Target;

use super::load::Loader;
use super::problem::{Problems, quotable};
use super::settings::{AppConfig, Declared};

/// Reads the documents at `paths` (`-` is standard input), for one machine or for a cluster, and writes what they declare, one line an app, or else all that
/// is wrong with them. The code is 0 if nothing is, 1 otherwise or if `out` cannot be written to.
pub fn check(paths: &[PathBuf], out: &mut dyn Write) -> ExitCode {
    let loader = Loader::of(paths);
    let sources = loader.sources();
    let passed_over = loader.passed_over();
    let checked = loader.finish();
    match (&checked, print(&checked, sources, passed_over, out)) {
        (Ok(_), Ok(())) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn print(
    checked: &Result<Declared, Problems>,
    sources: usize,
    passed_over: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    match checked {
        Ok(declared) => {
            for (id, app) in &declared.apps {
                writeln!(out, "{id}: {}", summary(app))?;
            }
            let apps = declared.apps.len();
            let beside = match passed_over {
                0 => String::new(),
                count => format!("; {count} object{} of other kinds passed over", s(count)),
            };
            writeln!(out, "ok: {apps} app{} in {sources} file{}{beside}", s(apps), s(sources))?;
        }
        Err(problems) => writeln!(out, "{problems}")?,
    }
    out.flush()
}

/// The app in a line: `hello.localhost/, *.hello.localhost/ -> zerogate echo (0 to 10 replicas)`.
fn summary(app: &AppConfig) -> String {
    let routes = app.edge.routes.iter().flat_map(|route| {
        route.hosts.iter().flat_map(|host| {
            route.paths.iter().map(move |path| format!("{host}{}", if path.is_empty() { "/" } else { path }))
        })
    });
    let mut routes: Vec<_> = routes.take(MOST_ROUTES + 1).collect();
    if routes.len() > MOST_ROUTES {
        routes[MOST_ROUTES] = "…".to_owned();
    }
    let target = match &app.activator.target {
        Target::Process(process) => process.command.join(" "),
        Target::Scale(target) => format!("{} {} by Service {}", target.kind, target.name, target.service),
    };
    let scaling = &app.activator.scaling;
    let replicas = match (scaling.min_replicas, scaling.max_replicas) {
        (min, max) if min == max => format!("{max} replica{}", s(max as usize)),
        (min, max) => format!("{min} to {max} replicas"),
    };
    format!("{} -> {} ({replicas})", routes.join(", "), quotable(&target, MOST_COMMAND))
}

/// Most routes in a line.
const MOST_ROUTES: usize = 4;

/// Most characters of a command in a line.
const MOST_COMMAND: usize = 60;

fn s(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests;
