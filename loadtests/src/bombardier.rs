//! Bombardier, as the seeds run it.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::Result;
use crate::scenario::Bench;

/// Its connections.
pub const CLIENTS: usize = 40;
/// How long an answer may take.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// Runs it for `time` and saves its result as that of `scenario`: how many answers there were, and how much else.
pub async fn run(bench: &Bench, scenario: &str, addr: SocketAddr, time: Duration) -> Result<(u64, u64)> {
    let mut command = Command::new(&bench.bombardier);
    command.args(["-c", &CLIENTS.to_string(), "-t", &format!("{}s", TIMEOUT.as_secs())]);
    command.args(["-d", &format!("{}s", time.as_secs()), "-o", "json", "-p", "r"]);
    command.arg(format!("http://{addr}/hello")).kill_on_drop(true);
    let output = tokio::time::timeout(time + Duration::from_secs(30), command.output()).await??;
    if !output.status.success() {
        return Err(format!("bombardier: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let result: Value = serde_json::from_slice(&output.stdout)?;
    bench.save(scenario, &result)?;
    let count = |name: &str| result["result"][name].as_u64().unwrap_or_default();
    let failures = ["req1xx", "req3xx", "req4xx", "req5xx", "others"].into_iter().map(count).sum();
    if let Some(errors) = result["result"]["errors"].as_array().filter(|errors| !errors.is_empty()) {
        eprintln!("bombardier: {}", json!(errors));
    }
    Ok((count("req2xx"), failures))
}
