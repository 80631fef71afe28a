//! 50 to 1,300 closed loops within two minutes on at most 20 pods that are given 100 requests at a time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::Cluster;
use super::app::{App, Namespace};
use crate::Result;
use crate::clock::Moment;
use crate::load::{Tally, Target, lock};
use crate::report::Row;

const FIRST: usize = 50;
const LAST: usize = 1300;
const PODS: u32 = 20;
/// How long each request takes in the app.
const WORK_MS: u32 = 250;
/// How often new clients join.
const TICK: Duration = Duration::from_millis(100);
/// How often the pods are counted.
const SAMPLE: Duration = Duration::from_secs(1);

pub async fn run(cluster: &Cluster) -> Result<Vec<Row>> {
    let namespace = Namespace::new(&cluster.client, "bench-ramp").await?;
    let scaling = json!({"target": 100, "concurrencyLimit": 100, "maxReplicas": PODS});
    let app = App::echo("app-0", &["--concurrency=100"]);
    let app = app.with("/scaling", scaling).with("/hold", json!({"maxRequests": LAST}));
    namespace.create(vec![app]).await?;
    cluster.gateway.knows(&namespace.name, 1, Duration::from_secs(30)).await?;
    let (rise, stay) = cluster.bench.choose((120, 10), (20, 5));
    let (rise, whole) = (Duration::from_secs(rise), Duration::from_secs(rise + stay));

    let target = Target::get(cluster.gateway.http, &namespace.host("app-0"), &format!("/sleep?ms={WORK_MS}"));
    let (started, tally) = (Moment::now(), Arc::<Mutex<Tally>>::default());
    let (mut clients, mut samples) = (JoinSet::new(), Vec::new());
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while started.elapsed() < whole {
        ticks.tick().await;
        let part = (started.elapsed().as_secs_f64() / rise.as_secs_f64()).min(1.0);
        while clients.len() < FIRST + ((LAST - FIRST) as f64 * part) as usize {
            clients.spawn(target.clone().client(tally.clone(), started, whole));
        }
        if started.elapsed() >= SAMPLE * u32::try_from(samples.len())? {
            let app = cluster.gateway.ask(&format!("/v1/apps/{}/app-0", namespace.name)).await?;
            let seconds = started.elapsed().as_secs_f64();
            samples.push(json!({
                "seconds": seconds, "clients": clients.len(), "held": app["held"], "inFlight": app["inFlight"],
                "replicas": app["replicas"],
            }));
        }
    }
    while let Some(ended) = clients.join_next().await {
        ended?;
    }
    namespace.end().await?;
    let total = std::mem::take(&mut *lock(&tally)).summary();
    cluster.bench.save("ramp", &json!({ "total": total, "samples": samples }))?;
    let most = samples.iter().filter_map(|sample| sample["replicas"]["ready"].as_u64()).max().unwrap_or_default();
    Ok(vec![Row::goal(
        format!("{FIRST} -> {LAST} clients in {} s, concurrencyLimit 100, {WORK_MS} ms a request", rise.as_secs()),
        format!(
            "{} answers, {} not 2xx {:?}; up to {most} pods; wait p50 {:.0} ms, p99 {:.0} ms, max {:.0} ms",
            total.answers, total.failures, total.failed, total.p50_ms, total.p99_ms, total.max_ms
        ),
        format!("no answer but 2xx, at most {PODS} pods"),
        total.failures == 0 && total.answers > 0 && most <= u64::from(PODS),
    )])
}
