//! The log and the metrics.

mod gone;
mod recorder;

pub use recorder::Metrics;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::cli::LogFormat;

/// Bounds of the wake histogram, in seconds: from a warm binary to a model server.
const WAKE_BUCKETS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];

/// Lines that may wait to be written; more are dropped rather than that a request waits.
const LOG_QUEUE: usize = 16_384;

/// Begins to log to standard error. The guard writes what is left when it is dropped.
///
/// # Errors
/// `level` is no level and no list of directives.
pub fn log_to_stderr(format: LogFormat, level: &str) -> Result<WorkerGuard, String> {
    let filter = filter(level)?;
    let (writer, guard) = tracing_appender::non_blocking::NonBlockingBuilder::default()
        .buffered_lines_limit(LOG_QUEUE)
        .finish(std::io::stderr());
    let log = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(writer);
    match format {
        LogFormat::Text => log.with_ansi(false).finish().with(filter).init(),
        LogFormat::Json => log.json().finish().with(filter).init(),
    }
    Ok(guard)
}

fn filter(level: &str) -> Result<Targets, String> {
    let directives = || level.split(',').map(str::trim).filter(|directive| !directive.is_empty());
    // What is no level is taken for the name of a module, and nothing is logged at all.
    let mistyped = |directive: &&str| !directive.contains('=') && directive.parse::<LevelFilter>().is_err();
    if let Some(word) = directives().find(mistyped) {
        return Err(format!(
            "--log-level `{word}` is no level; use error, warn, info, debug or trace, or MODULE=LEVEL for one module"
        ));
    }
    let filter: Targets = (directives().collect::<Vec<_>>().join(",").parse())
        .map_err(|e| format!("--log-level `{level}`: {e}; use error, warn, info, debug or trace, or MODULE=LEVEL"))?;
    Ok(filter
        // It warns of folders that are gone, as those of a ConfigMap are after each change.
        .with_target("notify", LevelFilter::ERROR)
        .with_target("pingora_core", LevelFilter::WARN)
        .with_target("pingora_runtime", LevelFilter::WARN))
}

/// Begins to count.
///
/// # Errors
/// There is a recorder already.
pub fn record_metrics() -> Result<Metrics, String> {
    let metrics = Metrics::new(&WAKE_BUCKETS);
    metrics.install()?;
    describe();
    Ok(metrics)
}

fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_counter!("zerogate_requests_total", "Requests that ended, by app and class of status (or aborted)");
    describe_counter!("zerogate_refused_total", "Requests answered by the gateway itself, by app and cause");
    describe_counter!("zerogate_decisions_total", "Decisions that changed, by app and reason");
    describe_counter!("zerogate_start_failures_total", "Starts that failed, by app and cause");
    describe_counter!(
        "zerogate_clients_not_limited_total",
        "Requests that passed a limit per client since there was no room to remember another client"
    );
    describe_counter!("zerogate_config_reloads_total", "Changes of the configuration, by result");
    describe_counter!("zerogate_access_log_lines_dropped_total", "Access log lines that nobody read fast enough");
    describe_counter!(
        "zerogate_watch_errors_total",
        "Watches of the API server that broke or could not begin, by resource"
    );
    describe_counter!(
        "zerogate_early_retries_total",
        "Requests sent again after an early replica's wrong answer, by app"
    );
    describe_counter!("zerogate_lost_retries_total", "Requests sent again that KEDA took the replica from, by app");
    describe_counter!(
        "zerogate_closed_retries_total",
        "Requests sent again whose connection the app had closed, by app"
    );
    describe_counter!("zerogate_refused_retries_total", "Requests sent again that the app had refused, by app");
    describe_counter!("zerogate_app_tls_handshakes_total", "TLS handshakes with apps, full or resumed");
    describe_counter!(
        "zerogate_app_tls_failures_total",
        "TLS handshakes with apps that came to nothing, by app and cause"
    );
    describe_counter!("zerogate_scaler_calls_total", "Calls of KEDA's external scaler protocol, by rpc and code");
    describe_counter!("zerogate_scaler_refused_total", "What is over a bound of the scaler's address, by what");
    describe_counter!("zerogate_scaler_certificate_reloads_total", "Changes of the scaler's certificates, by result");
    describe_counter!("zerogate_tls_handshakes_total", "TLS handshakes with clients, full or resumed");
    describe_counter!("zerogate_tls_handshake_failures_total", "TLS handshakes that came to nothing, by cause");
    describe_counter!("zerogate_tls_certificate_loads_total", "Certificates that were read, by result");
    describe_gauge!(
        "zerogate_held_header_bytes",
        Unit::Bytes,
        "What held requests keep in memory: headers, and what HTTP/2 lets in of bodies"
    );
    describe_counter!("zerogate_fleet_messages_total", "Messages between gateways, by direction");
    describe_counter!("zerogate_fleet_bytes_total", Unit::Bytes, "Their bytes, by direction");
    describe_counter!(
        "zerogate_fleet_certificate_reloads_total",
        "Changes of the certificates between gateways, by result"
    );
    describe_gauge!("zerogate_fleet_gateways", "Other gateways by state: heard, lost");
    describe_gauge!("zerogate_fleet_leads", "Whether this gateway decides for all");
    describe_gauge!("zerogate_namespaces_unreadable", "Namespaces whose HTTPApps the gateway may not read");
    describe_gauge!("zerogate_apps", "Apps declared");
    describe_histogram!("zerogate_wake_seconds", Unit::Seconds, "Wakes by phase");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// The names of metrics that stand in quotation marks after `before`, in all sources under `folder`.
    fn named(folder: &Path, before: &str, names: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                named(&path, before, names);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let after = text.split(before).skip(1).filter_map(|it| it.trim_start().strip_prefix("\"zerogate_"));
                names.extend(after.map(|it| format!("zerogate_{}", it.split('"').next().unwrap())));
            }
        }
    }

    #[test]
    fn every_metric_is_described_and_documented() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let (mut counted, mut described) = (BTreeSet::new(), BTreeSet::new());
        for folder in ["gateway/src", "activator/src"] {
            for kind in ["counter!(", "gauge!(", "histogram!("] {
                named(&root.join(folder), &format!("metrics::{kind}"), &mut counted);
                named(&root.join(folder), &format!("describe_{kind}"), &mut described);
            }
        }
        assert!(counted.len() > 8, "{counted:?}");
        assert_eq!(counted, described);
        // Those that have their text in one piece with their values.
        let mut gauges = BTreeSet::new();
        named(&root.join("gateway/src/admin"), "family(", &mut gauges);
        assert_eq!(gauges.len(), 3, "{gauges:?}");
        let document = std::fs::read_to_string(root.join("docs/operations.md")).unwrap();
        for name in counted.iter().chain(&gauges) {
            assert!(document.contains(&format!("`{name}`")), "docs/operations.md does not tell of {name}");
        }
    }

    #[test]
    fn a_level_is_one_or_a_list_for_modules() {
        for good in ["info", "WARN", "off", "info,activator=debug"] {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["foo", "inof", "info,activator", "activator=loud"] {
            assert!(filter(bad).is_err(), "{bad}");
        }
    }
}
