//! A gateway that may not do all it has to: it says what it lacks, and goes on once it has it.

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::app::App;
use crate::cluster::kubectl;
use crate::gateway::Gateway;
use crate::kubeconfig;
use crate::namespace::Namespace;
use crate::wait::until;

/// A role with all rights but those to `without`.
fn role(without: &[&str]) -> Value {
    let rules = [
        ("zerogate.dev", "httpapps", &["get", "list", "watch"][..]),
        ("zerogate.dev", "httpapps/status", &["patch"]),
        ("events.k8s.io", "events", &["create", "patch"]),
        ("", "pods", &["get", "list", "watch", "patch"]),
        ("", "services", &["get", "list", "watch"]),
        ("discovery.k8s.io", "endpointslices", &["get", "list", "watch"]),
        ("apps", "deployments", &["get", "list", "watch"]),
        ("apps", "deployments/scale", &["patch"]),
    ];
    let rules = rules.iter().filter(|(_, resource, _)| !without.contains(resource));
    let rules: Vec<_> = rules
        .map(|(group, resource, verbs)| json!({"apiGroups": [group], "resources": [resource], "verbs": verbs}))
        .collect();
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "gateway"}, "rules": rules,
    })
}

/// Gives this role in `namespace` to the account in `home`.
async fn bind(namespace: &Namespace, role: &Value, home: &Namespace) {
    namespace.apply(role).await;
    namespace
        .apply(&json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "gateway"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "gateway"},
            "subjects": [{"kind": "ServiceAccount", "name": "gateway", "namespace": home.name}],
        }))
        .await;
}

async fn create_account(namespace: &Namespace, role: &Value) {
    namespace.apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "gateway"}})).await;
    bind(namespace, role, namespace).await;
}

/// A kubeconfig of an account that has this role only.
async fn account(namespace: &Namespace, role: &Value) -> NamedTempFile {
    create_account(namespace, role).await;
    kubeconfig::of_token(kubectl(&["create", "token", "gateway", "--namespace", &namespace.name], "").await.trim())
}

/// A token of that account which is good for as long as the Secret of this name is there.
async fn token_bound_to(namespace: &Namespace, secret: &Value) -> String {
    namespace.apply(secret).await;
    let name = secret["metadata"]["name"].as_str().unwrap();
    let of = ["--namespace", &namespace.name, "--bound-object-kind", "Secret", "--bound-object-name", name];
    kubectl(&[&["create", "token", "gateway"][..], &of].concat(), "").await.trim().to_owned()
}

#[tokio::test]
async fn rights_that_are_taken_away_are_named_and_missed_no_more_once_given_back() {
    let namespace = Namespace::new("rights").await;
    let kubeconfig = account(&namespace, &role(&[])).await;
    let gateway = Gateway::launch(kubeconfig.path(), &["--namespaces", &namespace.name]);
    gateway.until_ready().await;
    let (warm, cold) = (App::echo("warm", &[]), App::echo("cold", &[]));
    for app in [&warm, &cold] {
        app.create(&namespace).await;
        gateway.app_until(&namespace, &app.name, "the gateway knows it", |_| true).await;
    }
    assert_eq!(gateway.get(&warm.host(&namespace), "/").await.status, 200, "these rights are enough");

    namespace.apply(&role(&["deployments/scale"])).await;
    let reply = gateway.get(&cold.host(&namespace), "/").await;
    let problem = reply.problem(503);
    assert_eq!(problem["cause"], "forbidden", "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("may not patch deployments.apps/scale") && detail.contains(&namespace.name), "{detail}");
    reply.retry_after();
    assert_eq!(gateway.get(&warm.host(&namespace), "/").await.status, 200, "who is awake does not notice");
    assert_eq!(gateway.probe("/readyz").await, Some(200));

    namespace.apply(&role(&[])).await;
    until("it may again", async || (gateway.get(&cold.host(&namespace), "/").await.status == 200).then_some(())).await;
}

#[tokio::test]
async fn a_token_that_is_exchanged_is_taken_up_by_itself() {
    let namespace = Namespace::new("token").await;
    create_account(&namespace, &role(&[])).await;
    let secret = |name: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}});
    let (first, second) = (secret("first"), secret("second"));
    let token = token_bound_to(&namespace, &first).await;
    let file = NamedTempFile::new().unwrap();
    std::fs::write(&file, &token).unwrap();
    let kubeconfig = kubeconfig::of_token_file(file.path());
    let gateway = Gateway::launch(kubeconfig.path(), &["--namespaces", &namespace.name]);
    gateway.until_ready().await;
    let patient = |name| App::echo(name, &[]).with("hold", json!({"timeout": "50s"}));
    let (warm, cold) = (patient("warm"), patient("cold"));
    for app in [&warm, &cold] {
        app.create(&namespace).await;
        gateway.app_until(&namespace, &app.name, "the gateway knows it", |_| true).await;
    }
    assert_eq!(gateway.get(&warm.host(&namespace), "/").await.status, 200);

    std::fs::write(&file, token_bound_to(&namespace, &second).await).unwrap();
    namespace.delete(&first).await;
    let old = kubeconfig::of_token(&token);
    let old = Kubeconfig::read_from(old.path()).unwrap();
    let old = Config::from_custom_kubeconfig(old, &KubeConfigOptions::default()).await.unwrap();
    let old: Api<Pod> = Api::namespaced(Client::try_from(old).unwrap(), &namespace.name);
    let is_refused = |error: kube::Error| matches!(error, kube::Error::Api(status) if status.code == 401);
    until("the first token is worth nothing", async || {
        old.list(&ListParams::default()).await.is_err_and(is_refused).then_some(())
    })
    .await;
    assert_eq!(gateway.get(&warm.host(&namespace), "/").await.status, 200, "who is awake does not notice");
    // It is read anew about once a minute, and one request is held for less.
    let mut answers = Vec::new();
    while answers.len() < 2 && answers.last() != Some(&200) {
        answers.push(gateway.get(&cold.host(&namespace), "/").await.status.as_u16());
    }
    assert_eq!(answers.last(), Some(&200), "{answers:?}");
}

