//! Hours with one who does as KEDA does.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::testing::{Keda, Plan, World, pass};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn names(apps: usize) -> Vec<String> {
    (0..apps).map(|n| format!("app{n}")).collect()
}

/// How many replicas there are of each, and of how many apps there are any.
fn awake(world: &World, names: &[&str]) -> usize {
    names.iter().filter(|name| world.app(name).spec_replicas() != Some(0)).count()
}

#[tokio::test(start_paused = true)]
async fn sixty_of_a_thousand_sleep_in_time_and_are_told_of_once_a_minute() {
    let names = names(1_000);
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let world = Arc::new(World::new(&names));
    let keda = Keda::start(&world, &names, Plan::default());
    pass(secs(120)).await;
    assert!(world.platform.orders().is_empty() && keda.done.pushes.load(Ordering::Relaxed) == 0);
    // Five minutes, with a request each five seconds.
    let busy = &names[..60];
    for _ in 0..60 {
        for name in busy {
            world.request(name).await;
        }
        pass(secs(5)).await;
    }
    let told = keda.done.pushes.load(Ordering::Relaxed);
    assert!((60 * 4..=60 * 6).contains(&told), "{told} in five minutes");
    assert_eq!((world.platform.orders(), keda.done.zeros.load(Ordering::Relaxed)), (vec![1; 60], 0));
    assert_eq!(awake(&world, busy), 60);
    // Five seconds ago was the last one: idleTimeout, and then KEDA's cooldown, both a minute; and two polls.
    pass(secs(113)).await;
    assert_eq!(awake(&world, busy), 60, "not before its time");
    pass(secs(2 + 2 * 30 + 5)).await;
    assert_eq!(awake(&world, busy), 0);
    let told = keda.done.pushes.load(Ordering::Relaxed);
    pass(secs(300)).await;
    assert_eq!(keda.done.pushes.load(Ordering::Relaxed), told, "of those who sleep there is nothing to tell");
    assert_eq!((world.platform.lowering(), keda.done.errors.load(Ordering::Relaxed)), (vec![], 0));
}

/// What it goes by is old, some answers are late by many seconds, connections break, and requests come when it puts to sleep.
#[tokio::test(start_paused = true)]
async fn whatever_it_writes_over_a_wake_those_who_wait_are_served() {
    let names = names(50);
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let world = Arc::new(World::new(&names));
    world.declare(&names, |scaling| scaling.idle_timeout = secs(1));
    let plan = Plan {
        polling: secs(1),
        cooldown: secs(1),
        stale: Duration::from_millis(300),
        late: secs(30),
        connected: secs(45),
    };
    let keda = Keda::start(&world, &names, plan);
    let end = secs(600);
    let clients: Vec<_> = names
        .iter()
        .map(|name| {
            let (world, app) = (world.clone(), world.app(name));
            tokio::spawn(async move {
                let clock = world.scaler.0.clock.clone();
                let (mut wakes, mut fewer) = (0, 0);
                while clock.now().as_nanos() < end.as_nanos() as u64 {
                    // About when it is put to sleep.
                    pass(Duration::from_millis(fastrand::u64(20_000..40_000))).await;
                    let requests = fastrand::u32(1..=30);
                    let asleep = app.spec_replicas() == Some(0);
                    let held: Vec<_> = (0..requests).map(|_| tokio::spawn(app.enter().hold(100))).collect();
                    let mut permits = Vec::new();
                    for one in held {
                        let permit = tokio::time::timeout(secs(2), one).await;
                        permits.push(permit.expect("in time").unwrap().expect("a permit"));
                    }
                    // Seven each: what is written over that is put right, and be it by the next wake.
                    let enough = || app.spec_replicas() >= Some(requests.div_ceil(7));
                    pass(secs(5)).await;
                    wakes += usize::from(asleep);
                    fewer += usize::from(asleep && !enough());
                }
                (wakes, fewer)
            })
        })
        .collect();
    let (mut wakes, mut fewer) = (0, 0);
    for client in clients {
        let (woken, less) = client.await.unwrap();
        wakes += woken;
        fewer += less;
    }
    let Keda { done, .. } = &*keda;
    println!("{wakes} wakes, {fewer} with fewer than they are for in the end; {done:?}");
    assert!(wakes > 50 && done.zeros.load(Ordering::Relaxed) > 50, "{wakes} wakes, {done:?}");
    assert!(done.ones.load(Ordering::Relaxed) > 0, "none was written over: {done:?}");
    assert_eq!(fewer, 0);
    assert_eq!(world.platform.lowering(), [0u32; 0]);
    pass(secs(60)).await;
    assert_eq!(awake(&world, &names), 0);
}
