//! What it costs three gateways to tell each other what they count: 10,000 apps declared, 100 of them active.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ListParams;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::super::Cluster;
use super::super::app::{App, Namespace};
use super::super::installed::{Installed, One};
use super::rate::Rate;
use crate::Result;
use crate::clock::Moment;
use crate::process::{cpu_time, cpu_time_of_threads};
use crate::report::Row;

const ACTIVE: usize = 100;
/// Requests a second at each gateway, spread over all active apps: each has three, one at each gateway.
const PER_SECOND: u32 = 100;
/// How long a gateway may take to rest after many apps were declared.
const CALM: Duration = Duration::from_secs(300);
/// What it may use in two seconds when it rests: what is awake is looked at once a second.
const AT_REST: Duration = Duration::from_millis(100);
/// What all active apps are: one process.
const BEHIND: &str = "behind";

/// What one gateway used a second.
#[derive(Debug, Clone, Copy, Serialize)]
struct Cost {
    /// Percent of a core, for what is between gateways: the Lease, their list, and what is told and heard.
    fleet: f64,
    /// The same of the whole process.
    whole: f64,
    sent: f64,
    received: f64,
    messages: f64,
}

pub async fn run(cluster: &Cluster) -> Result<Vec<Row>> {
    let many = cluster.bench.choose(10_000, 1_000);
    let time = Duration::from_secs(cluster.bench.choose(60, 20));
    let installed = Installed::of(&cluster.client, 3).await?;
    let namespace = Namespace::new(&cluster.client, "bench-traffic").await?;
    let hosts: Vec<String> = (0..ACTIVE).map(|n| namespace.host(&name(n))).collect();
    declare(&namespace, many).await?;
    installed.knows(&namespace.name, many, Duration::from_secs(300)).await?;
    for one in &installed.all {
        all_awake(one, &hosts).await?;
        calm(one).await?;
    }
    let idle = cost(&installed.all, &[], time).await?;
    let three = cost(&installed.all, &hosts, time).await?;
    let alone = Installed::of(&cluster.client, 1).await?;
    all_awake(&alone.all[0], &hosts).await?;
    calm(&alone.all[0]).await?;
    let one = cost(&alone.all, &hosts, time).await?;
    namespace.end().await?;
    cluster.bench.save("fleet-traffic", &json!({ "idle": idle, "three": three, "one": one }))?;

    let most = |costs: &[Cost], of: fn(&Cost) -> f64| costs.iter().map(of).fold(0.0, f64::max);
    let words = |costs: &[Cost]| {
        format!(
            "{:.2} % of a core, {:.1} KB sent and {:.1} KB received a second in {:.0} messages",
            most(costs, |cost| cost.fleet),
            most(costs, |cost| cost.sent) / 1e3,
            most(costs, |cost| cost.received) / 1e3,
            most(costs, |cost| cost.messages),
        )
    };
    let fleet = most(&three, |cost| cost.fleet);
    Ok(vec![
        Row::goal(
            format!(
                "demand traffic between 3 gateways, {many} apps declared, {ACTIVE} active with {PER_SECOND} requests a second at each \
                 gateway; the most of the three"
            ),
            format!(
                "{}; the whole gateway {:.2} %, one without others and as many requests {:.2} %",
                words(&three),
                most(&three, |cost| cost.whole),
                most(&one, |cost| cost.whole),
            ),
            "<= 1 % of a core",
            fleet <= 1.0,
        ),
        Row::note(format!("the same, {ACTIVE} apps awake and no request"), words(&idle)),
    ])
}

fn name(app: usize) -> String {
    format!("app-{app}")
}

/// Apps of which the first ones are awake, each with the one process behind it.
async fn declare(namespace: &Namespace, many: usize) -> Result<()> {
    namespace.create(vec![App::echo(BEHIND, &[]).without_gateway()]).await?;
    let deployments: Api<Deployment> = Api::namespaced(namespace.client.clone(), &namespace.name);
    let one = kube::api::Patch::Merge(json!({"spec": {"replicas": 1}}));
    deployments.patch_scale(BEHIND, &Default::default(), &one).await?;
    let pods: Api<Pod> = Api::namespaced(namespace.client.clone(), &namespace.name);
    let started = Moment::now();
    let ip = loop {
        let found = pods.list(&ListParams::default().labels(&format!("app={BEHIND}"))).await?;
        let ready =
            found.items.into_iter().filter_map(|pod| pod.status).find(|status| {
                status.conditions.iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True")
            });
        if let Some(ip) = ready.and_then(|status| status.pod_ip) {
            break ip;
        }
        if started.elapsed() > Duration::from_secs(60) {
            return Err("the app behind all is not ready".into());
        }
        sleep(Duration::from_millis(100)).await;
    };
    let mut targets: Vec<Value> = (0..many).map(|n| deployment(&name(n), u32::from(n < ACTIVE))).collect();
    targets.extend((0..ACTIVE).flat_map(|n| way_to(&name(n), &ip)));
    namespace.create_objects(targets).await?;
    let declared = (0..many).map(|n| http_app(namespace, &name(n), n < ACTIVE)).collect();
    namespace.create_objects(declared).await
}

