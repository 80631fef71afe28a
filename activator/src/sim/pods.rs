//! Pods: made, scheduled, started, asked whether they listen, sent requests, and taken away.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use super::cluster::{Cluster, State};
use super::objects;
use super::weather::Span;
use crate::clock::Timestamp;
use crate::platform::kubernetes::{Check, Prober};

/// How long a pod may finish what it has.
pub(super) const GRACE: Duration = Duration::from_secs(10);
/// Until a node is chosen, and from there until the containers run.
const SCHEDULE: Span = Span(1, 100);
const CREATE: Span = Span(20, 1_000);
/// Until the kubelet tells of what it has done or found out.
const TELL: Span = Span(1, 1_000);
/// Until a pod that is to go is told so, and until an app that has nothing to do any more ends.
const TERM: Span = Span(0, 100);
const EXIT: Span = Span(0, 500);

/// One pod.
pub(super) struct Pod {
    pub(super) stage: Stage,
    pub(super) listening: bool,
    pub(super) ready: bool,
    pub(super) cost: Option<i32>,
    /// It is none of the Deployment's.
    pub(super) other: bool,
    /// It is to go, and because of whom.
    pub(super) taken: Option<Taken>,
    /// Its node is gone.
    pub(super) lost: bool,
    /// It lets connections in, if it listens.
    open: bool,
    /// How many requests it has.
    pub(super) requests: watch::Sender<u32>,
    /// It ends with what it has.
    over: watch::Sender<bool>,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Made,
    Scheduled,
    Running,
}

/// Because of whom a pod goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// An order of the gateway that leaves so many.
    ByGateway {
        left: u32,
    },
    ByOther,
}

/// A request at a pod.
pub(super) struct Connection {
    cluster: Arc<Cluster>,
    pod: u32,
    over: watch::Receiver<bool>,
}

/// Nobody lets the connection in, and because of whom, if that is known.
#[derive(Debug)]
pub(super) struct NoConnection(pub(super) Option<Taken>);

// === impl Pod ===

impl Pod {
    fn new(other: bool) -> Self {
        Self {
            stage: Stage::Made,
            listening: false,
            ready: false,
            cost: None,
            other,
            taken: None,
            lost: false,
            open: true,
            requests: watch::Sender::new(0),
            over: watch::Sender::new(false),
        }
    }

    pub(super) fn deleting(&self) -> bool {
        self.taken.is_some()
    }

    /// It is the Deployment's, and to stay.
    pub(super) fn stays(&self) -> bool {
        !self.other && !self.deleting()
    }

    pub(super) fn ip(&self, id: u32) -> Ipv4Addr {
        Ipv4Addr::from(0x0a00_0000 + id)
    }
}

fn pod_at(address: SocketAddr) -> u32 {
    match address.ip() {
        IpAddr::V4(ip) => u32::from(ip) - 0x0a00_0000,
        IpAddr::V6(_) => 0,
    }
}

// === impl Cluster ===

impl Cluster {
    /// The pod has changed: its controller and those who watch are told.
    fn tell_pod(&self, state: &mut State, id: u32) {
        let Some(pod) = state.pods.get(&id) else { return };
        state.version += 1;
        state.pod_log.put(id, state.version, objects::pod(pod, id, state.version, self.kind.probed));
    }

    pub(super) fn create_pod(&self, state: &mut State, other: bool) {
        state.last_pod += 1;
        let id = state.last_pod;
        self.tell(format_args!("pod {id} is made"));
        state.pods.insert(id, Pod::new(other));
        self.tell_pod(state, id);
        if let Some(this) = self.this.upgrade() {
            tokio::spawn(this.start_pod(id));
        }
    }

    /// From the scheduler to the kubelet's word that it is ready.
    async fn start_pod(self: Arc<Self>, id: u32) {
        let pause = |span: Span| tokio::time::sleep(self.draw(|random, _| span.any(random)));
        pause(SCHEDULE).await;
        if !self.change_pod(id, |pod| pod.stage = Stage::Scheduled) {
            return;
        }
        pause(CREATE).await;
        let start = self.draw(|random, _| self.kind.start.any(random));
        self.after(start, move |this| {
            if let Some(pod) = this.state().pods.get_mut(&id) {
                pod.listening = true;
            }
        });
        let runs_since = self.clock.now();
        pause(TELL).await;
        let probed = self.kind.probed;
        // Without a probe, whatever runs is ready.
        if !self.change_pod(id, |pod| (pod.stage, pod.ready) = (Stage::Running, !probed)) {
            return;
        }
        if probed {
            tokio::time::sleep_until(self.clock.instant(runs_since + start)).await;
            pause(TELL).await;
            self.change_pod(id, |pod| pod.ready = true);
        }
        let mut state = self.state();
        self.update_status(&mut state);
    }

