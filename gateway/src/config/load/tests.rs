mod any;
mod files;
mod mistakes;
mod together;

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use activator::AppSettings;
use activator::resource::ForwardingHeaders;
use activator::settings::{Hold, Metric, PortChoice, ProcessSpec, Protocol, Readiness, Scaling, Target};
use http::{HeaderName, HeaderValue};

use super::Loader;
use crate::config::origin::Origin;
use crate::config::problem::Problems;
use crate::config::settings::{
    Affinity, AppConfig, AppTls, CertificateSource, ClientKey, ClientLimit, Declared, EdgeSettings, Forwarding,
    HeaderMatch, HostPattern, Limits, Rate, Route, Timeouts,
};
use mistakes::MISTAKES;

fn load_text(text: &str) -> Result<Declared, Problems> {
    load_from(Origin::Files, text)
}

fn load_from(origin: Origin, text: &str) -> Result<Declared, Problems> {
    let mut loader = Loader::new(origin);
    loader.text("apps.yaml".to_owned(), Path::new("/srv"), text);
    loader.finish()
}

fn only_app(text: &str) -> AppConfig {
    let declared = load_text(text).unwrap_or_else(|problems| panic!("{text}\n{problems}"));
    assert_eq!(declared.apps.len(), 1);
    declared.apps.into_values().next().unwrap()
}

fn problems(text: &str) -> String {
    load_text(text).expect_err(text).to_string()
}

const GOOD: &str = "\
apiVersion: zerogate.dev/v1alpha1
kind: HTTPApp
metadata: {name: a, namespace: n}
spec:
  routes: [{hosts: [a.example]}]
  target: {process: {command: [x]}}
";

/// [`GOOD`] with the line of the same field replaced, or with one more.
fn with(line: &str) -> String {
    let field = |line: &str| line.split(':').next().unwrap().to_owned();
    let mut lines: Vec<_> = GOOD.lines().collect();
    match lines.iter().position(|good| field(good) == field(line)) {
        Some(index) => lines[index] = line,
        None => lines.push(line),
    }
    lines.join("\n") + "\n"
}

/// Another app than that of [`GOOD`], with all its own.
fn other(name: &str) -> String {
    GOOD.replace("name: a,", &format!("name: {name},")).replace("a.example", &format!("{name}.example"))
}

#[test]
fn every_mistake_is_named_with_its_place_and_what_would_be_right() {
    assert!(MISTAKES.len() > 100);
    for (line, expected) in MISTAKES {
        let count = expected.len();
        let last = format!("{count} problem{}", if count == 1 { "" } else { "s" });
        let expected: Vec<_> = expected.iter().copied().chain([last.as_str()]).collect();
        assert_eq!(problems(&with(line)), expected.join("\n"), "{line}");
    }
}

#[test]
fn a_short_document_gets_all_defaults() {
    let app = only_app(GOOD);
    assert_eq!(
        app,
        AppConfig {
            activator: AppSettings {
                target: Target::Process(
                    ProcessSpec {
                        command: vec!["x".into()],
                        env: [].into(),
                        working_dir: Some("/srv".into()),
                        port: PortChoice::Auto,
                        stop_signal: 15,
                        stop_grace: Duration::from_secs(10),
                        readiness: Readiness::TcpSocket,
                        start_timeout: Duration::from_secs(300),
                        protocol: Protocol::Http1,
                    }
                    .into()
                ),
                scaling: Scaling::default().into(),
                hold: Hold::default(),
            }
            .into(),
            edge: EdgeSettings {
                routes: vec![Route {
                    hosts: vec![HostPattern::Exact("a.example".into())],
                    paths: vec!["".into()],
                    headers: Vec::new(),
                }],
                timeouts: Timeouts {
                    connect: Duration::from_secs(1),
                    response_header: Duration::from_secs(300),
                    idle: Duration::from_secs(300),
                    request: None,
                }
                .into(),
                limits: Limits { app: None, per_client: None },
                most_in_flight: 10_000,
                forwarding: None,
                affinity: None,
                tls: None,
                trust: None,
            }
            .into(),
        }
    );
}

