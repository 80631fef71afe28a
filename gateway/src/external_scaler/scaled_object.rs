//! `zerogate keda`: a ScaledObject for an app, ready to be applied.

use std::io::{self, Write};
use std::process::ExitCode;

use activator::AppId;
use activator::settings::{ScaledBy, Scaling, Target};

use super::trigger::label;
use crate::cli::{KedaArgs, TriggerType};
use crate::config::{Loader, nearest};

/// How often KEDA asks, in seconds: its own default.
const POLLING_INTERVAL: u32 = 30;

/// What a ScaledObject is written from.
struct ScaledObject<'a> {
    app: &'a AppId,
    api_version: &'a str,
    kind: &'a str,
    target: &'a str,
    scaling: &'a Scaling,
    /// Whether that is the app's own, and not only what apps have by default.
    declared: bool,
    args: &'a KedaArgs,
}

/// Writes a ScaledObject for each app that is asked for, or what is wrong.
pub fn print(args: &KedaArgs, out: &mut dyn Write) -> ExitCode {
    let written = match args.filename.as_slice() {
        [] => undeclared(args),
        _ => declared(args),
    };
    match written.and_then(|text| write(out, &text).map_err(|e| format!("cannot write: {e}"))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn write(out: &mut dyn Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// For an app of which only the name is known: a Deployment of the same name, and what apps have by default.
fn undeclared(args: &KedaArgs) -> Result<String, String> {
    let app = id(args.app.as_deref().unwrap_or_default())?;
    let scaling = Scaling::default();
    let (api_version, kind, target) = ("apps/v1", "Deployment", &*app.name);
    Ok(ScaledObject { app: &app, api_version, kind, target, scaling: &scaling, declared: false, args }.to_string())
}

/// For those that are declared in files.
fn declared(args: &KedaArgs) -> Result<String, String> {
    let apps = Loader::of(&args.filename).finish().map_err(|problems| problems.to_string())?.apps;
    let only = args.app.as_deref().map(id).transpose()?;
    if let Some(only) = &only
        && !apps.contains_key(only)
    {
        let near = nearest(&only.name, apps.keys().map(|id| &*id.name));
        let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        return Err(format!("error: the files declare no HTTPApp `{only}`{hint}"));
    }
    let mut objects = Vec::new();
    for (app, config) in apps.iter().filter(|(app, _)| only.as_ref().is_none_or(|only| only == *app)) {
        let Target::Scale(target) = &config.activator.target else {
            return Err(format!("error: `{app}` runs as processes of one machine, which KEDA cannot scale"));
        };
        let scaling = &config.activator.scaling;
        if scaling.by != ScaledBy::Keda {
            eprintln!("note: `{app}` needs `scaling: {{by: keda}}`, or the gateway scales it too");
        }
        let (api_version, kind, target) = (&*target.api_version, &*target.kind, &*target.name);
        objects.push(ScaledObject { app, api_version, kind, target, scaling, declared: true, args }.to_string());
    }
    if objects.is_empty() {
        return Err("error: the files declare no HTTPApp".to_owned());
    }
    Ok(objects.join("---\n"))
}

fn id(text: &str) -> Result<AppId, String> {
    let (namespace, name) = text.split_once('/').unwrap_or(("default", text));
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
    if is_name(namespace) && is_name(name) {
        Ok(AppId::new(namespace, name))
    } else {
        Err(format!("error: `{text}` is no HTTPApp; give NAME or NAMESPACE/NAME"))
    }
}

// === impl ScaledObject ===

impl std::fmt::Display for ScaledObject<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { app, api_version, kind, target, scaling, declared, args } = self;
        let (namespace, name) = (&app.namespace, &app.name);
        let Scaling { min_replicas, max_replicas, .. } = scaling;
        let trigger = match args.trigger {
            TriggerType::ExternalPush => "external-push",
            TriggerType::External => "external",
        };
        write!(
            f,
            "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata:\n  name: {name}\n  namespace: {namespace}\nspec:\n  \
             scaleTargetRef:\n    apiVersion: {api_version}\n    kind: {kind}\n    name: {target}\n  \
             pollingInterval: {POLLING_INTERVAL}\n  \
             # From when Zerogate calls the app inactive, which is scaling.idleTimeout after the last request.\n  \
             cooldownPeriod: 60\n  minReplicaCount: {min_replicas}\n  maxReplicaCount: {max_replicas}\n  triggers:\n  \
             - type: {trigger}\n    metadata:\n      scalerAddress: {}\n      app: {namespace}/{name}\n",
            args.address
        )?;
        if *declared {
            writeln!(f, "      metric: {}", label(scaling.metric))?;
            writeln!(f, "      # What one replica is steered for: scaling.target and scaling.utilization.")?;
            writeln!(f, "      target: \"{}\"", scaling.steering_target())?;
        } else {
            writeln!(f, "      # metric and target are the HTTPApp's unless they are said here.")?;
        }
        writeln!(f, "      pollingInterval: \"{POLLING_INTERVAL}\"")?;
        if let Some(authentication) = &args.authentication {
            writeln!(f, "      enableTLS: \"true\"\n    authenticationRef:\n      name: {authentication}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
