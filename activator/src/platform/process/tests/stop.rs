use super::*;

#[tokio::test]
async fn stops_all_at_the_same_time() {
    let mut spec = shell("trap 'sleep 0.5; exit 0' TERM; $SERVER & wait");
    spec.env.insert("A".into(), "b".into());
    let bed = Bed::new(spec);
    bed.scale(4).await;
    let endpoints = bed.ready(4).await;
    let begin = bed.app.clock().now();
    bed.platform.stop().await;
    let took = bed.app.clock().now().since(begin);
    assert!(took >= Duration::from_millis(400), "it was not given its time: {took:?}");
    assert!(took < Duration::from_millis(1900), "one after the other: {took:?}");
    assert!(bed.app.endpoints().is_empty());
    assert!(!endpoints.iter().any(|endpoint| is_alive(pid(endpoint))));
    // And nothing starts any more.
    bed.scale(1).await;
    bed.at_rest().await;
}

#[tokio::test]
async fn a_process_that_does_not_stop_is_killed() {
    let mut spec = shell("trap '' TERM; exec $SERVER");
    spec.stop_grace = Duration::from_millis(300);
    let bed = Bed::new(spec);
    bed.scale(1).await;
    let endpoint = bed.ready(1).await[0].clone();
    let begin = bed.app.clock().now();
    bed.scale(0).await;
    bed.at_rest().await;
    assert!(bed.app.clock().now().since(begin) >= Duration::from_millis(300));
    assert!(!is_alive(pid(&endpoint)));
}

#[tokio::test]
async fn an_app_behind_a_shell_is_given_its_time_too() {
    let file = scratch();
    // The outer shell is gone at once; the inner one, which does not even hold the pipe, takes its time.
    let mut spec =
        shell("(trap 'kill $!; sleep 0.3; echo done > $FILE; exit' TERM; $SERVER & wait; wait) > /dev/null 2>&1; exit");
    spec.env.insert("FILE".into(), file.to_str().expect("a path").into());
    let bed = Bed::new(spec);
    bed.scale(1).await;
    bed.ready(1).await;
    bed.scale(0).await;
    bed.at_rest().await;
    assert_eq!(std::fs::read_to_string(&file).expect("it has come to its end"), "done\n");
    std::fs::remove_file(file).expect("removed");
}

#[tokio::test]
async fn what_stays_behind_a_shell_that_has_stopped_is_killed_when_the_time_is_up() {
    let file = scratch();
    let mut spec = shell("(trap '' TERM; exec sleep 1000) & echo $! > $FILE; $SERVER; exit");
    spec.env.insert("FILE".into(), file.to_str().expect("a path").into());
    spec.stop_grace = Duration::from_millis(300);
    let bed = Bed::new(spec);
    bed.scale(1).await;
    bed.ready(1).await;
    let stubborn = std::fs::read_to_string(&file).expect("written").trim().parse().expect("its number");
    let begin = bed.app.clock().now();
    bed.scale(0).await;
    bed.at_rest().await;
    assert!(bed.app.clock().now().since(begin) >= Duration::from_millis(300));
    assert!(!is_alive(stubborn));
    std::fs::remove_file(file).expect("removed");
}

#[tokio::test]
async fn the_signal_is_the_one_that_was_chosen() {
    let mut spec = shell("trap '' TERM; exec $SERVER");
    spec.stop_signal = 2;
    let bed = Bed::new(spec);
    bed.scale(1).await;
    let endpoint = bed.ready(1).await[0].clone();
    bed.scale(0).await;
    bed.at_rest().await;
    assert!(!is_alive(pid(&endpoint)));
}

#[tokio::test]
async fn the_second_stop_waits_for_nobody() {
    let bed = Arc::new(Bed::new(shell("trap '' TERM; $SERVER & exec sleep 1000")));
    bed.scale(2).await;
    let endpoints = bed.ready(2).await;
    // Requests in flight do not count any more either.
    let _permit = bed.permit();
    let begin = bed.app.clock().now();
    let first = bed.clone();
    let first = tokio::spawn(async move { first.platform.stop().await });
    until("it is stopping", || bed.app.endpoints().is_empty()).await;
    bed.platform.stop().await;
    first.await.expect("no panic");
    assert!(bed.app.clock().now().since(begin) < Duration::from_secs(5));
    assert!(!endpoints.iter().any(|endpoint| is_alive(pid(endpoint))));
}

#[tokio::test]
async fn an_app_that_is_starting_is_stopped_too() {
    let bed = Bed::new(shell("echo $$; exec sleep 1000"));
    bed.scale(3).await;
    until("they are on their way", || bed.app.starting() == 3).await;
    bed.platform.stop().await;
    assert_eq!(bed.app.starting(), 0);
    assert!(bed.app.failure().is_none());
}

#[test]
fn nothing_outlives_the_runtime() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (bed, endpoint) = runtime.block_on(async {
        let bed = Bed::new(server());
        bed.scale(1).await;
        let endpoint = bed.ready(1).await[0].clone();
        (bed, endpoint)
    });
    drop(runtime);
    let another = tokio::runtime::Runtime::new().expect("a runtime");
    another.block_on(until("it is gone", || !is_alive(pid(&endpoint))));
    drop(bed);
}
