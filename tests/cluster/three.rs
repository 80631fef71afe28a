//! Three gateways as one.

use std::time::Duration;

use activator::Clock;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::app::App;
use crate::asked::{Says, asked};
use crate::fleet::{agreed, fleet};
use crate::gateway::Gateway;
use crate::installed::{install, kill};
use crate::keda::course::Course;
use crate::keda::cycle::open;
use crate::load::Load;
use crate::namespace::Namespace;

#[tokio::test]
async fn three_gateways_are_one_for_whoever_asks_and_two_of_them_go_on() {
    let namespace = Namespace::new("three").await;
    let app = App::echo("hello", &[]);
    app.create(&namespace).await;
    install(&namespace, 3).await;
    let all = agreed(&namespace, 3).await;
    let host = app.host(&namespace);
    let mut requests = Vec::new();
    for (n, (_, gateway)) in all.iter().enumerate() {
        requests.push(open(gateway, &host, n + 1).await);
    }
    for (_, gateway) in &all {
        gateway.app_until(&namespace, "hello", "all are known", |app| app["inFlightEverywhere"] == 6).await;
        assert_eq!(asked(gateway, &namespace, "hello").await, Says::Known(true, 6.0));
    }
    assert_eq!(namespace.asked("hello").await, (1, 2), "one wake");

    // Whom nobody hears is named, and what it counted is kept until it is back.
    let (leads, _) = &all[0];
    kill(leads);
    let others = &all[1..];
    let another = async {
        loop {
            for (_, gateway) in others {
                if fleet(gateway).await.is_some_and(|it| it["leads"] == true) {
                    return;
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(5), another).await.expect("another one leads within five seconds");
    let now = agreed(&namespace, 3).await;
    assert_ne!(&now[0].0, leads);
    requests.remove(0);
    for (_, gateway) in &now {
        gateway.app_until(&namespace, "hello", "what it had is over", |app| app["inFlightEverywhere"] == 5).await;
    }
    assert_eq!(namespace.asked("hello").await, (1, 2), "and nothing else was ordered");
}

/// As docs/fleet.md says: limits are not shared.
#[tokio::test]
async fn a_limit_lets_through_at_each_of_three_what_it_allows() {
    const BURST: usize = 5;
    let namespace = Namespace::new("three-rates").await;
    let limits = json!({"requestsPerSecond": 0.001, "burst": BURST});
    let app = App::echo("hello", &[]).with("limits", limits);
    app.create(&namespace).await;
    install(&namespace, 3).await;
    let host = app.host(&namespace);
    for (_, gateway) in &agreed(&namespace, 3).await {
        gateway.app_until(&namespace, "hello", "it is known", |_| true).await;
        let mut answers = Vec::new();
        for _ in 0..BURST + 3 {
            answers.push(gateway.get(&host, "/").await.status.as_u16());
        }
        assert_eq!(answers, [[200; BURST].as_slice(), &[429; 3]].concat());
    }
}

/// Eleven requests, two a pod: six, whether one gateway has them all or each of three its part.
#[tokio::test]
async fn a_steady_load_over_three_wants_as_many_pods_as_at_one() {
    const LOOKS: usize = 60;
    let clock = Clock::running();
    let scaling = json!({"target": 2, "utilization": 100, "stableWindow": "10s", "idleTimeout": "5s"});
    let (one, three) = (Namespace::new("steady-one").await, Namespace::new("steady-three").await);
    let app = App::echo("hello", &[]).scaling(scaling);
    app.create(&one).await;
    app.create(&three).await;
    let gateway = Gateway::of(&one).await;
    install(&three, 3).await;
    let all = agreed(&three, 3).await;
    let courses = [Course::of(&one, "hello", &clock).await, Course::of(&three, "hello", &clock).await];

    let mut requests = vec![open(&gateway, &app.host(&one), 11).await];
    for ((_, gateway), many) in all.iter().zip([4, 4, 3]) {
        requests.push(open(gateway, &app.host(&three), many).await);
    }
    one.ready("hello", 6).await;
    three.ready("hello", 6).await;
    let mut wrong = 0;
    for _ in 0..LOOKS {
        sleep(Duration::from_millis(250)).await;
        wrong += usize::from(three.asked("hello").await.0 != one.asked("hello").await.0);
    }
    let numbers = courses.map(|course| course.numbers());
    println!("one gateway {:?}, three {:?}; {wrong} of {LOOKS} looks wrong", numbers[0], numbers[1]);
    assert_eq!(wrong, 0, "{numbers:?}");
    for numbers in &numbers {
        assert_eq!(numbers.last(), Some(&6), "{numbers:?}");
        assert!(numbers.is_sorted(), "never more than there are to be, and never fewer: {numbers:?}");
    }
    drop(requests);
}

fn restarts(pods: &[Pod]) -> i32 {
    let statuses = pods.iter().flat_map(|pod| pod.status.as_ref()?.container_statuses.as_ref());
    statuses.flatten().map(|status| status.restart_count).sum()
}

/// The app checks: it dies of a request too many.
#[tokio::test]
async fn no_pod_gets_more_than_its_limit_from_three_gateways_whoever_of_them_dies() {
    let namespace = Namespace::new("three-limit").await;
    let scaling = json!({"minReplicas": 2, "maxReplicas": 2, "concurrencyLimit": 4});
    let app = App::echo("frail", &["--die-above=4"]).scaling(scaling);
    app.create(&namespace).await;
    install(&namespace, 3).await;
    let all = agreed(&namespace, 3).await;
    namespace.ready("frail", 2).await;
    let host = app.host(&namespace);
    let load = |gateway: &Gateway| Load::start(10, gateway.http, &host, "/sleep?ms=100");
    let lost = load(&all[0].1);
    let others = [load(&all[1].1), load(&all[2].1)];
    sleep(Duration::from_secs(5)).await;
    drop(lost);
    kill(&all[0].0);
    let back = agreed(&namespace, 3).await;
    let again = load(&back.iter().find(|(name, _)| *name == all[0].0).expect("it is back").1);
    sleep(Duration::from_secs(5)).await;
    for load in others.into_iter().chain([again]) {
        let tally = load.finish().await;
        tally.assert_all_served();
        assert_eq!(tally.served.len(), 1, "{tally:?}");
        // Eight slots, and a tenth of a second each: eighty a second for all, shared out somehow.
        assert!(tally.ok() > 50, "{tally:?}");
    }
    let died = restarts(&namespace.pods("frail").await);
    assert_eq!(died, 0, "one got a request too many");
}

/// A slot that nobody has any use for is where requests wait: of three, one alone has any.
#[tokio::test]
async fn one_of_three_has_all_slots_if_only_it_has_requests() {
    let namespace = Namespace::new("three-slots").await;
    let scaling = json!({"minReplicas": 2, "maxReplicas": 2, "concurrencyLimit": 3});
    let app = App::echo("hello", &["--die-above=3"]).scaling(scaling);
    app.create(&namespace).await;
    install(&namespace, 3).await;
    let all = agreed(&namespace, 3).await;
    namespace.ready("hello", 2).await;
    let host = app.host(&namespace);
    for (_, gateway) in &all {
        let requests: Vec<_> = (0..6).map(|_| gateway.spawn_get(&host, "/sleep?ms=5000")).collect();
        gateway
            .app_until(&namespace, "hello", "all six are under way", |app| app["inFlight"] == 6 && app["held"] == 0)
            .await;
        for request in requests {
            assert_eq!(request.await.unwrap().status, 200);
        }
    }
    assert_eq!(restarts(&namespace.pods("hello").await), 0);
}
