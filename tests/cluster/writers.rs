//! Others who write how many replicas there are, and apps that never sleep.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::app::App;
use crate::client::{Client, get, next};
use crate::gateway::Gateway;
use crate::load::Load;
use crate::namespace::Namespace;
use crate::wait::soon;

/// Orders so many replicas as somebody else.
async fn write(namespace: &Namespace, app: &str, replicas: u32, writer: &str) {
    let params = PatchParams { field_manager: Some(writer.to_owned()), ..PatchParams::default() };
    let patch = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    namespace.api::<Deployment>().patch_scale(app, &params, &patch).await.unwrap();
}

/// Sleeps soon, and would like to have one pod for each request.
fn eager() -> Value {
    json!({
        "by": "hpa", "target": 1, "utilization": 100, "maxReplicas": 10,
        "idleTimeout": "1s", "stableWindow": "2s", "panicWindow": "1s",
    })
}

#[tokio::test]
async fn what_an_hpa_writes_is_not_fought() {
    let namespace = Namespace::new("hpa").await;
    let app = App::echo("hello", &[]).scaling(eager());
    app.create(&namespace).await;
    let gateway = Gateway::of(&namespace).await;
    let host = app.host(&namespace);
    // 0 -> 1 is the gateway's, whatever is held.
    let load = Load::start(4, gateway.http, &host, "/sleep?ms=100");
    namespace.asks_for("hello", 1).await;
    let mut client = Client::http1(gateway.http).await;
    let mut events = soon("a header", client.start(get(&host, "/sse?n=1000&ms=500"))).await.unwrap();
    let mut writes = 2;
    for replicas in [3, 2] {
        assert_eq!(namespace.asked("hello").await.1, writes, "nobody has written but for this test and the wake");
        write(&namespace, "hello", replicas, "horizontal-pod-autoscaler").await;
        writes += 1;
        namespace.ready("hello", replicas as i32).await;
        // Longer than any window.
        for _ in 0..8 {
            next(&mut events).await;
        }
        assert_eq!(namespace.asked("hello").await, (replicas as i32, writes));
    }
    let tally = load.finish().await;
    tally.assert_all_served();
    drop((events, client));
    // To sleep it goes from any number.
    namespace.asks_for("hello", 0).await;
}

/// Waits until the real HPA has seen that what it scales sleeps, which is nothing to it.
async fn stands_aside(namespace: &Namespace) {
    let aside = |found: Option<&HorizontalPodAutoscaler>| {
        let conditions = found.and_then(|it| it.status.as_ref()).and_then(|it| it.conditions.as_ref());
        conditions
            .into_iter()
            .flatten()
            .any(|it| it.type_ == "ScalingActive" && it.reason.as_deref() == Some("ScalingDisabled"))
    };
    namespace.until("hello", "the HPA stands aside", aside).await;
}

/// There are no metrics to be had: it brings what is awake to its least number, and that is all it does.
#[tokio::test]
async fn a_real_hpa_does_its_part_and_the_gateway_its_own() {
    let namespace = Namespace::new("real-hpa").await;
    let app = App::echo("hello", &[]).scaling(json!({"by": "hpa", "maxReplicas": 10, "idleTimeout": "2s"}));
    app.create(&namespace).await;
    let cpu = json!({"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}});
    let hpa = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "hello"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "hello"},
            "minReplicas": 2, "maxReplicas": 4, "metrics": [{"type": "Resource", "resource": cpu}],
        },
    });
    namespace.apply(&hpa).await;
    stands_aside(&namespace).await;
    assert_eq!(namespace.asked("hello").await, (0, 1));
    let gateway = Gateway::of(&namespace).await;
    gateway.app_until(&namespace, "hello", "it sleeps", |app| app["state"] == "asleep").await;
    // What was written before.
    for writes in [1, 4] {
        let mut client = Client::http1(gateway.http).await;
        let events = client.start(get(&app.host(&namespace), "/sse?n=1000&ms=500"));
        let mut events = soon("a header", events).await.unwrap();
        // The wake, and what the HPA makes of it.
        namespace.ready("hello", 2).await;
        assert_eq!(namespace.asked("hello").await, (2, writes + 2));
        // Longer than its idle time and several rounds of the HPA.
        for _ in 0..10 {
            next(&mut events).await;
        }
        assert_eq!(namespace.asked("hello").await, (2, writes + 2), "nobody fights");
        drop((events, client));
        namespace.asks_for("hello", 0).await;
        stands_aside(&namespace).await;
        namespace.ready("hello", 0).await;
        assert_eq!(namespace.asked("hello").await, (0, writes + 3), "it leaves 0 alone");
    }
}