#[test]
fn a_long_document_is_taken_as_written() {
    let text = r#"
apiVersion: zerogate.dev/v1alpha1
kind: HTTPApp
metadata: {name: hello.v2, namespace: team-1, labels: {a: b}, annotations: {c: d}}
spec:
  routes:
  - hosts: [Hello.localhost., "*.hello.localhost", "*", "[0:0::1]", 127.0.0.1]
    paths: [{prefix: /api/}, {prefix: /v2/%41}]
    headers: [{name: X-Tenant, value: blue}, {name: a, value: ""}]
  - {}
  target:
    process: {command: ["zerogate", "echo"], env: {A: b}, workingDir: ../x, port: 8000, stopSignal: INT, stopGrace: 0}
    readiness: {httpGet: {path: /healthz?full}}
    protocol: h2c
    startTimeout: 1m30s
  scaling:
    by: zerogate
    minReplicas: 1
    maxReplicas: 1
    metric: requestRate
    target: 0.5
    utilization: 100
    concurrencyLimit: 1
    stableWindow: 30s
    panicWindow: 3000ms
    panicThreshold: 110
    idleTimeout: 1.5s
    scaleDownDelay: 0
    activationReplicas: 1
  hold: {maxRequests: 0, timeout: 100ms}
  timeouts: {connect: 1ms, responseHeader: 24h, idle: 1h30m, request: 5s}
  limits: {requestsPerSecond: 0.5, burst: 0, inFlight: 0, perClient: {requestsPerSecond: 2.5, burst: 7, by: header, header: X-Api-Key}}
  forwarding: {headers: xForwarded, host: "localhost:8888"}
  affinity: {by: header, header: X-Session}
  tls: {certificate: certificates/hello.crt, key: /keys/hello.key, redirect: true, hsts: 8760h}
"#;
    let AppConfig { activator, edge } = only_app(text);
    let Target::Process(process) = &activator.target else { panic!("a process") };
    assert_eq!(
        **process,
        ProcessSpec {
            command: vec!["zerogate".into(), "echo".into()],
            env: [("A".to_owned(), "b".to_owned())].into(),
            working_dir: Some("/srv/../x".into()),
            port: PortChoice::Fixed(8000),
            stop_signal: 2,
            stop_grace: Duration::ZERO,
            readiness: Readiness::HttpGet { path: "/healthz?full".into(), protocol: Protocol::H2c },
            start_timeout: Duration::from_secs(90),
            protocol: Protocol::H2c,
        }
    );
    assert_eq!(
        *activator.scaling,
        Scaling {
            by: activator::settings::ScaledBy::Zerogate,
            min_replicas: 1,
            max_replicas: 1,
            metric: Metric::RequestRate,
            target: 0.5,
            utilization: 100,
            concurrency_limit: Some(1),
            stable_window: Duration::from_secs(30),
            panic_window: Duration::from_secs(3),
            panic_threshold: 110,
            idle_timeout: Duration::from_millis(1500),
            scale_down_delay: Duration::ZERO,
            activation_replicas: 1,
        }
    );
    assert_eq!(activator.hold, Hold { max_requests: 0, timeout: Duration::from_millis(100) });
    let exact = |host: &str| HostPattern::Exact(host.into());
    let header =
        |name, value| HeaderMatch { name: HeaderName::from_static(name), value: HeaderValue::from_static(value) };
    assert_eq!(
        *edge,
        EdgeSettings {
            routes: vec![
                Route {
                    hosts: vec![
                        exact("hello.localhost"),
                        HostPattern::Suffix("hello.localhost".into()),
                        HostPattern::Any,
                        exact("[::1]"),
                        exact("127.0.0.1"),
                    ],
                    paths: vec!["/api".into(), "/v2/%41".into()],
                    headers: vec![header("a", ""), header("x-tenant", "blue")],
                },
                Route { hosts: vec![HostPattern::Any], paths: vec!["".into()], headers: Vec::new() },
            ],
            timeouts: Timeouts {
                connect: Duration::from_millis(1),
                response_header: Duration::from_secs(86_400),
                idle: Duration::from_secs(5_400),
                request: Some(Duration::from_secs(5)),
            }
            .into(),
            limits: Limits {
                app: Some(Rate { per_second: 0.5, burst: 1 }),
                per_client: Some(
                    ClientLimit {
                        rate: Rate { per_second: 2.5, burst: 7 },
                        by: ClientKey::Header(HeaderName::from_static("x-api-key")),
                    }
                    .into()
                ),
            },
            most_in_flight: u32::MAX,
            forwarding: Some(
                Forwarding {
                    headers: ForwardingHeaders::XForwarded,
                    host: Some(HeaderValue::from_static("localhost:8888")),
                }
                .into()
            ),
            affinity: Some(Affinity::Header(HeaderName::from_static("x-session")).into()),
            trust: None,
            tls: Some(
                AppTls {
                    certificate: Some(CertificateSource::Files {
                        certificate: "/srv/certificates/hello.crt".into(),
                        key: "/keys/hello.key".into(),
                    }),
                    redirect: true,
                    hsts: Some(HeaderValue::from_static("max-age=31536000")),
                }
                .into(),
            ),
        }
    );
}

