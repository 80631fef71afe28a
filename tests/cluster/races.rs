//! Requests aimed at the very moment at which an app falls asleep.

use std::time::Duration;

use activator::Clock;
use serde_json::json;

use crate::app::App;
use crate::gateway::Gateway;
use crate::load::Tally;
use crate::namespace::Namespace;

/// Apps that race side by side.
const APPS: usize = 10;
/// Requests of one race.
const REQUESTS: usize = 3;
/// How far apart they are.
const APART: Duration = Duration::from_millis(4);

/// Sends requests, spread over some milliseconds, after a pause. Whether an app that slept was woken by them.
async fn race(gateway: &Gateway, host: &str, pause: Duration, tally: &mut Tally) -> bool {
    tokio::time::sleep(pause).await;
    let mut requests = Vec::new();
    for _ in 0..REQUESTS {
        requests.push(gateway.spawn_get(host, "/"));
        tokio::time::sleep(APART).await;
    }
    let mut woken = false;
    for request in requests {
        let reply = request.await.unwrap();
        if reply.status != 200 {
            tally.bad.push(format!("{} {:?}", reply.status, reply.body));
            continue;
        }
        *tally.served.entry(host.to_owned()).or_default() += 1;
        // The first that this process has served.
        woken |= reply.json()["number"] == 1;
    }
    woken
}

/// Real sleeps and wakes on the cluster: 200 races, or as many as ZG_RACES says.
#[tokio::test]
async fn a_request_at_the_moment_of_falling_asleep_is_answered() {
    let races = std::env::var("ZG_RACES").ok().and_then(|races| races.parse().ok()).unwrap_or(200_usize);
    let namespace = Namespace::new("races").await;
    let scaling = json!({"idleTimeout": "1s", "stableWindow": "1s", "panicWindow": "1s", "maxReplicas": 1});
    let apps: Vec<_> = (0..APPS).map(|n| App::echo(&format!("app{n}"), &[]).scaling(scaling.clone())).collect();
    futures_util::future::join_all(apps.iter().map(|app| app.create(&namespace))).await;
    let gateway = Gateway::of(&namespace).await;
    let clock = Clock::running();
    let began = clock.now();
    let (gateway, namespace) = (&gateway, &namespace);
    let racing = apps.iter().map(|app| async move {
        let (mut tally, mut woken) = (Tally::default(), 0);
        let host = app.host(namespace);
        race(gateway, &host, Duration::ZERO, &mut tally).await;
        // It is not known when exactly the gateway decides: found out, and then kept being aimed at.
        let mut pause = Duration::from_millis(1150);
        for _ in 0..races.div_ceil(APPS) {
            let step = Duration::from_millis(fastrand::u64(1..20));
            if race(gateway, &host, pause, &mut tally).await {
                woken += 1;
                pause = pause.saturating_sub(step);
            } else {
                pause += step;
            }
        }
        (tally, woken, pause)
    });
    let (mut orders, mut woken, mut ok, mut bad) = (0, 0, 0, Vec::new());
    for (tally, wakes, pause) in futures_util::future::join_all(racing).await {
        println!("{wakes} wakes, aimed at {pause:?} in the end");
        woken += wakes;
        ok += tally.ok();
        bad.extend(tally.bad);
    }
    let took = clock.now().since(began);
    for app in &apps {
        orders += namespace.asked(&app.name).await.1 - 1;
    }
    println!("{races} races in {took:.1?}: {woken} wakes, {orders} orders, {ok} answers");
    assert!(bad.is_empty(), "{bad:#?}");
    assert!(woken * 5 >= races, "aimed well enough: {woken} of {races} met an app that slept");
    assert!(woken * 5 <= races * 4, "aimed well enough: {woken} of {races} met an app that slept");
}
