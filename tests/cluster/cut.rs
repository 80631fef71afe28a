//! The network between gateways is cut, and whole again.

use std::net::IpAddr;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::app::App;
use crate::asked::{Says, asked};
use crate::fleet::{agreed, fleet};
use crate::gateway::Gateway;
use crate::installed::install;
use crate::load::Load;
use crate::namespace::Namespace;
use crate::wait::until;

/// The address that the cluster's node has in its network namespace, and nothing else anywhere.
const NODE: &str = "10.77.0.1";

/// Nothing gets from one of two pods to the other until it is dropped.
struct Cut([IpAddr; 2]);

fn run(program: &str, args: &[&str]) -> (bool, String) {
    let output = Command::new(program).args(args).output().unwrap_or_else(|why| panic!("{program}: {why}"));
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

// === impl Cut ===

impl Cut {
    fn between(a: &Gateway, b: &Gateway) -> Self {
        let (_, addresses) = run("ip", &["-oneline", "address", "show", "node0"]);
        assert!(addresses.contains(&format!("{NODE}/")), "rules are for the cluster's own network only: {addresses}");
        let cut = Self([a.http.ip(), b.http.ip()]);
        cut.rules("--insert");
        cut
    }

    fn rules(&self, order: &str) {
        let [a, b] = self.0.map(|ip| ip.to_string());
        for (from, to) in [(&a, &b), (&b, &a)] {
            let (done, said) = run(
                "iptables",
                &["--wait", "30", order, "FORWARD", "--source", from, "--destination", to, "--jump", "DROP"],
            );
            assert!(done || order == "--delete", "{said}");
        }
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.rules("--delete");
    }
}

/// What `/v1/fleet` says of the one with this name.
fn of<'a>(view: &'a Value, name: &str) -> &'a Value {
    let others = view["others"].as_array().expect("a list");
    others.iter().find(|other| other["name"] == name).unwrap_or_else(|| panic!("no {name} in {view:#}"))
}

#[tokio::test]
async fn a_cut_network_lowers_nothing_is_told_to_keda_and_costs_no_answer() {
    let namespace = Namespace::new("cut").await;
    let quick = json!({"idleTimeout": "1s"});
    let [busy, idle, third] = ["busy", "idle", "third"].map(|name| App::echo(name, &[]).scaling(quick.clone()));
    for app in [&busy, &idle, &third] {
        app.create(&namespace).await;
    }
    install(&namespace, 3).await;
    let all = agreed(&namespace, 3).await;
    let [(leads, leader), (second, follower), (name, lone)] = &all[..] else { unreachable!("three") };
    let loads: Vec<_> =
        all.iter().map(|(_, it)| Load::start(2, it.http, &busy.host(&namespace), "/sleep?ms=50")).collect();
    namespace.ready("busy", 1).await;

    let cuts = [Cut::between(leader, lone), Cut::between(follower, lone)];
    // It would sleep after a second.
    assert_eq!(leader.get(&idle.host(&namespace), "/").await.status, 200);
    let lost = async |gateway: &Gateway, names: &[&String]| {
        until("it is known who is lost", async || {
            let view = fleet(gateway).await?;
            let lost = names.iter().all(|name| of(&view, name)["state"] == "lost");
            (view["knowsAll"] == false && view["lost"] == names.len() && lost).then_some(())
        })
        .await;
    };
    lost(leader, &[name]).await;
    lost(follower, &[name]).await;
    lost(lone, &[leads, second]).await;
    for (_, gateway) in &all {
        assert_eq!(asked(gateway, &namespace, "busy").await, Says::Unavailable);
    }
    // Each goes on to wake.
    assert_eq!(lone.get(&third.host(&namespace), "/").await.status, 200);
    let before = (namespace.asked("idle").await, namespace.asked("third").await);
    assert_eq!(before, ((1, 2), (1, 2)), "one order each");
    for _ in 0..40 {
        sleep(Duration::from_millis(200)).await;
        assert_eq!((namespace.asked("idle").await, namespace.asked("third").await), before, "nothing is lowered");
    }
    for (_, gateway) in &all {
        assert_eq!(asked(gateway, &namespace, "idle").await, Says::Unavailable);
    }

    drop(cuts);
    let healed = agreed(&namespace, 3).await;
    assert_eq!(&healed[0].0, leads, "the same one has led all the time");
    for (_, gateway) in &all {
        assert!(matches!(asked(gateway, &namespace, "busy").await, Says::Known(true, _)));
    }
    namespace.asks_for("idle", 0).await;
    namespace.asks_for("third", 0).await;
    for load in loads {
        load.finish().await.assert_all_served();
    }
    assert_eq!(namespace.asked("busy").await, (1, 2), "one wake");
}
