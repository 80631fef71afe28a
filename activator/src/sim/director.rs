//! Who comes when: mostly just when the app falls asleep.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use super::cluster::{Cluster, Write};
use super::gateway::Gateway;
use super::traffic::{self, Plan};
use super::weather::{Weather, happens};
use crate::settings::AppSettings;

/// How long the app may have nothing to do before it falls asleep.
pub(super) const IDLE: Duration = Duration::from_secs(2);
/// After the last request the next comes at the latest.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// Plays one world.
pub(super) struct Director {
    pub(super) cluster: Arc<Cluster>,
    /// At most one of each name.
    gateways: Vec<(Arc<str>, Option<Gateway>)>,
    settings: AppSettings,
    random: Rng,
}

// === impl Director ===

impl Director {
    pub(super) async fn new(cluster: Arc<Cluster>, settings: AppSettings, random: Rng) -> Self {
        let mut gateways = Vec::new();
        for number in 0..cluster.kind.gateways {
            let name: Arc<str> = format!("gateway-{number}").into();
            let gateway = Gateway::start(&cluster, settings.clone(), &name);
            gateways.push((name, Some(gateway)));
        }
        for (_, gateway) in &gateways {
            if let Some(gateway) = gateway {
                gateway.join().await;
            }
        }
        Self { cluster, gateways, settings, random }
    }

    /// Something happens, then somebody comes.
    pub(super) async fn round(&mut self) {
        self.trouble().await;
        self.aim().await;
        let many = match self.random.u32(..10) {
            0..6 => 1,
            6..9 => self.random.u32(2..6),
            _ => self.random.u32(6..14),
        };
        for _ in 0..many {
            self.send();
            if self.random.u32(..3) == 0 {
                tokio::time::sleep(Duration::from_millis(self.random.u64(..300))).await;
            }
        }
    }

    fn send(&mut self) {
        let random = &mut self.random;
        let takes = match random.u32(..40) {
            0 => random.u64(2_000..40_000),
            1..6 => random.u64(300..3_000),
            _ => random.u64(..300),
        };
        let patience = (random.u32(..12) == 0).then(|| Duration::from_millis(random.u64(..4_000)));
        let plan = Plan { takes: Duration::from_millis(takes), patience };
        let mut alive: Vec<_> = self.gateways.iter_mut().filter_map(|(_, gateway)| gateway.as_mut()).collect();
        let chosen = if alive.len() > 1 { random.usize(..alive.len()) } else { 0 };
        if let Some(gateway) = alive.get_mut(chosen) {
            while gateway.requests.try_join_next().is_some() {}
            gateway.requests.spawn(traffic::request(self.cluster.clone(), gateway.app.clone(), plan));
        }
    }

    /// Waits for the moment at which it may hurt.
    async fn aim(&mut self) {
        let mut lowering = self.cluster.lowering.subscribe();
        lowering.mark_unchanged();
        let random = &mut self.random;
        let millis = |random: &mut Rng, most: u64| Duration::from_millis(random.u64(..most));
        match random.u32(..10) {
            // While others are still at it, or shortly after.
            0 => tokio::time::sleep(millis(random, 3_000)).await,
            // When the decision is made, if the last request is over soon.
            1..4 => tokio::time::sleep(IDLE + millis(random, 1_500)).await,
            // Right when the order is sent, or within the time that it takes, or when pods are on their way out.
            aim => {
                // Nothing goes down for long while somebody stays; then nobody waits for it.
                let _ = tokio::time::timeout(LONGEST_PAUSE, lowering.changed()).await;
                let most = [5, 60, 400, 3_000, 12_000][random.usize(..5)];
                tokio::time::sleep(millis(random, if aim == 9 { 20_000 } else { most })).await;
            }
        }
    }

