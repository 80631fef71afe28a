//! `bombardier -c 40 -t 5s` on a sleeping app that takes 2 s to start.

use std::time::Duration;

use serde_json::json;

use super::{Bench, HOST};
use crate::Result;
use crate::bombardier::{self, CLIENTS, TIMEOUT};
use crate::gateway::Gateway;
use crate::load::Target;
use crate::report::Row;

pub async fn run(bench: &Bench) -> Result<Vec<Row>> {
    let documents = bench.declare("asleep", include_str!("../../apps/asleep.yaml"), 1, |_, document| document)?;
    let gateway = Gateway::start(bench, "asleep", &documents, &[]).await?;
    let time = Duration::from_secs(bench.asleep_seconds);
    let (tool, answers, failures) = if bench.bombardier.is_file() {
        let (answers, failures) = bombardier::run(bench, "asleep", gateway.http, time).await?;
        ("bombardier", answers, failures)
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

async fn own(bench: &Bench, gateway: &Gateway, time: Duration) -> Result<(&'static str, u64, u64)> {
    let target = Target { timeout: TIMEOUT, ..Target::get(gateway.http, HOST, "/hello") };
    let summary = target.run(CLIENTS, time).await?.summary();
    bench.save("asleep", &json!(summary))?;
    Ok(("closed loop like bombardier", summary.answers, summary.failures))
}
