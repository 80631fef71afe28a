//! Wakes in turn: through the gateway, through the gateway without early tries, and without a gateway.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::Cluster;
use super::app::{App, Namespace};
use super::seen::Seen;
use super::wakes::{Wake, by_hand, by_request};
use crate::Result;
use crate::report::Row;
use crate::stats::{median, percentile};

/// How an app is woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// As the gateway does.
    Early,
    /// With `earlyReadiness: false`.
    Waiting,
    /// `kubectl scale`, then the EndpointSlice.
    ByHand,
}

/// How an app starts: its name, its flags, in words.
const STARTS: [(&str, &[&str], &str); 2] =
    [("fast", &[], "starts at once"), ("slow", &["--start-delay=1500ms"], "needs 1.5 s")];

pub async fn run(cluster: &Cluster) -> Result<Vec<Row>> {
    let namespace = Namespace::new(&cluster.client, "bench-wake").await?;
    let kinds: Vec<_> = STARTS.iter().flat_map(|start| Way::ALL.map(|way| (*start, way))).collect();
    namespace.create(kinds.iter().map(|((start, flags, _), way)| way.app(&way.name(start), flags)).collect()).await?;
    cluster.gateway.knows(&namespace.name, 4, Duration::from_secs(30)).await?;
    let seen = Seen::watch(&namespace);
    let mut woken: BTreeMap<(&str, Way), Vec<Wake>> = BTreeMap::new();
    // The first of each is not counted: programs are not in memory yet.
    for round in 0..=cluster.wakes {
        for turn in 0..kinds.len() {
            let ((start, ..), way) = kinds[(turn + round) % kinds.len()];
            let app = way.name(start);
            let wake = match way {
                Way::Early | Way::Waiting => by_request(cluster, &namespace, &seen, &app).await?,
                Way::ByHand => by_hand(cluster, &namespace, &seen, &app).await?,
            };
            if round > 0 {
                woken.entry((start, way)).or_default().push(wake);
            }
        }
    }
    drop(seen);
    namespace.end().await?;
    let raw: BTreeMap<_, _> = woken.iter().map(|((start, way), wakes)| (way.name(start), wakes)).collect();
    cluster.bench.save("wake", &raw)?;

    let asked = woken.iter().filter(|((_, way), _)| *way != Way::ByHand).flat_map(|(_, wakes)| wakes);
    let mut rows = vec![patch_row(asked.map(|wake| wake.patch).collect())];
    for (start, _, words) in STARTS {
        rows.push(early_row(words, &woken[&(start, Way::Early)]));
        rows.extend(Way::ALL.map(|way| phases_row(words, way, &woken[&(start, way)])));
    }
    Ok(rows)
}

/// Median, 99th percentile and maximum.
pub fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [50.0, 99.0, 100.0].map(|percent| percentile(&values, percent).unwrap_or(f64::NAN))
}

fn patch_row(values: Vec<f64>) -> Row {
    let wakes = values.len();
    let [p50, p99, max] = spread(values);
    Row::goal(
        format!("request in -> PATCH received by the API server, {wakes} wakes"),
        format!("p50 {p50:.2} ms, p99 {p99:.2} ms, max {max:.2} ms"),
        "p50 <= 3 ms, p99 <= 10 ms",
        p50 <= 3.0 && p99 <= 10.0,
    )
}

fn early_row(start: &str, wakes: &[Wake]) -> Row {
    let [p50, p99, max] = spread(wakes.iter().map(Wake::after_reachable).collect());
    let late = wakes.iter().filter(|wake| wake.is_late()).count();
    let at_once = wakes.iter().filter(|wake| wake.ip_with_ready).count();
    Row::goal(
        format!("app listens and pod IP in the API -> first byte, app that {start}, {} wakes", wakes.len()),
        format!(
            "p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms; {late} of {} after the kubelet's Ready ({at_once} more had IP and \
             Ready in one update)",
            wakes.len() - at_once
        ),
        "p50 <= 15 ms, p99 <= 40 ms, 0 after Ready",
        p50 <= 15.0 && p99 <= 40.0 && late == 0,
    )
}

fn phases_row(start: &str, way: Way, wakes: &[Wake]) -> Row {
    let of = |step: fn(&Wake) -> f64| median(&wakes.iter().map(step).collect::<Vec<_>>());
    let [p50, p99, _] = spread(wakes.iter().map(|wake| wake.first_byte).collect());
    let [reachable, _, _] = spread(wakes.iter().map(Wake::after_reachable).collect());
    Row::note(
        format!("{}, app that {start}: ms after the request, medians of {}", way.words(), wakes.len()),
        format!(
            "PATCH {:.1}, node {:.0}, listens {:.0}, IP {:.0}, Ready {:.0}, EndpointSlice {:.0}, first byte {p50:.0} (p99 {p99:.0}), \
             {reachable:.1} after it could be reached",
            of(|wake| wake.patch),
            of(|wake| wake.scheduled),
            of(|wake| wake.listening),
            of(|wake| wake.ip),
            of(|wake| wake.ready),
            of(|wake| wake.endpoint),
        ),
    )
}

// === impl Way ===

impl Way {
    const ALL: [Self; 3] = [Self::Early, Self::Waiting, Self::ByHand];

    fn name(self, start: &str) -> String {
        let way = match self {
            Self::Early => "early",
            Self::Waiting => "waiting",
            Self::ByHand => "by-hand",
        };
        format!("{start}-{way}")
    }

    fn words(self) -> &'static str {
        match self {
            Self::Early => "wake through the gateway",
            Self::Waiting => "the same, early tries off",
            Self::ByHand => "the same, kubectl scale and the EndpointSlice, no gateway",
        }
    }

    fn app(self, name: &str, flags: &[&str]) -> App {
        let app = App::echo(name, flags);
        match self {
            Self::Early => app,
            Self::Waiting => app.with("/target/earlyReadiness", json!(false)),
            Self::ByHand => app.without_gateway(),
        }
    }
}
