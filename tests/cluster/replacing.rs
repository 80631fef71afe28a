//! Pods that are replaced, evicted or killed under load.

use std::process::Command;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{EvictParams, Patch, PatchParams};
use serde_json::json;

use crate::app::App;
use crate::client::{Client, empty, get, next, request};
use crate::cluster::{folder, kubectl};
use crate::gateway::Gateway;
use crate::load::Load;
use crate::namespace::Namespace;
use crate::wait::{soon, until};

const PODS: u32 = 3;

/// An app with some pods that is awake, and its gateway.
async fn awake(namespace: &Namespace, name: &str) -> (App, Gateway) {
    let app = App::echo(name, &[]).scaling(json!({"minReplicas": PODS, "maxReplicas": PODS}));
    app.create(namespace).await;
    let gateway = Gateway::of(namespace).await;
    namespace.ready(name, PODS as i32).await;
    let all = |app: &serde_json::Value| app["replicas"]["ready"] == PODS;
    gateway.app_until(namespace, name, "all take requests", all).await;
    (app, gateway)
}

#[tokio::test]
async fn a_new_version_under_load_costs_no_answer() {
    let namespace = Namespace::new("rollout").await;
    let (app, gateway) = awake(&namespace, "hello").await;
    let load = Load::start(8, gateway.http, &app.host(&namespace), "/sleep?ms=50");
    let args = ["echo", "--addr=0.0.0.0", "--port=8000", "--name", "version2", "--start-delay=500ms"];
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "args": args}]}}}});
    let deployments = namespace.api::<Deployment>();
    deployments.patch("hello", &PatchParams::default(), &Patch::Strategic(patch)).await.unwrap();
    namespace
        .until::<Deployment>("hello", "it is rolled out", |found| {
            let status = found.unwrap().status.as_ref().unwrap();
            status.observed_generation == found.unwrap().metadata.generation
                && status.updated_replicas == Some(PODS as i32)
                && status.replicas == Some(PODS as i32)
                && status.available_replicas == Some(PODS as i32)
                && status.terminating_replicas.unwrap_or(0) == 0
        })
        .await;
    let tally = load.finish().await;
    tally.assert_all_served();
    assert_eq!(tally.served.keys().collect::<Vec<_>>(), ["hello", "version2"], "{tally:?}");
}

#[tokio::test]
async fn an_eviction_costs_no_answer() {
    let namespace = Namespace::new("evict").await;
    let (app, gateway) = awake(&namespace, "hello").await;
    let load = Load::start(8, gateway.http, &app.host(&namespace), "/sleep?ms=50");
    for pod in namespace.pods("hello").await {
        let name = pod.metadata.name.unwrap();
        let pods: Api<Pod> = namespace.api();
        pods.evict(&name, &EvictParams::default()).await.unwrap();
        namespace.until::<Pod>(&name, "it is gone", |found| found.is_none()).await;
    }
    load.finish().await.assert_all_served();
}

/// A drain as an administrator does it. There is no other node: those who come meanwhile are told so, and that is all that they
/// ever see.
#[tokio::test]
#[ignore = "alone: nobody else's pods find a node meanwhile"]
async fn a_drained_node_costs_no_answer_but_honest_ones() {
    let namespace = Namespace::new("drain").await;
    let (app, gateway) = awake(&namespace, "hello").await;
    let load = Load::start(4, gateway.http, &app.host(&namespace), "/sleep?ms=50");
    let uncordon = Uncordon;
    kubectl(&["drain", "node1", "--pod-selector=app=hello", "--ignore-daemonsets"], "").await;
    let nowhere = |app: &serde_json::Value| app["failure"]["cause"] == "unschedulable" && app["replicas"]["ready"] == 0;
    gateway.app_until(&namespace, "hello", "it is known why nothing is left", nowhere).await;
    drop(uncordon);
    namespace.ready("hello", PODS as i32).await;
    assert_eq!(gateway.get(&app.host(&namespace), "/").await.status, 200);
    let tally = load.finish().await;
    assert!(tally.ok() > 0 && tally.refused > 0 && tally.bad.is_empty(), "{tally:?}");
}

/// Lets the node take pods again, also when the test fails.
struct Uncordon;

impl Drop for Uncordon {
    fn drop(&mut self) {
        let kubeconfig = folder().join("admin.conf");
        let _ = Command::new("kubectl").args(["uncordon", "node1"]).env("KUBECONFIG", kubeconfig).status();
    }
}

/// Events of a stream, ten a second, that only one can have that goes on: those of 15 s.
const EVENTS: usize = 150;

