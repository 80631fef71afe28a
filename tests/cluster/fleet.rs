//! Several gateways as one.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::app::App;
use crate::client::{Client, get};
use crate::cluster::kubectl;
use crate::gateway::Gateway;
use crate::installed::{each, install, kill, roll};
use crate::load::Load;
use crate::namespace::Namespace;
use crate::wait::until;

/// What a gateway says of all of them; none while it does not answer.
pub async fn fleet(gateway: &Gateway) -> Option<Value> {
    let mut client = Client::try_http1(gateway.admin).await.ok()?;
    let answer = client.try_send(get(&gateway.admin.to_string(), "/v1/fleet")).await;
    Some(answer.ok()?.json())
}

/// So many that know each other; the one that leads comes first.
pub async fn agreed(namespace: &Namespace, many: usize) -> Vec<(String, Gateway)> {
    until("the gateways know each other, and one of them leads", async || {
        let mut all = each(namespace).await;
        if all.len() != many {
            return None;
        }
        let mut views = Vec::new();
        for (_, gateway) in &all {
            views.push(fleet(gateway).await?);
        }
        let well = |it: &Value| it["knowsAll"] == true && it["heard"] == many - 1 && it["lost"] == 0;
        let agreed = |it: &Value| it["leader"].is_string() && it["leader"] == views[0]["leader"];
        let leading: Vec<_> = (0..many).filter(|at| views[*at]["leads"] == true).collect();
        let &[leader] = &leading[..] else { return None };
        all.swap(0, leader);
        views.iter().all(|it| well(it) && agreed(it)).then_some(all)
    })
    .await
}

/// The one that leads, and the one that follows, of two that know each other.
async fn two(namespace: &Namespace) -> ((String, Gateway), (String, Gateway)) {
    let mut both = agreed(namespace, 2).await.into_iter();
    (both.next().unwrap(), both.next().unwrap())
}

#[tokio::test]
async fn two_gateways_know_each_other_and_one_of_them_leads() {
    let namespace = Namespace::new("fleet").await;
    let app = App::echo("hello", &[]);
    app.create(&namespace).await;
    install(&namespace, 2).await;
    let ((leads, leader), (_, follower)) = two(&namespace).await;
    let lease = namespace.api::<Lease>().get("zerogate-fleet").await.unwrap().spec.unwrap();
    assert!(lease.holder_identity.unwrap().starts_with(&format!("{leads}_")));

    // What is in flight at one is known at the other.
    let host = app.host(&namespace);
    let request = follower.spawn_get(&host, "/sleep?ms=3000");
    leader.app_until(&namespace, "hello", "the other's request is known", |app| app["inFlightEverywhere"] == 1).await;
    assert_eq!(leader.app(&namespace, "hello").await.unwrap()["inFlight"], 0);
    assert_eq!(request.await.unwrap().status, 200);
    leader.app_until(&namespace, "hello", "and its end", |app| app["inFlightEverywhere"] == 0).await;
}

