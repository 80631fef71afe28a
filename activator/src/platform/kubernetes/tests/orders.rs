//! Orders, and what is reported around them.

use super::cluster::{DEPLOYMENTS, PODS, SERVICES};
use super::*;
use crate::admission::removal::Removal;

const SCALE: &str = "/apis/apps/v1/namespaces/default/deployments/hello/scale";

async fn two_pods() -> World {
    let cluster = FakeCluster::hello(2, 8080).await;
    cluster.put(PODS, vec![pod("a", 8080, true), pod("b", 8080, true)]);
    let world = World::of(cluster).await;
    world.seen.until_usable(2).await;
    world
}

#[tokio::test]
async fn what_goes_to_sleep_is_in_no_observation_once_the_order_is_answered() {
    let world = two_pods().await;
    world.platform.scale(world.order(0, world.seen.last().endpoints)).await.unwrap();
    let seen = world.seen.last();
    assert_eq!((seen.endpoints.len(), seen.spec.unwrap().replicas, seen.starting), (0, 0, 0));
    assert_eq!(world.cluster.patched(), [(SCALE.to_owned(), json!({ "spec": { "replicas": 0 } }))]);
}

#[tokio::test]
async fn victims_are_made_the_first_to_go_before_they_are_fewer() {
    let world = two_pods().await;
    let victim = world.seen.last().endpoints.pop().unwrap();
    assert_eq!(victim.name(), "b");
    world.platform.scale(world.order(1, vec![victim])).await.unwrap();
    assert_eq!(names(&world.seen.last().endpoints), ["a"]);
    let cost =
        |cost: Value| json!({ "metadata": { "annotations": { "controller.kubernetes.io/pod-deletion-cost": cost } } });
    let of_pod = |name: &str| format!("/api/v1/namespaces/default/pods/{name}");
    let scaled = (SCALE.to_owned(), json!({ "spec": { "replicas": 1 } }));
    assert_eq!(world.cluster.patched(), [(of_pod("b"), cost(json!("-2147483648"))), scaled]);

    // One that was to go is in use after all, the other is not yet gone, and another is to go.
    let marked = |name: &str| {
        let mut pod = pod(name, 8080, true);
        pod["metadata"]["annotations"] = json!({ "controller.kubernetes.io/pod-deletion-cost": "-2147483648" });
        pod
    };
    world.cluster.tell(PODS, "MODIFIED", marked("a")).await;
    world.cluster.tell(PODS, "MODIFIED", marked("b")).await;
    world.cluster.tell(PODS, "MODIFIED", pod("c", 8080, true)).await;
    world.seen.until(|seen| seen.endpoints.iter().any(|endpoint| endpoint.name() == "c")).await;
    let victim = world.seen.last().endpoints.into_iter().find(|endpoint| endpoint.name() == "c").unwrap();
    world.platform.scale(world.order(1, vec![victim])).await.unwrap();
    let mut patched = world.cluster.patched().split_off(2);
    patched.sort_by(|a, b| a.0.cmp(&b.0));
    let costs = [(of_pod("a"), cost(Value::Null)), (of_pod("c"), cost(json!("-2147483648")))];
    assert_eq!(&patched[..2], costs);
}

#[tokio::test]
async fn what_is_not_in_use_goes_first_though_nobody_named_it() {
    let world = two_pods().await;
    world.cluster.tell(PODS, "MODIFIED", pod("b", 8080, false)).await;
    world.seen.until_usable(1).await;
    world.platform.scale(Order { urgent: false, ..world.order(1, Vec::new()) }).await.unwrap();
    assert_eq!(world.cluster.patched()[0].0, "/api/v1/namespaces/default/pods/b");
}

