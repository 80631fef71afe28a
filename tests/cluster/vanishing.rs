//! Targets and namespaces that go away, and come back.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace as Object;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;

use crate::app::App;
use crate::client::{Reply, get};
use crate::gateway::Gateway;
use crate::namespace::Namespace;
use crate::wait::until;

async fn delete(namespace: &Namespace, deployment: &str) {
    namespace.api::<Deployment>().delete(deployment, &DeleteParams::foreground()).await.unwrap();
}

/// There is no target: it is gone, or makes no pods any more since it is to be deleted, which may be all that is known yet.
#[track_caller]
fn assert_no_target(reply: &Reply) {
    let problem = reply.problem(503);
    let detail = problem["detail"].to_string();
    assert!(problem["cause"] == "target_missing" || detail.contains("it is being deleted"), "{problem}");
    reply.retry_after();
}

#[tokio::test]
async fn a_deployment_deleted_and_made_again_is_served_again() {
    let namespace = Namespace::new("again").await;
    let app = App::echo("hello", &[]);
    app.create(&namespace).await;
    let gateway = Gateway::of(&namespace).await;
    let host = app.host(&namespace);
    for _ in 0..2 {
        assert_eq!(gateway.get(&host, "/").await.status, 200);
        delete(&namespace, "hello").await;
        namespace.until::<Deployment>("hello", "it is gone", |found| found.is_none()).await;
        assert_no_target(&gateway.get(&host, "/").await);
        app.create_target(&namespace).await;
        // Right after that it may not be known yet.
        until("it is served", async || (gateway.get(&host, "/").await.status == 200).then_some(())).await;
    }
}

#[tokio::test]
async fn a_deployment_deleted_while_it_wakes_is_told_to_those_who_wait() {
    let namespace = Namespace::new("waking").await;
    let app = App::echo("hello", &["--never-listen"]);
    app.create(&namespace).await;
    let gateway = Gateway::of(&namespace).await;
    let host = app.host(&namespace);
    let waiting = [gateway.spawn_get(&host, "/"), gateway.spawn_get(&host, "/")];
    until("there is a pod", async || (!namespace.pods("hello").await.is_empty()).then_some(())).await;
    delete(&namespace, "hello").await;
    for reply in waiting {
        assert_no_target(&reply.await.unwrap());
    }
    namespace.until::<Deployment>("hello", "it is gone", |found| found.is_none()).await;
    App::echo("hello", &[]).create_target(&namespace).await;
    until("it is served", async || (gateway.get(&host, "/").await.status == 200).then_some(())).await;
}

#[tokio::test]
async fn a_namespace_deleted_while_its_app_is_awake_harms_no_other() {
    let (doomed, stays) = (Namespace::new("doomed").await, Namespace::new("stays").await);
    let app = App::echo("hello", &[]).scaling(json!({"idleTimeout": "1s"}));
    app.create(&doomed).await;
    app.create(&stays).await;
    let gateway = Gateway::start(&["--namespaces", &format!("{},{}", doomed.name, stays.name)]).await;
    let mut client = crate::client::Client::http1(gateway.http).await;
    let mut events = client.start(get(&app.host(&doomed), "/sse?n=10000&ms=200")).await.unwrap();
    crate::client::next(&mut events).await;
    let namespaces: Api<Object> = Api::all(doomed.client.clone());
    namespaces.delete(&doomed.name, &DeleteParams::background()).await.unwrap();
    until("the namespace is gone", async || namespaces.get_opt(&doomed.name).await.ok()?.is_none().then_some(())).await;
    until("its app is unknown", async || (gateway.get(&app.host(&doomed), "/").await.status == 404).then_some(()))
        .await;
    for _ in 0..2 {
        assert_eq!(gateway.get(&app.host(&stays), "/").await.status, 200);
        stays.asks_for("hello", 0).await;
    }
    assert_eq!(gateway.admin_get("/readyz").await.status, 200);
    // A namespace of that name may come again.
    let object = serde_json::from_value(json!({"metadata": {"name": doomed.name}})).unwrap();
    namespaces.create(&Default::default(), &object).await.unwrap();
    app.create(&doomed).await;
    until("it is served", async || (gateway.get(&app.host(&doomed), "/").await.status == 200).then_some(())).await;
}