#[tokio::test]
async fn a_pod_that_is_killed_takes_nothing_with_it_but_what_it_had_begun() {
    let namespace = Namespace::new("killed").await;
    let name = format!("kill-{:08x}", fastrand::u32(..));
    let (app, gateway) = awake(&namespace, &name).await;
    let host = app.host(&namespace);
    // Spread over all pods, as each has the least in flight in turn.
    let mut streams = Vec::new();
    for _ in 0..PODS {
        let mut client = Client::http1(gateway.http).await;
        let mut events = soon("a header", client.start(get(&host, "/sse?n=10000&ms=100"))).await.unwrap();
        next(&mut events).await;
        streams.push((client, events));
    }
    let long: Vec<_> = (0..6).map(|_| gateway.spawn_get(&host, "/sleep?ms=3000")).collect();
    gateway.app_until(&namespace, &name, "all are under way", |app| app["inFlight"] == 6 + PODS).await;
    let load = Load::start(4, gateway.http, &host, "/sleep?ms=20");
    // One process, as by the kernel when memory is short.
    let processes = echoes(&name);
    assert_eq!(processes.len(), PODS as usize, "{processes:?}");
    assert!(Command::new("kill").args(["-KILL", &processes[0]]).status().unwrap().success());
    // And one pod, as by an administrator.
    let doomed = namespace.pods(&name).await;
    let doomed = doomed.iter().map(|pod| pod.metadata.name.clone().unwrap()).next().unwrap();
    kubectl(&["--namespace", &namespace.name, "delete", "pod", &doomed, "--grace-period=0", "--force"], "").await;
    let mut lost = 0;
    for request in long {
        let reply = request.await.unwrap();
        if reply.status != 200 {
            assert_eq!(reply.problem(502)["cause"], "connection_lost", "{reply:?}");
            lost += 1;
        }
    }
    assert!((1..=4).contains(&lost), "{lost} of 6, at 1 or 2 pods of {PODS}");
    namespace.ready(&name, PODS as i32).await;
    let tally = load.finish().await;
    // At most what each of its clients had under way when a pod died; nothing that came later.
    let begun = tally.bad.iter().filter(|bad| bad.contains("connection_lost")).count();
    assert!(tally.ok() > 0 && tally.refused == 0 && begun == tally.bad.len() && begun <= 2 * 4, "{tally:?}");
    let mut alive = 0;
    for (client, mut events) in streams {
        // Sees what there is to see, up to more events than there were before the pods died.
        let goes_on = async {
            use http_body_util::BodyExt;
            for _ in 0..EVENTS {
                match events.body_mut().frame().await {
                    Some(Ok(_)) => {}
                    _ => return false,
                }
            }
            true
        };
        alive += u32::from(soon("events or an end", goes_on).await);
        drop(client);
    }
    assert!((PODS - 2..PODS).contains(&alive), "{alive} of {PODS} streams go on");
}

/// What had been sent to a pod that dies and may not be sent twice is told so, and nothing waits for ever.
#[tokio::test]
async fn what_may_not_be_sent_twice_is_told_of() {
    let namespace = Namespace::new("unsafe").await;
    let name = format!("unsafe-{:08x}", fastrand::u32(..));
    let app = App::echo(&name, &[]);
    app.create(&namespace).await;
    let gateway = Gateway::of(&namespace).await;
    let host = app.host(&namespace);
    assert_eq!(gateway.get(&host, "/").await.status, 200);
    let mut client = Client::http1(gateway.http).await;
    let post = request(http::Method::POST, &host, "/sleep?ms=60000").body(empty()).unwrap();
    let waiting = tokio::spawn(async move { client.send(post).await });
    gateway.app_until(&namespace, &name, "it is under way", |app| app["inFlight"] == 1).await;
    let processes = echoes(&name);
    assert!(Command::new("kill").args(["-KILL", &processes[0]]).status().unwrap().success());
    let reply = waiting.await.unwrap();
    assert_eq!(reply.status, 502, "{reply:?}");
    // Until then it may accept connections that it will never read from.
    until("it has let go of its port", async || is_dead(&processes[0]).then_some(())).await;
    // The next one waits until the container is back.
    let reply = gateway.get(&host, "/").await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

/// Whether a process is gone, or has nothing left but its number.
fn is_dead(process: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    status.lines().all(|line| !line.starts_with("State:") || line.contains("(zombie)"))
}

/// The processes of apps with this name, which nothing else has on its command line.
fn echoes(name: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let is_app = |process: &String| {
        let line = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        let words: Vec<_> = line.split(|byte| *byte == 0).collect();
        words.contains(&&b"echo"[..]) && words.contains(&name.as_bytes())
    };
    processes.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).filter(is_app).collect()
}
