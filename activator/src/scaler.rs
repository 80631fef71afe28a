//! The one scale loop: ticks every second for apps that have demand or replicas, and at once for apps that poke.
//! A sleeping app is not in it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::app::{App, backoff};
use crate::autoscaler::{Autoscaler, Begin, Decision, Sample};
use crate::clock::{Clock, Timestamp};
use crate::demand::{Reading, Window};
use crate::failure::FailureCause;
use crate::fleet::Role;
use crate::platform::{Accepted, NotAccepted, Platform};
use crate::settings::{Metric, ScaledBy, Scaling};

/// How often an active app is decided on.
const TICK: Duration = Duration::from_secs(1);
/// Least time between two decisions on an app that pokes.
const POKE_SPACING: Duration = Duration::from_millis(100);
/// How long a platform may take to accept a scale call.
const SCALE_CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The scale loop, ready to run.
pub struct Scaler {
    clock: Clock,
    platform: Arc<dyn Platform>,
    pokes: mpsc::UnboundedReceiver<Arc<App>>,
    active: HashMap<usize, Active>,
    early: Early,
    done: mpsc::UnboundedSender<ScaleCallDone>,
    calls: mpsc::UnboundedReceiver<ScaleCallDone>,
}

/// Apps that are to be decided on before the next tick, and when.
#[derive(Debug, Default)]
struct Early {
    queue: BTreeSet<(Timestamp, usize)>,
    /// When each of those in it is due.
    due: HashMap<usize, Timestamp>,
}

/// What leads to a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occasion {
    Tick,
    /// Something has changed. Replicas only become fewer by ticks: how fast they do is told per tick.
    Poke,
}

/// An app with demand or replicas.
struct Active {
    app: Arc<App>,
    /// When it got demand or replicas, as far as this gateway knows.
    began: Timestamp,
    /// Made when it is known what runs.
    autoscaler: Option<Autoscaler>,
    window: Window,
    last_decision: Option<Timestamp>,
    call: Call,
    /// Orders in a row that were not accepted.
    failed_calls: u32,
    /// What part this gateway had in its last decision.
    role: Role,
}

/// At most one scale call per app is under way, so that the last one made is the last one to arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    None,
    UnderWay,
    /// The last one was not accepted: none is made before then.
    Failed {
        retry_at: Timestamp,
    },
}

struct ScaleCallDone {
    app: Arc<App>,
    result: Result<Accepted, NotAccepted>,
}

// === impl Scaler ===

impl Scaler {
    /// A loop that scales `platform` for the apps that come in by `pokes`.
    pub fn new(clock: Clock, platform: Arc<dyn Platform>, pokes: mpsc::UnboundedReceiver<Arc<App>>) -> Self {
        let (done, calls) = mpsc::unbounded_channel();
        Self { clock, platform, pokes, active: HashMap::new(), early: Early::default(), done, calls }
    }

