//! Apps that cannot start: those who wait are told why, within 2 s of Kubernetes knowing.

use std::time::Duration;

use activator::Clock;
use futures_util::future::join_all;
use futures_util::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::app::{App, IMAGE};
use crate::client::Reply;
use crate::gateway::Gateway;
use crate::namespace::Namespace;
use crate::wait::{soon, until};

/// By when after Kubernetes those who wait know it too.
const TOLD: Duration = Duration::from_secs(2);

/// An app that cannot start.
struct Case {
    app: App,
    /// `cause` in the answer; with `|` between them where it depends on the moment.
    cause: &'static str,
    /// In its `detail`.
    words: &'static [&'static str],
}

/// An app of this name, changed.
fn case(name: &str, change: impl FnOnce(&mut App), cause: &'static str, words: &'static [&'static str]) -> Case {
    let mut app = App::echo(name, &[]);
    change(&mut app);
    Case { app, cause, words }
}

fn image(app: &mut App, image: &str, policy: &str) {
    app.container()["image"] = image.into();
    app.container()["imagePullPolicy"] = policy.into();
}

fn args(app: &mut App, args: &[&str]) {
    app.container()["args"] = json!(args);
}

/// Waits until Kubernetes says of a pod of the app that it cannot run.
async fn until_kubernetes_knows(namespace: &Namespace, app: &str) {
    let pods: Api<Pod> = namespace.api();
    let events =
        watcher(pods, watcher::Config::default().labels(&format!("app={app}"))).default_backoff().applied_objects();
    pin_mut!(events);
    soon("Kubernetes says that the pod cannot run", async {
        while let Some(pod) = events.next().await {
            if pod.is_ok_and(|pod| is_troubled(&pod)) {
                return;
            }
        }
    })
    .await;
}

fn is_troubled(pod: &Pod) -> bool {
    let Some(status) = &pod.status else { return false };
    let unschedulable = |conditions: &[_]| {
        conditions.iter().any(|it: &k8s_openapi::api::core::v1::PodCondition| {
            it.type_ == "PodScheduled" && it.reason.as_deref() == Some("Unschedulable")
        })
    };
    let waits = |status: &ContainerStatus| {
        let reason = status.state.as_ref().and_then(|state| state.waiting.as_ref()?.reason.as_deref());
        reason.is_some_and(|reason| !["ContainerCreating", "PodInitializing"].contains(&reason))
    };
    let failed = |status: &ContainerStatus| {
        let end = status.state.as_ref().and_then(|state| state.terminated.as_ref());
        end.is_some_and(|end| end.exit_code != 0)
    };
    let (own, init) = (status.container_statuses.iter().flatten(), status.init_container_statuses.iter().flatten());
    status.conditions.as_deref().is_some_and(unschedulable) || init.clone().any(failed) || own.chain(init).any(waits)
}

/// The answer tells what is wrong, and when to come again.
#[track_caller]
fn check(case: &Case, reply: &Reply) {
    let problem = reply.problem(503);
    let cause = problem["cause"].as_str().unwrap();
    assert!(case.cause.split('|').any(|one| one == cause), "{}: {problem}", case.app.name);
    let detail = problem["detail"].as_str().unwrap();
    for word in case.words {
        assert!(detail.contains(word), "{}: {detail}", case.app.name);
    }
    for secret in ["/var/", "kubelet/pods", "sandbox"] {
        assert!(!detail.contains(secret), "{}: {detail}", case.app.name);
    }
    assert!((1..=60).contains(&reply.retry_after()), "{reply:?}");
}

async fn known(gateway: &Gateway, namespace: &Namespace, app: &App) {
    gateway.app_until(namespace, &app.name, "the gateway knows it", |_| true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_is_told_what_kubernetes_says_of_the_pods() {
    let namespace = Namespace::new("failing").await;
    let gateway = Gateway::start(&["--namespaces", &namespace.name]).await;
    let cases = [
        case(
            "never-pulled",
            |app| image(app, "localhost/none:1", "Never"),
            "image_pull",
            &["`app`", "ErrImageNeverPull"],
        ),
        case("bad-image", |app| image(app, "Not:An:Image", "IfNotPresent"), "image_pull", &["InvalidImageName"]),
        case(
            "no-registry",
            |app| image(app, "registry.invalid/none:1", "IfNotPresent"),
            "image_pull",
            &["cannot be pulled"],
        ),
        case("no-node", |app| app.pod()["nodeSelector"] = json!({"disk": "none"}), "unschedulable", &["node"]),
        case(
            "no-room",
            |app| app.container()["resources"] = json!({"requests": {"cpu": "1000"}}),
            "unschedulable",
            &["Insufficient cpu"],
        ),
        case("crash", |app| args(app, &["echo", "--exit-code", "7"]), "crash_loop", &["`app`", "exit code 7"]),
        case("bad-args", |app| args(app, &["echo", "--no-such-flag"]), "crash_loop", &["exit code 2"]),
        case("no-command", |app| app.container()["command"] = json!(["/nope"]), "container|crash_loop", &["`app`"]),
        case(
            "bad-init",
            |app| {
                app.pod()["initContainers"] = json!([{
                    "name": "migrate", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
                    "args": ["echo", "--exit-code", "3"],
                }]);
            },
            "init_container",
            &["`migrate`", "exit code 3"],
        ),
        case(
            "no-map",
            |app| app.container()["envFrom"] = json!([{"configMapRef": {"name": "settings"}}]),
            "container",
            &["`app`", "configmap"],
        ),
        case(
            "no-key",
            |app| {
                let key = json!({"secretKeyRef": {"name": "none", "key": "k"}});
                app.container()["env"] = json!([{"name": "K", "valueFrom": key}]);
            },
            "container",
            &["`app`", "secret"],
        ),
    ];
    let healthy = App::echo("healthy", &[]);
    healthy.create(&namespace).await;
    known(&gateway, &namespace, &healthy).await;
    let clock = Clock::running();
    let told = join_all(cases.iter().map(async |case| {
        case.app.create(&namespace).await;
        known(&gateway, &namespace, &case.app).await;
        let host = case.app.host(&namespace);
        let reply = async { (gateway.get(&host, "/").await, clock.now()) };
        let knows = async {
            until_kubernetes_knows(&namespace, &case.app.name).await;
            clock.now()
        };
        let ((reply, told), knows) = tokio::join!(reply, knows);
        check(case, &reply);
        let late = told.since(knows);
        eprintln!("{}: told {late:?} after Kubernetes knew: {}", case.app.name, reply.json()["detail"]);
        // A crash is known before it is a loop, and what a container says as it ends is to be read first.
        assert!(late <= TOLD || case.cause.contains("crash_loop"), "{}: told {late:?} late", case.app.name);
        let begin = clock.now();
        check(case, &gateway.get(&host, "/").await);
        assert!(clock.now().since(begin) < TOLD, "{}: the next one is told at once", case.app.name);
        reply
    }));
    // All the while another app is served, from its wake on.
    let host = healthy.host(&namespace);
    let others = async {
        loop {
            assert_eq!(gateway.get(&host, "/").await.status, 200);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let replies = tokio::select! {
        replies = told => replies,
        () = others => unreachable!(),
    };
    let of = |name| &replies[cases.iter().position(|case| case.app.name == name).unwrap()];
    let output = of("bad-args").json()["output"].to_string();
    assert!(output.contains("--no-such-flag"), "what it printed is told: {output}");

    // A kubelet that was too busy to look says so first; which one is missing is told once it has looked.
    let names = |name: &'static str, missing: [&'static str; 2]| {
        let host = cases.iter().find(|case| case.app.name == name).unwrap().app.host(&namespace);
        let gateway = &gateway;
        async move {
            until("what is missing is named", async || {
                let reply = gateway.get(&host, "/").await;
                let detail = reply.problem(503)["detail"].to_string();
                missing.iter().all(|word| detail.contains(word)).then_some(())
            })
            .await;
            host
        }
    };
    names("no-key", ["none", "not found"]).await;
    let host = names("no-map", ["settings", "not found"]).await;

    // Mended, it is served, without anybody's help.
    namespace.apply(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}})).await;
    until("it is mended", async || (gateway.get(&host, "/").await.status == 200).then_some(())).await;
}

#[tokio::test]
async fn who_waits_is_told_of_a_quota() {
    let namespace = Namespace::new("quota").await;
    let quota = |pods: u32| {
        json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "pods"},
            "spec": {"hard": {"pods": pods.to_string()}},
        })
    };
    namespace.apply(&quota(0)).await;
    let gateway = Gateway::start(&["--namespaces", &namespace.name]).await;
    let case = case("hello", |_| (), "pods_refused", &["exceeded quota"]);
    case.app.create(&namespace).await;
    known(&gateway, &namespace, &case.app).await;
    let reply = gateway.get(&case.app.host(&namespace), "/").await;
    check(&case, &reply);

    namespace.apply(&quota(5)).await;
    let host = case.app.host(&namespace);
    until("there is room", async || (gateway.get(&host, "/").await.status == 200).then_some(())).await;
}

