use super::*;

#[tokio::test]
async fn a_held_request_gets_the_replica_as_soon_as_it_is_ready() {
    let bed = Bed::new(server());
    let held = tokio::spawn(bed.app.enter().hold(0));
    bed.scale(1).await;
    let permit = tokio::time::timeout(DEADLINE, held).await.expect("in time").expect("no panic").expect("admitted");
    assert!(permit.wait().is_some());
    assert!(!ask(permit.endpoint()).await.is_empty());
    let wake = bed.app.wake().expect("it was woken");
    assert!(wake.started.is_some() && wake.ready.is_some());
    bed.ready(1).await;
    bed.platform.stop().await;
}

#[tokio::test]
async fn each_replica_is_told_its_own_port() {
    let dir = scratch();
    std::fs::create_dir(&dir).expect("created");
    let mut spec = shell("[ {port} = $PORT ] && exec $SERVER");
    spec.env.insert("MORE".into(), "more-{port}".into());
    spec.env.insert("PORT".into(), "1".into());
    spec.working_dir = Some(dir.clone());
    let bed = Bed::new(spec);
    bed.scale(3).await;
    let mut told = Vec::new();
    for endpoint in bed.ready(3).await.iter() {
        let port = endpoint.address().port();
        assert_eq!(ask(endpoint).await, format!("{port} more-{port} {}", dir.display()));
        told.push(port);
    }
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), 3);
    bed.platform.stop().await;
    std::fs::remove_dir(dir).expect("removed");
}

#[tokio::test]
async fn zerogate_means_the_running_program() {
    let mut spec = server();
    spec.command = children::command("server");
    spec.command[0] = "zerogate".into();
    let bed = Bed::new(spec);
    bed.scale(1).await;
    bed.ready(1).await;
    bed.platform.stop().await;
}

#[tokio::test]
async fn says_what_is_wrong_with_the_command() {
    let not_executable = scratch();
    std::fs::write(&not_executable, "").expect("written");
    let not_executable = not_executable.to_str().expect("a path");
    let script = scratch();
    std::fs::write(&script, "#!/no/such/interpreter\n").expect("written");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("allowed");
    let script = script.to_str().expect("a path");
    for (program, dir, expected) in [
        ("no-such-command", None, "command not found"),
        ("/no/such/command", None, "no such file"),
        (not_executable, None, "permission denied"),
        (script, None, "the interpreter it names does not exist"),
        ("true", Some("/no/such/dir"), "its working directory /no/such/dir does not exist"),
        ("true", Some(script), &format!("its working directory {script} is not a directory")),
    ] {
        let mut spec = command([program]);
        spec.working_dir = dir.map(PathBuf::from);
        let bed = Bed::new(spec);
        let held = tokio::spawn(bed.app.enter().hold(0));
        bed.scale(1).await;
        let refusal = held.await.expect("no panic").expect_err("it cannot start");
        let cause = FailureCause::CannotRun { program: program.into(), why: expected.into() };
        assert_eq!(refusal.to_string(), format!("the app cannot be started: {cause}"));
        assert_eq!(bed.app.starting(), 0);
        bed.scale(0).await;
        bed.at_rest().await;
    }
    std::fs::remove_file(not_executable).and_then(|()| std::fs::remove_file(script)).expect("removed");
}

#[tokio::test]
async fn an_app_that_ends_at_start_leaves_its_last_words() {
    let bed = Bed::new(shell("for i in 1 2 3 4 5 6; do echo out $i; echo err $i >&2; done; exit 3"));
    bed.scale(1).await;
    let failure = bed.failure().await;
    assert_eq!(failure.cause, FailureCause::Exited { how: "exit code 3".into() });
    let last: Vec<_> = (2..=6).flat_map(|i| [format!("out {i}"), format!("err {i}")]).collect();
    assert_eq!(failure.output, last);
    assert_eq!(failure.retry_after, Duration::from_millis(500));
}

#[tokio::test]
async fn a_signal_that_ends_it_is_named() {
    let bed = Bed::new(shell("kill -9 $$"));
    bed.scale(1).await;
    assert_eq!(bed.failure().await.cause, FailureCause::Exited { how: "signal 9".into() });
}

