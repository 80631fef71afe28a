//! The replicas of one app, as its supervisor sees them.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task;

use super::super::replica::Order;
use crate::admission::Endpoint;
use crate::clock::Timestamp;
use crate::settings::{PortChoice, ProcessSpec};

/// All that are there in any way.
#[derive(Debug, Default)]
pub(super) struct Fleet(HashMap<task::Id, Member>);

/// One of them.
#[derive(Debug)]
pub(super) struct Member {
    /// What it was started with.
    pub(super) spec: Arc<ProcessSpec>,
    pub(super) phase: Phase,
    pub(super) started: Timestamp,
    /// When it is stopped though it may not be empty yet: another needs its port.
    leaves_at: Option<Timestamp>,
    order: watch::Sender<Order>,
}

/// How far it has come.
#[derive(Debug)]
pub(super) enum Phase {
    /// Not ready yet.
    Starting,
    /// In rotation, and ready since then.
    Ready { endpoint: Arc<Endpoint>, since: Timestamp },
    /// Out of rotation, and stopped when empty unless it is taken back before.
    Draining { endpoint: Arc<Endpoint>, since: Timestamp },
    /// Told to stop, or ended.
    Stopping,
}

// === impl Fleet ===

impl Fleet {
    pub(super) fn add(&mut self, id: task::Id, member: Member) {
        self.0.insert(id, member);
    }

    pub(super) fn remove(&mut self, id: task::Id) -> Option<Member> {
        self.0.remove(&id)
    }

    pub(super) fn get(&mut self, id: task::Id) -> Option<&mut Member> {
        self.0.get_mut(&id)
    }

    pub(super) fn all(&mut self) -> impl Iterator<Item = &mut Member> {
        self.0.values_mut()
    }

    /// How many are starting.
    pub(super) fn starting(&self) -> usize {
        self.0.values().filter(|member| member.is_starting()).count()
    }

    /// Those in rotation.
    pub(super) fn ready(&self, which: impl Fn(&Member) -> bool) -> impl Iterator<Item = &Member> {
        self.0.values().filter(move |member| matches!(member.phase, Phase::Ready { .. }) && which(member))
    }

    /// How many were started with `spec` and count as there: starting or in rotation.
    pub(super) fn current(&self, spec: &Arc<ProcessSpec>) -> usize {
        let there = |member: &&Member| matches!(member.phase, Phase::Starting | Phase::Ready { .. });
        self.0.values().filter(there).filter(|member| member.spec == *spec).count()
    }

    /// Whether `port` is a fixed one that is in use, be it by one that is about to go.
    pub(super) fn occupies(&self, port: PortChoice) -> bool {
        port != PortChoice::Auto && self.0.values().any(|member| member.spec.port == port)
    }

    /// When the next of those that drain is to be stopped, if there is one.
    pub(super) fn leaving_until(&self) -> Option<Timestamp> {
        let draining = self.0.values().filter(|member| matches!(member.phase, Phase::Draining { .. }));
        draining.filter_map(|member| member.leaves_at).min()
    }

    /// Those that are starting, the latest first.
    pub(super) fn latest_starting(&mut self, which: impl Fn(&Member) -> bool) -> impl Iterator<Item = &mut Member> {
        let starting = |member: &&mut Member| member.is_starting() && which(member);
        let mut starting: Vec<_> = self.0.values_mut().filter(starting).collect();
        starting.sort_by_key(|member| std::cmp::Reverse(member.started));
        starting.into_iter()
    }

    /// Those in rotation, first those that are closed already, then the least in flight first.
    pub(super) fn least_loaded(&mut self, which: impl Fn(&Member) -> bool) -> impl Iterator<Item = &mut Member> {
        let ready = |member: &&mut Member| matches!(member.phase, Phase::Ready { .. }) && which(member);
        let mut ready: Vec<_> = self.0.values_mut().filter(ready).collect();
        ready.sort_by_key(|member| member.endpoint().map(|endpoint| (!endpoint.is_closed(), endpoint.in_flight())));
        ready.into_iter()
    }

    /// Those that may be taken back.
    pub(super) fn draining(&mut self, which: impl Fn(&Member) -> bool) -> impl Iterator<Item = &mut Member> {
        self.0.values_mut().filter(move |member| matches!(member.phase, Phase::Draining { .. }) && which(member))
    }
}

// === impl Member ===

impl Member {
    pub(super) fn new(spec: Arc<ProcessSpec>, order: watch::Sender<Order>, started: Timestamp) -> Self {
        Self { spec, phase: Phase::Starting, started, leaves_at: None, order }
    }

    fn is_starting(&self) -> bool {
        matches!(self.phase, Phase::Starting)
    }

    /// Where it takes requests, or took them until now.
    pub(super) fn endpoint(&self) -> Option<&Arc<Endpoint>> {
        match &self.phase {
            Phase::Ready { endpoint, .. } | Phase::Draining { endpoint, .. } => Some(endpoint),
            Phase::Starting | Phase::Stopping => None,
        }
    }

    /// Its endpoint has been closed: it is to stop when that is empty.
    pub(super) fn drain(&mut self) {
        if let Phase::Ready { endpoint, since } = &self.phase {
            self.phase = Phase::Draining { endpoint: endpoint.clone(), since: *since };
            self.order.send_replace(Order::Drain);
        }
    }

    /// Its port is needed at `now`: what is in flight has `stop_grace` to end before it is told to stop, if it drains.
    pub(super) fn leave(&mut self, now: Timestamp) {
        let leaves_at = *self.leaves_at.get_or_insert(now + self.spec.stop_grace);
        if now >= leaves_at && matches!(self.phase, Phase::Draining { .. }) {
            self.stop(Order::Stop);
        }
    }

    /// It goes on after all.
    pub(super) fn take_back(&mut self) {
        self.leaves_at = None;
        if let Phase::Draining { endpoint, since } = &self.phase {
            self.phase = Phase::Ready { endpoint: endpoint.clone(), since: *since };
            self.order.send_replace(Order::Run);
        }
    }

    /// It is to stop, in the way of `order`.
    pub(super) fn stop(&mut self, order: Order) {
        self.phase = Phase::Stopping;
        self.order.send_if_modified(|present| {
            let more = order > *present;
            *present = order.max(*present);
            more
        });
    }
}