#[test]
fn stop_signals_are_those_of_the_system() {
    for (name, number) in [("TERM", 15), ("INT", 2), ("QUIT", 3), ("HUP", 1), ("USR1", 10), ("USR2", 12), ("KILL", 9)] {
        for name in [name.to_owned(), format!("SIG{name}")] {
            let app = only_app(&with(&format!("  target: {{process: {{command: [x], stopSignal: {name}}}}}")));
            let Target::Process(process) = &app.activator.target else { panic!("a process") };
            assert_eq!(process.stop_signal, number, "{name}");
        }
    }
}

#[test]
fn readiness_is_one_of_three() {
    for (readiness, expected) in [
        ("{}", Readiness::TcpSocket),
        ("{tcpSocket: {}}", Readiness::TcpSocket),
        ("{httpGet: {}}", Readiness::HttpGet { path: "/".into(), protocol: Protocol::Http1 }),
        ("{grpc: {service: a.B}}", Readiness::Grpc { service: "a.B".into() }),
    ] {
        let app = only_app(&with(&format!("  target: {{process: {{command: [x]}}, readiness: {readiness}}}")));
        let Target::Process(process) = &app.activator.target else { panic!("a process") };
        assert_eq!(process.readiness, expected, "{readiness}");
    }
}

#[test]
fn all_mistakes_of_all_documents_are_told_at_once() {
    let text = format!(
        "{}  scaling: {{targget: 1, maxReplicas: 0}}\n---\n{}---\n{}---\nb: [1\n---\n{}",
        GOOD,
        other("b"),
        other("c").replace("c.example", "c_:80"),
        other("d").replace("HTTPApp", "Service"),
    );
    assert_eq!(
        problems(&text),
        "\
apps.yaml:7: document 1 (n/a): spec.scaling.maxReplicas: `0` is out of range; it has to be a whole number from 1 to 1000
apps.yaml:7: document 1 (n/a): spec.scaling.targget: unknown field; did you mean `target`?
apps.yaml:20: document 3 (n/c): spec.routes[0].hosts[0]: `c_:80` has a port; write the host only: `c_`
apps.yaml:23:4: document 4: is not YAML: unclosed bracket '['
apps.yaml:26: document 5 (n/d): kind: `Service` is unknown; it has to be `HTTPApp`
5 problems"
    );
}

#[test]
fn names_routes_and_ports_belong_to_one_app() {
    let text = format!(
        "{GOOD}  scaling: {{maxReplicas: 1}}\n---\n{GOOD}---\n{}  scaling: {{maxReplicas: 1}}\n",
        other("b").replace("b.example", "A.Example.").replace("{command: [x]}", "{command: [x], port: 80}")
    ) + "---\n"
        + &other("c").replace("{command: [x]}", "{command: [x], port: 80}")
        + "  scaling: {maxReplicas: 1}\n";
    assert_eq!(
        problems(&text),
        "\
apps.yaml:11: document 2 (n/a): metadata.name: app `n/a` is declared already by metadata.name of n/a at apps.yaml:3
apps.yaml:13: document 2 (n/a): spec.routes[0]: host `a.example` with path `/` is routed already by spec.routes[0] of n/a at apps.yaml:5
apps.yaml:20: document 3 (n/b): spec.routes[0]: host `a.example` with path `/` is routed already by spec.routes[0] of n/a at apps.yaml:5
apps.yaml:29: document 4 (n/c): spec.target.process.port: 80 is the port of another app already by spec.target.process.port of n/b at apps.yaml:21
4 problems"
    );
}

#[test]
fn routes_that_differ_in_anything_do_not_clash() {
    let routes = "  routes: [{hosts: [a]}, {hosts: ['*.a']}, {hosts: ['*']}, {hosts: [a], paths: [{prefix: /b}]}, \
                  {hosts: [a], headers: [{name: x, value: y}]}, {hosts: [a], headers: [{name: x, value: z}]}]";
    only_app(&with(routes));
    let same = "  routes: [{hosts: [a], headers: [{name: x, value: y}, {name: v, value: w}]}, \
                {headers: [{name: V, value: w}, {name: x, value: y}], hosts: [b, a]}]";
    assert_eq!(
        problems(&with(same)),
        "apps.yaml:5: document 1 (n/a): spec.routes[1]: host `a` with path `/` and the same headers is routed already by \
         spec.routes[0] of the same document, line 5\n1 problem"
    );
}

#[test]
fn lists_and_texts_have_an_end() {
    let hosts = |count: usize| {
        let hosts: Vec<_> = (0..count).map(|index| format!("h{index}")).collect();
        with(&format!("  routes: [{{hosts: [{}]}}]", hosts.join(", ")))
    };
    only_app(&hosts(128));
    assert!(problems(&hosts(129)).contains("spec.routes[0].hosts: has 129 items; it may have 128 at most"));
    let name = |length| with(&format!("metadata: {{name: {}}}", "a".repeat(length)));
    only_app(&name(253));
    assert!(problems(&name(254)).contains("metadata.name: has 254 characters; it may have 253 at most"));
    let label = with(&format!("  routes: [{{hosts: [{}.example]}}]", "a".repeat(64)));
    assert!(problems(&label).contains("has a part of more than 63 characters between its dots"));
}