#[tokio::test]
async fn an_app_that_does_not_get_ready_is_stopped() {
    let mut spec = shell("echo $$; exec sleep 1000");
    spec.start_timeout = Duration::from_millis(300);
    let bed = Bed::new(spec);
    bed.scale(1).await;
    let failure = bed.failure().await;
    let FailureCause::NeverReady { after, last } = &failure.cause else { panic!("{failure:?}") };
    assert_eq!(*after, Duration::from_millis(300));
    let text = last.strip_prefix("cannot connect: ").expect("why");
    assert!(text.contains("refused") && text.contains(" at 127.0.0.1:"), "{text}");
    bed.scale(0).await;
    bed.at_rest().await;
    assert!(!is_alive(failure.output[0].parse().expect("its number")));
}

#[tokio::test]
async fn no_port_is_said_with_the_ports_tried() {
    let range = ports(2);
    let others: Vec<_> = range.clone().map(|port| TcpListener::bind(("127.0.0.1", port))).collect();
    assert!(others.iter().all(Result::is_ok));
    let tried = format!("{} to {}", range.start(), range.end());
    let bed = Bed::with(server(), ProcessOptions { ports: range.clone(), ..ProcessOptions::default() });
    bed.scale(1).await;
    assert_eq!(bed.failure().await.cause, FailureCause::NoPort { tried });

    let mut spec = server();
    spec.port = PortChoice::Fixed(*range.start());
    let bed = Bed::new(spec);
    bed.scale(1).await;
    assert_eq!(bed.failure().await.cause, FailureCause::NoPort { tried: range.start().to_string() });
}

#[tokio::test]
async fn a_process_that_took_the_port_meanwhile_is_not_taken_for_the_app() {
    let mut spec = shell("exec sleep 1000");
    let port = *ports(1).start();
    spec.port = PortChoice::Fixed(port);
    spec.start_timeout = Duration::from_secs(2);
    let bed = Bed::new(spec);
    bed.scale(1).await;
    until("it runs", || bed.app.wake().is_some_and(|wake| wake.started.is_some())).await;
    let _foreign = TcpListener::bind(("127.0.0.1", port)).expect("nobody listens there yet");
    let failure = bed.failure().await;
    let FailureCause::NeverReady { last, .. } = &failure.cause else { panic!("{failure:?}") };
    let this = format!("its port is held by process {} (", std::process::id());
    assert!(last.starts_with(&this) && last.ends_with(&format!(" at 127.0.0.1:{port}")), "{last}");
    assert!(bed.app.endpoints().is_empty());
    bed.scale(0).await;
    bed.at_rest().await;
}

#[tokio::test]
async fn what_a_failed_start_leaves_behind_is_named_and_killed() {
    // What `setsid` starts is in no group of ours.
    for background in ["sleep 1000", "setsid sleep 1000"] {
        let bed = Bed::new(shell(&format!("{background} & echo $!; exit 0")));
        bed.scale(1).await;
        let failure = bed.failure().await;
        let grandchild: i32 = failure.output[0].parse().expect("its number");
        let FailureCause::Exited { how } = &failure.cause else { panic!("{failure:?}") };
        let begin = format!("exit code 0 and left process {grandchild} (");
        assert!(how.starts_with(&begin) && how.contains("stay in the foreground"), "{how}");
        until("the grandchild is gone", || !is_alive(grandchild)).await;
    }
}

#[tokio::test]
async fn a_replica_that_listens_elsewhere_is_told_so_long_before_its_start_timeout() {
    let other = *ports(1).start();
    for (wrong, listens) in [
        ("ADDRESS=127.0.0.2".to_owned(), "127.0.0.2:".to_owned()),
        (format!("PORT={other}"), format!("127.0.0.1:{other}")),
    ] {
        let mut spec = shell(&format!("{wrong} exec $SERVER"));
        spec.start_timeout = Duration::from_secs(3600);
        let bed = Bed::new(spec);
        bed.scale(1).await;
        let failure = bed.failure().await;
        let FailureCause::NeverReady { after, last } = &failure.cause else { panic!("{failure:?}") };
        assert!(*after < DEADLINE, "{after:?}");
        assert!(
            last.starts_with("nobody listens at 127.0.0.1:") && last.contains(&format!("listen on {listens}")),
            "{last}"
        );
        bed.platform.stop().await;
    }
}

