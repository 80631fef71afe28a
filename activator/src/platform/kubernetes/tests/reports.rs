//! What is reported of an app that comes and goes.

use tokio::net::TcpListener;

use super::cluster::{DEPLOYMENTS, PODS, SERVICES};
use super::*;
use crate::platform::kubernetes::{Early, EarlyOff, Found};

#[tokio::test]
async fn a_pod_is_used_as_soon_as_it_listens_and_before_it_is_called_ready() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let world = World::of(FakeCluster::hello(0, port).await).await;
    let seen = world.seen.until(|seen| seen.spec.is_some()).await;
    assert_eq!((seen.spec.unwrap().replicas, seen.starting), (0, 0));

    let accepted = world.platform.scale(world.order(1, Vec::new())).await.unwrap();
    let seen = world.seen.last();
    let spec = seen.spec.unwrap();
    assert_eq!((spec.replicas, spec.version, seen.starting), (1, accepted.version, 1), "without waiting for a watch");

    world.cluster.tell(PODS, "ADDED", pod("a", port, false)).await;
    let endpoints = world.seen.until_usable(1).await;
    assert_eq!((endpoints[0].name(), endpoints[0].address().port()), ("a", port));
    let seen = world.seen.last();
    assert!(seen.starting == 0 && seen.reached.started && !seen.reached.ready_by_platform);
    let findings = world.platform.findings(AppKey(1)).unwrap();
    assert_eq!((findings.target, findings.service, findings.early), (Found::Yes, Found::Yes, Early::On));

    world.cluster.tell(PODS, "MODIFIED", pod("a", port, true)).await;
    let seen = world.seen.until(|seen| seen.reached.ready_by_platform).await;
    assert!(Arc::ptr_eq(&seen.endpoints[0], &endpoints[0]));
}

#[tokio::test]
async fn no_endpoint_is_dropped_because_a_watch_was() {
    let cluster = FakeCluster::hello(2, 8080).await;
    cluster.put(PODS, vec![pod("a", 8080, true), pod("b", 8080, true)]);
    let world = World::of(cluster).await;
    let before = world.seen.until_usable(2).await;
    let reports = world.seen.0.lock().len();

    world.cluster.expire(PODS).await;
    world.cluster.cut(PODS).await;
    assert_eq!(world.seen.0.lock().len(), reports, "nothing has changed");

    world.cluster.put(PODS, vec![pod("b", 8080, true)]);
    world.cluster.expire(PODS).await;
    let after = world.seen.until_usable(1).await;
    assert!(Arc::ptr_eq(&after[0], &before[1]));
}

#[tokio::test]
async fn an_app_that_fails_after_early_tries_waits_for_kubernetes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let cluster = FakeCluster::hello(1, port).await;
    cluster.put(PODS, vec![pod("a", port, false)]);
    let world = World::of(cluster).await;
    world.seen.until_usable(1).await;
    world.platform.distrust_early(AppKey(1));
    world.seen.until_usable(0).await;
    let early = world.platform.findings(AppKey(1)).unwrap().early;
    assert_eq!(early, Early::Off(EarlyOff::Distrusted));
    world.cluster.tell(PODS, "MODIFIED", pod("a", port, true)).await;
    world.seen.until_usable(1).await;
}

#[tokio::test]
async fn an_app_that_is_gone_is_forgotten() {
    let mut world = World::of(FakeCluster::hello(1, 8080).await).await;
    world.seen.until(|seen| seen.spec.is_some()).await;
    let weak = Arc::downgrade(&std::mem::take(&mut world.seen));
    assert_eq!(weak.strong_count(), 0);
    world.cluster.tell(DEPLOYMENTS, "MODIFIED", deployment(2, 20)).await;
    until(|| world.platform.findings(AppKey(1)).is_none()).await;
}

#[tokio::test]
async fn everything_was_told_once_what_can_be_was() {
    let cluster = FakeCluster::hello(1, 8080).await;
    cluster.refuse(PODS, 503, "ServiceUnavailable");
    cluster.refuse("/apis/example.org/v1", 404, "NotFound");
    let change = |target: &mut ScaleTarget| target.api_version = "example.org/v1".into();
    let world = World::with(cluster, change, &[]).await;
    let mut synced = std::pin::pin!(world.platform.synced());
    world.seen.until(|seen| seen.failure.is_some()).await;
    assert!(futures_util::poll!(&mut synced).is_pending(), "of pods nothing is known");
    world.cluster.permit(PODS);
    tokio::time::timeout(Duration::from_secs(10), synced).await.expect("in time");
}

#[tokio::test]
async fn settings_that_have_changed_lead_elsewhere() {
    let cluster = FakeCluster::hello(1, 8080).await;
    let other = json!({
        "metadata": { "namespace": "default", "name": "other", "resourceVersion": "1" },
        "spec": { "selector": { "app": "other" }, "ports": [{ "port": 80 }] },
    });
    cluster.put(SERVICES, vec![service(8080), other]);
    cluster.put(PODS, vec![pod("a", 8080, true)]);
    let mut world = World::of(cluster).await;
    world.seen.until_usable(1).await;
    let Target::Scale(target) = &world.settings.target else { unreachable!() };
    let target = ScaleTarget { service: "other".into(), ..ScaleTarget::clone(target) };
    world.settings = Arc::new(AppSettings { target: Target::Scale(Arc::new(target)), ..(*world.settings).clone() });
    world.observe();
    world.seen.until_usable(0).await;
}

#[tokio::test]
async fn chosen_namespaces_are_watched_each_for_itself() {
    let paths = ["pods", "services"].map(|kind| format!("/api/v1/namespaces/default/{kind}"));
    let cluster = FakeCluster::with([]).await;
    cluster.put(&paths[0], vec![pod("a", 8080, true)]);
    cluster.put(&paths[1], vec![service(8080)]);
    cluster.put("/apis/apps/v1/namespaces/default/deployments", vec![deployment(1, 10)]);
    let world = World::with(cluster, |_| {}, &["default", "other"]).await;
    assert_eq!(names(&world.seen.until_usable(1).await), ["a"]);
    assert!(world.cluster.api.asked().iter().all(|asked| asked.uri.path().contains("/namespaces/")));
}

#[tokio::test]
async fn a_kind_of_its_own_is_found_and_its_scale_read() {
    let world = World::with(FakeCluster::rollout().await, rollout, &[]).await;
    let spec = world.seen.until(|seen| seen.spec.is_some()).await.spec.unwrap();
    assert_eq!((spec.replicas, spec.version), (3, 7));
}
