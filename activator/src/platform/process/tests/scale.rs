use std::path::Path;

use super::*;
use crate::scaler::Scaler;

#[tokio::test]
async fn a_replica_in_use_is_not_stopped_before_its_last_request_has_ended() {
    let bed = Bed::new(server());
    bed.scale(2).await;
    bed.ready(2).await;
    let permit = bed.permit();
    let (busy, idle) = {
        let endpoints = bed.app.endpoints();
        let busy = pid(permit.endpoint());
        (busy, endpoints.iter().map(|e| pid(e)).find(|pid| *pid != busy).expect("two"))
    };
    // The idle one goes first.
    bed.scale(1).await;
    until("the idle one is gone", || !is_alive(idle)).await;
    assert_eq!(bed.ready(1).await[0].name(), permit.endpoint().name());
    bed.scale(0).await;
    bed.ready(0).await;
    // As much time as it takes to start and stop another app.
    let other = Bed::new(server());
    other.scale(1).await;
    other.ready(1).await;
    other.scale(0).await;
    other.at_rest().await;
    assert!(is_alive(busy));
    assert!(!ask(permit.endpoint()).await.is_empty());
    drop(permit);
    bed.at_rest().await;
    assert!(!is_alive(busy));
}

#[tokio::test]
async fn what_is_not_ready_yet_goes_first() {
    let dir = scratch();
    let mut spec = shell("mkdir $DIR && exec $SERVER; exec sleep 1000");
    spec.env.insert("DIR".into(), dir.to_str().expect("a path").into());
    let bed = Bed::new(spec);
    bed.scale(2).await;
    until("one is ready", || bed.app.endpoints().len() == 1 && bed.app.starting() == 1).await;
    let kept = bed.app.endpoints()[0].clone();
    bed.scale(1).await;
    assert!(Arc::ptr_eq(&bed.ready(1).await[0], &kept));
    bed.platform.stop().await;
    std::fs::remove_dir(dir).expect("removed");
}

#[tokio::test]
async fn a_draining_replica_is_taken_back_before_another_is_started() {
    let bed = Bed::new(server());
    bed.scale(1).await;
    bed.ready(1).await;
    let permit = bed.permit();
    bed.scale(0).await;
    bed.ready(0).await;
    assert!(permit.endpoint().is_closed());
    bed.scale(1).await;
    assert!(Arc::ptr_eq(&bed.ready(1).await[0], permit.endpoint()));
    let another = bed.permit();
    drop((permit, another));
    // Its being empty no longer means that it is to stop.
    bed.scale(2).await;
    bed.ready(2).await;
    bed.platform.stop().await;
}

#[tokio::test]
async fn a_request_that_comes_while_an_app_falls_asleep_wins() {
    let bed = Bed::new(server());
    bed.scale(1).await;
    let endpoint = bed.ready(1).await[0].clone();
    for _ in 0..50 {
        assert!(bed.app.try_sleep());
        // Both before the platform has had a chance to do anything.
        bed.scale(0).await;
        bed.scale(1).await;
        until("it is back", || bed.app.endpoints().len() == 1 && bed.app.starting() == 0).await;
        assert!(Arc::ptr_eq(&bed.app.endpoints()[0], &endpoint));
        drop(bed.permit());
    }
    bed.platform.stop().await;
}

#[tokio::test]
async fn a_replica_that_ends_by_itself_is_replaced() {
    let bed = Bed::new(server());
    bed.scale(1).await;
    let first = bed.ready(1).await[0].clone();
    kill(pid(&first), Signal::KILL);
    until("out of rotation", || bed.app.endpoints().is_empty()).await;
    assert!(first.is_closed());
    let second = bed.ready(1).await[0].clone();
    assert_ne!(first.name(), second.name());
    // Once is not a failure to start; again and again is.
    assert!(bed.app.failure().is_none());
    kill(pid(&second), Signal::TERM);
    let failure = bed.failure().await;
    assert!(matches!(&failure.cause, FailureCause::Crashed { how, .. } if how == "signal 15"), "{failure:?}");
    assert_eq!(failure.retry_after, Duration::from_secs(1));
    bed.platform.stop().await;
}

#[tokio::test]
async fn new_settings_replace_replicas_without_a_gap() {
    let bed = Bed::new(server());
    bed.scale(2).await;
    let old = bed.ready(2).await;
    let mut spec = server();
    spec.env.insert("MORE".into(), "new".into());
    bed.configure(spec);
    bed.scale(2).await;
    until("all are new", || {
        let now = bed.app.endpoints();
        assert!(now.len() >= 2, "fewer than before");
        now.len() == 2 && !now.iter().any(|endpoint| old.iter().any(|old| Arc::ptr_eq(old, endpoint)))
    })
    .await;
    for endpoint in bed.app.endpoints().iter() {
        assert!(ask(endpoint).await.contains(" new "));
    }
    until("the old ones are gone", || !old.iter().any(|old| is_alive(pid(old)))).await;
    bed.platform.stop().await;
}

#[tokio::test]
async fn new_settings_that_do_not_start_leave_the_old_replicas() {
    let bed = Bed::new(server());
    bed.scale(1).await;
    let old = bed.ready(1).await;
    bed.configure(shell("exit 3"));
    bed.scale(1).await;
    bed.failure().await;
    assert!(Arc::ptr_eq(&bed.ready(1).await[0], &old[0]));
    drop(bed.permit());
    bed.platform.stop().await;
}