    /// Changes a pod that is to stay. Whether there is one.
    fn change_pod(&self, id: u32, change: impl FnOnce(&mut Pod)) -> bool {
        let mut state = self.state();
        let Some(pod) = state.pods.get_mut(&id).filter(|pod| !pod.deleting()) else { return false };
        change(pod);
        self.tell(format_args!("pod {id} is {:?}, ready: {}", pod.stage, pod.ready));
        self.tell_pod(&mut state, id);
        true
    }

    /// Somebody has said what it costs to delete the pod. Whether there is one.
    pub(super) fn set_cost(&self, id: u32, cost: Option<i32>) -> bool {
        if self.state().pods.get(&id).is_some_and(|pod| pod.other) {
            self.break_promise(format_args!("pod {id} of somebody else was to cost {cost:?}"));
        }
        self.change_pod(id, |pod| pod.cost = cost)
    }

    pub(super) fn delete_pod(&self, state: &mut State, id: u32, taken: Taken, now: Timestamp) {
        let Some(pod) = state.pods.get_mut(&id) else { return };
        (pod.taken, pod.ready) = (Some(taken), false);
        let has = *pod.requests.borrow();
        self.tell(format_args!("pod {id} is deleted with {has} requests: {taken:?}"));
        if has > 0 {
            match taken {
                Taken::ByGateway { left: 0 } => {
                    let what = format!("pod {id} was taken by an order for none, with {has} requests at it");
                    state.promises.break_one(now, what);
                }
                Taken::ByGateway { .. } => state.promises.tally.not_chosen += 1,
                Taken::ByOther => {}
            }
        }
        self.tell_pod(state, id);
        if let Some(this) = self.this.upgrade() {
            tokio::spawn(this.stop_pod(id));
        }
    }

    /// From the kubelet's signal to the end.
    async fn stop_pod(self: Arc<Self>, id: u32) {
        let pause = |span: Span| tokio::time::sleep(self.draw(|random, _| span.any(random)));
        pause(TERM).await;
        let mut requests = {
            let mut state = self.state();
            let Some(pod) = state.pods.get_mut(&id) else { return };
            pod.open = !self.kind.closes_at_once;
            pod.requests.subscribe()
        };
        let finished = async {
            // Its sender is there as long as the pod is.
            let _ = requests.wait_for(|requests| *requests == 0).await;
            pause(EXIT).await;
            let _ = requests.wait_for(|requests| *requests == 0).await;
        };
        let _ = tokio::time::timeout(GRACE, finished).await;
        self.end_pod(&mut self.state(), id);
        self.control();
    }

    /// It is gone, with whatever it has.
    pub(super) fn end_pod(&self, state: &mut State, id: u32) {
        let Some(pod) = state.pods.remove(&id) else { return };
        pod.over.send_replace(true);
        self.tell(format_args!("pod {id} is gone"));
        state.version += 1;
        let object = objects::pod(&pod, id, state.version, self.kind.probed);
        state.pod_log.remove(id, state.version, &object);
        if !state.pods.values().any(Pod::deleting) {
            state.promises.all_gone();
        }
        state.gone.insert(id, pod.taken.unwrap_or(Taken::ByOther));
    }

    /// Sends a request to whoever is at `address`.
    pub(super) fn connect(&self, address: SocketAddr) -> Result<Connection, NoConnection> {
        let id = pod_at(address);
        let now = self.clock.now();
        let mut state = self.state();
        let state = &mut *state;
        let Some(pod) = state.pods.get(&id) else { return Err(NoConnection(state.gone.get(&id).copied())) };
        if !pod.listening || !pod.open {
            if pod.taken.is_none() {
                state.promises.break_one(now, format_args!("a request was sent to pod {id}, which does not listen"));
            }
            return Err(NoConnection(pod.taken));
        }
        pod.requests.send_modify(|requests| *requests += 1);
        let has = *pod.requests.borrow();
        if let Some(limit) = self.kind.concurrency_limit.filter(|limit| has > *limit) {
            state.promises.break_one(now, format_args!("{has} requests at pod {id}, whose limit is {limit}"));
        }
        let Some(cluster) = self.this.upgrade() else { return Err(NoConnection(None)) };
        Ok(Connection { cluster, pod: id, over: pod.over.subscribe() })
    }
}

#[async_trait]
impl Prober for Cluster {
    async fn probe(&self, check: &Check) -> Result<(), String> {
        let state = self.state();
        match state.pods.get(&pod_at(check.address)) {
            Some(pod) if pod.listening && pod.open => Ok(()),
            _ => Err("nobody listens".to_owned()),
        }
    }
}

// === impl Connection ===

impl Connection {
    /// Waits until the pod ends with this request at it. Because of whom.
    pub(super) async fn cut(&mut self) -> Taken {
        // The pod that is removed drops its sender right after it has told.
        let _ = self.over.wait_for(|over| *over).await;
        self.cluster.state().gone.get(&self.pod).copied().unwrap_or(Taken::ByOther)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(pod) = self.cluster.state().pods.get(&self.pod) {
            pod.requests.send_modify(|requests| *requests -= 1);
        }
    }
}
