//! The cluster: one Deployment, who writes it, and the controller that makes and deletes its pods.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use fastrand::Rng;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use super::fleet::{Lease, Listing, Seat};
use super::log::Log;
use super::objects;
use super::pods::{Pod, Stage, Taken};
use super::promises::Promises;
use super::weather::{Span, Weather};
use crate::clock::{Clock, Timestamp};

/// The gateway's field manager.
pub(super) const GATEWAY: &str = "zerogate";

/// The whole cluster.
pub(super) struct Cluster {
    pub(super) this: Weak<Self>,
    pub(super) clock: Clock,
    pub(super) kind: Kind,
    /// Counts the gateway's orders for fewer replicas, for those who want to come just then.
    pub(super) lowering: watch::Sender<u64>,
    state: Mutex<State>,
}

/// What is the same all along.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kind {
    pub(super) weather: Weather,
    /// Pods have a readiness probe.
    pub(super) probed: bool,
    /// Pods that are told to go let no connection in any more from that moment on; otherwise until they end.
    pub(super) closes_at_once: bool,
    /// How long a pod needs until it listens, once it runs.
    pub(super) start: Span,
    pub(super) concurrency_limit: Option<u32>,
    /// Pods that the Service chooses too, and that are of somebody else.
    pub(super) others: u32,
    /// How many gateways there are.
    pub(super) gateways: u32,
    /// Everything is printed.
    pub(super) told: bool,
}

/// How everything is now.
pub(super) struct State {
    pub(super) random: Rng,
    pub(super) version: u64,
    pub(super) deployment: Deployment,
    pub(super) deployments: Log,
    pub(super) pods: BTreeMap<u32, Pod>,
    pub(super) last_pod: u32,
    /// Because of whom those went that are gone.
    pub(super) gone: BTreeMap<u32, Taken>,
    pub(super) pod_log: Log,
    pub(super) away_until: Timestamp,
    /// Nothing goes wrong any more.
    pub(super) calm: bool,
    /// Which gateways there are, and the newest version of the Deployment that each has been told: what an earlier one still
    /// sends never arrives.
    pub(super) gateways: BTreeMap<u32, u64>,
    pub(super) last_gateway: u32,
    /// Those of a fleet, as they reach each other.
    pub(super) seats: BTreeMap<u32, Seat>,
    pub(super) listing: Listing,
    pub(super) lease: Lease,
    /// Until when no gateway reaches another.
    pub(super) cut_until: Timestamp,
    /// When a wish of the gateway about which pod goes first has last not been heard in time.
    pub(super) unheard: Option<Timestamp>,
    pub(super) promises: Promises,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) struct Deployment {
    pub(super) replicas: u32,
    pub(super) writer: &'static str,
    /// As of when.
    pub(super) written: u64,
    /// Its version.
    pub(super) version: u64,
    /// Which gateway has written it, or else the latest.
    pub(super) gateway: u32,
    /// Somebody else has made it less since the controller looked last.
    pub(super) lowered_by_other: bool,
    /// It has been at zero, since when nobody is named who writes it.
    pub(super) nameless: bool,
    pub(super) status: u32,
}

/// A write that asks for so many replicas.
#[derive(Debug, Clone, Copy)]
pub(super) struct Write {
    pub(super) replicas: u32,
    pub(super) writer: &'static str,
    /// Which gateway, if it is one.
    pub(super) gateway: u32,
    /// Not if it has changed since then.
    pub(super) unless_changed_since: Option<u64>,
    /// What its writer had been told when it sent this.
    pub(super) told: u64,
}

// === impl Cluster ===

impl Cluster {
    pub(super) fn new(kind: Kind, clock: Clock, random: Rng, replicas: u32) -> Arc<Self> {
        let deployment = Deployment {
            replicas,
            writer: "kubectl",
            written: 10,
            version: 10,
            gateway: 0,
            lowered_by_other: false,
            nameless: false,
            status: 0,
        };
        let mut deployments = Log::new();
        deployments.put(0, 10, objects::deployment(&deployment, 10));
        let state = State {
            random,
            version: 10,
            deployment,
            deployments,
            pods: BTreeMap::new(),
            last_pod: 0,
            gone: BTreeMap::new(),
            pod_log: Log::new(),
            away_until: Timestamp::ZERO,
            calm: false,
            gateways: BTreeMap::new(),
            last_gateway: 0,
            seats: BTreeMap::new(),
            listing: Listing::default(),
            lease: Lease::default(),
            cut_until: Timestamp::ZERO,
            unheard: None,
            promises: Promises::default(),
        };
        let cluster = Arc::new_cyclic(|this| Self {
            this: this.clone(),
            clock,
            kind,
            lowering: watch::Sender::new(0),
            state: Mutex::new(state),
        });
        let others = cluster.kind.others;
        if others > 0 {
            let mut state = cluster.state();
            (0..others).for_each(|_| cluster.create_pod(&mut state, true));
        }
        cluster.control();
        cluster
    }

    /// How everything is now. Not to be kept while waiting.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// What is drawn now.
    pub(super) fn draw<T>(&self, draw: impl FnOnce(&mut Rng, &Weather) -> T) -> T {
        let mut state = self.state();
        let fair;
        let weather = if state.calm {
            fair = Weather::fair();
            &fair
        } else {
            &self.kind.weather
        };
        draw(&mut state.random, weather)
    }