#[tokio::test]
async fn whichever_gets_the_first_request_wakes_and_both_let_it_sleep() {
    let namespace = Namespace::new("fleet").await;
    let app = App::echo("hello", &[]).scaling(json!({"idleTimeout": "1s"}));
    app.create(&namespace).await;
    install(&namespace, 2).await;
    let ((leads, leader), (_, follower)) = two(&namespace).await;
    let host = app.host(&namespace);
    for gateway in [&follower, &leader, &follower] {
        let (_, before) = namespace.asked("hello").await;
        gateway.app_until(&namespace, "hello", "it sleeps", |app| app["state"] == "asleep").await;
        let both = [gateway.spawn_get(&host, "/"), gateway.spawn_get(&host, "/")];
        for reply in both {
            assert_eq!(reply.await.unwrap().status, 200);
        }
        namespace.asks_for("hello", 0).await;
        assert_eq!(namespace.asked("hello").await.1, before + 2, "one order to wake, and one to sleep");
    }
    // Each has told of its own wakes, and the one that leads of the rest.
    let said = async |arguments: &[&str]| {
        let all = [&["--namespace", &namespace.name, "get", "--output=json"], arguments].concat();
        serde_json::from_str::<Value>(&kubectl(&all, "").await).unwrap()
    };
    let instances = async |reason: &str| {
        let events = said(&["events.events.k8s.io"]).await;
        let of = events["items"].as_array().unwrap().iter().filter(|event| event["reason"] == reason);
        of.map(|event| event["reportingInstance"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    until("both have told of wakes", async || (instances("Woken").await.len() == 2).then_some(())).await;
    until("it was told that it sleeps", async || (instances("Slept").await.len() == 1).then_some(())).await;
    assert!(instances("Slept").await.contains(&leads) && instances("OtherWriter").await.is_empty());
    let status = said(&["httpapp/hello"]).await["status"].take();
    assert!(status["lastWake"].is_string() && status["state"] == "asleep", "{status:#}");
}

#[tokio::test]
async fn when_the_one_that_leads_is_killed_the_other_does_within_five_seconds() {
    let namespace = Namespace::new("fleet").await;
    install(&namespace, 2).await;
    let ((leads, _), (_, follower)) = two(&namespace).await;
    kill(&leads);
    let taken = timeout(Duration::from_secs(5), async {
        while fleet(&follower).await.is_none_or(|it| it["leads"] != true) {
            sleep(Duration::from_millis(20)).await;
        }
    });
    taken.await.expect("within five seconds");
    // It comes back as another, and follows.
    let ((now, _), (back, _)) = two(&namespace).await;
    assert!(now != leads && back == leads);
}

#[tokio::test]
async fn two_gateways_rolled_under_load_cost_no_answer() {
    let namespace = Namespace::new("fleet").await;
    let app = App::echo("hello", &[]);
    app.create(&namespace).await;
    let address = install(&namespace, 2).await;
    two(&namespace).await;
    let load = Load::start(8, address, &app.host(&namespace), "/sleep?ms=50");
    namespace.ready("hello", 1).await;
    roll(&namespace, 2).await;
    load.finish().await.assert_all_served();
    assert_eq!(namespace.asked("hello").await, (1, 2), "one wake, whoever it was that served");
    two(&namespace).await;
}

/// What became of requests that were sent at a steady rate.
#[derive(Debug, Default)]
struct Answered {
    well: AtomicUsize,
    badly: AtomicUsize,
}

/// Sends so many requests a second for so long, on connections that are kept. One that is refused or was ended is opened again,
/// as every client does; a request whose connection breaks is lost.
fn steady(rate: u32, lasting: Duration, to: SocketAddr, host: &str, answered: &Arc<Answered>) -> JoinSet<()> {
    // Each loses what it has under way and no more: however slow the machine is, that is one in a thousand at most.
    const CLIENTS: u32 = 10;
    let each = u128::from(rate / CLIENTS) * lasting.as_millis() / 1000;
    let every = Duration::from_secs(1) * CLIENTS / rate;
    // One after the other, not all at once.
    let begins = |n| every * n / CLIENTS;
    (0..CLIENTS).map(|n| one(begins(n), each, every, to, host.to_owned(), answered.clone())).collect()
}

async fn one(begin: Duration, many: u128, every: Duration, to: SocketAddr, host: String, answered: Arc<Answered>) {
    sleep(begin).await;
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut kept: Option<Client> = None;
    for _ in 0..many {
        ticks.tick().await;
        let reply = loop {
            let mut client = match kept.take() {
                Some(client) => client,
                None => match Client::try_http1(to).await {
                    Ok(client) => client,
                    Err(_) => {
                        sleep(Duration::from_millis(10)).await;
                        continue;
                    }
                },
            };
            match client.try_send(get(&host, "/")).await {
                // Ended while it was idle: nothing was sent.
                Err(unsent) if unsent.is_closed() || unsent.is_canceled() => {}
                Ok(reply) => {
                    kept = Some(client).filter(|_| reply.header("connection") != "close");
                    break Ok(reply.status.as_u16());
                }
                Err(why) => break Err(why),
            }
        };
        match reply {
            Ok(200) => answered.well.fetch_add(1, Ordering::Relaxed),
            _ => answered.badly.fetch_add(1, Ordering::Relaxed),
        };
    }
}

#[tokio::test]
async fn one_of_two_killed_under_load_costs_what_was_on_its_connections() {
    let namespace = Namespace::new("fleet").await;
    let app = App::echo("hello", &[]);
    app.create(&namespace).await;
    let address = install(&namespace, 2).await;
    let ((leads, leader), _) = two(&namespace).await;
    let host = app.host(&namespace);
    assert_eq!(leader.get(&host, "/").await.status, 200);
    let answered = Arc::<Answered>::default();
    let load = steady(500, Duration::from_secs(20), address, &host, &answered);
    sleep(Duration::from_secs(5)).await;
    kill(&leads);
    load.join_all().await;
    let (well, badly) = (answered.well.load(Ordering::Relaxed), answered.badly.load(Ordering::Relaxed));
    println!("{well} of {} answered", well + badly);
    assert!(badly * 1000 <= well + badly, "{well} answered, {badly} not");
    assert_eq!(namespace.asked("hello").await, (1, 2), "one wake, and nothing else");
}
