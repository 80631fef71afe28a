//! 5,000 sleeping apps beside 10: memory, start, the cost of an event, and a wake among them.

use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::time::sleep;

use super::Cluster;
use super::app::{App, Namespace};
use super::seen::Seen;
use super::wake::spread;
use super::wakes::{Wake, by_request, timed};
use crate::Result;
use crate::gateway::Gateway;
use crate::process::{cpu_time, resident};
use crate::report::Row;
use crate::stats::median;

const FEW: usize = 10;

/// A gateway of its own on the node: what it costs to know so many apps. It never sees a request.
struct Cost {
    ready: Duration,
    resident: u64,
    /// Microseconds of CPU time for each event.
    event_us: f64,
}

pub async fn run(cluster: &Cluster) -> Result<Vec<Row>> {
    let many = cluster.bench.choose(5_000, 300);
    let wakes = cluster.bench.choose(10, 4);
    let namespace = Namespace::new(&cluster.client, "bench-many").await?;
    namespace.create((0..FEW).map(|index| App::echo(&name(index), &[])).collect()).await?;
    cluster.gateway.knows(&namespace.name, FEW, Duration::from_secs(30)).await?;
    let seen = Seen::watch(&namespace);
    let few_cost = cost(cluster, &namespace, FEW).await?;
    let few_wakes = wake_some(cluster, &namespace, &seen, wakes).await?;
    let more = (FEW..many).map(|index| App::never_woken(&name(index))).collect();
    let (made, took) = timed(namespace.create(more)).await;
    made?;
    cluster.gateway.knows(&namespace.name, many, Duration::from_secs(120)).await?;
    // Past what the cluster has left to do for new objects.
    sleep(Duration::from_secs(cluster.bench.choose(30, 5))).await;
    let many_cost = cost(cluster, &namespace, many).await?;
    let many_wakes = wake_some(cluster, &namespace, &seen, wakes).await?;
    let pod = resident(cluster.gateway.pid)? as f64 / f64::from(1 << 20);
    drop(seen);
    namespace.end().await?;
    cluster.bench.save("many", &json!({ "few": few_wakes, "many": many_wakes, "made_ms": took }))?;

    let each = many_cost.resident.saturating_sub(few_cost.resident) as f64 / (many - FEW) as f64 / 1024.0;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let before = |wakes: &[Wake]| spread(wakes.iter().map(|wake| wake.patch).collect());
    let after = |wakes: &[Wake]| median(&wakes.iter().map(Wake::after_reachable).collect::<Vec<_>>());
    let ([few50, ..], [many50, many99, _]) = (before(&few_wakes), before(&many_wakes));
    let (few_after, many_after) = (after(&few_wakes), after(&many_wakes));
    Ok(vec![
        Row::goal(
            format!("memory per sleeping app, {many} with Services in the API server"),
            format!(
                "{each:.1} KiB ({:.1} MiB with {FEW}, {:.1} MiB with all; the pod that saw them come {pod:.1} MiB)",
                mib(few_cost.resident),
                mib(many_cost.resident)
            ),
            "<= 4 KiB",
            each <= 4.0,
        ),
        Row::note(
            format!("start to ready with {many} apps"),
            format!("{:.2} s (with {FEW}: {:.2} s)", many_cost.ready.as_secs_f64(), few_cost.ready.as_secs_f64()),
        ),
        Row::note(
            format!("CPU time per changed Service with {many} apps"),
            format!("{:.0} us (with {FEW}: {:.0} us)", many_cost.event_us, few_cost.event_us),
        ),
        Row::goal(
            format!("wake of one among {many} apps, {wakes} wakes"),
            format!(
                "PATCH p50 {many50:.2} ms, p99 {many99:.2} ms (with {FEW}: p50 {few50:.2} ms); reachable -> first byte p50 {many_after:.1} ms \
                 (with {FEW}: {few_after:.1} ms)"
            ),
            "as fast as with 10",
            // What the clocks and the machine blur.
            many50 <= few50 * 1.2 + 0.5 && many_after <= few_after * 1.2 + 2.0,
        ),
    ])
}

fn name(index: usize) -> String {
    format!("app-{index}")
}

async fn wake_some(cluster: &Cluster, namespace: &Namespace, seen: &Seen, count: usize) -> Result<Vec<Wake>> {
    let mut wakes = Vec::new();
    for index in 0..count {
        wakes.push(by_request(cluster, namespace, seen, &name(index % FEW)).await?);
    }
    Ok(wakes)
}

async fn cost(cluster: &Cluster, namespace: &Namespace, apps: usize) -> Result<Cost> {
    let kubeconfig = cluster.folder.join("admin.conf");
    let gateway = Gateway::start_with(&cluster.bench, "many", |command| {
        command.arg("--kubernetes").env("KUBECONFIG", kubeconfig)
    });
    let gateway = gateway.await?;
    sleep(Duration::from_secs(5)).await;
    let (pid, resident) = (gateway.process.pid(), gateway.process.resident()?);
    let services: Api<Service> = Api::namespaced(namespace.client.clone(), &namespace.name);
    let events = cluster.bench.choose(1000, 200);
    let before = cpu_time(pid)?;
    for event in 0..events {
        let patch = json!({"metadata": {"annotations": {"bench": event.to_string()}}});
        services.patch(&name(event % apps), &PatchParams::default(), &Patch::Merge(patch)).await?;
    }
    // What the last has caused.
    sleep(Duration::from_secs(1)).await;
    let used = cpu_time(pid)?.saturating_sub(before);
    let ready = gateway.ready_after;
    gateway.process.stop().await?;
    Ok(Cost { ready, resident, event_us: used.as_secs_f64() * 1e6 / f64::from(events as u32) })
}