    /// Runs until `stop` resolves; then decides no more and leaves everything as it is.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // Those first that are bounded in how often they come, so that none is kept from its turn; and always alike.
                biased;
                () = &mut stop => return,
                // With nothing active there is nothing to tick for: an idle gateway sleeps.
                _ = tick.tick(), if !self.active.is_empty() => {
                    let apps = self.active.keys().copied().collect::<Vec<_>>();
                    self.step_all(apps, Occasion::Tick);
                }
                Some(done) = self.calls.recv() => self.call_done(done),
                () = tokio::time::sleep_until(self.clock.instant(self.early.due())), if !self.early.is_empty() => {
                    let apps = self.early.take(self.clock.now());
                    self.step_all(apps, Occasion::Poke);
                }
                Some(app) = self.pokes.recv() => {
                    if self.active.is_empty() {
                        tick.reset();
                    }
                    self.poked(app);
                }
            }
        }
    }

    fn poked(&mut self, app: Arc<App>) {
        let now = self.clock.now();
        app.take_poke();
        if app.take_distrust() {
            self.platform.distrust_early(app.key());
        }
        let key = key(&app);
        let active = self.active.entry(key).or_insert_with(|| Active::new(app, now));
        // A burst of pokes leads to one decision at once, and to another for what that leaves undone.
        let due = active.last_decision.is_none_or(|last| now.since(last) >= POKE_SPACING);
        if due || active.app.wanted() == 0 {
            self.step(key, now, Occasion::Poke);
        } else {
            let due = active.last_decision.map_or(now, |last| last + POKE_SPACING);
            self.early.add(key, due);
        }
    }

    fn step_all(&mut self, apps: impl IntoIterator<Item = usize>, occasion: Occasion) {
        let now = self.clock.now();
        for key in apps {
            self.step(key, now, occasion);
        }
    }

    /// Decides on one app and carries it out; forgets the app when it is asleep.
    fn step(&mut self, key: usize, now: Timestamp, occasion: Occasion) {
        let Some(active) = self.active.get_mut(&key) else { return };
        active.app.tick(now);
        if active.app.is_closing() && active.app.settings().target.outlives_gateway() {
            active.app.fleet().untrack(&active.app);
            // What runs is the cluster's, and goes on without this gateway.
            self.active.remove(&key);
            return;
        }
        let not_before = match active.call {
            Call::Failed { retry_at } => Some(retry_at),
            _ => active.app.no_order_before(),
        };
        if let Some(due) = not_before.filter(|due| now < *due) {
            self.early.add(key, due);
        } else if active.app.is_known() {
            active.decide(now, occasion);
            active.close_and_open(now);
            self.call(key);
        }
        self.forget_if_asleep(key);
    }

    fn forget_if_asleep(&mut self, key: usize) {
        if self.active.get(&key).is_some_and(Active::is_asleep)
            && let Some(active) = self.active.remove(&key)
        {
            active.app.fleet().untrack(&active.app);
        }
    }

    /// Gives the order that is due, if there is one.
    fn call(&mut self, key: usize) {
        let Some(active) = self.active.get_mut(&key) else { return };
        if active.call == Call::UnderWay {
            return;
        }
        active.call = Call::None;
        let Some(order) = active.app.next_order() else { return };
        active.call = Call::UnderWay;
        let (app, platform, done) = (active.app.clone(), self.platform.clone(), self.done.clone());
        tokio::spawn(async move {
            let result = tokio::time::timeout(SCALE_CALL_TIMEOUT, platform.scale(order)).await;
            let result = result.unwrap_or_else(|_| Err(no_answer()));
            // The loop is gone only when the gateway stops.
            let _ = done.send(ScaleCallDone { app, result });
        });
    }

    fn call_done(&mut self, done: ScaleCallDone) {
        let key = key(&done.app);
        let now = self.clock.now();
        match done.result {
            Ok(accepted) => {
                done.app.order_accepted(accepted);
                let Some(active) = self.active.get_mut(&key) else { return };
                active.call = Call::None;
                active.failed_calls = 0;
            }
            Err(why) => {
                let retry_after = done.app.order_not_accepted(why);
                let Some(active) = self.active.get_mut(&key) else { return };
                let pause = retry_after.unwrap_or_else(|| backoff(active.failed_calls));
                active.failed_calls = active.failed_calls.saturating_add(1);
                active.call = Call::Failed { retry_at: now + pause };
                self.early.add(key, now + pause);
            }
        }
        // What was decided meanwhile; and where nothing was, it may be asleep now.
        if let Some(active) = self.active.get_mut(&key)
            && active.call == Call::None
        {
            active.close_and_open(now);
            self.call(key);
        }
        self.forget_if_asleep(key);
    }
}

/// By identity, not by name: an app may be removed and declared again while the first one is still finishing.
fn key(app: &Arc<App>) -> usize {
    Arc::as_ptr(app) as usize
}

fn no_answer() -> NotAccepted {
    NotAccepted {
        cause: FailureCause::NoAnswer { after: SCALE_CALL_TIMEOUT },
        in_doubt: true,
        passing: true,
        retry_after: None,
    }
}

// === impl Early ===

impl Early {
    /// Once per app, at its earliest.
    fn add(&mut self, app: usize, due: Timestamp) {
        match self.due.get(&app).copied() {
            Some(at) if at <= due => return,
            Some(at) => self.queue.remove(&(at, app)),
            None => false,
        };
        self.due.insert(app, due);
        self.queue.insert((due, app));
    }

    fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    fn due(&self) -> Timestamp {
        self.queue.first().map_or(Timestamp::ZERO, |(due, _)| *due)
    }

    /// Those that are due at `now`.
    fn take(&mut self, now: Timestamp) -> Vec<usize> {
        let mut taken = Vec::new();
        while let Some((_, app)) = self.queue.first().copied().filter(|(at, _)| *at <= now) {
            self.queue.pop_first();
            self.due.remove(&app);
            taken.push(app);
        }
        taken
    }
}

// === impl Active ===

impl Active {
    fn new(app: Arc<App>, now: Timestamp) -> Self {
        let settings = app.settings();
        app.fleet().track(&app);
        let mut first = app.read_everywhere(now);
        if app.endpoints().is_empty() {
            // Those who wait are what it is woken by: the window begins before they came.
            first.arrivals = first.arrivals.saturating_sub(u64::from(first.in_flight));
        }
        Self {
            autoscaler: None,
            window: Window::new(first, settings.scaling.stable_window),
            last_decision: None,
            call: Call::None,
            failed_calls: 0,
            began: now,
            role: app.fleet().role(now),
            app,
        }
    }

