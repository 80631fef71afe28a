//! `bombardier -c 40 -t 5s` on a sleeping app that takes 2 s to start.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;

use super::{Bench, HOST};
use crate::Result;
use crate::gateway::Gateway;
use crate::load::Target;
use crate::report::Row;

const CLIENTS: usize = 40;
const TIMEOUT: Duration = Duration::from_secs(5);

pub async fn run(bench: &Bench) -> Result<Vec<Row>> {
    let documents = bench.declare("asleep", include_str!("../../apps/asleep.yaml"), 1, |_, document| document)?;
    let gateway = Gateway::start(bench, "asleep", &documents, &[]).await?;
    let time = Duration::from_secs(bench.asleep_seconds);
    let (tool, answers, failures) = if bench.bombardier.is_file() {
        bombardier(bench, &gateway, time).await?
    } else {
        own(bench, &gateway, time).await?
    };
    gateway.process.stop().await?;
    Ok(vec![Row::goal(
        format!("{tool} -c 40 -t 5s -d {}s on a sleeping app that takes 2 s to start", time.as_secs()),
        format!("{answers} answers, {failures} errors and timeouts"),
        "no error, no timeout",
        failures == 0 && answers > 0,
    )])
}

async fn bombardier(bench: &Bench, gateway: &Gateway, time: Duration) -> Result<(&'static str, u64, u64)> {
    let mut command = Command::new(&bench.bombardier);
    command.args(["-c", &CLIENTS.to_string(), "-t", &format!("{}s", TIMEOUT.as_secs())]);
    command.args(["-d", &format!("{}s", time.as_secs()), "-o", "json", "-p", "r"]);
    command.arg(format!("http://{}/hello", gateway.http)).kill_on_drop(true);
    let output = tokio::time::timeout(time + Duration::from_secs(30), command.output()).await??;
    if !output.status.success() {
        return Err(format!("bombardier: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let result: Value = serde_json::from_slice(&output.stdout)?;
    bench.save("asleep", &result)?;
    let count = |name: &str| result["result"][name].as_u64().unwrap_or_default();
    let failures = ["req1xx", "req3xx", "req4xx", "req5xx", "others"].into_iter().map(count).sum();
    if let Some(errors) = result["result"]["errors"].as_array().filter(|errors| !errors.is_empty()) {
        eprintln!("bombardier: {}", json!(errors));
    }
    Ok(("bombardier", count("req2xx"), failures))
}

async fn own(bench: &Bench, gateway: &Gateway, time: Duration) -> Result<(&'static str, u64, u64)> {
    let target = Target { timeout: TIMEOUT, ..Target::get(gateway.http, HOST, "/hello") };
    let summary = target.run(CLIENTS, time).await?.summary();
    bench.save("asleep", &json!(summary))?;
    Ok(("closed loop like bombardier", summary.answers, summary.failures))
}