#[tokio::test]
async fn who_waits_is_told_of_pods_that_do_not_listen() {
    let namespace = Namespace::new("silent").await;
    let gateway = Gateway::start(&["--namespaces", &namespace.name]).await;
    let mut deaf = case("deaf", |_| (), "never_ready", &["within 3 s", "cannot connect"]);
    deaf.app = App::echo("deaf", &["--never-listen"]);
    let mut hole = case("hole", |_| (), "never_ready", &["within 5 s"]);
    hole.app = App::echo("hole", &["--start-delay", "3s"]);
    let target = |app: &mut App, timeout: &str| app.spec()["target"]["startTimeout"] = timeout.into();
    target(&mut deaf.app, "3s");
    target(&mut hole.app, "5s");
    for case in [&deaf, &hole] {
        case.app.create(&namespace).await;
        known(&gateway, &namespace, &case.app).await;
    }
    let (deaf_host, hole_host) = (deaf.app.host(&namespace), hole.app.host(&namespace));
    let black_hole = async {
        let ip =
            until("the pod has an IP", async || namespace.pods("hole").await.first()?.status.as_ref()?.pod_ip.clone())
                .await;
        BlackHole::at(&ip)
    };
    let (deaf_reply, hole_reply, black_hole) =
        tokio::join!(gateway.get(&deaf_host, "/"), gateway.get(&hole_host, "/"), black_hole);
    check(&deaf, &deaf_reply);
    check(&hole, &hole_reply);
    drop(black_hole);
    until("it is reached again", async || (gateway.get(&hole_host, "/").await.status == 200).then_some(())).await;
}