#[tokio::test]
async fn what_is_in_use_does_not_go_before_pods_that_nobody_has_told_of() {
    let cluster = FakeCluster::hello(2, 8080).await;
    let mut was_to_go = pod("a", 8080, true);
    was_to_go["metadata"]["annotations"] = json!({ "controller.kubernetes.io/pod-deletion-cost": "-2147483648" });
    cluster.put(PODS, vec![was_to_go]);
    let world = World::of(cluster).await;
    world.seen.until_usable(1).await;
    world.platform.scale(Order { urgent: false, ..world.order(1, Vec::new()) }).await.unwrap();
    let cost = json!({ "metadata": { "annotations": { "controller.kubernetes.io/pod-deletion-cost": null } } });
    assert_eq!(world.cluster.patched()[0], ("/api/v1/namespaces/default/pods/a".to_owned(), cost));
}

#[tokio::test]
async fn nobody_says_what_pods_of_others_cost() {
    let cluster = FakeCluster::hello(2, 8080).await;
    let of_other = |name: &str, ready: bool| {
        let mut other = pod(name, 8080, ready);
        other["metadata"]["ownerReferences"] = json!([owner("ReplicaSet", "canary-1")]);
        other
    };
    let pods = vec![pod("a", 8080, true), pod("b", 8080, true), of_other("c", true), of_other("d", false)];
    cluster.put(PODS, pods);
    let world = World::of(cluster).await;
    // The last one is found not to listen.
    world.seen.until_usable(3).await;
    let victim = world.seen.last().endpoints.into_iter().find(|endpoint| endpoint.name() == "b");
    world.platform.scale(world.order(1, victim.into_iter().collect())).await.unwrap();
    let paths: Vec<_> = world.cluster.patched().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["/api/v1/namespaces/default/pods/b", SCALE]);
    assert_eq!(names(&world.seen.last().endpoints), ["a", "c"]);
}

#[tokio::test]
async fn a_stateful_set_loses_its_last_pod_whatever_anybody_says() {
    let cluster = FakeCluster::with([(SERVICES, vec![service(8080)])]).await;
    let mut set = deployment(3, 10);
    set["spec"]["serviceName"] = json!("hello");
    cluster.put("/apis/apps/v1/statefulsets", vec![set]);
    let numbered = |n: u32| {
        let mut pod = pod(&format!("hello-{n}"), 8080, true);
        pod["metadata"]["ownerReferences"] = json!([owner("StatefulSet", "hello")]);
        pod
    };
    cluster.put(PODS, (0..3).map(numbered).collect());
    let world = World::with(cluster, |target| target.kind = "StatefulSet".into(), &[]).await;
    let endpoints = world.seen.until_usable(3).await;
    let ranks: Vec<_> = endpoints.iter().map(|endpoint| endpoint.removal()).collect();
    assert_eq!(ranks, [0, 1, 2].map(Removal::Ranked));
    let order = Order { urgent: false, ..world.order(2, Vec::new()) };
    world.platform.scale(order).await.unwrap();
    let paths: Vec<_> = world.cluster.patched().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["/apis/apps/v1/namespaces/default/statefulsets/hello/scale"]);
    assert_eq!(names(&world.seen.last().endpoints), ["hello-0", "hello-1"]);
}

#[tokio::test]
async fn where_kubernetes_cannot_be_told_which_is_to_go_none_is() {
    let world = two_pods().await;
    let victims = vec![world.seen.last().endpoints[1].clone()];
    world.cluster.refuse("/api/v1/namespaces/default/pods/b", 429, "TooManyRequests");
    let refused = world.platform.scale(world.order(1, victims.clone())).await.unwrap_err();
    assert!(refused.passing && !refused.in_doubt, "{refused:?}");
    assert_eq!(
        (world.seen.last().endpoints.len(), world.cluster.patched().iter().any(|(path, _)| path == SCALE)),
        (2, false)
    );

    world.cluster.refuse("/api/v1/namespaces/default/pods/b", 403, "Forbidden");
    world.platform.scale(world.order(1, victims)).await.expect("it may never be told: what goes finishes what it has");
}

