//! Processes: how they are started, watched and stopped.

use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::client::{Client, get};
use crate::document::{App, ZEROGATE};
use crate::gateway::{Gateway, Setup};
use crate::processes::{is_alive, signal};
use crate::wait::{soon, until};

#[tokio::test]
async fn a_process_gets_its_port_its_variables_and_its_folder() {
    let script = format!(r#"echo "seen: $A $B $1 $PORT" > seen; echo hello from within >&2; exec {ZEROGATE} echo"#);
    let app = App::command("hello", &["sh", "-c", &script, "sh", "{port}"])
        .process(r#"env: {A: b, B: "at {port}"}, workingDir: ./inner"#);
    let setup = Setup::new(&[app]);
    std::fs::create_dir(setup.folder().join("inner")).unwrap();
    let gateway = setup.start().await;
    let port = gateway.get("hello.localhost", "/").await.json()["port"].as_u64().unwrap();
    let seen = std::fs::read_to_string(gateway.folder().join("inner/seen")).unwrap();
    assert_eq!(seen, format!("seen: b at {port} {port} {port}\n"));
    // What it prints is in the log, with its name.
    let output = until("its output", async || {
        gateway.output().lines().find(|line| line.contains("hello from within")).map(str::to_owned)
    });
    assert!(output.await.contains("default/hello"));
    gateway.finish().await;
}

#[tokio::test]
async fn any_port_is_one_that_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("apps.yaml");
    std::fs::write(&file, App::echo("hello").to_string()).unwrap();
    let mut command = tokio::process::Command::new(ZEROGATE);
    command.arg("run").arg(&file).args(["--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--threads", "2"]);
    let mut gateway = command.stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut log = BufReader::new(gateway.stderr.take().unwrap()).lines();
    let line = loop {
        let line = soon("a line of the log", log.next_line()).await.unwrap().expect("it says so");
        if line.contains("zerogate starts") {
            break line;
        }
    };
    let address = |name: &str| -> SocketAddr {
        let word = line.split_whitespace().find_map(|word| word.strip_prefix(name)).expect(name);
        word.parse().unwrap()
    };
    let (http, admin) = (address("http="), address("admin="));
    assert!(http.port() != 0 && admin.port() != 0 && http != admin, "{line}");
    let reply = Client::http1(http).await.send(get("nowhere.localhost", "/")).await;
    assert_eq!(reply.problem(404)["cause"], "no_route");
    assert_eq!(Client::http1(admin).await.send(get("admin", "/livez")).await.status, 200);
    signal(gateway.id().unwrap(), Signal::TERM);
    assert_eq!(soon("its end", gateway.wait()).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_command_that_does_not_exist_is_named() {
    let gateway = Gateway::start(&[App::command("hello", &["no-such-program-here", "x"])]).await;
    let reply = gateway.get("hello.localhost", "/").await;
    let problem = reply.problem(503);
    assert_eq!(problem["cause"], "cannot_run");
    assert!(problem["detail"].as_str().unwrap().contains("no-such-program-here"), "{problem}");
    reply.retry_after();
    assert_eq!(gateway.app("hello").await["state"], "failing");
    gateway.finish().await;
}

#[tokio::test]
async fn an_exit_is_noticed_and_the_next_request_is_answered_by_another() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    let pid = u32::try_from(gateway.get("hello.localhost", "/").await.json()["pid"].as_u64().unwrap()).unwrap();
    signal(pid, Signal::KILL);
    until("it is dead", async || (!is_alive(pid)).then_some(())).await;
    let reply = gateway.get("hello.localhost", "/").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_ne!(reply.json()["pid"], pid);
    gateway.finish().await;
}

#[tokio::test]
async fn back_off_grows_with_every_crash() {
    let app = App::command("hello", &["sh", "-c", "echo x >> starts; exit 1"]);
    let gateway = Gateway::start(&[app]).await;
    let mut tries = 0_u32;
    let waits = until("a longer wait", async || {
        let reply = gateway.get("hello.localhost", "/").await;
        reply.problem(503);
        tries += 1;
        (reply.retry_after() >= 3).then_some(())
    });
    waits.await;
    let starts = std::fs::read_to_string(gateway.folder().join("starts")).unwrap().lines().count();
    assert!((2..tries as usize).contains(&starts), "{starts} starts in {tries} tries");
    gateway.finish().await;
}

#[tokio::test]
async fn a_process_that_ignores_its_signal_is_killed_with_all_it_started() {
    let script = format!("trap '' TERM; {ZEROGATE} echo & while :; do wait; done");
    let app = App::command("hello", &["sh", "-c", &script]).process("stopGrace: 300ms");
    let app = app.target("readiness: {httpGet: {path: /healthz}}").spec("scaling: {idleTimeout: 1s}");
    let gateway = Gateway::start(&[app]).await;
    let pid = u32::try_from(gateway.get("hello.localhost", "/").await.json()["pid"].as_u64().unwrap()).unwrap();
    gateway.state("hello", "asleep").await;
    until("all are gone", async || (!is_alive(pid)).then_some(())).await;
    // Once more, with the gateway's own end.
    assert_eq!(gateway.get("hello.localhost", "/hello").await.status, 200);
    gateway.finish().await;
}

#[tokio::test]
async fn the_stop_signal_is_the_configured_one() {
    let script = format!("trap 'echo got it > got; exit 0' INT; {ZEROGATE} echo & while :; do wait; done");
    let app = App::command("hello", &["sh", "-c", &script]).process("stopSignal: SIGINT");
    let app = app.spec("scaling: {idleTimeout: 1s}");
    let gateway = Gateway::start(&[app]).await;
    assert_eq!(gateway.get("hello.localhost", "/hello").await.status, 200);
    until("the signal", async || {
        std::fs::read_to_string(gateway.folder().join("got")).ok().filter(|got| !got.is_empty())
    })
    .await;
    gateway.finish().await;
}

#[tokio::test]
async fn no_process_outlives_a_gateway_that_is_killed() {
    let apps = [
        App::echo("one").spec("scaling: {minReplicas: 2}"),
        App::echo_with("two", "--never-listen").spec("scaling: {minReplicas: 1}"),
        // Its child is not a child of the gateway.
        App::command("three", &["sh", "-c", &format!("{ZEROGATE} echo & wait")]).spec("scaling: {minReplicas: 1}"),
    ];
    let mut gateway = Gateway::start(&apps).await;
    gateway.ready("one", 2).await;
    gateway.app_until("two", "starting", |app| app["replicas"]["starting"] == 1).await;
    gateway.ready("three", 1).await;
    assert!(gateway.children().len() >= 5);
    gateway.signal(Signal::KILL);
    gateway.ended().await;
    until("all processes are gone", async || gateway.children().is_empty().then_some(())).await;
}

#[tokio::test]
async fn when_no_port_is_free_it_says_so() {
    let (setup, ports) = Setup::new(&[App::echo("hello")]).process_ports(2);
    let taken: Vec<_> = ports.map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap()).collect();
    let gateway = setup.start().await;
    let problem = gateway.get("hello.localhost", "/").await.problem(503);
    assert_eq!(problem["cause"], "no_port");
    drop(taken);
    // It is not for ever.
    until("an answer", async || (gateway.get("hello.localhost", "/").await.status == 200).then_some(())).await;
    gateway.finish().await;
}

#[tokio::test]
async fn the_app_is_told_nothing_of_requests_before_it_is_ready() {
    let gateway = Gateway::start(&[App::echo_with("hello", "--unready-for 500ms")]).await;
    let first = gateway.get("hello.localhost", "/").await.json();
    assert_eq!(first["number"], 1);
    gateway.finish().await;
}

#[tokio::test]
async fn each_kind_of_readiness_check_wakes_an_app() {
    let apps = [
        App::echo_with("http", "--unready-for 100ms"),
        App::echo_with("http2", "--unready-for 100ms").and_target("protocol: h2c"),
        App::echo("tcp").target("readiness: {tcpSocket: {}}"),
        App::echo_with("grpc", "--unready-for 100ms").target("readiness: {grpc: {}}").and_target("protocol: h2c"),
        App::echo("default").target("protocol: http1"),
    ];
    let gateway = Gateway::start(&apps).await;
    for name in ["http", "http2", "tcp", "grpc", "default"] {
        assert_eq!(gateway.get(&format!("{name}.localhost"), "/hello").await.status, 200, "{name}");
    }
    gateway.finish().await;
}