    async fn trouble(&mut self) {
        let Weather { outage, others, node_lost, killed, .. } = self.cluster.kind.weather;
        if happens(&mut self.random, outage) {
            let until = self.cluster.clock.now() + Weather::AWAY.any(&mut self.random);
            self.cluster.state().away_until = until;
        }
        if happens(&mut self.random, others) {
            let replicas = if self.random.bool() { 0 } else { self.random.u32(..5) };
            let write = Write { replicas, writer: "script", gateway: 0, unless_changed_since: None, told: u64::MAX };
            let later = Duration::from_millis(self.random.u64(..4_000));
            self.cluster.after(later, move |cluster| {
                cluster.tell(format_args!("somebody writes {replicas}"));
                let _ = cluster.write(write);
            });
        }
        if happens(&mut self.random, node_lost) {
            self.cluster.lose_node();
        }
        if self.gateways.len() > 1 && happens(&mut self.random, outage) {
            let until = self.cluster.clock.now() + Weather::AWAY.any(&mut self.random);
            self.cluster.tell("no gateway reaches another");
            self.cluster.state().cut_until = until;
        }
        if happens(&mut self.random, killed) {
            self.restart().await;
        }
    }

    /// Kills a gateway, or has it end, and starts another one.
    async fn restart(&mut self) {
        let among = self.gateways.len();
        let chosen = if among > 1 { self.random.usize(..among) } else { 0 };
        let name = self.gateways[chosen].0.clone();
        let gateway = self.gateways[chosen].1.take();
        self.cluster.state().promises.tally.restarts += 1;
        if among > 1 && self.random.bool() {
            self.cluster.tell(format_args!("{name} is told to end"));
            let Some(gateway) = gateway else { return };
            let leaving = tokio::spawn(gateway.leave());
            (0..self.random.u32(..4)).for_each(|_| self.send());
            // It has a minute for it, and never panics.
            let _ = leaving.await;
        } else {
            self.cluster.tell(format_args!("{name} is killed"));
            drop(gateway);
            if among > 1 {
                let noticed = Duration::from_millis(self.random.u64(..2_000));
                let name = name.clone();
                self.cluster.after(noticed, move |cluster| cluster.list_gateway(&name, false));
                (0..self.random.u32(..4)).for_each(|_| self.send());
            }
        }
        if self.random.bool() {
            tokio::time::sleep(Duration::from_millis(self.random.u64(..5_000))).await;
        }
        let gateway = Gateway::start(&self.cluster, self.settings.clone(), &name);
        gateway.join().await;
        self.gateways[chosen].1 = Some(gateway);
        if self.random.bool() {
            self.send();
        }
    }

    /// Nothing goes wrong any more and nobody comes: all who came get their answer, and the app falls asleep.
    pub(super) async fn end(self) {
        self.cluster.state().calm = true;
        let mut gateways: Vec<Gateway> = self.gateways.into_iter().filter_map(|(_, gateway)| gateway).collect();
        let all = async {
            for gateway in &mut gateways {
                while let Some(ended) = gateway.requests.join_next().await {
                    if let Err(why) = ended
                        && why.is_panic()
                    {
                        std::panic::resume_unwind(why.into_panic());
                    }
                }
            }
        };
        let cluster = self.cluster.clone();
        if tokio::time::timeout(Duration::from_secs(300), all).await.is_err() {
            cluster.break_promise("somebody waits for ever");
            return;
        }
        let asleep = || {
            let state = cluster.state();
            state.deployment.replicas == 0 && state.pods.values().all(|pod| pod.other)
        };
        // Somebody else may have had the last word, for ten minutes.
        for _ in 0..1_000 {
            if asleep() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        if !asleep() {
            let replicas = cluster.state().deployment.replicas;
            let says = |gateway: &Gateway| {
                let (wanted, decisions) = (gateway.app.wanted(), gateway.app.decisions());
                format!("wanted {wanted}, {:?}", decisions.last())
            };
            let said: Vec<_> = gateways.iter().map(says).collect();
            cluster.break_promise(format_args!("it does not fall asleep: {replicas} replicas, {said:?}"));
        }
        // What it is told last is on its way.
        tokio::time::sleep(Duration::from_secs(30)).await;
        for gateway in &gateways {
            let app = &gateway.app;
            let counts =
                (app.in_flight(), app.held(), app.starting(), gateway.budget.requests(), app.endpoints().len());
            if asleep() && counts != (0, 0, 0, 0, 0) {
                cluster.break_promise(format_args!("something is left: {counts:?}"));
            }
        }
    }
}