    /// Decides, and has the app want that.
    fn decide(&mut self, now: Timestamp, occasion: Occasion) {
        let settings = self.app.settings();
        let scaling = &settings.scaling;
        self.window.set_keep(scaling.stable_window);
        self.window.record(self.app.read_everywhere(now));
        self.take_role(now);
        let wanted = self.app.wanted();
        let decision = if self.app.is_closing() {
            Decision::closing()
        } else if self.app.is_failing(now) {
            // Processes end, and are tried again for the next request after the pause. A cluster goes on trying by itself.
            let keep =
                if self.is_to_stay(settings.target.outlives_gateway(), scaling, now, occasion) { wanted } else { 0 };
            Decision::failing(scaling, keep)
        } else {
            self.last_decision = Some(now);
            let sample = self.sample(scaling, now);
            match self.app.take_begin() {
                Some(begin) => self.autoscaler = Some(Autoscaler::new(now, begin)),
                None if self.autoscaler.is_none() => self.autoscaler = Some(Autoscaler::new(now, Begin::Found(0))),
                None => {}
            }
            let Some(autoscaler) = &mut self.autoscaler else { return };
            let decision = autoscaler.decide(scaling, &sample, now);
            // What came up by itself, or came back, when nothing was wanted any more.
            let lingers = wanted == 0 && self.app.spec_replicas() > Some(0) && !self.app.endpoints().is_empty();
            let fewer = decision.replicas < wanted || (decision.replicas == 0 && lingers);
            if fewer && !self.app.may_lower(now) {
                return;
            }
            if fewer && (occasion != Occasion::Tick || (decision.replicas == 0 && !self.app.try_sleep())) {
                return;
            }
            decision
        };
        let replicas = decision.replicas;
        if replicas != wanted {
            tracing::info!(app = %self.app.id(), from = wanted, to = replicas, reason = %decision.reason, "scale");
        }
        self.app.record_decision(decision, now);
        if replicas != wanted {
            self.app.set_wanted(replicas, now);
        }
    }

    /// Whether what cannot start is to go on trying: it does so by itself, is not ours to put to sleep, or is not silent yet.
    fn is_to_stay(&self, outlives_gateway: bool, scaling: &Scaling, now: Timestamp, occasion: Occasion) -> bool {
        let silent = self.app.in_flight_everywhere(now) == 0 && self.idle_for(now) >= scaling.idle_timeout;
        let ours = scaling.by != ScaledBy::Keda && !self.yields(scaling, now) && self.app.may_lower(now);
        outlives_gateway && !(silent && ours && occasion == Occasion::Tick)
    }

    fn yields(&self, scaling: &Scaling, now: Timestamp) -> bool {
        scaling.by == ScaledBy::Zerogate && self.app.yields(now)
    }

    /// Who begins to lead goes on from what there is; who does not lead any more wants what there is.
    fn take_role(&mut self, now: Timestamp) {
        let before = std::mem::replace(&mut self.role, self.app.fleet().role(now));
        let Some(replicas) = self.app.spec_replicas() else { return };
        match self.role {
            Role::Leads(_) if before != self.role => {
                self.app.take_lead();
                self.autoscaler = Some(Autoscaler::new(now, Begin::Written(replicas)));
            }
            Role::Follows if self.call != Call::UnderWay && self.app.wanted() != replicas => {
                self.app.set_wanted(replicas, now);
            }
            _ => {}
        }
    }

    fn close_and_open(&self, now: Timestamp) {
        match self.role {
            Role::Follows => self.app.follow_closings(now),
            Role::Alone | Role::Leads(_) => self.app.retire_or_reopen(),
        }
    }

    /// What somebody has started is idle from then on, however long ago the last request was.
    fn idle_for(&self, now: Timestamp) -> Duration {
        self.app.idle_everywhere(now).min(now.since(self.began))
    }

    fn sample(&self, scaling: &Scaling, now: Timestamp) -> Sample {
        let average = |span| match scaling.metric {
            Metric::Concurrency => self.window.concurrency(span),
            Metric::RequestRate => self.window.rate(span, scaling.steering_target()),
        };
        let Reading { in_flight, .. } = self.window.latest();
        Sample {
            stable: average(scaling.stable_window),
            panic: average(scaling.panic_window),
            in_flight,
            held: self.app.held_everywhere(now),
            here: self.app.in_flight(),
            ready: self.app.replicas_in_use(),
            starting: self.app.starting(),
            wanted: self.app.wanted(),
            idle_for: self.idle_for(now),
            yields: self.yields(scaling, now),
            follows: self.role == Role::Follows,
            undone: self.app.is_wake_undone(now),
        }
    }

    fn is_asleep(&self) -> bool {
        self.call == Call::None
            // What is not known, such as a target that is missing, comes back when it is, or when somebody asks for it.
            && self.app.spec_replicas().is_none_or(|replicas| replicas == 0)
            && self.app.wanted() == 0
            && self.app.in_flight() == 0
            && self.app.starting() == 0
            && self.app.endpoints().is_empty()
            && !self.app.is_unclaimed()
            // Somebody else keeps it at zero, for a while.
            && self.app.settings().scaling.min_replicas == 0
    }
}

#[cfg(test)]
mod tests;