/// As long as this lives nothing that the node sends reaches an address.
struct BlackHole(String);

impl BlackHole {
    fn at(ip: &str) -> Self {
        let hole = Self(ip.to_owned());
        assert!(hole.order("-I"), "iptables");
        hole
    }

    fn order(&self, order: &str) -> bool {
        let rule = ["--wait", order, "OUTPUT", "--destination", &self.0, "--jump", "DROP"];
        std::process::Command::new("iptables").args(rule).status().is_ok_and(|status| status.success())
    }
}

impl Drop for BlackHole {
    fn drop(&mut self) {
        self.order("-D");
    }
}

#[tokio::test]
async fn who_waits_is_told_of_a_target_that_is_not_there() {
    let namespace = Namespace::new("absent").await;
    let gateway = Gateway::start(&["--namespaces", &namespace.name]).await;
    let gone = case("gone", |_| (), "target_missing", &["Deployment", "/gone", "does not exist"]);
    let other = case(
        "other",
        |app| {
            app.http_app["spec"]["target"]["scaleTargetRef"] =
                json!({"apiVersion": "example.org/v1", "kind": "Thing", "name": "other"});
        },
        "target_unusable",
        &["Thing", "does not know this kind"],
    );
    for case in [&gone, &other] {
        case.app.create(&namespace).await;
    }
    namespace.delete(&gone.app.deployment).await;
    let clock = Clock::running();
    for case in [&gone, &other] {
        known(&gateway, &namespace, &case.app).await;
        let begin = clock.now();
        check(case, &gateway.get(&case.app.host(&namespace), "/").await);
        assert!(clock.now().since(begin) < TOLD);
    }
    gone.app.create_target(&namespace).await;
    let host = gone.app.host(&namespace);
    until("it is there again", async || (gateway.get(&host, "/").await.status == 200).then_some(())).await;

    // Deleted while it wakes, and made anew under the same name.
    let mut late = App::echo("late", &["--start-delay", "2s"]);
    late.spec()["target"]["startTimeout"] = json!("50s");
    late.create(&namespace).await;
    known(&gateway, &namespace, &late).await;
    let host = late.host(&namespace);
    let deleted = async {
        until("a pod is on its way", async || namespace.pods("late").await.first().map(|pod| pod.name_any())).await;
        namespace.delete(&late.deployment).await;
    };
    let (reply, ()) = tokio::join!(gateway.get(&host, "/"), deleted);
    let problem: Value = reply.problem(503);
    assert_eq!(problem["cause"], "target_missing", "{problem}");
    late.create_target(&namespace).await;
    until("it is there again", async || (gateway.get(&host, "/").await.status == 200).then_some(())).await;
}