#[test]
fn of_many_problems_the_rest_is_counted() {
    let mut text = with("  colours:");
    for index in 0..2_000 {
        text.push_str(&format!("  x{index}: 1\n"));
    }
    let problems = problems(&text);
    assert_eq!(problems.lines().count(), 1_002);
    assert!(problems.ends_with("… and 1001 more\n2001 problems"), "{}", &problems[problems.len() - 100..]);
}

#[test]
fn a_document_of_mistakes_only_is_read_in_time() {
    let labels: Vec<_> = (0..90_000).map(|index| format!("l{index}: 1")).collect();
    let unknown: Vec<_> = (0..90_000).map(|index| format!("u{index}: 1")).collect();
    for text in [
        with(&format!("metadata: {{name: a, labels: {{{}}}}}", labels.join(", "))),
        with(&format!("  scaling: {{{}}}", unknown.join(", "))),
    ] {
        let (done, wait) = mpsc::channel();
        thread::spawn(move || done.send(problems(&text).lines().count()));
        // It takes some seconds without optimization; the rest is for a slow machine.
        let lines = wait.recv_timeout(Duration::from_secs(180)).expect("takes too long");
        assert_eq!(lines, 1_002);
    }
}

#[test]
fn what_is_quoted_is_short_and_on_one_line() {
    let text = with(&format!("kind: \"\\e[31m\\n{}\"", "x".repeat(1_000)));
    assert_eq!(
        problems(&text),
        format!(
            "apps.yaml:2: document 1 (n/a): kind: `\\u{{1b}}[31m\\n{}…` is unknown; it has to be `HTTPApp`\n1 problem",
            "x".repeat(54)
        )
    );
}

#[test]
fn ten_thousand_apps_are_loaded_in_time() {
    let text: String = (0..10_000).map(|index| other(&format!("app-{index}")) + "---\n").collect();
    let (done, wait) = mpsc::channel();
    thread::spawn(move || done.send(load_text(&text).map(|declared| declared.apps.len())));
    // It takes seconds without optimization; the rest is for a slow machine.
    let loaded = wait.recv_timeout(Duration::from_secs(120)).expect("takes too long");
    assert_eq!(loaded, Ok(10_000));
}

#[test]
fn what_an_api_server_adds_is_passed_over() {
    let text = with(
        "metadata: {name: a, namespace: n, uid: u, resourceVersion: '7', generation: 2, creationTimestamp: t, managedFields: [{}]}",
    );
    only_app(&(text + "status: {conditions: []}\n"));
}

#[test]
fn a_target_of_a_cluster_is_right_where_either_is() {
    let text = with("  target: {scaleTargetRef: {name: a}, service: {name: a, port: web}}") + "---\n" + &other("b");
    let declared = load_from(Origin::Either, &text).unwrap_or_else(|problems| panic!("{problems}"));
    let kinds: Vec<_> = declared.apps.values().map(|app| matches!(app.activator.target, Target::Scale(_))).collect();
    assert_eq!(kinds, [true, false]);
    let missing = load_from(Origin::Either, &with("  target: {}")).expect_err("it was taken").to_string();
    assert!(missing.contains("`process`") && missing.contains("`scaleTargetRef`"), "{missing}");
}

#[test]
fn a_target_belongs_to_one_app() {
    let app = |name: &str, reference: &str| {
        let target = format!("  target: {{scaleTargetRef: {{{reference}}}, service: {{name: s}}}}");
        with(&target).replace("name: a,", &format!("name: {name},")).replace("a.example", &format!("{name}.example"))
    };
    let others = ["kind: StatefulSet, name: t", "name: u", "apiVersion: other.example/v1, name: t"];
    let documents: Vec<_> = ["a", "b", "c"].iter().zip(others).map(|(name, reference)| app(name, reference)).collect();
    let text = format!("{}---\n{}", documents.join("---\n"), app("d", "name: t"));
    let declared = load_from(Origin::Either, &text).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(declared.apps.len(), 4, "they differ in something");
    let text = format!("{}---\n{}", app("a", "name: t"), app("b", "apiVersion: apps/v1beta9, name: t"));
    let said = load_from(Origin::Either, &text).expect_err("it was taken").to_string();
    assert!(
        said.contains("(n/b): spec.target.scaleTargetRef: Deployment n/t is the target of another app already, by")
            && said.contains("by spec.target.scaleTargetRef of n/a at "),
        "{said}"
    );
}
