//! Files with mistakes: every one is named, with its place and what would be right.

use std::process::{Command, Output, Stdio};

use crate::document::{App, ZEROGATE, file};
use crate::gateway::Setup;
use crate::wait::soon;

/// What `zerogate check` says of a file with this text, given on standard input.
fn check(yaml: &str) -> (Option<i32>, String) {
    use std::io::Write;
    let mut child = Command::new(ZEROGATE)
        .args(["check", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(yaml.as_bytes()).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap())
}

/// A good document with this line of `spec` added.
fn with(line: &str) -> String {
    App::echo("hello").spec(line).to_string()
}

/// Checks a text with a mistake: what is said has to contain all these words.
#[track_caller]
fn names(yaml: &str, words: &[&str]) {
    let (code, said) = check(yaml);
    assert_eq!(code, Some(1), "accepted:\n{yaml}\n{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not named:\n{yaml}\n{said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn a_good_file_is_good() {
    let (code, said) = check(&file(&[App::echo("one"), App::echo("two")]));
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn every_kind_of_mistake_is_named() {
    names("a: [", &[]);
    names("just words", &[]);
    names("- a\n- list", &[]);
    names(&with("scalingg: {}"), &["scalingg"]);
    names(&with("scaling: {maxReplica: 3}"), &["maxReplica", "maxReplicas"]);
    names(&with("scaling: {maxReplicas: many}"), &["spec.scaling.maxReplicas"]);
    names(&with("scaling: {maxReplicas: 0}"), &["spec.scaling.maxReplicas"]);
    names(&with("scaling: {maxReplicas: -1}"), &["spec.scaling.maxReplicas"]);
    names(&with("scaling: {minReplicas: 5, maxReplicas: 2}"), &["spec.scaling.minReplicas"]);
    names(&with("scaling: {target: 0}"), &["spec.scaling.target"]);
    names(&with("scaling: {target: .nan}"), &["spec.scaling.target"]);
    names(&with("scaling: {utilization: 101}"), &["spec.scaling.utilization"]);
    names(&with("scaling: {panicThreshold: 100}"), &["spec.scaling.panicThreshold"]);
    names(&with("scaling: {metric: cpu}"), &["spec.scaling.metric", "concurrency", "requestRate"]);
    names(&with("scaling: {by: keda}"), &["spec.scaling.by"]);
    names(&with("scaling: {idleTimeout: 500ms}"), &["spec.scaling.idleTimeout", "1s"]);
    names(&with("scaling: {idleTimeout: 5}"), &["spec.scaling.idleTimeout", "unit"]);
    names(&with("scaling: {idleTimeout: 5 parsecs}"), &["spec.scaling.idleTimeout"]);
    names(&with("scaling: {stableWindow: 5s, panicWindow: 6s}"), &["spec.scaling.panicWindow"]);
    names(&with("hold: {timeout: 2h}"), &["spec.hold.timeout", "1h"]);
    names(&with("hold: {maxRequests: 1.5}"), &["spec.hold.maxRequests"]);
    names(&with("timeouts: {connect: 0s}"), &["spec.timeouts.connect"]);
    names(&with("limits: {requestsPerSecond: -3}"), &["spec.limits.requestsPerSecond"]);
    names(&with("limits: {perClient: {by: cookie}}"), &["spec.limits.perClient.by"]);
    let process = |fields: &str| App::echo("hello").process(fields).to_string();
    names(&process("port: 70000"), &["spec.target.process.port"]);
    names(&process("port: 8000"), &["spec.scaling.maxReplicas"]);
    names(&process("stopSignal: SIGWHAT"), &["spec.target.process.stopSignal", "SIGWHAT"]);
    names(&process(r#"env: {PORT: "1"}"#), &["spec.target.process.env", "PORT"]);
    names(&process(r#"env: {"A=B": "1"}"#), &["spec.target.process.env"]);
    names(&App::command("hello", &[]).to_string(), &["spec.target.process.command"]);
    let target = |line: &str| App::echo("hello").target(line).to_string();
    names(&target("protocol: http3"), &["spec.target.protocol", "http1", "h2c"]);
    names(&target("readiness: {httpGet: {path: healthz}}"), &["spec.target.readiness.httpGet.path"]);
    names(&target("readiness: {httpGet: {}, tcpSocket: {}}"), &["spec.target.readiness"]);
    names(&target("readiness: {exec: {}}"), &["exec"]);
    let routes = |routes: &str| App::echo("hello").routes(routes).to_string();
    names(&routes("[]"), &["spec.routes"]);
    names(&routes(r#"[{hosts: ["a b"]}]"#), &["spec.routes[0].hosts[0]"]);
    names(&routes(r#"[{hosts: ["a.*.b"]}]"#), &["spec.routes[0].hosts[0]"]);
    names(&routes("[{hosts: [http://a]}]"), &["spec.routes[0].hosts[0]"]);
    names(&routes("[{hosts: [a], paths: [{prefix: x}]}]"), &["spec.routes[0].paths[0].prefix"]);
    names(&routes("[{hosts: [a], headers: [{name: 'a b', value: c}]}]"), &["spec.routes[0].headers[0].name"]);
    let good = App::echo("hello").to_string();
    names(&good.replace("v1alpha1", "v9"), &["apiVersion", "zerogate.dev/v1alpha1"]);
    names(&good.replace("kind: HTTPApp", "kind: Pod"), &["kind", "HTTPApp"]);
    names(&good.replace("metadata: {name: hello}\n", ""), &["metadata"]);
    names(&good.replace("name: hello}", "name: Hello_World}"), &["metadata.name"]);
    names(&good.replace("name: hello}", "name: hello, name: twice}"), &[]);
}

#[test]
fn all_mistakes_are_named_at_once_with_their_document() {
    let yaml = file(&[
        App::echo("one").spec("scaling: {maxReplicas: 0, idleTimeout: 1ms}").spec("hold: {timeout: 9}"),
        App::echo("two"),
        App::echo("three").target("protocol: spdy"),
    ]);
    let words = ["spec.scaling.maxReplicas", "spec.scaling.idleTimeout", "spec.hold.timeout", "spec.target.protocol"];
    names(&yaml, &words);
    names(&yaml, &["one", "three"]);
}

#[test]
fn two_apps_with_the_same_host_and_path_are_both_named() {
    names(
        &file(&[App::echo("one"), App::echo("two").routes("[{hosts: [ONE.localhost]}]")]),
        &["one", "two", "one.localhost"],
    );
    names(&file(&[App::echo("same"), App::echo("same").routes("[{hosts: [other.localhost]}]")]), &["same"]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let output = Command::new(ZEROGATE).args(["check", "/nowhere/to/be/found.yaml"]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("/nowhere/to/be/found.yaml"), "{said}");
}

#[tokio::test]
async fn it_does_not_start_with_a_bad_file_or_a_bad_flag() {
    let (status, said) = Setup::new(&[App::echo("hello").spec("scaling: {maxReplicas: 0}")]).fail().await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("apps.yaml") && said.contains("spec.scaling.maxReplicas"), "{said}");
    for (flag, value) in [
        ("--header-timeout", "5"),
        ("--max-held-bytes", "many"),
        ("--trusted-proxies", "10.0.0.0/40"),
        ("--access-log", "xml"),
        ("--log-level", "info,,=="),
        ("--log-level", "inof"),
        ("--max-connections", "few"),
        ("--max-header-size", "8191B"),
        ("--header-timeout", "0s"),
    ] {
        let (status, said) = Setup::new(&[App::echo("hello")]).flag(flag, value).fail().await;
        assert!(!status.success() && said.contains(flag.trim_start_matches('-')), "{flag} {value}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn an_address_that_cannot_be_meant_is_named() {
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    std::fs::write(file.path(), App::echo("hello").to_string()).unwrap();
    let mut command = Command::new(ZEROGATE);
    command.arg("run").arg(file.path()).args(["--http", "127.0.0.1:1", "--admin", "127.0.0.1:1"]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("--http and --admin are both 127.0.0.1:1"), "{said}");
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let setup = Setup::new(&[App::echo("hello")]);
    let taken = std::net::TcpListener::bind(setup.http()).unwrap();
    let address = setup.http().to_string();
    let (status, said) = setup.fail().await;
    assert!(!status.success() && said.contains(&address), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    drop(taken);
    // One of the two that it is to listen on may be what stands in the way of the other.
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    std::fs::write(file.path(), App::echo("hello").to_string()).unwrap();
    let mut command = tokio::process::Command::new(ZEROGATE);
    let port = address.rsplit_once(':').unwrap().1;
    command.arg("run").arg(file.path()).args(["--http", &format!("0.0.0.0:{port}"), "--admin", &address]);
    let output = soon("the end", command.kill_on_drop(true).output()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(&address) && said.contains("--admin"), "{said}");
}
