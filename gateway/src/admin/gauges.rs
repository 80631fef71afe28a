//! Gauges of apps in Prometheus' text format (version 0.0.4).

use std::fmt::Write;

use activator::App;

use super::view;

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
