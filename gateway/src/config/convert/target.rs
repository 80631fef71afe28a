use std::path::{self, PathBuf};
use std::sync::Arc;

use activator::settings::{PortChoice, ProcessSpec, Readiness, Target};
use http::uri::PathAndQuery;
use rustix::process::Signal;

use super::Conversion;
use crate::config::problem::quoted;
use crate::config::resource::{self, Port, StopSignal};

// === impl Conversion ===

impl Conversion<'_, '_> {
    /// What runs the app, or `None` if some of it makes no sense.
    pub(super) fn target(&mut self, target: &resource::Target, scaling: &resource::Scaling) -> Option<Target> {
        let process = &target.process;
        self.command(&process.command);
        for (name, value) in &process.env {
            let field = format!("spec.target.process.env.{name}");
            self.check(&field, || check_variable(name, value));
        }
        if process.working_dir.contains('\0') {
            self.add("spec.target.process.workingDir", "has a NUL character");
        }
        if let Port::Fixed(port) = process.port
            && scaling.max_replicas > 1
        {
            let message = format!(
                "with the fixed port {port} there can be one replica only, but spec.scaling.maxReplicas is {}; set that to 1, \
                 or write `port: auto`",
                scaling.max_replicas
            );
            self.add("spec.target.process.port", message);
        }
        let http2 = target.protocol == resource::Protocol::H2c;
        let readiness = self.readiness(&target.readiness, http2)?;
        Some(Target::Process(Arc::new(ProcessSpec {
            command: process.command.clone(),
            env: process.env.clone(),
            working_dir: Some(self.working_dir(&process.working_dir)),
            port: match process.port {
                Port::Auto => PortChoice::Auto,
                Port::Fixed(port) => PortChoice::Fixed(port),
            },
            stop_signal: signal(process.stop_signal).as_raw(),
            stop_grace: process.stop_grace.0,
            readiness,
            start_timeout: target.start_timeout.0,
            http2,
        })))
    }

    fn command(&mut self, command: &[String]) {
        for (index, word) in command.iter().enumerate() {
            let field = format!("spec.target.process.command[{index}]");
            if word.contains('\0') {
                self.add(&field, "has a NUL character");
            }
            if index == 0 && word.trim().is_empty() {
                self.add(&field, "is empty; the first item is the program to run");
            }
        }
    }

    fn readiness(&mut self, readiness: &resource::Readiness, http2: bool) -> Option<Readiness> {
        match readiness {
            resource::Readiness { http_get: Some(check), .. } => {
                let path = &check.path;
                if !path.starts_with('/') || !path.is_ascii() || PathAndQuery::try_from(path.as_str()).is_err() {
                    let message = format!("{} is no path; it begins with `/`, such as `/healthz`", quoted(path));
                    self.add("spec.target.readiness.httpGet.path", message);
                    return None;
                }
                Some(Readiness::HttpGet { path: path.clone(), http2 })
            }
            resource::Readiness { grpc: Some(check), .. } => Some(Readiness::Grpc { service: check.service.clone() }),
            _ => Some(Readiness::TcpSocket),
        }
    }

    /// Absolute, so that it stays the same whatever the gateway's own folder is.
    fn working_dir(&self, dir: &str) -> PathBuf {
        let dir = self.folder.join(dir);
        path::absolute(&dir).unwrap_or(dir)
    }
}

fn check_variable(name: &str, value: &str) -> Result<(), String> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(format!("{} is no name of a variable: it cannot be empty or have `=` or NUL", quoted(name)));
    }
    if name == "PORT" {
        return Err("is set to the port to listen on; choose that with spec.target.process.port".to_owned());
    }
    if value.contains('\0') {
        return Err("has a NUL character".to_owned());
    }
    Ok(())
}

fn signal(signal: StopSignal) -> Signal {
    match signal {
        StopSignal::Term => Signal::TERM,
        StopSignal::Int => Signal::INT,
        StopSignal::Quit => Signal::QUIT,
        StopSignal::Hup => Signal::HUP,
        StopSignal::Usr1 => Signal::USR1,
        StopSignal::Usr2 => Signal::USR2,
        StopSignal::Kill => Signal::KILL,
    }
}
