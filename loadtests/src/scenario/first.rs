//! 1,000 first requests at once on a sleeping app.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Bench;
use crate::Result;
use crate::clock::Moment;
use crate::gateway::Gateway;
use crate::http::{Connection, get};
use crate::report::Row;

const REQUESTS: usize = 1000;

pub async fn run(bench: &Bench) -> Result<Vec<Row>> {
    let rounds = bench.choose(5, 2);
    let documents = bench.declare("first", include_str!("../../apps/first.yaml"), rounds, |_, document| document)?;
    let gateway = Gateway::start(bench, "first", &documents, &[]).await?;
    let mut raw = Vec::new();
    let (mut answered, mut processes, mut wakes, mut slowest) = (REQUESTS, 1, 0.0_f64, Duration::ZERO);
    for round in 0..rounds {
        let (bodies, last) = at_once(&gateway, &format!("app-{round}.localhost")).await?;
        let pids: BTreeSet<u64> = bodies.iter().filter_map(|body| body["pid"].as_u64()).collect();
        let app = gateway.app_json(&format!("app-{round}")).await?;
        let labels = [format!("app=\"default/app-{round}\""), "phase=\"scale_call\"".into()];
        let calls = gateway.metric("zerogate_wake_seconds_count", &labels.each_ref().map(String::as_str)).await?;
        raw.push(json!({ "answers": bodies.len(), "pids": pids, "wakes": calls, "app": app }));
        answered = answered.min(bodies.len());
        processes = processes.max(pids.len());
        wakes = wakes.max(calls);
        slowest = slowest.max(last);
    }
    gateway.process.stop().await?;
    bench.save("first", &raw)?;
    Ok(vec![Row::goal(
        format!("1,000 concurrent first requests on a sleeping app, {rounds} apps in turn"),
        format!(
            "{answered} answers, {wakes} wake, {processes} process; the last answer {:.0} ms after it listened",
            slowest.as_secs_f64() * 1e3
        ),
        "one wake, 1,000 answers",
        answered == REQUESTS && processes == 1 && wakes == 1.0,
    )])
}

/// The 200 answers' bodies, and the time from the app's listening to the last answer.
async fn at_once(gateway: &Gateway, host: &str) -> Result<(Vec<Value>, Duration)> {
    let mut clients = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        clients.push(Connection::open(gateway.http).await?);
    }
    let mut exchanges = JoinSet::new();
    for mut client in clients {
        let request = get(host, "/");
        exchanges.spawn(async move { timeout(Duration::from_secs(60), client.exchange(&request)).await });
    }
    let (mut bodies, mut last) = (Vec::new(), Duration::ZERO);
    while let Some(done) = exchanges.join_next().await {
        let Ok(Ok(answer)) = done? else { continue };
        if answer.status != 200 {
            continue;
        }
        let body: Value = serde_json::from_slice(&answer.body)?;
        last = last.max(answer.first_byte - Moment(body["listening"].as_u64().unwrap_or_default()));
        bodies.push(body);
    }
    Ok((bodies, last))
}
