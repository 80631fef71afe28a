//! From the moment an app listens to the first byte at the client that woke it, both on the machine's one clock.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::Bench;
use crate::Result;
use crate::clock::Moment;
use crate::gateway::Gateway;
use crate::http::{Connection, get};
use crate::report::Row;
use crate::stats::percentile;

/// The starts take from 0 to this long, evenly spread, so that no rhythm of tries suits them all.
const LONGEST_START_MS: usize = 1000;

pub async fn run(bench: &Bench) -> Result<Vec<Row>> {
    let wakes = bench.choose(200, 40);
    let delay = |index: usize| index * LONGEST_START_MS / wakes;
    let documents = bench.declare("wake", include_str!("../../apps/wake.yaml"), wakes, |index, document| {
        document.replace("\"0\"", &format!("\"{}\"", delay(index)))
    })?;
    let gateway = Gateway::start(bench, "wake", &documents, &[]).await?;
    let mut after_listening = Vec::with_capacity(wakes);
    let mut around_start = Vec::with_capacity(wakes);
    for index in 0..wakes {
        let mut client = Connection::open(gateway.http).await?;
        let sent = Moment::now();
        let request = get(&format!("app-{index}.localhost"), "/");
        let answer = timeout(Duration::from_secs(30), client.exchange(&request)).await??;
        let body: Value = serde_json::from_slice(&answer.body)?;
        let listening = Moment(body["listening"].as_u64().ok_or_else(|| format!("answer {}: {body}", answer.status))?);
        after_listening.push((answer.first_byte - listening).as_secs_f64() * 1000.0);
        let start = Duration::from_millis(delay(index) as u64);
        around_start.push((answer.first_byte - sent).saturating_sub(start).as_secs_f64() * 1000.0);
    }
    gateway.process.stop().await?;
    bench.save("wake", &json!({ "after_listening_ms": after_listening, "around_start_ms": around_start }))?;

    let figures = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        [50.0, 99.0, 100.0].map(|percent| percentile(&values, percent).unwrap_or(f64::NAN))
    };
    let [p50, p99, max] = figures(after_listening);
    let [all50, all99, _] = figures(around_start);
    Ok(vec![
        Row::goal(
            format!("app listening -> first byte to the client, {wakes} wakes"),
            format!("p50 {p50:.2} ms, p99 {p99:.2} ms, max {max:.2} ms"),
            "p50 <= 3 ms, p99 <= 15 ms",
            p50 <= 3.0 && p99 <= 15.0,
        ),
        Row::note("request -> first byte less the app's own start", format!("p50 {all50:.2} ms, p99 {all99:.2} ms")),
    ])
}
