//! What the manifests install.

use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::Api;
use serde_json::json;

use crate::app::App;
use crate::cluster::admin;
use crate::gateway::Gateway;
use crate::namespace::Namespace;

/// Whether the gateway's account may do this in a namespace that is not its own.
async fn may(verb: &str, group: &str, resource: &str, subresource: &str) -> bool {
    let reviews: Api<SubjectAccessReview> = Api::all(admin().await);
    let review = serde_json::from_value(json!({"spec": {
        "user": "system:serviceaccount:zerogate:zerogate",
        "groups": ["system:serviceaccounts", "system:serviceaccounts:zerogate", "system:authenticated"],
        "resourceAttributes":
            {"namespace": "default", "verb": verb, "group": group, "resource": resource, "subresource": subresource},
    }}));
    let review = reviews.create(&Default::default(), &review.unwrap()).await.unwrap();
    review.status.unwrap().allowed
}

#[tokio::test]
async fn the_gateway_may_do_what_it_needs_and_no_more() {
    for (verb, group, resource, subresource) in [
        ("watch", "zerogate.dev", "httpapps", ""),
        ("patch", "zerogate.dev", "httpapps", "status"),
        ("watch", "discovery.k8s.io", "endpointslices", ""),
        ("watch", "", "pods", ""),
        ("patch", "", "pods", ""),
        ("watch", "", "services", ""),
        ("watch", "apps", "deployments", ""),
        ("patch", "apps", "deployments", "scale"),
        ("patch", "apps", "statefulsets", "scale"),
        ("create", "events.k8s.io", "events", ""),
        ("patch", "events.k8s.io", "events", ""),
    ] {
        assert!(may(verb, group, resource, subresource).await, "{verb} {group}/{resource}/{subresource}");
    }
    for (verb, group, resource, subresource) in [
        ("get", "", "secrets", ""),
        ("list", "", "configmaps", ""),
        ("delete", "", "pods", ""),
        ("create", "", "pods", "exec"),
        ("get", "", "pods", "log"),
        ("patch", "apps", "deployments", ""),
        ("get", "apps", "deployments", "scale"),
        ("create", "", "events", ""),
        ("create", "apps", "deployments", ""),
        ("patch", "zerogate.dev", "httpapps", ""),
        ("update", "", "services", ""),
        ("create", "rbac.authorization.k8s.io", "rolebindings", ""),
    ] {
        assert!(!may(verb, group, resource, subresource).await, "{verb} {group}/{resource}/{subresource}");
    }
}

#[tokio::test]
async fn the_installed_gateway_wakes_an_app() {
    let namespace = Namespace::installed().await;
    let gateway = Gateway::find(&namespace.client).await;
    let app = App::echo("hello", &[]);
    app.create(&namespace).await;
    gateway.app_until(&namespace, "hello", "it sleeps", |app| app["state"] == "asleep").await;
    let reply = gateway.get(&app.host(&namespace), "/").await;
    assert_eq!((reply.status.as_u16(), &reply.json()["name"]), (200, &"hello".into()), "{reply:?}");
    assert_eq!(namespace.pods("hello").await.len(), 1);
}
