//! KEDA and two gateways, of which one dies or both are replaced under load.

use activator::Clock;

use super::course::Course;
use super::cycle::{asleep, by_keda, open};
use super::scaled_object::ScaledObject;
use crate::app::App;
use crate::fleet::agreed;
use crate::installed::{install, kill, roll, service};
use crate::load::Load;
use crate::namespace::Namespace;

/// How many replicas eight requests are for.
const RIGHT: i32 = 4;

/// Once there were enough, there are never fewer.
#[track_caller]
fn never_too_few(course: &Course) {
    let numbers = course.numbers();
    let then: Vec<_> = numbers.iter().skip_while(|replicas| **replicas < RIGHT).collect();
    assert!(!then.is_empty() && then.iter().all(|replicas| **replicas >= RIGHT), "{numbers:?}");
}

#[tokio::test]
async fn one_of_two_gateways_killed_under_load_has_keda_lower_nothing_nor_both_replaced() {
    let clock = Clock::running();
    let namespace = Namespace::new("keda-fleet").await;
    let address = install(&namespace, 2).await;
    let scaler = service(&namespace, "zerogate-scaler", 9091).await;
    let all = agreed(&namespace, 2).await;
    let [(leads, leader), (_, follower)] = &all[..] else { unreachable!("two") };
    let app = asleep(&namespace, follower, App::echo("hello", &[]).scaling(by_keda())).await;
    let object = ScaledObject::of("hello", scaler);
    object.create(&namespace).await;
    let course = Course::of(&namespace, "hello", &clock).await;
    let host = app.host(&namespace);
    let lost = open(leader, &host, 4).await;
    let stay = open(follower, &host, 4).await;
    namespace.ready("hello", RIGHT).await;
    object.found_active(&namespace, 3).await;
    assert_eq!(namespace.asked("hello").await.0, RIGHT, "the sum of both: {:?}", course.numbers());

    kill(leads);
    drop(lost);
    // As many as before come, to whoever is left.
    let again = open(follower, &host, 4).await;
    object.found_active(&namespace, 3).await;
    never_too_few(&course);
    agreed(&namespace, 2).await;
    // Longer than what was counted at the one that is gone is seen.
    object.found_active(&namespace, 22).await;
    never_too_few(&course);

    // Both are replaced; what is open there ends with them, and the load goes on at those that come.
    let load = Load::start(2 * RIGHT as usize, address, &host, "/sleep?ms=500");
    drop((stay, again));
    roll(&namespace, 2).await;
    object.found_active(&namespace, 22).await;
    load.finish().await.assert_all_served();
    never_too_few(&course);
}
