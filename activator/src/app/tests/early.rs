//! Endpoints that are used before their platform calls them ready.

use super::*;
use crate::admission::Endpoint;

/// One that is used early.
fn early(name: &str) -> Arc<Endpoint> {
    let endpoint = endpoint(name);
    endpoint.begin_early();
    endpoint
}

#[tokio::test(start_paused = true)]
async fn what_is_early_is_put_aside_until_it_is_called_ready() {
    let mut world = World::new(Clock::running());
    let app = world.app("a", limited(1));
    let (one, two, ready) = (early("1"), early("2"), endpoint("ready"));
    for endpoint in [&one, &two, &ready] {
        app.endpoint_ready(endpoint.clone());
    }
    let busy = app.enter().try_admit(app.clock().now()).unwrap();
    world.take_pokes();
    app.distrust_early(&one);
    assert_eq!(app.endpoints().iter().map(|e| e.name()).collect::<Vec<_>>(), ["ready"]);
    assert!(one.is_closed() && two.is_closed() && one.is_early() && two.is_early());
    assert_eq!((app.starting(), world.take_pokes()), (2, 1));
    assert!(app.take_distrust() && !app.take_distrust(), "its platform is told once");

    // Seen before it was told.
    app.observed(app.last_observation());
    assert_eq!(app.endpoints().len(), 1);
    app.distrust_early(&two);
    assert!(!app.take_distrust(), "that is known already");

    assert!(one.end_early(), "to be reported anew");
    app.observed(app.last_observation());
    assert_eq!(app.endpoints().iter().map(|e| e.name()).collect::<Vec<_>>(), ["1", "ready"]);
    assert!(!one.is_closed() && two.is_closed());
    drop(busy);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_called_ready_meanwhile_stays() {
    let world = World::new(Clock::running());
    let app = world.app("a", limited(1));
    let one = early("1");
    app.endpoint_ready(one.clone());
    assert!(!one.end_early());
    app.distrust_early(&one);
    assert!(!app.take_distrust() && !one.is_closed() && app.endpoints().len() == 1);
}
