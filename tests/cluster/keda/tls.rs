//! KEDA and the gateway know each other by certificates.

use serde_json::json;

use super::cycle::{asleep, by_keda};
use super::scaled_object::{ScaledObject, condition};
use crate::app::App;
use crate::authority::Authority;
use crate::gateway::Gateway;
use crate::namespace::Namespace;

#[tokio::test]
async fn keda_comes_in_with_the_certificate_of_a_trigger_authentication_only() {
    let namespace = Namespace::new("keda-tls").await;
    let folder = tempfile::tempdir().unwrap();
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    servers.sign("localhost").write(folder.path(), "tls");
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("ca.crt"), clients.pem()).unwrap();
    let gateway = Gateway::start(&[
        "--namespaces",
        &namespace.name,
        "--scaler-cert",
        &path("tls.crt"),
        "--scaler-key",
        &path("tls.key"),
        "--scaler-client-ca",
        &path("ca.crt"),
    ])
    .await;
    let app = asleep(&namespace, &gateway, App::echo("hello", &[]).scaling(by_keda())).await;
    let client = clients.sign("keda");
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "zerogate-client"},
        "stringData": {"ca": servers.pem(), "cert": client.certificate, "key": client.key},
    });
    namespace.apply(&secret).await;
    let parameter = |parameter, key| json!({"parameter": parameter, "name": "zerogate-client", "key": key});
    let parameters = [parameter("caCert", "ca"), parameter("tlsClientCert", "cert"), parameter("tlsClientKey", "key")];
    let authentication = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication", "metadata": {"name": "zerogate"},
        "spec": {"secretTargetRef": parameters},
    });
    namespace.apply(&authentication).await;
    let address = format!("localhost:{}", gateway.scaler().port());
    let without = ScaledObject::of("hello", gateway.scaler()).metadata("scalerAddress", &address);
    let mut object = without.clone().metadata("enableTLS", "true");
    object.trigger()["authenticationRef"] = json!({"name": "zerogate"});

    // Without, nobody comes in, and nothing is scaled.
    without.apply(&namespace).await;
    without.until(&namespace, "it is refused", |status| condition(status, "Ready") == Some("False")).await;
    object.create(&namespace).await;
    assert_eq!(gateway.get(&app.host(&namespace), "/").await.status, 200);
    object.found_active(&namespace, 2).await;
    object.found_inactive(&namespace).await;
    namespace.asks_for("hello", 0).await;
}
