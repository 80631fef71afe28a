//! Requests, sent the way the edge sends them.

use std::sync::Arc;
use std::time::Duration;

use super::cluster::Cluster;
use super::pods::{Connection, NoConnection, Taken};
use crate::app::{App, Permit};
use crate::hold::Refusal;

/// As the edge does it in a cluster: the last one over and over, as long as a request may be held.
const PAUSES: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(10),
    Duration::from_millis(40),
    Duration::from_millis(160),
    Duration::from_millis(640),
];
const SUSPICION: Duration = Duration::from_secs(2);

/// One request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// How long the app needs for it.
    pub(super) takes: Duration,
    /// When the client has had enough, if that is before the answer.
    pub(super) patience: Option<Duration>,
}

/// Counts what dies on the way.
struct Counted<'a> {
    cluster: &'a Cluster,
    over: bool,
}

/// How a request ended.
#[derive(Debug)]
enum End {
    Answered,
    HungUp,
    Refused(Refusal),
    /// Whatever was tried, nobody let it in.
    NoConnection(NoConnection),
    Cut(Taken),
}

/// Sends a request and sees to it that what was promised holds.
pub(super) async fn request(cluster: Arc<Cluster>, app: Arc<App>, plan: Plan) {
    cluster.state().promises.arrived(cluster.clock.now());
    cluster.tell(format_args!("a request comes: {plan:?}"));
    let mut counted = Counted { cluster: &cluster, over: false };
    let end = match plan.patience {
        Some(patience) => {
            tokio::time::timeout(patience, exchange(&cluster, &app, plan.takes)).await.unwrap_or(End::HungUp)
        }
        None => exchange(&cluster, &app, plan.takes).await,
    };
    counted.over = true;
    cluster.tell(format_args!("a request ends: {end:?}"));
    let now = cluster.clock.now();
    let mut state = cluster.state();
    let heard = state.unheard.is_none_or(|at| now.since(at) > Duration::from_secs(60));
    let promises = &mut state.promises;
    promises.note(now, 1);
    let tally = &mut promises.tally;
    match end {
        End::Answered => tally.answered += 1,
        End::HungUp => tally.hung_up += 1,
        End::Refused(why) => promises.break_one(now, format_args!("a request was refused: {why}")),
        End::NoConnection(NoConnection(Some(Taken::ByOther))) => tally.lost_to_others += 1,
        End::NoConnection(why) => promises.break_one(now, format_args!("502, no connection: {why:?}")),
        End::Cut(Taken::ByOther) => tally.cut_by_others += 1,
        End::Cut(Taken::ByGateway { left }) if left == 0 || heard => {
            promises.break_one(now, format_args!("a request was cut by an order that left {left}"));
        }
        // Which pod was to go could not be told in time.
        End::Cut(Taken::ByGateway { .. }) => tally.not_chosen += 1,
    }
}

async fn exchange(cluster: &Arc<Cluster>, app: &Arc<App>, takes: Duration) -> End {
    let mut ticket = app.enter();
    let mut last = NoConnection(None);
    let [.., last_pause] = PAUSES;
    let mut pauses = PAUSES.into_iter();
    let mut pause = Duration::ZERO;
    loop {
        if !pause.is_zero() {
            if cluster.clock.now() >= ticket.deadline() {
                return End::NoConnection(last);
            }
            ticket = match ticket.pause(pause, 100).await {
                Ok(ticket) => ticket,
                Err(why) => return End::Refused(why),
            };
        }
        let permit = match ticket.try_admit(cluster.clock.now()) {
            Ok(permit) => permit,
            Err(ticket) => {
                let begin = cluster.clock.now();
                match ticket.hold(100).await {
                    Ok(permit) => {
                        held(cluster, cluster.clock.now().since(begin));
                        permit
                    }
                    Err(why) => return End::Refused(why),
                }
            }
        };
        match connect(cluster, &permit).await {
            Ok(mut connection) => {
                app.trust(permit.endpoint());
                if permit.wait().is_some() {
                    app.first_byte();
                }
                let end = tokio::select! {
                    biased;
                    () = tokio::time::sleep(takes) => End::Answered,
                    taken = connection.cut() => End::Cut(taken),
                };
                drop(connection);
                permit.end(cluster.clock.now());
                return end;
            }
            Err(why) => {
                cluster.tell(format_args!("{} does not let it in: {why:?}", permit.endpoint().name()));
                cluster.state().promises.tally.met_gone += 1;
                app.suspect(permit.endpoint(), cluster.clock.now() + SUSPICION);
                last = why;
                ticket = permit.give_back();
                pause = pauses.next().unwrap_or(last_pause);
            }
        }
    }
}

async fn connect(cluster: &Arc<Cluster>, permit: &Permit) -> Result<Connection, NoConnection> {
    let pause = cluster.draw(|random, _| Duration::from_micros(random.u64(..2_000)));
    tokio::time::sleep(pause).await;
    cluster.connect(permit.endpoint().address())
}

fn held(cluster: &Cluster, held: Duration) {
    let mut state = cluster.state();
    let longest = &mut state.promises.tally.longest_held;
    *longest = (*longest).max(held.as_millis() as u64);
}

// === impl Counted ===

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.cluster.state().promises.tally.killed += 1;
        }
    }
}
