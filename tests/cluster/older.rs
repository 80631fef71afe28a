//! An API server without the definition of `HTTPApp`, and then with objects that an older or newer one has let in. It is one
//! of the test's own: the definition belongs to all tests of the shared one.

use serde_json::{Value, json};

use crate::api_server::{ApiServer, app, definition, echo};
use crate::gateway::Gateway;
use crate::ports::Ports;
use crate::wait::until;

/// The definition as it might have been, without schema and rules.
fn loose() -> Value {
    let mut definition: Value = serde_saphyr::from_str(&std::fs::read_to_string(definition()).unwrap()).unwrap();
    let version = &mut definition["spec"]["versions"][0];
    version["schema"]["openAPIV3Schema"] = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    definition
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_definition_is_waited_for_and_objects_of_other_versions_stop_nobody() {
    let server = ApiServer::start().await;
    let ports = Ports::take();
    let _echo = echo(&server, &ports, &["good", "bad", "newer", "odd", "late"]).await;
    let gateway = Gateway::launch(server.kubeconfig.path(), &[]);
    gateway.until_logged(&["httpapps.zerogate.dev", "is the CRD installed?"]).await;
    assert_eq!(gateway.probe("/livez").await, Some(200));
    assert_eq!(gateway.probe("/readyz").await, Some(503));

    server.create(&loose()).await;
    server.create(&app("good", json!({}))).await;
    server.create(&app("bad", json!({"scaling": {"minReplicas": 5, "maxReplicas": 2}}))).await;
    server.create(&app("newer", json!({"colour": "blue"}))).await;
    server.create(&app("odd", json!({"routes": 7}))).await;
    gateway.until_ready().await;
    let served = async || gateway.get("good.localhost", "/").await.status;
    until("it is served", async || (served().await == 200).then_some(())).await;
    gateway.until_logged(&["default/bad", "minReplicas"]).await;
    gateway.until_logged(&["default/odd", "routes"]).await;

    // What was good stays in force when it is made what cannot be meant.
    let change = |scaling: &str| format!(r#"{{"spec": {{"scaling": {scaling}}}}}"#);
    let patch = async |scaling: &str| {
        server.kubectl(&["patch", "httpapp", "good", "--type=merge", "--patch", &change(scaling)]).await;
    };
    patch(r#"{"minReplicas": 5, "maxReplicas": 2}"#).await;
    gateway.until_logged(&["default/good", "minReplicas"]).await;
    assert_eq!(served().await, 200);
    patch("null").await;

    // With the definition as it is now fields that it does not know are gone; what it would refuse is still stored.
    server
        .kubectl(&["apply", "--server-side", "--force-conflicts", "--filename", definition().to_str().unwrap()])
        .await;
    server.create(&app("late", json!({}))).await;
    until("a new one is served", async || {
        assert_eq!(served().await, 200);
        (gateway.get("late.localhost", "/").await.status == 200).then_some(())
    })
    .await;
    assert_eq!(gateway.get("bad.localhost", "/").await.status, 404);
    assert_eq!(gateway.probe("/readyz").await, Some(200));
}
