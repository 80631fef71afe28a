//! An app that dies when it has more requests than it can bear: the load of one that is dead kills the next.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::app::App;
use crate::gateway::Gateway;
use crate::load::{Load, Tally};
use crate::namespace::Namespace;
use crate::wait::until;

const PODS: usize = 3;
/// One more at the same time is too many for a pod.
const BEARABLE: &str = "--die-above=8";
const CLIENTS: usize = 60;

fn restarts(pods: &[Pod]) -> i32 {
    let statuses = pods.iter().flat_map(|pod| pod.status.as_ref()?.container_statuses.as_ref());
    statuses.flatten().map(|status| status.restart_count).sum()
}

/// What becomes of far more requests than all pods together can bear, until `enough`.
async fn flood(scaling: Value, enough: impl AsyncFn(&Namespace)) -> (Tally, i32) {
    let namespace = Namespace::new("overload").await;
    let app = App::echo("frail", &[BEARABLE]).scaling(scaling).with("hold", json!({"maxRequests": 20}));
    app.create(&namespace).await;
    let gateway = Gateway::of(&namespace).await;
    namespace.ready("frail", PODS as i32).await;
    let load = Load::start(CLIENTS, gateway.http, &app.host(&namespace), "/sleep?ms=100");
    enough(&namespace).await;
    let tally = load.finish().await;
    (tally, restarts(&namespace.pods("frail").await))
}

#[tokio::test]
async fn with_a_limit_no_pod_dies_and_every_answer_is_honest() {
    let scaling = json!({"minReplicas": PODS, "maxReplicas": PODS, "concurrencyLimit": 8});
    let (tally, died) = flood(scaling, async |_: &Namespace| tokio::time::sleep(Duration::from_secs(10)).await).await;
    assert_eq!(died, 0, "{tally:?}");
    assert!(tally.bad.is_empty(), "{tally:?}");
    // Both: as many as can be borne, and the others told so.
    assert!(tally.ok() > 500 && tally.refused > 0, "{tally:?}");
}

#[tokio::test]
async fn without_a_limit_one_dies_after_the_other() {
    let scaling = json!({"minReplicas": PODS, "maxReplicas": PODS});
    let all_died = async |namespace: &Namespace| {
        until("every pod has died", async || {
            let pods = namespace.pods("frail").await;
            pods.iter().all(|pod| restarts(std::slice::from_ref(pod)) > 0).then_some(())
        })
        .await;
    };
    let (tally, died) = flood(scaling, all_died).await;
    assert!(died >= PODS as i32, "{died} {tally:?}");
}
