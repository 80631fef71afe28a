//! 100 sleeping apps and no request.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::Cluster;
use super::app::{App, Namespace};
use super::audit::Audit;
use crate::Result;
use crate::process::{cpu_time, resident};
use crate::report::Row;

const APPS: usize = 100;

pub async fn run(cluster: &Cluster) -> Result<Vec<Row>> {
    let namespace = Namespace::new(&cluster.client, "bench-idle").await?;
    namespace.create((0..APPS).map(|index| App::never_woken(&format!("app-{index}"))).collect()).await?;
    cluster.gateway.knows(&namespace.name, APPS, Duration::from_secs(60)).await?;
    // Past what is left to do for new objects.
    sleep(Duration::from_secs(5)).await;
    let time = Duration::from_secs(cluster.bench.choose(120, 15));
    let (pid, mut audit) = (cluster.gateway.pid, Audit::from_now(&cluster.folder)?);
    let before = cpu_time(pid)?;
    sleep(time).await;
    let used = cpu_time(pid)?.saturating_sub(before);
    let resident = resident(pid)? as f64 / f64::from(1 << 20);
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    for call in audit.take()?.iter().filter(|call| call.is_of_gateway()) {
        *calls.entry(call.what()).or_default() += 1;
    }
    namespace.end().await?;
    cluster.bench.save("idle", &json!({ "resident_mib": resident, "cpu": used, "calls": calls }))?;
    let percent = used.as_secs_f64() / time.as_secs_f64() * 100.0;
    let each_minute = calls.values().sum::<usize>() as f64 / time.as_secs_f64() * 60.0;
    Ok(vec![
        Row::goal(
            format!("resident memory, {APPS} sleeping apps"),
            format!("{resident:.1} MiB"),
            "<= 25 MiB",
            resident <= 25.0,
        ),
        Row::goal(
            format!("CPU time over {} s, {APPS} sleeping apps, the kubelet's probes included", time.as_secs()),
            format!("{} ms, {percent:.2} %", used.as_millis()),
            "not measurable",
            percent <= 0.1,
        ),
        Row::note(
            format!("API requests, {APPS} sleeping apps"),
            format!("{each_minute:.1} a minute {}", json!(calls).to_string().replace('"', "")),
        ),
    ])
}
