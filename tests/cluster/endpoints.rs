//! More endpoints than one EndpointSlice holds, written by hand for a Service without selector.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::app::App;
use crate::gateway::Gateway;
use crate::namespace::Namespace;
use crate::ports::Ports;
use crate::wait::until;

/// In one slice; the API server takes 1000 at most.
const IN_ONE: u8 = 200;
const SLICES: u8 = 6;

/// Every address of 10.99.0.0/16 is this machine's own, in the cluster's network.
async fn own_addresses() {
    let route = ["route", "replace", "local", "10.99.0.0/16", "dev", "lo"];
    assert!(Command::new("ip").args(route).status().await.unwrap().success());
}

fn slice(number: u8, port: u16, ready: Value) -> Value {
    let endpoint = |n| json!({"addresses": [Ipv4Addr::new(10, 99, number, n)], "conditions": {"ready": ready}});
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": format!("many-{number}"), "labels": {"kubernetes.io/service-name": "many"}},
        "addressType": "IPv4", "ports": [{"name": "http", "port": port}],
        "endpoints": (1..=IN_ONE).map(endpoint).collect::<Vec<_>>(),
    })
}

#[tokio::test]
async fn more_than_a_thousand_endpoints_are_all_used() {
    let namespace = Namespace::new("many").await;
    own_addresses().await;
    let ports = Ports::take();
    let port = *ports.processes().start();
    let _echo = Command::new(env!("CARGO_BIN_EXE_zerogate"))
        .args(["echo", "--addr=0.0.0.0", "--port", &port.to_string(), "--name=many"])
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let address = SocketAddr::from(([10, 99, 0, 1], port));
    until("it listens", async || tokio::net::TcpStream::connect(address).await.ok()).await;
    // What is scaled is something, but none of its pods is behind the Service.
    let mut app = App::echo("many", &[]).scaling(json!({"minReplicas": 1, "maxReplicas": 1}));
    app.service["spec"].as_object_mut().unwrap().remove("selector");
    app.create(&namespace).await;
    for number in 0..SLICES {
        namespace.apply(&slice(number, port, json!(true))).await;
    }
    // Nobody has said that these are ready.
    let mut unknown = slice(SLICES, port, Value::Null);
    unknown["endpoints"].as_array_mut().unwrap().iter_mut().for_each(|e| {
        e["conditions"] = json!({});
    });
    namespace.apply(&unknown).await;
    let gateway = Gateway::of(&namespace).await;
    let all = usize::from(IN_ONE) * usize::from(SLICES);
    let seen = gateway.app_until(&namespace, "many", "all are seen", |app| app["replicas"]["ready"] == all).await;
    let addresses = seen["endpoints"].as_array().unwrap().iter().map(|e| e["address"].as_str().unwrap());
    assert_eq!(addresses.collect::<HashSet<_>>().len(), all);
    let host = app.host(&namespace);
    // More than one endpoint each, so all have some in flight at once.
    for _ in 0..20 {
        let requests: Vec<_> = (0..100).map(|_| gateway.spawn_get(&host, "/")).collect();
        for request in requests {
            let reply = request.await.unwrap();
            assert_eq!(reply.json()["name"], "many", "{reply:?}");
        }
    }
    // They go as they came.
    for number in 0..SLICES {
        namespace.apply(&slice(number, port, json!(number == 0))).await;
    }
    let left = usize::from(IN_ONE);
    gateway.app_until(&namespace, "many", "most are gone", |app| app["replicas"]["ready"] == left).await;
    assert_eq!(gateway.get(&host, "/").await.status, 200);
}
