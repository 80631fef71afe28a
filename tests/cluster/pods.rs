//! The cluster itself: pods run, and are reached as the gateway reaches them.

use std::net::SocketAddr;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::ListParams;

use crate::app::{App, PORT};
use crate::client::{Client, get};
use crate::namespace::Namespace;
use crate::wait::{soon, until};

#[tokio::test]
async fn a_deployment_goes_from_0_to_1_is_reached_and_goes_back() {
    let namespace = Namespace::new("pods").await;
    let app = App::echo("hello", &[]);
    app.create_target(&namespace).await;
    namespace.ready("hello", 0).await;
    assert!(namespace.pods("hello").await.is_empty());

    namespace.scale("hello", 1).await;
    namespace.ready("hello", 1).await;
    let pods = namespace.pods("hello").await;
    let status = pods[0].status.as_ref().unwrap();
    let pod = SocketAddr::new(status.pod_ip.as_ref().unwrap().parse().unwrap(), PORT);
    let reply = Client::http1(pod).await.send(get("hello.localhost", "/")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.json()["name"], "hello", "{reply:?}");

    // By the Service, once kube-proxy knows of the pod.
    let slices = namespace.api::<EndpointSlice>();
    until("the EndpointSlice has the pod as ready", async || {
        let slices = slices.list(&ListParams::default().labels("kubernetes.io/service-name=hello")).await.ok()?;
        let ready = slices.items.iter().flat_map(|slice| &slice.endpoints);
        (ready.filter(|endpoint| endpoint.conditions.as_ref().is_some_and(|c| c.ready == Some(true))).count() == 1)
            .then_some(())
    })
    .await;
    let service = namespace.api::<Service>().get("hello").await.unwrap();
    let service = SocketAddr::new(service.spec.unwrap().cluster_ip.unwrap().parse().unwrap(), 80);
    until("the ClusterIP accepts", async || tokio::net::TcpStream::connect(service).await.ok()).await;
    let reply = Client::http1(service).await.send(get("hello.localhost", "/")).await;
    assert_eq!(reply.json()["name"], "hello", "{reply:?}");

    namespace.scale("hello", 0).await;
    namespace.ready("hello", 0).await;
    soon("the pod is gone", until("no pod is left", async || namespace.pods("hello").await.is_empty().then_some(())))
        .await;
}
