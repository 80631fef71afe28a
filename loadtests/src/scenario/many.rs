//! 10,000 sleeping apps beside 10: memory, idle CPU time, and what a lookup costs.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::warm::{Candidate, ratio, take_turns};
use super::{Bench, HOST};
use crate::Result;
use crate::gateway::Gateway;
use crate::load::Target;
use crate::process::cpu_time;
use crate::report::Row;

const FEW: usize = 10;
const MANY: usize = 10_000;

pub async fn run(bench: &Bench) -> Result<Vec<Row>> {
    let few = start(bench, "many-10", FEW).await?;
    let many = start(bench, "many-10000", MANY).await?;
    let resident = [few.process.resident()?, many.process.resident()?];

    // Past what starting has left to do.
    sleep(Duration::from_secs(2)).await;
    let idle = Duration::from_secs(bench.choose(20, 5));
    let pids = [few.process.pid(), many.process.pid()];
    let before = [cpu_time(pids[0])?, cpu_time(pids[1])?];
    sleep(idle).await;
    let used = [cpu_time(pids[0])?.saturating_sub(before[0]), cpu_time(pids[1])?.saturating_sub(before[1])];

    for gateway in [&few, &many] {
        Target::get(gateway.http, HOST, "/hello").run(1, Duration::from_millis(100)).await?;
    }
    let candidates = [
        Candidate { name: "10", pid: pids[0], addr: few.http },
        Candidate { name: "10,000", pid: pids[1], addr: many.http },
    ];
    let turns = take_turns(bench, &candidates, bench.choose(7, 3)).await?;
    for gateway in [few, many] {
        gateway.process.stop().await?;
    }
    bench.save("many", &json!({ "resident": resident, "idle_cpu": used, "turns": turns }))?;

    let each = resident[1].saturating_sub(resident[0]) as f64 / (MANY - FEW) as f64 / 1024.0;
    let percent = |index: usize| used[index].as_secs_f64() / idle.as_secs_f64() * 100.0;
    let times = ratio(&turns["10,000"], &turns["10"]);
    Ok(vec![
        Row::goal("memory per sleeping app, 10,000 declared", format!("{each:.1} KiB"), "<= 4 KiB", each <= 4.0),
        Row::goal(
            format!("idle CPU over {} s, 10,000 sleeping apps", idle.as_secs()),
            format!("{:.2} % (with 10: {:.2} %)", percent(1), percent(0)),
            "not measurable",
            // The clock's grain is 10 ms.
            used[1] <= used[0] + Duration::from_millis(10),
        ),
        Row::goal(
            "CPU time per warm request with 10,000 apps against 10",
            format!("{times:.2} x"),
            "as fast as with 10",
            times <= 1.05,
        ),
    ])
}

async fn start(bench: &Bench, name: &str, count: usize) -> Result<Gateway> {
    let documents = bench.declare(name, include_str!("../../apps/many.yaml"), count, |_, document| document)?;
    Gateway::start(bench, name, &documents, &["--threads", "1"]).await
}
