//! Gateways that are killed or replaced.

use crate::app::App;
use crate::gateway::Gateway;
use crate::installed::{install, roll};
use crate::load::Load;
use crate::namespace::Namespace;

#[tokio::test]
async fn a_gateway_that_comes_back_lowers_nothing_that_it_does_not_know() {
    let namespace = Namespace::new("back").await;
    let app = App::echo("hello", &[]);
    app.create(&namespace).await;
    namespace.scale("hello", 5).await;
    let mut gateway = Gateway::of(&namespace).await;
    namespace.ready("hello", 5).await;
    let (_, before) = namespace.asked("hello").await;
    let host = app.host(&namespace);
    assert_eq!(gateway.get(&host, "/").await.status, 200);
    for _ in 0..3 {
        gateway.kill().await;
        gateway.start_again(&["--namespaces", &namespace.name]).await;
        // At the first moment, before much can be known.
        let reply = gateway.get(&host, "/").await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    gateway.app_until(&namespace, "hello", "all are seen", |app| app["replicas"]["ready"] == 5).await;
    assert_eq!(namespace.asked("hello").await, (5, before));
}

#[tokio::test]
async fn a_gateway_killed_while_it_holds_leaves_a_wake_that_goes_on() {
    let namespace = Namespace::new("holding").await;
    let app = App::echo("hello", &["--start-delay=3s"]);
    app.create(&namespace).await;
    let mut gateway = Gateway::of(&namespace).await;
    let host = app.host(&namespace);
    let lost = gateway.spawn_get(&host, "/");
    namespace.asks_for("hello", 1).await;
    gateway.kill().await;
    assert!(lost.await.is_err(), "its connection is gone");
    gateway.start_again(&["--namespaces", &namespace.name]).await;
    assert_eq!(gateway.get(&host, "/").await.status, 200);
    assert_eq!(namespace.asked("hello").await, (1, 2), "no second order");
}

#[tokio::test]
async fn a_gateway_rolled_under_load_costs_no_answer() {
    let namespace = Namespace::new("rolled").await;
    let app = App::echo("hello", &[]);
    app.create(&namespace).await;
    let address = install(&namespace, 1).await;
    let load = Load::start(8, address, &app.host(&namespace), "/sleep?ms=50");
    namespace.ready("hello", 1).await;
    roll(&namespace, 1).await;
    load.finish().await.assert_all_served();
    assert_eq!(namespace.asked("hello").await, (1, 2), "one wake, whoever it was that served");
}
