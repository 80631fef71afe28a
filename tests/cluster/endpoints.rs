//! EndpointSlices written by hand for a Service without selector: more endpoints than one holds, and addresses of IPv6.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::app::App;
use crate::gateway::Gateway;
use crate::namespace::Namespace;
use crate::ports::Ports;
use crate::wait::until;

/// In one slice; the API server takes 1000 at most.
const IN_ONE: u8 = 200;
const SLICES: u8 = 6;

/// Makes all of these addresses this machine's own, in the cluster's network.
async fn own(addresses: &str) {
    let route = ["route", "replace", "local", addresses, "dev", "lo"];
    assert!(Command::new("ip").args(route).status().await.unwrap().success());
}

/// What answers at `port` of `address`, which may be all there are; this is one where it does.
async fn echo(name: &str, address: &str, port: u16, at: IpAddr) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zerogate"));
    command.args(["echo", "--addr", address, "--port", &port.to_string(), "--name", name]);
    let child = command.stdout(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    until("it listens", async || tokio::net::TcpStream::connect((at, port)).await.ok()).await;
    child
}

/// What is scaled is something, but none of its pods is behind the Service.
async fn create_app(name: &str, namespace: &Namespace) -> App {
    let mut app = App::echo(name, &[]).scaling(json!({"minReplicas": 1, "maxReplicas": 1}));
    app.service["spec"].as_object_mut().unwrap().remove("selector");
    app.create(namespace).await;
    app
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
    own("10.99.0.0/16").await;
    let ports = Ports::take();
    let port = *ports.processes().start();
    let _echo = echo("many", "0.0.0.0", port, Ipv4Addr::new(10, 99, 0, 1).into()).await;
    let app = create_app("many", &namespace).await;
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

#[tokio::test]
async fn an_endpoint_may_have_an_ipv6_address() {
    let namespace = Namespace::new("six").await;
    own("fd00:99::/64").await;
    let ports = Ports::take();
    let port = *ports.processes().start();
    let _echo = echo("six", "::", port, "fd00:99::1".parse().unwrap()).await;
    let app = create_app("six", &namespace).await;
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "six-1", "labels": {"kubernetes.io/service-name": "six"}},
        "addressType": "IPv6", "ports": [{"name": "http", "port": port}],
        "endpoints": [{"addresses": ["fd00:99::1"], "conditions": {"ready": true}}],
    });
    namespace.apply(&slice).await;
    let gateway = Gateway::of(&namespace).await;
    let reply = gateway.get(&app.host(&namespace), "/").await;
    assert_eq!((reply.status.as_u16(), &reply.json()["name"]), (200, &"six".into()), "{reply:?}");
    let seen = gateway.app(&namespace, "six").await.unwrap();
    assert_eq!(seen["endpoints"][0]["address"], format!("[fd00:99::1]:{port}"), "{seen:#}");
}