#[tokio::test]
async fn an_order_that_is_refused_takes_nothing_away() {
    let world = two_pods().await;
    world.cluster.refuse(SCALE, 403, "Forbidden");
    let refused = world.platform.scale(world.order(0, Vec::new())).await.unwrap_err();
    assert!(!refused.in_doubt, "{refused:?}");
    assert_eq!(world.seen.last().endpoints.len(), 2);
}

#[tokio::test]
async fn an_order_is_bound_to_what_it_was_decided_on() {
    let world = two_pods().await;
    let order = Order { condition: Condition::UnchangedSince(7), ..world.order(3, Vec::new()) };
    world.platform.scale(order).await.unwrap();
    let change = json!({ "metadata": { "resourceVersion": "7" }, "spec": { "replicas": 3 } });
    assert_eq!(world.cluster.patched(), [(SCALE.to_owned(), change)]);
    world.cluster.refuse(SCALE, 409, "Conflict");
    let changed = world.platform.scale(world.order(0, Vec::new())).await.unwrap_err();
    assert!(changed.passing && !changed.in_doubt, "{changed:?}");
    assert_eq!(world.seen.last().endpoints.len(), 2, "nothing is taken away");
}

#[tokio::test]
async fn an_order_in_doubt_takes_away_until_it_is_known() {
    let world = two_pods().await;
    world.cluster.refuse(SCALE, 500, "InternalError");
    let doubtful = world.platform.scale(world.order(0, Vec::new())).await.unwrap_err();
    assert!(doubtful.in_doubt, "{doubtful:?}");
    let seen = world.seen.last();
    assert_eq!((seen.endpoints.len(), seen.spec.unwrap().replicas), (0, 2), "what is not known is not said");
}

#[tokio::test]
async fn an_order_whose_answer_nobody_waits_for_is_in_doubt() {
    let world = two_pods().await;
    world.cluster.never_answer(SCALE);
    {
        let mut order = world.platform.scale(world.order(0, Vec::new()));
        assert!(futures_util::poll!(&mut order).is_pending());
        until_polled(&mut order, || !world.cluster.patched().is_empty()).await;
    }
    world.seen.until_usable(0).await;
}

/// Drives `future`, which does not end, until `holds`.
async fn until_polled<T>(future: impl Future<Output = T> + Unpin, holds: impl Fn() -> bool) {
    tokio::select! {
        _ = future => panic!("it was answered"),
        () = until(holds) => {}
    }
}

#[tokio::test]
async fn an_order_shows_that_the_cluster_was_set_back() {
    let world = two_pods().await;
    let before = world.seen.last().spec.unwrap();
    for path in [PODS, DEPLOYMENTS] {
        world.cluster.until_followed(path).await;
    }
    world.cluster.put(DEPLOYMENTS, vec![deployment(1, 3)]);
    world.cluster.put(PODS, vec![pod("c", 8080, true)]);
    world.cluster.set_back();
    let order = |decided_as_of| Order { decided_as_of, ..world.order(3, Vec::new()) };
    let doubtful = world.platform.scale(order(before.version)).await.unwrap_err();
    assert!(doubtful.in_doubt && doubtful.passing, "{doubtful:?}");
    let is_listed = |seen: &Observation| seen.spec.as_ref().is_some_and(|spec| spec.replicas == 1);
    world.seen.until(|seen| is_listed(seen) && names(&seen.endpoints) == ["c"]).await;
    let after = world.seen.last().spec.unwrap().version;
    assert!(after > before.version);

    let order = Order { condition: Condition::UnchangedSince(after), ..order(after) };
    assert!(world.platform.scale(order).await.unwrap().version > after);
    let (_, change) = world.cluster.patched().pop().unwrap();
    assert_eq!(change["metadata"]["resourceVersion"], "3");
}

#[tokio::test]
async fn stopping_stops_nothing() {
    let world = two_pods().await;
    world.platform.stop().await;
    assert!(world.cluster.patched().is_empty());
}