    pub(super) fn break_promise(&self, what: impl std::fmt::Display) {
        self.state().promises.break_one(self.clock.now(), what);
    }

    /// Says what happens, if somebody wants to know.
    pub(super) fn tell(&self, what: impl std::fmt::Display) {
        if self.kind.told {
            println!("{:>9} ms: {what}", self.clock.now().as_nanos() / 1_000_000);
        }
    }

    /// Does `then` after a while.
    pub(super) fn after(&self, pause: Duration, then: impl FnOnce(&Self) + Send + 'static) {
        let this = self.this.clone();
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            if let Some(this) = this.upgrade() {
                then(&this);
            }
        });
    }

    /// Takes a write. Returns the version that it led to, or nothing if the Deployment has changed.
    pub(super) fn write(&self, write: Write) -> Option<u64> {
        let now = self.clock.now();
        let mut state = self.state();
        let state = &mut *state;
        let ours = write.writer == GATEWAY;
        if write.unless_changed_since.is_some_and(|version| version != state.deployment.version) {
            state.promises.tally.conflicts += 1;
            return None;
        }
        let before = state.deployment.replicas;
        if ours {
            state.promises.note(now, 100 + u64::from(write.replicas));
            state.promises.wrote(now);
            if write.told == 0 {
                state.promises.break_one(now, format_args!("{} was written when nothing was known", write.replicas));
            }
            let unseen = state.deployment.written > write.told;
            let by_another = state.deployment.writer != GATEWAY || state.deployment.gateway != write.gateway;
            if write.replicas < before && unseen && by_another {
                if write.unless_changed_since.is_none() && write.replicas > 0 {
                    state.promises.tally.wake_over_other += 1;
                } else {
                    let what = format!("{before} replicas became {}, and nobody knew of the {before}", write.replicas);
                    state.promises.break_one(now, what);
                }
            }
        }
        if write.replicas == before {
            return Some(state.deployment.version);
        }
        state.version += 1;
        let version = state.version;
        let deployment = &mut state.deployment;
        deployment.lowered_by_other |= !ours && write.replicas < before;
        deployment.nameless |= write.replicas == 0 && self.kind.gateways > 1;
        (deployment.replicas, deployment.writer) = (write.replicas, write.writer);
        (deployment.written, deployment.version) = (version, version);
        deployment.gateway =
            if state.gateways.contains_key(&write.gateway) { write.gateway } else { state.last_gateway };
        state.deployments.put(0, version, objects::deployment(deployment, version));
        self.control();
        Some(version)
    }

    /// Has the controller look at what there is, a while later.
    pub(super) fn control(&self) {
        let Some(this) = self.this.upgrade() else { return };
        // Spawned, since whoever calls this may hold the state.
        tokio::spawn(async move {
            let pause = this.draw(|random, weather| weather.controller.any(random));
            tokio::time::sleep(pause).await;
            this.reconcile();
        });
    }

    fn reconcile(&self) {
        let now = self.clock.now();
        let mut state = self.state();
        let state = &mut *state;
        let wanted = state.deployment.replicas as usize;
        let mut staying: Vec<u32> = state.pods.iter().filter(|(_, pod)| pod.stays()).map(|(id, _)| *id).collect();
        for _ in staying.len()..wanted {
            self.create_pod(state, false);
        }
        if staying.len() > wanted {
            let taken = match state.deployment.writer {
                // What an earlier gateway has ordered, this one may learn too late.
                GATEWAY
                    if !state.deployment.lowered_by_other && state.gateways.contains_key(&state.deployment.gateway) =>
                {
                    Taken::ByGateway { left: state.deployment.replicas }
                }
                _ => Taken::ByOther,
            };
            // As a ReplicaSet does it: what is least of use first, then what costs least, then the youngest.
            staying.sort_by_key(|id| {
                let pod = &state.pods[id];
                (pod.stage, pod.ready, pod.cost.unwrap_or_default(), std::cmp::Reverse(*id))
            });
            let excess = staying.len() - wanted;
            for id in &staying[..excess] {
                self.delete_pod(state, *id, taken, now);
            }
        }
        state.deployment.lowered_by_other = false;
        self.update_status(state);
    }

    /// The controller tells how many there are, which is another version.
    pub(super) fn update_status(&self, state: &mut State) {
        let ready = state.pods.values().filter(|pod| pod.ready && pod.stays()).count() as u32;
        if state.deployment.status != ready {
            state.version += 1;
            state.deployment.status = ready;
            state.deployment.version = state.version;
            state.deployments.put(0, state.version, objects::deployment(&state.deployment, state.version));
        }
    }

    /// Loses a node with all pods that are on it now.
    pub(super) fn lose_node(&self) {
        let mut state = self.state();
        let state = &mut *state;
        let on_it: Vec<u32> = state
            .pods
            .iter()
            .filter(|(_, pod)| pod.stage >= Stage::Scheduled && !pod.other)
            .map(|(id, _)| *id)
            .collect();
        for id in on_it {
            if let Some(pod) = state.pods.get_mut(&id) {
                pod.taken.get_or_insert(Taken::ByOther);
                pod.lost = true;
            }
            self.end_pod(state, id);
        }
        self.control();
    }
}
