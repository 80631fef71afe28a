//! 20 Deployments woken at the same moment.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Cluster;
use super::app::{App, Namespace};
use super::audit::Audit;
use super::seen::{Pods, Seen};
use super::wake::spread;
use super::wakes::LONGEST;
use crate::Result;
use crate::clock::Wall;
use crate::http::{Connection, get};
use crate::report::Row;

const APPS: usize = 20;

/// What came of all at once.
struct Round {
    answers: usize,
    patches: usize,
    /// Milliseconds from the first request to the last PATCH, and to the last first byte.
    last_patch: f64,
    last_byte: f64,
}

pub async fn run(cluster: &Cluster) -> Result<Vec<Row>> {
    let rounds = cluster.bench.choose(5, 1);
    let namespace = Namespace::new(&cluster.client, "bench-together").await?;
    let names: Vec<String> = (0..APPS).map(|index| format!("app-{index}")).collect();
    namespace.create(names.iter().map(|name| App::echo(name, &[])).collect()).await?;
    cluster.gateway.knows(&namespace.name, APPS, Duration::from_secs(30)).await?;
    let seen = Seen::watch(&namespace);
    let mut done = Vec::new();
    for _ in 0..rounds {
        for name in &names {
            seen.until(name, "asleep", LONGEST, Pods::is_gone).await?;
            cluster.gateway.sleeps(&namespace.name, name, LONGEST).await?;
        }
        done.push(round(cluster, &namespace, &names).await?);
    }
    drop(seen);
    namespace.end().await?;
    let of = |value: fn(&Round) -> f64| done.iter().map(value).collect::<Vec<_>>();
    let (patches, bytes) = (of(|round| round.last_patch), of(|round| round.last_byte));
    cluster.bench.save("together", &json!({ "last_patch_ms": patches, "last_byte_ms": bytes }))?;
    let failures: usize = done.iter().map(|round| APPS - round.answers).sum();
    let missing: usize = done.iter().map(|round| APPS.saturating_sub(round.patches)).sum();
    let ([p50, _, max], [all, _, longest]) = (spread(patches), spread(bytes));
    Ok(vec![Row::goal(
        format!("{APPS} Deployments woken at the same moment, {rounds} times"),
        format!(
            "{failures} failures; the last PATCH received after {p50:.0} ms (median), {max:.0} ms at most; the last first byte after {all:.0} ms \
             (median), {longest:.0} ms at most"
        ),
        "no failure, all PATCHes within 50 ms",
        failures == 0 && missing == 0 && max <= 50.0,
    )])
}

async fn round(cluster: &Cluster, namespace: &Namespace, names: &[String]) -> Result<Round> {
    let mut clients = Vec::new();
    for name in names {
        clients.push((Connection::open(cluster.gateway.http).await?, get(&namespace.host(name), "/")));
    }
    let mut audit = Audit::from_now(&cluster.folder)?;
    let (sent, mut exchanges) = (Wall::now(), JoinSet::new());
    for (mut client, request) in clients {
        exchanges.spawn(async move { timeout(LONGEST, client.exchange(&request)).await });
    }
    let (mut answers, mut last_byte) = (0, 0.0_f64);
    while let Some(done) = exchanges.join_next().await {
        match done? {
            Ok(Ok(answer)) if answer.status == 200 => {
                answers += 1;
                last_byte = last_byte.max(Wall::at(answer.first_byte).ms_since(sent));
            }
            Ok(Ok(answer)) => eprintln!("together: {} {}", answer.status, String::from_utf8_lossy(&answer.body)),
            Ok(Err(error)) => eprintln!("together: {error}"),
            Err(_) => eprintln!("together: no answer"),
        }
    }
    let calls = audit.take()?;
    let mut last_patch = 0.0_f64;
    let mut patches = 0;
    for name in names {
        // The first of each: what is sent again, or puts it to sleep, is another matter.
        let first = calls.iter().filter(|call| call.scales(&namespace.name, name)).filter_map(|call| call.received());
        if let Some(first) = first.min() {
            patches += 1;
            last_patch = last_patch.max(first.ms_since(sent));
        }
    }
    Ok(Round { answers, patches, last_patch, last_byte })
}
