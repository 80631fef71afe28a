//! Requests aimed at the moment at which KEDA puts an app to sleep.

use std::time::Duration;

use activator::{Clock, Timestamp};
use futures_util::future::join_all;
use serde_json::json;

use super::course::Course;
use super::cycle::asleep;
use super::scaled_object::ScaledObject;
use crate::app::App;
use crate::gateway::Gateway;
use crate::namespace::Namespace;
use crate::proxy::{Proxy, Way};
use crate::wait::until;

/// Apps that race side by side.
const APPS: usize = 20;
/// Requests of one race, and how far apart they are.
const REQUESTS: u32 = 12;
const APART: Duration = Duration::from_millis(60);
/// How long what KEDA asks, and what it is answered, is on its way: so long it goes by what is not so any more.
const LATE: Duration = Duration::from_millis(100);
/// How long an app counts as active after its last request where KEDA asks each second.
const HOLD_ON: Duration = Duration::from_secs(21);

/// What KEDA did in a race.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Race {
    /// It had put the app to sleep before the first request came.
    Before,
    /// It put it to sleep while the requests came.
    Amid,
    /// It had heard of a request in time.
    Not,
}

/// One app of those that race.
struct Racer {
    app: App,
    host: String,
    course: Course,
    /// What KEDA asks goes through this, so that it is known when it does.
    proxy: Proxy,
}

// === impl Racer ===

impl Racer {
    async fn new(n: usize, namespace: &Namespace, gateway: &Gateway, clock: &Clock) -> Self {
        let scaling = json!({"by": "keda", "idleTimeout": "1s", "maxReplicas": 1});
        let app = asleep(namespace, gateway, App::echo(&format!("app{n}"), &[]).scaling(scaling)).await;
        let proxy = Proxy::start(gateway.scaler(), Way::Slow(LATE)).await;
        // What is inactive is put to sleep at once.
        ScaledObject::of(&app.name, proxy.address).with("cooldownPeriod", 0).create(namespace).await;
        let course = Course::of(namespace, &app.name, clock).await;
        Self { host: app.host(namespace), app, course, proxy }
    }

    /// Sends requests from about the moment on at which KEDA first hears that the app is inactive; `last` is when the last
    /// request before was answered. What became of it, and when the last one was answered.
    async fn race(
        &self,
        gateway: &Gateway,
        clock: &Clock,
        last: Timestamp,
        bad: &mut Vec<String>,
    ) -> (Race, Timestamp) {
        tokio::time::sleep(HOLD_ON.saturating_sub(clock.now().since(last))).await;
        let answers = self.proxy.answers();
        until("KEDA asks", async || (self.proxy.answers() > answers).then_some(())).await;
        tokio::time::sleep(LATE.mul_f64(4.0 * fastrand::f64())).await;
        let began = clock.now();
        let mut requests = Vec::new();
        for _ in 0..REQUESTS {
            requests.push(gateway.spawn_get(&self.host, "/sleep?ms=20"));
            tokio::time::sleep(APART).await;
        }
        for request in requests {
            let reply = request.await.unwrap();
            if reply.status != 200 {
                bad.push(format!("{}: {} {:?}", self.app.name, reply.status, reply.body));
            }
        }
        let race = match self.course.last_zero() {
            Some(zero) if zero > began => Race::Amid,
            Some(zero) if zero > last => Race::Before,
            _ => Race::Not,
        };
        (race, clock.now())
    }
}

/// 40 races, or as many as ZG_KEDA_RACES says; a round of 20 takes about 25 s.
#[tokio::test]
async fn a_request_at_the_moment_at_which_keda_writes_zero_is_answered() {
    let races = std::env::var("ZG_KEDA_RACES").ok().and_then(|races| races.parse().ok()).unwrap_or(40_usize);
    let clock = Clock::running();
    let namespace = Namespace::new("keda-races").await;
    let gateway = Gateway::of(&namespace).await;
    let racers = join_all((0..APPS).map(|n| Racer::new(n, &namespace, &gateway, &clock))).await;
    let gateway = &gateway;
    let racing = racers.iter().map(async |racer| {
        let (mut seen, mut bad) = (Vec::new(), Vec::new());
        let reply = gateway.get(&racer.host, "/").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let mut last = clock.now();
        for _ in 0..races.div_ceil(APPS) {
            let (race, end) = racer.race(gateway, &clock, last, &mut bad).await;
            seen.push(race);
            last = end;
        }
        (seen, bad)
    });
    let (seen, bad): (Vec<_>, Vec<_>) = join_all(racing).await.into_iter().unzip();
    let (seen, bad) = (seen.concat(), bad.concat());
    let count = |race| seen.iter().filter(|seen| **seen == race).count();
    let (before, amid, not) = (count(Race::Before), count(Race::Amid), count(Race::Not));
    let metrics = String::from_utf8(gateway.admin_get("/metrics").await.body.to_vec()).unwrap();
    let again = metrics.lines().filter(|line| line.starts_with("zerogate_lost_retries_total{")).collect::<Vec<_>>();
    println!("{} races: {before} asleep before the first request, {amid} amid them, {not} not", seen.len());
    println!("sent again: {again:?}");
    assert!(bad.is_empty(), "{bad:#?}");
    assert!(amid > 0 && (before + amid) * 10 >= seen.len(), "aimed well enough");
    // What KEDA wrote last has not stayed.
    for racer in &racers {
        let wakes = racer.course.numbers().iter().filter(|n| **n > 0).count();
        assert!(wakes > 0, "{:?}", racer.course.numbers());
    }
}
