//! `bombardier -c 40 -t 5s` at a sleeping Deployment.

use std::time::Duration;

use serde_json::json;

use super::Cluster;
use super::app::{App, Namespace};
use crate::Result;
use crate::bombardier;
use crate::report::Row;

pub async fn run(cluster: &Cluster) -> Result<Vec<Row>> {
    let namespace = Namespace::new(&cluster.client, "bench-asleep").await?;
    // By the address that Bombardier asks, so that it needs no header.
    let routes = json!([{"hosts": [cluster.gateway.http.ip().to_string()]}]);
    namespace.create(vec![App::echo("app-0", &[]).with("/routes", routes)]).await?;
    cluster.gateway.knows(&namespace.name, 1, Duration::from_secs(30)).await?;
    let time = Duration::from_secs(cluster.bench.asleep_seconds);
    let (answers, failures) = bombardier::run(&cluster.bench, "asleep", cluster.gateway.http, time).await?;
    namespace.end().await?;
    Ok(vec![Row::goal(
        format!("bombardier -c 40 -t 5s -d {}s at a sleeping Deployment", time.as_secs()),
        format!("{answers} answers, {failures} errors and timeouts"),
        "no error, no timeout",
        failures == 0 && answers > 0,
    )])
}
