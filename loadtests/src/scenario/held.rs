//! What 10,000 held requests cost, and that nothing of them is left when their clients have gone.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::{Bench, HOST};
use crate::Result;
use crate::clock::Moment;
use crate::gateway::Gateway;
use crate::http::{Connection, get};
use crate::report::Row;

const REQUESTS: u64 = 10_000;
/// Often enough to tell what the allocator keeps for next time from what is lost each time.
const ROUNDS: usize = 8;
const LIMIT: Duration = Duration::from_secs(60);
/// How long the gateway may take to give memory back.
const GIVE_BACK: Duration = Duration::from_secs(30);

pub async fn run(bench: &Bench) -> Result<Vec<Row>> {
    let documents = bench.declare("held", include_str!("../../apps/held.yaml"), 1, |_, document| document)?;
    let args = ["--max-held-requests", "20000", "--max-held-bytes", "256MiB"];
    let gateway = Gateway::start(bench, "held", &documents, &args).await?;
    let empty = gateway.process.resident()?;
    let mut raw = Vec::new();
    let mut freed = Duration::ZERO;
    for _ in 0..ROUNDS {
        let clients = hold(&gateway).await?;
        gateway.until("app-0", LIMIT, |app| app.held == REQUESTS).await?;
        let full = gateway.process.resident()?;
        let left = Moment::now();
        drop(clients);
        gateway.until("app-0", LIMIT, |app| app.held == 0 && app.in_flight == 0).await?;
        freed = freed.max(left.elapsed());
        raw.push((full, gateway.process.resident()?));
    }
    let (first, last) = (raw[0], raw[raw.len() - 1]);
    // The gateway gives memory back once it has time to.
    let left = Moment::now();
    let given_back = |resident: u64| resident.saturating_sub(empty) <= first.0.saturating_sub(empty) / 10;
    while !given_back(gateway.process.resident()?) && left.elapsed() < GIVE_BACK {
        sleep(Duration::from_millis(100)).await;
    }
    let (after, waited) = (gateway.process.resident()?, left.elapsed());
    gateway.process.stop().await?;
    bench.save("held", &json!({ "empty": empty, "full_and_after": raw, "given_back": after }))?;

    let each = first.0.saturating_sub(empty) as f64 / REQUESTS as f64 / 1024.0;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    Ok(vec![
        Row::goal("memory per held request, 10,000 held", format!("{each:.1} KiB"), "<= 16 KiB", each <= 16.0),
        Row::goal(
            "held requests after all hung up, 8 times 10,000",
            format!(
                "0 within {:.2} s; resident {:.0} MiB empty, {:.0} full the first time and {:.0} the last, {:.0} within {:.1} s",
                freed.as_secs_f64(),
                mib(empty),
                mib(first.0),
                mib(last.0),
                mib(after),
                waited.as_secs_f64()
            ),
            "all freed on hang-up",
            given_back(after),
        ),
    ])
}

async fn hold(gateway: &Gateway) -> Result<Vec<Connection>> {
    let request = get(HOST, "/");
    let mut clients = Vec::with_capacity(REQUESTS as usize);
    for _ in 0..REQUESTS {
        let mut client = Connection::open(gateway.http).await?;
        client.send(&request).await?;
        clients.push(client);
    }
    Ok(clients)
}
