//! The life of one replica: started, tried until ready, drained, stopped. Decides nothing: its supervisor gives the orders.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::{mpsc, watch};
use tokio::task;

use super::elsewhere::{self, Elsewhere};
use super::group::{Exit, Group};
use super::left_behind::Mark;
use super::listener;
use super::output::Output;
use super::report::Report;
use super::spawner::{Process, Spawner};
use crate::admission::{Ending, Endpoint};
use crate::clock::{Clock, Timestamp};
use crate::platform::FailureCause;
use crate::platform::readiness::Probe;
use crate::settings::{PortChoice, ProcessSpec};

/// How long a killed process may take to be gone before it is left to itself.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the answers of a process that has ended may take to come through.
const LAST_ANSWER: Duration = Duration::from_millis(500);

/// How long a fixed port is tried for that no app of this gateway has: what had it before may have been killed a moment ago.
const PORT_TIMEOUT: Duration = Duration::from_millis(500);
const PORT_CHECK: Duration = Duration::from_millis(10);

/// One replica, about to be started.
pub(super) struct Replica {
    pub(super) report: Arc<Report>,
    pub(super) spec: Arc<ProcessSpec>,
    pub(super) spawner: Arc<Spawner>,
    pub(super) clock: Clock,
    pub(super) orders: watch::Receiver<Order>,
    pub(super) events: mpsc::Sender<(task::Id, Event)>,
    /// Whether it is to be taken for one that ends after its first answer.
    pub(super) ending: Option<Ending>,
}

/// What a replica is to do. Those from `Stop` on are not taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    /// Run.
    Run,
    /// Tell when the endpoint, which has been closed, is empty.
    Drain,
    /// Stop by the stop signal, and by killing it if that does not help in time.
    Stop,
    /// Stop at once.
    Kill,
}

/// What has become of a replica. Its task's end means that nothing is left of it.
#[derive(Debug)]
pub(super) enum Event {
    /// It runs.
    Spawned,
    /// It passed its readiness check.
    Ready(Arc<Endpoint>),
    /// Its endpoint is closed and empty.
    Drained,
    /// It will not become ready.
    Failed { cause: FailureCause, output: Vec<String> },
    /// It was ready and has ended by itself.
    Ended { exit: Exit, output: Vec<String> },
}

/// How a start came out.
enum Start {
    Ready,
    Ended(Exit),
    Late,
    Elsewhere(Elsewhere),
    Ordered(Order),
}

// === impl Replica ===

