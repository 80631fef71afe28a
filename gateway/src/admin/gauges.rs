//! Gauges of apps in Prometheus' text format (version 0.0.4).

use std::fmt::Write;
use std::time::SystemTime;

use activator::App;

use super::view;
use crate::tls::store::State;

/// What the gauges of one app say.
#[derive(Debug)]
pub(super) struct Reading {
    app: String,
    in_flight: u64,
    held: u64,
    replicas: [(&'static str, u32); 3],
}

// === impl Reading ===

impl Reading {
    pub(super) fn of(app: &App) -> Self {
        Self {
            app: app.id().to_string(),
            in_flight: app.in_flight().into(),
            held: app.held() as u64,
            replicas: [("wanted", app.wanted()), ("starting", app.starting()), ("ready", view::ready(app))],
        }
    }
}

/// Adds to `text` how long certificates last.
pub(super) fn write_expiries(text: &mut String, states: &[State], now: SystemTime) {
    const NAME: &str = "zerogate_tls_certificate_expiry_days";
    let _ = writeln!(text, "# HELP {NAME} Days until a certificate expires, by whose it is\n# TYPE {NAME} gauge");
    for State { owner, certificate, .. } in states {
        let Some(certificate) = certificate else { continue };
        let seconds = match certificate.not_after.duration_since(now) {
            Ok(left) => left.as_secs_f64(),
            Err(past) => -past.duration().as_secs_f64(),
        };
        // The folder's file names may be anything.
        let owner = owner.to_string().replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = writeln!(text, "{NAME}{{of=\"{owner}\"}} {:.2}", seconds / 86_400.0);
    }
    text.push('\n');
}

/// Adds the gauges of `apps` to `text`. The name of an app has no character that would have to be escaped.
pub(super) fn write(text: &mut String, apps: impl Iterator<Item = Reading>) {
    let apps: Vec<Reading> = apps.collect();
    let mut family = |name: &str, help: &str, samples: &dyn Fn(&mut String, &Reading)| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        apps.iter().for_each(|app| samples(text, app));
        text.push('\n');
    };
    family("zerogate_requests_in_flight", "Requests admitted or held, not yet finished", &|text, app| {
        let _ = writeln!(text, "zerogate_requests_in_flight{{app=\"{}\"}} {}", app.app, app.in_flight);
    });
    family("zerogate_requests_held", "Requests that wait for a free slot", &|text, app| {
        let _ = writeln!(text, "zerogate_requests_held{{app=\"{}\"}} {}", app.app, app.held);
    });
    family("zerogate_replicas", "Replicas by state: wanted, starting, ready", &|text, app| {
        for (state, count) in app.replicas {
            let _ = writeln!(text, "zerogate_replicas{{app=\"{}\",state=\"{state}\"}} {count}", app.app);
        }
    });
}