#[tokio::test]
async fn an_hpa_and_a_script_may_quarrel_without_the_gateway() {
    let namespace = Namespace::new("quarrel").await;
    let app = App::echo("hello", &[]).scaling(eager());
    app.create(&namespace).await;
    let gateway = Gateway::of(&namespace).await;
    let load = Load::start(4, gateway.http, &app.host(&namespace), "/sleep?ms=50");
    namespace.ready("hello", 1).await;
    let mut writes = 2;
    for _ in 0..6 {
        for (replicas, writer) in [(3, "horizontal-pod-autoscaler"), (1, "some-script")] {
            write(&namespace, "hello", replicas, writer).await;
            writes += 1;
            let asked = |app: &Value| app["targetReplicas"] == replicas;
            gateway.app_until(&namespace, "hello", "the gateway knows", asked).await;
        }
    }
    namespace.ready("hello", 1).await;
    load.finish().await.assert_all_served();
    assert_eq!(namespace.asked("hello").await, (1, writes), "nobody else has written");
}

#[tokio::test]
async fn a_script_that_goes_on_writing_is_yielded_to_and_named() {
    let namespace = Namespace::new("script").await;
    let mut scaling = eager();
    scaling["by"] = json!("zerogate");
    let app = App::echo("hello", &[]).scaling(scaling);
    app.create(&namespace).await;
    let gateway = Gateway::of(&namespace).await;
    let load = Load::start(1, gateway.http, &app.host(&namespace), "/sleep?ms=100");
    namespace.asks_for("hello", 1).await;
    for _ in 0..20 {
        write(&namespace, "hello", 3, "some-script").await;
        namespace.ready("hello", 3).await;
        let (_, before) = namespace.asked("hello").await;
        let mut client = Client::http1(gateway.http).await;
        let mut pause = client.start(get(&app.host(&namespace), "/sse?n=9&ms=500")).await.unwrap();
        for _ in 0..8 {
            next(&mut pause).await;
        }
        if namespace.asked("hello").await == (3, before) {
            let seen = gateway.app(&namespace, "hello").await.unwrap();
            assert_eq!(seen["otherWriter"]["name"], "some-script", "{seen:#}");
            namespace.condition_says(&app.http_app, "Ready", "some-script").await;
            load.finish().await.assert_all_served();
            return;
        }
    }
    panic!("the gateway fights");
}

#[tokio::test]
async fn an_app_with_a_least_number_never_sleeps() {
    let namespace = Namespace::new("least").await;
    let scaling = json!({"minReplicas": 1, "idleTimeout": "1s", "stableWindow": "1s", "panicWindow": "1s"});
    let app = App::echo("hello", &[]).scaling(scaling.clone());
    let witness = App::echo("witness", &[]).scaling(json!({"idleTimeout": "4s"}));
    app.create(&namespace).await;
    witness.create(&namespace).await;
    let gateway = Gateway::of(&namespace).await;
    // Without any request.
    namespace.ready("hello", 1).await;
    assert_eq!(gateway.get(&app.host(&namespace), "/").await.status, 200);
    // By then it would long have fallen asleep.
    assert_eq!(gateway.get(&witness.host(&namespace), "/").await.status, 200);
    namespace.asks_for("witness", 0).await;
    assert_eq!(namespace.asked("hello").await, (1, 2));
}
