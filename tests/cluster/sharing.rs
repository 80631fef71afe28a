//! Two apps that claim the same host, or the same target.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::json;

use crate::app::App;
use crate::gateway::Gateway;
use crate::namespace::Namespace;
use crate::wait::until;

/// Makes the `HTTPApp` of an app, so that it is younger than this. Kubernetes knows ages in whole seconds.
async fn make_younger(namespace: &Namespace, app: &App, than: Time) {
    until("a younger one is made", async || {
        let made = namespace.apply(&app.http_app).await;
        if made.creation_timestamp()? > than {
            return Some(());
        }
        namespace.delete(&app.http_app).await;
        None
    })
    .await;
}

#[tokio::test]
async fn the_older_of_two_apps_gets_the_host_and_the_younger_takes_over() {
    let namespace = Namespace::new("sharing").await;
    let gateway = Gateway::start(&["--namespaces", &namespace.name]).await;
    let host = format!("shared.{}.localhost", namespace.name);
    let own = format!("own.{}.localhost", namespace.name);
    let route = |hosts: &[&String]| json!([{"hosts": hosts}]);
    // By name it comes second.
    let older = App::echo("b", &[]).with("routes", route(&[&host]));
    older.create(&namespace).await;
    let created = namespace.api_of(&older.http_app).get("b").await.unwrap().creation_timestamp().unwrap();
    gateway.app_until(&namespace, "b", "the gateway knows it", |_| true).await;
    let younger = App::echo("a", &[]).with("routes", route(&[&host, &own]));
    younger.create_target(&namespace).await;
    make_younger(&namespace, &younger, created).await;
    gateway.app_until(&namespace, "a", "the gateway knows it", |_| true).await;
    let id = format!("{}/a", namespace.name);
    let said = gateway.until_logged(&[&id, "does not get all its routes"]).await;
    assert!(said.contains(&host) && said.contains(&format!("{}/b", namespace.name)), "{said}");

    let name = async |host: &str| gateway.get(host, "/").await.json()["name"].clone();
    assert_eq!(name(&host).await, "b");
    assert_eq!(name(&own).await, "a", "what nobody else claims is its own");

    namespace.api_of(&older.http_app).delete("b", &DeleteParams::default()).await.unwrap();
    until("the younger has the host", async || (name(&host).await == "a").then_some(())).await;
    assert_eq!(gateway.get(&own, "/").await.status, 200);

    // Whoever comes back is the younger now.
    namespace.apply(&older.http_app).await;
    gateway.until_logged(&[&format!("{}/b", namespace.name), "does not get all its routes", &host]).await;
    assert_eq!(name(&host).await, "a");
}

#[tokio::test]
async fn the_older_of_two_apps_has_the_target_and_the_younger_takes_over() {
    let namespace = Namespace::new("sharing").await;
    let gateway = Gateway::start(&["--namespaces", &namespace.name]).await;
    let hosts = ["b", "a"].map(|name| format!("{name}.{}.localhost", namespace.name));
    // By name it comes second.
    let older =
        App::echo("b", &[]).scaling(json!({"idleTimeout": "1s"})).with("routes", json!([{"hosts": [hosts[0]]}]));
    older.create(&namespace).await;
    let created = namespace.api_of(&older.http_app).get("b").await.unwrap().creation_timestamp().unwrap();
    let mut younger = App::echo("a", &[]).with("routes", json!([{"hosts": [hosts[1]]}]));
    younger.spec()["target"] = older.http_app["spec"]["target"].clone();
    make_younger(&namespace, &younger, created).await;

    let owner = format!("is the target of app `{}/b` already, which is older", namespace.name);
    namespace.condition_says(&younger.http_app, "Accepted", &owner).await;
    assert_eq!(gateway.app(&namespace, "a").await, None, "it is not in force");
    gateway.get(&hosts[1], "/").await.problem(404);
    // The other one wakes and sleeps as ever.
    assert_eq!(gateway.get(&hosts[0], "/").await.json()["name"], "b");
    namespace.asks_for("b", 0).await;

    namespace.api_of(&older.http_app).delete("b", &DeleteParams::default()).await.unwrap();
    until("the younger has the target", async || (gateway.get(&hosts[1], "/").await.status == 200).then_some(())).await;
    namespace.condition_says(&younger.http_app, "Accepted", "the settings are in force").await;
}
