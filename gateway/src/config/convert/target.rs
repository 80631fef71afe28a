use std::path::{self, PathBuf};
use std::sync::Arc;

use activator::AppId;
use activator::resource::{self, Port, Process, Protocol, ScaleTargetRef, Service, StopSignal};
use activator::settings::{PortChoice, ProcessSpec, Readiness, ScaleTarget, ServicePort, Target};
use http::uri::PathAndQuery;
use rustix::process::Signal;

use super::Conversion;
use crate::config::origin::Origin;
use crate::config::problem::quoted;

// === impl Conversion ===

impl Conversion<'_> {
    /// What runs the app, or `None` if some of it makes no sense.
    pub(super) fn target(
        &mut self,
        id: &AppId,
        target: &resource::Target,
        scaling: &resource::Scaling,
    ) -> Option<Target> {
        let readiness = match &target.readiness {
            Some(readiness) => Some(self.readiness(readiness, target.protocol.unwrap_or_default())?),
            None => None,
        };
        match (&target.process, &target.scale_target_ref) {
            (Some(_), Some(_)) => {
                self.add("spec.target", "has `process` and `scaleTargetRef`; give one of them only");
                None
            }
            (None, None) => {
                self.add("spec.target", missing(self.origin));
                None
            }
            (Some(process), None) => self.process(process, target, scaling, readiness),
            (None, Some(reference)) => self.scale_target(id, reference, target, readiness),
        }
    }

    fn process(
        &mut self,
        process: &Process,
        target: &resource::Target,
        scaling: &resource::Scaling,
        readiness: Option<Readiness>,
    ) -> Option<Target> {
        if self.origin == Origin::Cluster {
            let message =
                "runs on one machine without Kubernetes only; in a cluster write `scaleTargetRef` and `service`";
            self.add("spec.target.process", message);
            return None;
        }
        if target.service.is_some() {
            self.clash(
                "spec.target.service",
                &["spec.target.process"],
                "leads to pods, which a process has none of; it belongs to `scaleTargetRef`",
            );
        }
        if !target.early_readiness {
            self.clash(
                "spec.target.earlyReadiness",
                &["spec.target.process"],
                "has no effect on a process; it belongs to `scaleTargetRef`",
            );
        }
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
            self.clash("spec.target.process.port", &["spec.scaling.maxReplicas"], message);
        }
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
            readiness: readiness.unwrap_or(Readiness::TcpSocket),
            start_timeout: target.start_timeout.0,
            protocol: target.protocol.unwrap_or_default(),
        })))
    }

    fn scale_target(
        &mut self,
        id: &AppId,
        reference: &ScaleTargetRef,
        target: &resource::Target,
        readiness: Option<Readiness>,
    ) -> Option<Target> {
        if self.origin == Origin::Files {
            let message = "is for a cluster, where the gateway runs with `--kubernetes`; in a file write `process`";
            self.add("spec.target.scaleTargetRef", message);
            return None;
        }
        let Some(Service { name: service, port }) = &target.service else {
            let message = "is missing; `scaleTargetRef` says what is scaled, and the Service leads to its pods, \
                           such as `{name: hello}`";
            self.clash("spec.target.service", &["spec.target.scaleTargetRef"], message);
            return None;
        };
        let port = match port {
            None => ServicePort::Only,
            Some(resource::ServicePort::Number(number)) => ServicePort::Number(*number),
            Some(resource::ServicePort::Name(name)) => ServicePort::Name(name.as_str().into()),
        };
        if let ServicePort::Name(name) = &port {
            self.check("spec.target.service.port", || check_label(name, "port"));
        }
        self.check("spec.target.service.name", || check_label(service, "Service"));
        self.check("spec.target.scaleTargetRef.name", || super::check_name(&reference.name, true));
        self.check("spec.target.scaleTargetRef.kind", || check_kind(&reference.kind));
        self.check("spec.target.scaleTargetRef.apiVersion", || check_api_version(&reference.api_version));
        Some(Target::Scale(Arc::new(ScaleTarget {
            namespace: Arc::clone(&id.namespace),
            api_version: reference.api_version.as_str().into(),
            kind: reference.kind.as_str().into(),
            name: named(id, &reference.name),
            service: named(id, service),
            port,
            protocol: target.protocol,
            readiness,
            early_readiness: target.early_readiness,
            start_timeout: target.start_timeout.0,
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

    fn readiness(&mut self, readiness: &resource::Readiness, protocol: Protocol) -> Option<Readiness> {
        match readiness {
            resource::Readiness { http_get: Some(check), .. } => {
                let path = &check.path;
                if !path.starts_with('/') || !path.is_ascii() || PathAndQuery::try_from(path.as_str()).is_err() {
                    let message = format!("{} is no path; it begins with `/`, such as `/healthz`", quoted(path));
                    self.add("spec.target.readiness.httpGet.path", message);
                    return None;
                }
                Some(Readiness::HttpGet { path: path.clone(), protocol })
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

/// `name`, which most often is the app's own.
fn named(id: &AppId, name: &str) -> Arc<str> {
    if *id.name == *name { id.name.clone() } else { name.into() }
}

/// What to say if nothing runs the app.
fn missing(origin: Origin) -> String {
    let process = "`process`, such as `{process: {command: [zerogate, echo]}}`";
    let cluster = "`scaleTargetRef` and `service`, such as `{scaleTargetRef: {name: hello}, service: {name: hello}}`";
    match origin {
        Origin::Files => format!("does not say what runs the app; it has to have {process}"),
        Origin::Cluster => format!("does not say what is scaled; it has to have {cluster}"),
        Origin::Either => {
            format!("does not say what runs the app; it has to have {process}, or in a cluster {cluster}")
        }
    }
}

/// Whether `name` is the name of a Service or of its port.
fn check_label(name: &str, what: &str) -> Result<(), String> {
    super::check_name(name, false)
        .map_err(|_| format!("{} is no name of a {what}: it has lower-case letters, digits and `-` only", quoted(name)))
}

fn check_kind(kind: &str) -> Result<(), String> {
    let good = kind.starts_with(|c: char| c.is_ascii_alphabetic())
        && kind.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
    if good { Ok(()) } else { Err(format!("{} is no kind of object, such as `Deployment`", quoted(kind))) }
}

fn check_api_version(version: &str) -> Result<(), String> {
    let (group, version_only) = version.rsplit_once('/').unwrap_or(("core", version));
    let good = super::check_name(group, true).is_ok() && super::check_name(version_only, false).is_ok();
    if good { Ok(()) } else { Err(format!("{} is no version of an API, such as `apps/v1`", quoted(version))) }
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
