use std::time::Duration;

use activator::clock::Timestamp;

use super::{Metrics, Recorder};

const HOUR: Duration = Duration::from_secs(3600);

fn metrics() -> Metrics {
    let metrics = Metrics::new(&[0.1, 1.0]);
    metrics::with_local_recorder(&Recorder(metrics.clone()), || {
        metrics::describe_counter!("requests_total", "Requests");
        for app in ["n/a", "n/b", ""] {
            metrics::counter!("requests_total", "app" => app).increment(2);
            metrics::histogram!("wake_seconds", "app" => app).record(0.5);
            metrics::histogram!("wake_seconds", "app" => app).record(5.0);
        }
        metrics::counter!("requests_total", "app" => "n/a").increment(1);
        metrics::gauge!("apps").set(2.5);
    });
    metrics
}

#[test]
fn the_text_is_in_prometheus_format() {
    let text = metrics().render();
    let lines: Vec<_> = text.lines().collect();
    let at = lines.iter().position(|line| *line == "# TYPE requests_total counter").expect("its type");
    assert_eq!(lines[at - 1], "# HELP requests_total Requests");
    for line in [
        "requests_total{app=\"n/a\"} 3",
        "requests_total{app=\"\"} 2",
        "# TYPE apps gauge",
        "apps 2.5",
        "# TYPE wake_seconds histogram",
        "wake_seconds_bucket{app=\"n/b\",le=\"0.1\"} 0",
        "wake_seconds_bucket{app=\"n/b\",le=\"1\"} 1",
        "wake_seconds_bucket{app=\"n/b\",le=\"+Inf\"} 2",
        "wake_seconds_sum{app=\"n/b\"} 5.5",
        "wake_seconds_count{app=\"n/b\"} 2",
    ] {
        assert_eq!(lines.iter().filter(|it| **it == line).count(), 1, "{line}\n{text}");
    }
}

#[test]
fn of_an_app_that_is_gone_nothing_is_left_in_the_end() {
    let metrics = metrics();
    let all = metrics.render();
    let is_declared = |app: &str| app == "n/a";
    metrics.forget(is_declared, Timestamp::ZERO);
    assert_eq!(metrics.render().len(), all.len());
    metrics.forget(is_declared, Timestamp::ZERO + HOUR);
    let left = metrics.render();
    assert!(!left.contains("n/b"), "{left}");
    for of_others in all.lines().filter(|line| !line.contains("n/b")) {
        assert!(left.contains(of_others), "{of_others}\n{left}");
    }
}
