//! An API server that has forgotten what was when the gateway's watches broke: 410, as it really comes.

use serde_json::{Value, json};

use crate::api_server::{ApiServer, app, definition, echo};
use crate::gateway::Gateway;
use crate::ports::Ports;
use crate::wait::until;

async fn known(gateway: &Gateway, name: &str) -> Option<Value> {
    let reply = gateway.admin_get(&format!("/v1/apps/default/{name}")).await;
    (reply.status == 200).then(|| reply.json())
}

/// How often a watch could not go on where it was.
fn anew(gateway: &Gateway) -> usize {
    gateway.logged().lines().filter(|line| line.contains("a watch cannot be resumed, listing anew")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_watch_cannot_go_on_all_is_listed_anew_and_no_endpoint_is_dropped() {
    let mut server = ApiServer::start().await;
    server.kubectl(&["apply", "--server-side", "--filename", definition().to_str().unwrap()]).await;
    let ports = Ports::take();
    let _echo = echo(&server, &ports, &["stays", "goes", "comes"]).await;
    server.create(&app("stays", json!({}))).await;
    server.create(&app("goes", json!({}))).await;
    let gateway = Gateway::launch(server.kubeconfig.path(), &["--log-level", "info,activator=debug"]);
    gateway.until_ready().await;
    let get = async |name: &str| gateway.get(&format!("{name}.localhost"), "/").await.status.as_u16();
    for name in ["stays", "goes"] {
        until("it is served", async || (get(name).await == 200).then_some(())).await;
    }

    // It sees nothing of what happens, not even that the API server is away for a moment.
    gateway.freeze(true);
    server.kubectl(&["delete", "httpapp", "goes"]).await;
    let made = server.create(&app("comes", json!({}))).await;
    server.forget_before(made["metadata"]["resourceVersion"].as_str().unwrap()).await;
    gateway.freeze(false);
    let change = async {
        until("what came is served", async || (get("comes").await == 200).then_some(())).await;
        until("what went is not", async || (get("goes").await == 404).then_some(())).await;
        // HTTPApps, pods, Services, EndpointSlices, Deployments.
        until("all have listed anew", async || (anew(&gateway) >= 5).then_some(())).await;
    };
    let traffic = async {
        loop {
            assert_eq!(get("stays").await, 200);
            assert_eq!(known(&gateway, "stays").await.expect("it is known all along")["replicas"]["ready"], 1);
            assert_eq!(gateway.probe("/readyz").await, Some(200));
        }
    };
    tokio::select! {
        () = change => {}
        () = traffic => unreachable!(),
    }
}