#[tokio::test]
async fn output_that_never_ends_harms_nothing() {
    // One floods without ever ending a line, one has left the process group and keeps the pipe open.
    let bed = Bed::new(shell("tr '\\0' x < /dev/zero & exec $SERVER"));
    bed.scale(1).await;
    assert!(!ask(&bed.ready(1).await[0]).await.is_empty());
    bed.platform.stop().await;

    let bed = Bed::new(shell("setsid sleep 3 & echo said; exit 4"));
    bed.scale(1).await;
    assert_eq!(bed.failure().await.output, ["said"]);
    let wake = bed.app.wake().expect("it was woken");
    let took = bed.app.failure().expect("there").at.since(wake.started.expect("it ran"));
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test]
async fn processes_get_the_limit_of_open_files_they_would_have_had() {
    let options = ProcessOptions { ports: ports(1), open_files: Some(123), ..ProcessOptions::default() };
    let bed = Bed::with(shell("ulimit -n; exit 1"), options);
    bed.scale(1).await;
    assert_eq!(bed.failure().await.output, ["123"]);
}

#[tokio::test]
async fn a_failing_app_is_left_alone_longer_each_time_even_when_it_slept_between() {
    let bed = Bed::new(shell("exit 3"));
    let mut earliest = bed.app.clock().now();
    for pause in [500, 1000] {
        bed.scale(1).await;
        let last = bed.app.failure().map(|failure| failure.at);
        until("another failure", || bed.app.failure().map(|failure| failure.at) != last).await;
        let failure = bed.app.failure().expect("there");
        assert!(failure.at >= earliest);
        assert_eq!(failure.failure.retry_after, Duration::from_millis(pause));
        earliest = failure.at + (failure.failure.retry_after - Duration::from_millis(50));
        bed.scale(0).await;
        bed.at_rest().await;
    }
    assert!(bed.platform.shared.apps.lock().known.values().all(|known| known.memory.is_some()));
}

#[tokio::test]
async fn other_settings_do_not_pay_for_earlier_failures() {
    let bed = Bed::new(shell("exit 3"));
    bed.scale(1).await;
    bed.failure().await;
    bed.scale(0).await;
    bed.at_rest().await;
    bed.configure(shell("exit 4"));
    bed.scale(1).await;
    assert_eq!(bed.failure().await.retry_after, Duration::from_millis(500));
}

#[tokio::test]
async fn an_app_that_is_wanted_is_tried_again_without_being_asked() {
    let dir = scratch();
    let mut spec = shell("mkdir $DIR && exit 3; exec $SERVER");
    spec.env.insert("DIR".into(), dir.to_str().expect("a path").into());
    let bed = Bed::new(spec);
    bed.scale(1).await;
    bed.failure().await;
    bed.ready(1).await;
    assert!(bed.app.failure().is_none());
    bed.platform.stop().await;
    std::fs::remove_dir(dir).expect("removed");
}

#[tokio::test]
async fn starts_that_fail_beside_a_healthy_replica_do_not_keep_the_app_from_waking() {
    // It can run only once at a time.
    let lock = scratch();
    let mut spec = shell("mkdir $LOCK || exit 3; trap 'rmdir $LOCK; kill $!; exit' TERM; $SERVER & wait");
    spec.env.insert("LOCK".into(), lock.to_str().expect("a path").into());
    let bed = Bed::new(spec);
    bed.scale(1).await;
    bed.ready(1).await;
    bed.scale(2).await;
    let failure = bed.failure().await;
    assert_eq!(failure.cause, FailureCause::Exited { how: "exit code 3".into() });
    assert!(bed.app.try_sleep());
    // Before the platform knows of it, and after.
    let mut held = Vec::new();
    held.push(tokio::spawn(bed.app.enter().hold(0)));
    until("it is held or refused", || bed.app.held() == 1 || held[0].is_finished()).await;
    bed.scale(0).await;
    bed.at_rest().await;
    let remembers = |known: &super::super::Known| known.memory.is_some();
    assert!(!bed.platform.shared.apps.lock().known.values().any(remembers), "a healthy end is not remembered");
    held.push(tokio::spawn(bed.app.enter().hold(0)));
    bed.scale(1).await;
    for one in held {
        assert!(one.await.expect("no panic").is_ok());
    }
    bed.platform.stop().await;
}