#[tokio::test]
async fn rights_that_are_missing_at_the_start_are_named() {
    let namespace = Namespace::new("rights").await;
    let without = ["pods", "deployments"];
    let kubeconfig = account(&namespace, &role(&without)).await;
    let app = App::echo("hello", &[]);
    app.create(&namespace).await;
    let gateway = Gateway::launch(kubeconfig.path(), &["--namespaces", &namespace.name]);
    gateway.until_ready().await;
    let problem = gateway.get(&app.host(&namespace), "/").await.problem(503);
    assert_eq!(problem["cause"], "forbidden", "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("may not list ") && detail.contains(&namespace.name), "{detail}");
    assert!(without.iter().any(|resource| detail.contains(resource)), "{detail}");

    namespace.apply(&role(&[])).await;
    until("it may", async || (gateway.get(&app.host(&namespace), "/").await.status == 200).then_some(())).await;
}

#[tokio::test]
async fn a_gateway_that_may_not_see_httpapps_says_so_and_becomes_ready_once_it_may() {
    let namespace = Namespace::new("rights").await;
    let kubeconfig = account(&namespace, &role(&["httpapps"])).await;
    let app = App::echo("hello", &[]);
    app.create(&namespace).await;
    let gateway = Gateway::launch(kubeconfig.path(), &["--namespaces", &namespace.name]);
    let said = gateway.until_logged(&["httpapps.zerogate.dev", "may not list"]).await;
    assert!(said.contains(&namespace.name), "{said}");
    until("it answers", async || gateway.probe("/livez").await).await;
    assert_eq!(gateway.probe("/readyz").await, Some(503));

    namespace.apply(&role(&[])).await;
    gateway.until_ready().await;
    assert_eq!(gateway.get(&app.host(&namespace), "/").await.status, 200);
}

#[tokio::test]
async fn a_namespace_that_may_not_be_read_holds_up_none_of_the_others() {
    let (open, closed) = (Namespace::new("rights").await, Namespace::new("rights").await);
    let kubeconfig = account(&open, &role(&[])).await;
    let app = App::echo("hello", &[]);
    app.create(&open).await;
    app.create(&closed).await;
    let gateway = Gateway::launch(kubeconfig.path(), &["--namespaces", &format!("{},{}", open.name, closed.name)]);
    gateway.until_ready().await;
    assert_eq!(gateway.get(&app.host(&open), "/").await.status, 200);
    gateway.get(&app.host(&closed), "/").await.problem(404);
    let said = gateway.until_logged(&["ERROR", "without the HTTPApps of 1 namespace", &closed.name]).await;
    assert!(said.contains("may not list httpapps.zerogate.dev") && !said.contains(&open.name), "{said}");
    let metrics = async || String::from_utf8(gateway.admin_get("/metrics").await.body.to_vec()).unwrap();
    let metric = metrics().await;
    assert!(metric.contains("\nzerogate_namespaces_unreadable 1\n"), "{metric}");

    bind(&closed, &role(&[]), &open).await;
    until("it may", async || (gateway.get(&app.host(&closed), "/").await.status == 200).then_some(())).await;
    let metric = metrics().await;
    assert!(metric.contains("\nzerogate_namespaces_unreadable 0\n"), "{metric}");
    assert_eq!(gateway.get(&app.host(&open), "/").await.status, 200);
}
