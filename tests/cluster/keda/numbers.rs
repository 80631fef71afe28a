//! ScaledObjects that say more about how many there are to be.

use activator::Clock;
use serde_json::json;

use super::course::Course;
use super::cycle::{asleep, by_keda, open};
use super::scaled_object::ScaledObject;
use crate::app::App;
use crate::gateway::Gateway;
use crate::namespace::Namespace;

#[tokio::test]
async fn what_is_there_when_nobody_asks_is_keda_s_to_say() {
    let clock = Clock::running();
    let (namespace, clock) = (&Namespace::new("keda-numbers").await, &clock);
    let gateway = &Gateway::of(namespace).await;
    let idle = async {
        // 0 when idle, else 3 at least; whoever of the two is the first to wake it, the other does not lower that.
        let app = asleep(namespace, gateway, App::echo("idle", &[]).scaling(by_keda())).await;
        let object = ScaledObject::of("idle", gateway.scaler()).with("idleReplicaCount", 0).with("minReplicaCount", 3);
        object.create(namespace).await;
        object.found_inactive(namespace).await;
        let course = Course::of(namespace, "idle", clock).await;
        assert_eq!(gateway.get(&app.host(namespace), "/").await.status, 200);
        namespace.ready("idle", 3).await;
        object.found_active(namespace, 2).await;
        assert!(!course.numbers().windows(2).any(|pair| pair[1] < pair[0]), "{:?}", course.numbers());
        object.found_inactive(namespace).await;
        namespace.asks_for("idle", 0).await;
        assert_eq!(course.numbers().last(), Some(&0), "straight from 3: {:?}", course.numbers());
    };
    let least = async {
        // Never below 2; the app itself has no such number.
        let app = asleep(namespace, gateway, App::echo("least", &[]).scaling(by_keda())).await;
        let object = ScaledObject::of("least", gateway.scaler()).with("minReplicaCount", 2);
        object.create(namespace).await;
        namespace.ready("least", 2).await;
        let course = Course::of(namespace, "least", clock).await;
        let requests = open(gateway, &app.host(namespace), 6).await;
        namespace.ready("least", 3).await;
        drop(requests);
        object.found_inactive(namespace).await;
        namespace.ready("least", 2).await;
        assert_eq!(course.numbers(), [2, 3, 2]);
        assert_eq!(gateway.get(&app.host(namespace), "/").await.status, 200);
    };
    let fewer = async {
        // KEDA may have fewer than the app says: the gateway's wake is not fought over.
        let mut scaling = by_keda();
        scaling["activationReplicas"] = json!(3);
        let app = asleep(namespace, gateway, App::echo("fewer", &[]).scaling(scaling)).await;
        let object = ScaledObject::of("fewer", gateway.scaler()).with("maxReplicaCount", 2);
        object.create(namespace).await;
        let course = Course::of(namespace, "fewer", clock).await;
        let requests = open(gateway, &app.host(namespace), 8).await;
        namespace.ready("fewer", 2).await;
        object.found_active(namespace, 5).await;
        let numbers = course.numbers();
        // Three by the wake, and again if KEDA wrote its 1 over it meanwhile; then what its HorizontalPodAutoscaler makes of the
        // requests that have come so far, which stays.
        let after = |pair: &[i32]| pair[1] != 3 || pair[0] < 2;
        assert!(numbers.contains(&3) && numbers.windows(2).all(after), "nobody fights: {numbers:?}");
        assert_eq!(numbers.last(), Some(&2), "KEDA has the last word: {numbers:?}");
        drop(requests);
    };
    tokio::join!(idle, least, fewer);
}
