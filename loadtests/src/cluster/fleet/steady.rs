//! How many pods a steady load wants that three gateways have together, beside one gateway with all of it.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use serde_json::json;
use tokio::time::sleep;

use super::super::Cluster;
use super::super::app::{App, Namespace};
use super::super::installed::Installed;
use crate::Result;
use crate::clock::Moment;
use crate::http::{Connection, get};
use crate::report::Row;

/// Requests that stay open, two to a pod.
const REQUESTS: usize = 11;
const RIGHT: i32 = 6;
const LOOK: Duration = Duration::from_millis(250);
/// How long it may take until there are as many as there are to be.
const REACHED: Duration = Duration::from_secs(60);

pub async fn run(cluster: &Cluster) -> Result<Vec<Row>> {
    let looks = cluster.bench.choose(240, 40);
    let mut wrong = Vec::new();
    for gateways in [1, 3] {
        let installed = Installed::of(&cluster.client, gateways).await?;
        let namespace = Namespace::new(&cluster.client, &format!("bench-steady-{gateways}")).await?;
        let scaling = json!({"target": 2, "utilization": 100, "stableWindow": "10s", "idleTimeout": "5s"});
        namespace.create(vec![App::echo("app-0", &[]).with("/scaling", scaling)]).await?;
        installed.knows(&namespace.name, 1, Duration::from_secs(30)).await?;
        let request = get(&namespace.host("app-0"), "/sse?n=1000000&ms=1000");
        let mut open = Vec::new();
        for n in 0..REQUESTS {
            let mut connection = Connection::open(installed.all[n % gateways].http).await?;
            connection.send(&request).await?;
            open.push(connection);
        }
        let deployments: Api<Deployment> = Api::namespaced(cluster.client.clone(), &namespace.name);
        let asked = async || -> Result<i32> {
            Ok(deployments.get("app-0").await?.spec.and_then(|spec| spec.replicas).unwrap_or_default())
        };
        let started = Moment::now();
        while asked().await? != RIGHT && started.elapsed() < REACHED {
            sleep(LOOK).await;
        }
        let mut off = 0;
        for _ in 0..looks {
            sleep(LOOK).await;
            off += usize::from(asked().await? != RIGHT);
        }
        drop(open);
        namespace.end().await?;
        wrong.push(off);
    }
    cluster
        .bench
        .save("fleet-steady", &json!({ "looks": looks, "wrong_with_1": wrong[0], "wrong_with_3": wrong[1] }))?;
    Ok(vec![Row::goal(
        format!("wrong number of pods, {REQUESTS} requests split over 3 gateways, {RIGHT} pods to be, {looks} looks"),
        format!("{} (one gateway with all of them: {})", wrong[1], wrong[0]),
        "0",
        wrong[1] == 0,
    )])
}