#[tokio::test]
async fn on_a_fixed_port_the_old_replica_makes_room_for_the_new() {
    let mut spec = server();
    let port = *ports(1).start();
    spec.port = PortChoice::Fixed(port);
    let bed = Bed::new(spec.clone());
    bed.scale(3).await;
    let old = bed.ready(1).await[0].clone();
    assert_eq!(old.address().port(), port);
    spec.env.insert("MORE".into(), "new".into());
    bed.configure(spec);
    bed.scale(1).await;
    until("the new one", || bed.app.endpoints().first().is_some_and(|now| !Arc::ptr_eq(now, &old))).await;
    assert!(ask(&bed.ready(1).await[0]).await.contains(" new "));
    assert!(bed.app.failure().is_none());
    bed.platform.stop().await;
}

#[tokio::test]
async fn on_a_fixed_port_one_long_request_does_not_keep_the_others_waiting() {
    let mut spec = server();
    spec.port = PortChoice::Fixed(*ports(1).start());
    spec.stop_grace = Duration::from_millis(200);
    let bed = Bed::new(spec.clone());
    bed.scale(1).await;
    bed.ready(1).await;
    let long = bed.permit();
    spec.env.insert("MORE".into(), "new".into());
    bed.configure(spec);
    let begin = bed.app.clock().now();
    bed.scale(1).await;
    until("its time has begun", || bed.app.endpoints().is_empty()).await;
    let held = tokio::spawn(bed.app.enter().hold(0));
    let permit = tokio::time::timeout(DEADLINE, held).await.expect("in time").expect("no panic").expect("admitted");
    assert!(bed.app.clock().now().since(begin) >= Duration::from_millis(200), "it was not given its time");
    assert!(ask(permit.endpoint()).await.contains(" new "));
    assert!(!is_alive(pid(long.endpoint())));
    bed.platform.stop().await;
}

#[tokio::test]
async fn a_fixed_port_that_another_app_of_the_gateway_is_leaving_is_waited_for() {
    let file = scratch();
    // It takes longer to stop than a port that somebody else has is tried for.
    let mut spec = shell("trap 'kill $!; echo > $FILE; sleep 0.8; exit' TERM; $SERVER & wait");
    spec.env.insert("FILE".into(), file.to_str().expect("a path").into());
    spec.port = PortChoice::Fixed(*ports(1).start());
    let bed = Bed::new(spec.clone());
    bed.scale(1).await;
    bed.ready(1).await;
    let (sender, _pokes) = mpsc::unbounded_channel();
    let shared = crate::app::Shared {
        clock: bed.app.clock().clone(),
        budget: HoldBudget::new(1, 100),
        pokes: sender,
        news: None,
        leaving: Default::default(),
        fleet: Default::default(),
    };
    let renamed = App::new(AppId::new("default", "renamed"), settings(spec), Arc::new(shared));
    bed.scale(0).await;
    until("it is stopping", || file.exists()).await;
    bed.platform.observe(renamed.subject());
    let Subject { key, id, settings, .. } = renamed.subject();
    bed.platform.scale(Order { key, id, settings, ..bed.order(1) }).await.expect("accepted");
    until("it has the port", || renamed.endpoints().len() == 1 || renamed.failure().is_some()).await;
    assert!(renamed.failure().is_none(), "{:?}", renamed.failure());
    bed.platform.stop().await;
    std::fs::remove_file(file).expect("removed");
}

#[tokio::test]
async fn twenty_rounds_leave_nothing_behind() {
    // No more ports than replicas: one that is not given back is missed at once.
    let options = ProcessOptions { ports: ports(3), ..ProcessOptions::default() };
    let bed = Bed::with(server(), options);
    for _ in 0..20 {
        bed.scale(3).await;
        let endpoints = bed.ready(3).await;
        assert!(bed.app.try_sleep());
        bed.scale(0).await;
        bed.at_rest().await;
        assert!(!endpoints.iter().any(|endpoint| is_alive(pid(endpoint))));
        until("all are reaped", || !endpoints.iter().any(|e| Path::new("/proc").join(e.name()).exists())).await;
        assert!(bed.app.failure().is_none());
    }
    assert!(bed.platform.shared.apps.lock().known.values().all(|known| known.supervisor.is_none()));
}

#[tokio::test]
async fn the_scale_loop_wakes_renews_and_puts_to_sleep() {
    let options = ProcessOptions { ports: ports(10), ..ProcessOptions::default() };
    let Bed { platform, app, pokes } = Bed::with(server(), options);
    let platform = Arc::new(platform);
    let scaler = Scaler::new(app.clock().clone(), platform.clone(), pokes);
    let scaler = tokio::spawn(scaler.run(std::future::pending()));
    let permit = app.enter().hold(0).await.expect("woken");
    let old = permit.endpoint().clone();

    let mut spec = server();
    spec.env.insert("MORE".into(), "new".into());
    let mut new = settings(spec);
    Arc::make_mut(&mut new.scaling).idle_timeout = Duration::from_secs(1);
    app.configure(new);
    platform.observe(app.subject());
    until("the new one", || app.endpoints().len() == 1 && !Arc::ptr_eq(&app.endpoints()[0], &old)).await;
    assert!(is_alive(pid(&old)), "a request is still there");
    drop(permit);
    until("the old one is gone", || !is_alive(pid(&old))).await;
    let mut supervised = platform.shared.supervised.subscribe();
    let asleep = supervised.wait_for(|count| *count == 0);
    let _ = tokio::time::timeout(DEADLINE, asleep).await.expect("asleep");
    scaler.abort();
}
