//! An app, the scale loop and the platform together: a request wakes, silence puts to sleep.

use std::collections::BTreeMap;

use tokio::net::TcpListener;

use super::cluster::PODS;
use super::*;
use crate::registry::Registry;
use crate::scaler::Scaler;
use crate::testing::hold;

#[tokio::test]
async fn a_request_wakes_a_deployment_and_silence_puts_it_to_sleep() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let World { cluster, platform, settings, .. } = World::of(FakeCluster::hello(0, port).await).await;
    let (idle_timeout, second) = (Duration::ZERO, Duration::from_secs(1));
    let scaling = Scaling { idle_timeout, stable_window: second, panic_window: second, ..Scaling::default() };
    let settings = AppSettings { scaling, ..AppSettings::clone(&settings) };
    let crate::testing::World { shared, pokes } = crate::testing::World::new(Clock::running());
    let platform: Arc<dyn Platform> = Arc::new(platform);
    tokio::spawn(Scaler::new(shared.clock.clone(), platform.clone(), pokes).run(std::future::pending()));
    let registry = Registry::new(shared, platform);
    let id = AppId::new("default", "hello");
    registry.apply(BTreeMap::from([(id.clone(), settings)]), |_| {});
    let app = registry.get(&id).unwrap();

    let held = hold(&app);
    until(|| cluster.patched().len() == 1).await;
    assert_eq!(cluster.patched()[0].1, json!({ "spec": { "replicas": 1 } }), "whatever it stood at");
    cluster.tell(PODS, "ADDED", pod("a", port, false)).await;
    let permit = held.await.unwrap().unwrap();
    assert_eq!(permit.endpoint().name(), "a");

    drop(permit);
    until(|| cluster.patched().len() == 2).await;
    assert_eq!(cluster.patched()[1].1["spec"], json!({ "replicas": 0 }));
    assert!(cluster.patched()[1].1["metadata"]["resourceVersion"].is_string(), "nobody else's change is written over");
    until(|| app.spec_replicas() == Some(0)).await;

    let held = hold(&app);
    until(|| cluster.patched().len() == 3).await;
    cluster.tell(PODS, "DELETED", pod("a", port, false)).await;
    cluster.tell(PODS, "ADDED", pod("b", port, false)).await;
    assert_eq!(held.await.unwrap().unwrap().endpoint().name(), "b", "what was put to sleep is not used");
}