impl Replica {
    /// Lives its whole life. If the future is dropped, everything is killed.
    pub(super) async fn run(mut self) {
        let deadline = self.clock.now() + self.spec.start_timeout;
        let instant = self.clock.instant(deadline);
        let spawned = tokio::time::timeout_at(instant, self.spawn(deadline)).await;
        let not_spawned = || FailureCause::NeverReady {
            after: self.spec.start_timeout,
            last: "the system has not started the process".into(),
        };
        let Process { group, port, output, mark } = match spawned.unwrap_or_else(|_| Err(not_spawned())) {
            Ok(process) => process,
            Err(cause) => return self.report(Event::Failed { cause, output: Vec::new() }).await,
        };
        let (pid, begun) = (group.id(), self.clock.now());
        tracing::info!(app = %self.report.id(), %pid, port = port.get(), "replica started");
        let (app, allowance) = (self.report.id().clone(), self.report.allowance().clone());
        let output = Output::follow(output, app, pid.as_raw_pid(), self.clock.clone(), allowance);
        self.report(Event::Spawned).await;

        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.get()));
        let mut probe = Probe::new(self.spec.readiness.clone(), address);
        match self.start(&group, &mut probe, address.port(), deadline).await {
            Start::Ready => {
                let mut endpoint = Endpoint::new(pid.to_string(), address)
                    .speaking(self.spec.protocol)
                    .asked_again(self.spec.readiness.clone());
                if let Some(ending) = self.ending {
                    endpoint = endpoint.on_probation(ending);
                }
                self.serve(group, endpoint, output).await;
            }
            Start::Ended(exit) => {
                let how = how(exit, mark).await;
                let cause = FailureCause::Exited { how };
                // What it has started and left behind goes with it.
                drop(group);
                let output = output.last_words().await;
                self.report(Event::Failed { cause, output }).await;
            }
            Start::Late => {
                let last = probe.last().map_or_else(|| "no answer yet".into(), ToString::to_string);
                let instead = elsewhere::now(pid, address.port()).await;
                let instead = instead.map_or_else(String::new, |elsewhere| instead_of(address, &elsewhere));
                let last = format!("{last} at {address}{instead}");
                let cause = FailureCause::NeverReady { after: self.spec.start_timeout, last };
                self.report(Event::Failed { cause, output: output.tail() }).await;
                self.stop(group).await;
            }
            Start::Elsewhere(elsewhere) => {
                let last = format!("nobody listens at {address}{}", instead_of(address, &elsewhere));
                let cause = FailureCause::NeverReady { after: self.clock.now().since(begun), last };
                self.report(Event::Failed { cause, output: output.tail() }).await;
                self.stop(group).await;
            }
            Start::Ordered(Order::Kill) => kill(group).await,
            Start::Ordered(_) => self.stop(group).await,
        }
        // Only now the port is free for another.
        drop(port);
        tracing::info!(app = %self.report.id(), %pid, "replica gone");
    }

    async fn spawn(&self, deadline: Timestamp) -> Result<Process, FailureCause> {
        let mut give_up = self.clock.now() + PORT_TIMEOUT;
        loop {
            let spawned = self.spawner.spawn(self.spec.clone()).await;
            let (PortChoice::Fixed(port), Err(FailureCause::NoPort { .. })) = (self.spec.port, &spawned) else {
                return spawned;
            };
            let now = self.clock.now();
            if self.spawner.has_given_out(port) {
                // What has it is ours, and will give it back: it was of an app that goes, under another name perhaps.
                give_up = now + PORT_TIMEOUT;
            }
            if now + 2 * PORT_CHECK >= give_up.min(deadline) {
                return spawned;
            }
            tokio::time::sleep(PORT_CHECK).await;
        }
    }

    async fn start(&mut self, group: &Group, probe: &mut Probe, port: u16, deadline: Timestamp) -> Start {
        let id = group.id();
        let app = self.report.id().clone();
        let warn = |elsewhere: &Elsewhere| {
            tracing::warn!(%app, pid = %id, "does not listen on port {port} yet, but on {elsewhere}");
        };
        tokio::select! {
            biased;
            order = ordered(&mut self.orders, Order::Stop) => Start::Ordered(order),
            exit = group.exited() => Start::Ended(exit),
            () = probe.ready_and(&self.clock, || listener::check(port, id)) => Start::Ready,
            elsewhere = elsewhere::settled(id, port, &self.clock, warn) => Start::Elsewhere(elsewhere),
            () = tokio::time::sleep_until(self.clock.instant(deadline)) => Start::Late,
        }
    }

    /// From ready to gone.
    async fn serve(&mut self, group: Group, endpoint: Endpoint, output: Output) {
        let endpoint = Arc::new(endpoint);
        self.report(Event::Ready(endpoint.clone())).await;
        loop {
            let order = *self.orders.borrow_and_update();
            match order {
                Order::Run | Order::Drain => {}
                Order::Stop => return self.stop(group).await,
                Order::Kill => return kill(group).await,
            }
            let drained = async {
                if order == Order::Drain {
                    endpoint.drained().await;
                    self.report(Event::Drained).await;
                }
                std::future::pending::<()>().await;
            };
            let mut orders = self.orders.clone();
            tokio::select! {
                biased;
                exit = group.exited() => {
                    // At once, before anything else is sent there. The supervisor, which may just have put it back in
                    // rotation, does it again.
                    self.report.endpoint_gone(&endpoint);
                    drop(group);
                    if exit == Exit::SUCCESS && !endpoint.has_answered() {
                        // It may have, and the answer be on its way.
                        let _ = tokio::time::timeout(LAST_ANSWER, endpoint.drained()).await;
                    }
                    let output = output.last_words().await;
                    return self.report(Event::Ended { exit, output }).await;
                }
                changed = orders.changed() => {
                    if changed.is_err() {
                        return kill(group).await;
                    }
                }
                () = drained => {}
            }
        }
    }

    /// Asks it to stop; kills it if it has not done so in time, or if there is no time any more. That is over when the last of
    /// its processes has ended: the first one may be a shell that is gone long before the app.
    async fn stop(&mut self, group: Group) {
        group.signal(Signal::from_named_raw(self.spec.stop_signal).unwrap_or(Signal::TERM));
        tokio::select! {
            () = group.emptied() => return,
            () = tokio::time::sleep(self.spec.stop_grace) => {
                tracing::warn!(app = %self.report.id(), pid = %group.id(), "replica did not stop in time; killing it");
            }
            _ = ordered(&mut self.orders, Order::Kill) => {}
        }
        kill(group).await;
    }

    async fn report(&self, event: Event) {
        // The supervisor is gone only when everything is.
        let _ = self.events.send((task::id(), event)).await;
    }
}

/// What to say of a replica that listens elsewhere than at `address`.
fn instead_of(address: SocketAddr, elsewhere: &Elsewhere) -> String {
    let port = address.port();
    format!(
        "; its processes listen on {elsewhere} instead: have it listen on port {port} ({{port}} or $PORT) of {}",
        address.ip()
    )
}

/// How a command has ended that was not ready. What it has left in the background is killed: each try would leave one more.
async fn how(exit: Exit, mark: Mark) -> String {
    let left = if exit == Exit::SUCCESS { mark.kill().await } else { None };
    match left {
        None => exit.to_string(),
        Some(left) => format!("{exit} and left {left} in the background (have it stay in the foreground)"),
    }
}

/// Kills all of it and waits until it is gone.
async fn kill(group: Group) {
    group.kill();
    if tokio::time::timeout(KILL_TIMEOUT, group.emptied()).await.is_err() {
        tracing::error!(pid = %group.id(), "a killed replica does not go; leaving it to the system");
    }
}

/// Waits for an order that is at least `least`; no supervisor is as good as an order to be killed.
async fn ordered(orders: &mut watch::Receiver<Order>, least: Order) -> Order {
    orders.wait_for(|order| *order >= least).await.map_or(Order::Kill, |order| *order)
}
