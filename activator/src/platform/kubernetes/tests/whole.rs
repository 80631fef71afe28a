//! An app, the scale loop and the platform together: a request wakes, silence puts to sleep.

use tokio::net::TcpListener;

use super::cluster::{PODS, SERVICES};
use super::*;
use crate::app::App;
use crate::failure::{FailureCause, StartFailure};
use crate::hold::Refusal;
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
    let settings = AppSettings { scaling: scaling.into(), ..AppSettings::clone(&settings) };
    let crate::testing::World { shared, pokes } = crate::testing::World::new(Clock::running());
    let platform: Arc<dyn Platform> = Arc::new(platform);
    tokio::spawn(Scaler::new(shared.clock.clone(), platform.clone(), pokes).run(std::future::pending()));
    let registry = Registry::new(shared, platform);
    let id = AppId::new("default", "hello");
    registry.apply([(id.clone(), settings)], |_| {});
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

#[tokio::test]
async fn a_missing_target_is_told_to_those_who_wait_without_an_order() {
    let cluster = FakeCluster::with([(SERVICES, vec![service(8080)])]).await;
    let World { cluster, platform, settings, .. } = World::of(cluster).await;
    let crate::testing::World { shared, pokes } = crate::testing::World::new(Clock::running());
    let platform: Arc<dyn Platform> = Arc::new(platform);
    tokio::spawn(Scaler::new(shared.clock.clone(), platform.clone(), pokes).run(std::future::pending()));
    let registry = Registry::new(shared, platform);
    let id = AppId::new("default", "hello");
    registry.apply([(id.clone(), settings.clone())], |_| {});
    let refused = hold(&registry.get(&id).unwrap()).await.unwrap().unwrap_err();
    assert!(matches!(&refused, Refusal::CannotStart(why) if is_missing(why)), "{refused:?}");
    assert!(cluster.patched().is_empty());
}

#[tokio::test]
async fn a_missing_target_is_told_for_as_long_as_it_is_missing() {
    let clock = Clock::manual();
    let crate::testing::World { shared, pokes: _pokes } = crate::testing::World::new(clock.clone());
    let app = App::new(AppId::new("default", "hello"), crate::testing::settings(Scaling::default()), shared);
    let cause = FailureCause::TargetMissing { target: "Deployment default/hello".to_owned() };
    let failure = Arc::new(StartFailure { cause, output: Vec::new(), retry_after: Duration::from_secs(5) });
    app.observed(Observation { failure: Some(failure), ..Observation::default() });
    clock.advance(Duration::from_secs(3600));
    let refused = hold(&app).await.unwrap().unwrap_err();
    assert!(matches!(&refused, Refusal::CannotStart(why) if is_missing(why)), "{refused:?}");
}

fn is_missing(why: &StartFailure) -> bool {
    matches!(why.cause, FailureCause::TargetMissing { .. })
}
