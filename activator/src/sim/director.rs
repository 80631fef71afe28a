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
    pub(super) gateway: Option<Gateway>,
    settings: AppSettings,
    random: Rng,
}

// === impl Director ===

impl Director {
    pub(super) fn new(cluster: Arc<Cluster>, settings: AppSettings, random: Rng) -> Self {
        let gateway = Some(Gateway::start(&cluster, settings.clone()));
        Self { cluster, gateway, settings, random }
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
        if let Some(gateway) = &mut self.gateway {
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
            let write = Write { replicas, writer: "script", unless_changed_since: None, told: u64::MAX };
            let later = Duration::from_millis(self.random.u64(..4_000));
            self.cluster.after(later, move |cluster| {
                cluster.tell(format_args!("somebody writes {replicas}"));
                let _ = cluster.write(write);
            });
        }
        if happens(&mut self.random, node_lost) {
            self.cluster.lose_node();
        }
        if happens(&mut self.random, killed) {
            self.restart().await;
        }
    }

    /// Kills the gateway and starts another one.
    async fn restart(&mut self) {
        self.cluster.tell("the gateway is killed");
        self.gateway = None;
        self.cluster.state().gateway += 1;
        self.cluster.state().promises.tally.restarts += 1;
        if self.random.bool() {
            tokio::time::sleep(Duration::from_millis(self.random.u64(..5_000))).await;
        }
        self.gateway = Some(Gateway::start(&self.cluster, self.settings.clone()));
        if self.random.bool() {
            self.send();
        }
    }

    /// Nothing goes wrong any more and nobody comes: all who came get their answer, and the app falls asleep.
    pub(super) async fn end(mut self) {
        self.cluster.state().calm = true;
        let Some(mut gateway) = self.gateway.take() else { return };
        let all = async {
            while let Some(ended) = gateway.requests.join_next().await {
                if let Err(why) = ended
                    && why.is_panic()
                {
                    std::panic::resume_unwind(why.into_panic());
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
        let app = &gateway.app;
        if !asleep() {
            let replicas = cluster.state().deployment.replicas;
            let decisions = app.decisions();
            cluster.break_promise(format_args!(
                "it does not fall asleep: {replicas} replicas, wanted {}, {:?}",
                app.wanted(),
                decisions.last()
            ));
        }
        // What it is told last is on its way.
        tokio::time::sleep(Duration::from_secs(30)).await;
        let counts = (app.in_flight(), app.held(), app.starting(), gateway.budget.requests(), app.endpoints().len());
        if asleep() && counts != (0, 0, 0, 0, 0) {
            cluster.break_promise(format_args!("something is left: {counts:?}"));
        }
    }
}
