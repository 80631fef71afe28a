//! What the manifests install.

use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::Api;
use serde_json::json;

use crate::cluster::admin;

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
        ("create", "apps", "deployments", ""),
        ("patch", "zerogate.dev", "httpapps", ""),
        ("update", "", "services", ""),
        ("create", "rbac.authorization.k8s.io", "rolebindings", ""),
    ] {
        assert!(!may(verb, group, resource, subresource).await, "{verb} {group}/{resource}/{subresource}");
    }
}
