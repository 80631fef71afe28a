//! Two gateways under a steady rate of requests: one is killed, and both are replaced.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use serde_json::json;
use tokio::time::sleep;

use super::super::Cluster;
use super::super::app::{App, Namespace};
use super::super::installed::Installed;
use super::rate::Rate;
use crate::Result;
use crate::process::kill;
use crate::report::Row;

const PER_SECOND: u32 = 500;
const CONNECTIONS: u32 = 10;

pub async fn run(cluster: &Cluster) -> Result<Vec<Row>> {
    let lasting = Duration::from_secs(cluster.bench.choose(30, 15));
    let installed = Installed::of(&cluster.client, 2).await?;
    let namespace = Namespace::new(&cluster.client, "bench-killed").await?;
    namespace.create(vec![App::echo("app-0", &[])]).await?;
    installed.knows(&namespace.name, 1, Duration::from_secs(30)).await?;
    let rate = Rate { per_second: PER_SECOND, connections: CONNECTIONS, to: installed.http };
    let hosts = vec![namespace.host("app-0")];
    rate.run(&hosts, Duration::from_secs(2)).await?;

    let load = tokio::spawn(rate.clone().run_owned(hosts.clone(), lasting));
    sleep(lasting / 4).await;
    kill(installed.all[0].pid)?;
    let killed = load.await??;
    Installed::found(&cluster.client, 2).await?;

    // A pod that is about to go drains for a while; the load lasts until both have.
    let rolling = Duration::from_secs(45);
    let load = tokio::spawn(rate.run_owned(hosts, rolling));
    sleep(Duration::from_secs(3)).await;
    Api::<Deployment>::namespaced(cluster.client.clone(), "zerogate").restart("zerogate").await?;
    let rolled = load.await??;
    Installed::found(&cluster.client, 2).await?;
    namespace.end().await?;
    cluster.bench.save("fleet-killed", &json!({ "killed": killed, "rolled": rolled }))?;
    Ok(vec![
        Row::goal(
            format!("two gateways under {PER_SECOND} requests a second, one killed -9"),
            format!("{} of {} answered, {:.3} %", killed.well, killed.all(), killed.percent()),
            ">= 99.9 %",
            killed.percent() >= 99.9,
        ),
        Row::goal(
            "the same, both replaced by a rollout",
            format!("{} of {} answered, {:.3} %", rolled.well, rolled.all(), rolled.percent()),
            "100 %",
            rolled.badly == 0,
        ),
    ])
}
