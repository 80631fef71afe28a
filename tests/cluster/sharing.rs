//! Two apps that claim the same host.

use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::json;

use crate::app::App;
use crate::gateway::Gateway;
use crate::namespace::Namespace;
use crate::wait::until;

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
    // Kubernetes knows ages in whole seconds.
    let younger = App::echo("a", &[]).with("routes", route(&[&host, &own]));
    younger.create_target(&namespace).await;
    until("a younger one is made", async || {
        let made = namespace.apply(&younger.http_app).await;
        if made.creation_timestamp()? > created {
            return Some(());
        }
        namespace.delete(&younger.http_app).await;
        None
    })
    .await;
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