/// One that makes no pod, whatever it asks for.
fn deployment(name: &str, replicas: u32) -> Value {
    let pod = json!({
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "app", "image": "zerogate:0.1.0", "ports": [{"name": "http", "containerPort": 8000}]}]},
    });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": replicas, "paused": true, "selector": {"matchLabels": {"app": name}}, "template": pod},
    })
}

/// A Service that leads to `ip`.
fn way_to(name: &str, ip: &str) -> [Value; 2] {
    [
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
        }),
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4", "endpoints": [{"addresses": [ip], "conditions": {"ready": true}}],
            "ports": [{"name": "http", "port": 8000, "protocol": "TCP"}],
        }),
    ]
}

fn http_app(namespace: &Namespace, name: &str, active: bool) -> Value {
    json!({
        "apiVersion": "zerogate.dev/v1alpha1", "kind": "HTTPApp", "metadata": {"name": name},
        "spec": {
            "routes": [{"hosts": [namespace.host(name)]}],
            "target": {"scaleTargetRef": {"name": name}, "service": {"name": name, "port": "http"}},
            "scaling": {"minReplicas": u32::from(active), "maxReplicas": 1},
        },
    })
}

/// Waits until it serves all of them.
async fn all_awake(one: &One, hosts: &[String]) -> Result<()> {
    let started = Moment::now();
    let once = Rate { per_second: 200, connections: 10, to: one.http };
    loop {
        let answered = once.run(hosts, Duration::from_secs(1)).await?;
        if answered.badly == 0 {
            return Ok(());
        }
        if started.elapsed() > CALM {
            return Err(format!("{}: not all active apps are served: {answered:?}", one.name).into());
        }
    }
}

/// Waits until it has nothing left to do.
async fn calm(one: &One) -> Result<()> {
    let started = Moment::now();
    loop {
        let before = cpu_time(one.pid)?;
        sleep(Duration::from_secs(2)).await;
        if cpu_time(one.pid)?.saturating_sub(before) <= AT_REST {
            return Ok(());
        }
        if started.elapsed() > CALM {
            return Err(format!("{} does not come to rest", one.name).into());
        }
    }
}

/// What each of them uses while so many requests come to it.
async fn cost(all: &[One], hosts: &[String], time: Duration) -> Result<Vec<Cost>> {
    let mut load = JoinSet::new();
    for one in all.iter().filter(|_| !hosts.is_empty()) {
        let rate = Rate { per_second: PER_SECOND, connections: 10, to: one.http };
        load.spawn(rate.run_owned(hosts.to_vec(), time + Duration::from_secs(2)));
    }
    sleep(Duration::from_secs(1)).await;
    let mut before = Vec::new();
    for one in all {
        before.push(used(one).await?);
    }
    let started = Moment::now();
    sleep(time).await;
    let mut costs = Vec::new();
    for (one, before) in all.iter().zip(before) {
        let now = used(one).await?;
        let seconds = started.elapsed().as_secs_f64();
        let [fleet, whole, sent, received, messages] = std::array::from_fn(|at| (now[at] - before[at]) / seconds);
        costs.push(Cost { fleet: fleet * 100.0, whole: whole * 100.0, sent, received, messages });
    }
    while let Some(done) = load.join_next().await {
        let answered = done??;
        if answered.badly > 0 {
            return Err(format!("{answered:?}").into());
        }
    }
    Ok(costs)
}

/// Seconds of CPU time for the fleet and in all, bytes sent and received, messages sent.
async fn used(one: &One) -> Result<[f64; 5]> {
    let bytes = async |direction: &str| {
        one.metric("zerogate_fleet_bytes_total", &[&format!("direction=\"{direction}\"")]).await
    };
    Ok([
        cpu_time_of_threads(one.pid, "fleet")?.as_secs_f64(),
        cpu_time(one.pid)?.as_secs_f64(),
        bytes("sent").await?,
        bytes("received").await?,
        one.metric("zerogate_fleet_messages_total", &["direction=\"sent\""]).await?,
    ])
}
