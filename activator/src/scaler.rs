//! The one scale loop: ticks every second for apps that have demand or replicas, and at once for apps that poke.
//! A sleeping app is not in it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::app::App;
use crate::autoscaler::{Autoscaler, Decision, Sample};
use crate::clock::{Clock, Timestamp};
use crate::demand::{Reading, Window};
use crate::platform::{FailureCause, Platform, StartFailure};
use crate::settings::{AppSettings, Metric, Scaling};

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

/// Apps that have poked sooner after a decision than [`POKE_SPACING`], and when to decide on them.
#[derive(Debug, Default)]
struct Early {
    apps: HashSet<usize>,
    due: Timestamp,
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
    autoscaler: Autoscaler,
    window: Window,
    last_decision: Option<Timestamp>,
    call: Call,
    /// The endpoints have been closed for a zero that the platform has not accepted yet. It has to hear of it before anything
    /// else, or it would not open them again.
    owes_zero: bool,
    /// The settings that the last scale call went by.
    told: Arc<AppSettings>,
}

/// At most one scale call per app is under way, so that the last one made is the last one to arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    None,
    UnderWay,
    /// The order has changed since.
    OneMore,
    /// The last one was not accepted: it is made again then, if nothing else is wanted before.
    Failed {
        retry_at: Timestamp,
    },
}

struct ScaleCallDone {
    app: Arc<App>,
    replicas: u32,
    result: Result<(), StartFailure>,
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
                () = &mut stop => return,
                Some(app) = self.pokes.recv() => {
                    if self.active.is_empty() {
                        tick.reset();
                    }
                    self.poked(app);
                }
                Some(done) = self.calls.recv() => self.call_done(&done),
                () = tokio::time::sleep_until(self.clock.instant(self.early.due)), if !self.early.apps.is_empty() => {
                    let apps = std::mem::take(&mut self.early.apps);
                    self.step_all(apps, Occasion::Poke);
                }
                // With nothing active there is nothing to tick for: an idle gateway sleeps.
                _ = tick.tick(), if !self.active.is_empty() => {
                    let apps = self.active.keys().copied().collect::<Vec<_>>();
                    self.step_all(apps, Occasion::Tick);
                }
            }
        }
    }

    fn poked(&mut self, app: Arc<App>) {
        let now = self.clock.now();
        app.take_poke();
        let key = key(&app);
        let active = self.active.entry(key).or_insert_with(|| Active::new(app, now));
        // A burst of pokes leads to one decision at once, and to another for what that leaves undone.
        let due = active.last_decision.is_none_or(|last| now.since(last) >= POKE_SPACING);
        if due || active.app.wanted() == 0 {
            self.step(key, now, Occasion::Poke);
        } else {
            if self.early.apps.is_empty() {
                self.early.due = now + POKE_SPACING;
            }
            self.early.apps.insert(key);
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
        let wanted = active.decide(now, occasion);
        if let Some(wanted) = wanted {
            active.app.set_wanted(wanted, now);
            active.owes_zero |= wanted == 0;
        }
        let changed = wanted.is_some() || active.target_has_changed();
        match active.call {
            Call::None if changed => self.call(key),
            Call::UnderWay if changed => active.call = Call::OneMore,
            Call::Failed { retry_at } if changed || now >= retry_at => self.call(key),
            _ => {}
        }
        self.forget_if_asleep(key);
    }

    fn forget_if_asleep(&mut self, key: usize) {
        if self.active.get(&key).is_some_and(Active::is_asleep) {
            self.active.remove(&key);
        }
    }

    fn call(&mut self, key: usize) {
        let Some(active) = self.active.get_mut(&key) else { return };
        active.call = Call::UnderWay;
        active.told = active.app.settings();
        let (app, platform, done) = (active.app.clone(), self.platform.clone(), self.done.clone());
        let replicas = if active.owes_zero { 0 } else { app.wanted() };
        tokio::spawn(async move {
            let result = tokio::time::timeout(SCALE_CALL_TIMEOUT, platform.scale(&app, replicas)).await;
            let result = result.unwrap_or_else(|_| Err(no_answer()));
            // The loop is gone only when the gateway stops.
            let _ = done.send(ScaleCallDone { app, replicas, result });
        });
    }

    fn call_done(&mut self, done: &ScaleCallDone) {
        let key = key(&done.app);
        let Some(active) = self.active.get_mut(&key) else { return };
        let now = self.clock.now();
        let mut once_more = active.call == Call::OneMore;
        match &done.result {
            Ok(()) => {
                active.call = Call::None;
                active.owes_zero &= done.replicas > 0;
                once_more |= done.replicas != done.app.wanted();
                if done.replicas > 0 {
                    done.app.scale_call_done();
                }
            }
            Err(failure) => {
                active.call = Call::Failed { retry_at: now + failure.retry_after.max(TICK) };
                done.app.scale_call_failed(failure.clone());
            }
        }
        match done.result {
            _ if once_more => self.call(key),
            Ok(()) => self.forget_if_asleep(key),
            Err(_) => self.step(key, now, Occasion::Poke),
        }
    }
}

/// By identity, not by name: an app may be removed and declared again while the first one is still finishing.
fn key(app: &Arc<App>) -> usize {
    Arc::as_ptr(app) as usize
}

fn no_answer() -> StartFailure {
    StartFailure {
        cause: FailureCause::NoAnswer { after: SCALE_CALL_TIMEOUT },
        output: Vec::new(),
        retry_after: Duration::from_secs(1),
    }
}

// === impl Active ===

impl Active {
    fn new(app: Arc<App>, now: Timestamp) -> Self {
        let running = u32::try_from(app.endpoints().len()).unwrap_or(u32::MAX);
        let settings = app.settings();
        let mut first = app.read(now);
        if running == 0 {
            // Those who wait are what it is woken by: the window begins before they came.
            first.arrivals = first.arrivals.saturating_sub(u64::from(first.in_flight));
        }
        Self {
            autoscaler: Autoscaler::new(now, running),
            window: Window::new(first, settings.scaling.stable_window),
            last_decision: None,
            call: Call::None,
            owes_zero: false,
            told: settings,
            app,
        }
    }

    /// What to tell the platform, if there is something new to tell.
    fn decide(&mut self, now: Timestamp, occasion: Occasion) -> Option<u32> {
        let settings = self.app.settings();
        let scaling = &settings.scaling;
        self.window.set_keep(scaling.stable_window);
        self.window.record(self.app.read(now));
        let wanted = self.app.wanted();
        let decision = if self.app.is_closing() {
            Decision::closing()
        } else if self.app.is_failing(now) {
            // The pause after a failed start: replicas that are kept at all times are retried by their platform.
            Decision::failing(scaling)
        } else {
            self.last_decision = Some(now);
            let decision = self.autoscaler.decide(scaling, &self.sample(scaling, now), now);
            let fewer = decision.replicas < wanted;
            if fewer && (occasion != Occasion::Tick || (decision.replicas == 0 && !self.app.try_sleep())) {
                return None;
            }
            decision
        };
        let replicas = decision.replicas;
        if replicas != wanted {
            tracing::info!(app = %self.app.id(), from = wanted, to = replicas, reason = %decision.reason, "scale");
        }
        self.app.record_decision(decision, now);
        (replicas != wanted).then_some(replicas)
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
            held: u32::try_from(self.app.held()).unwrap_or(u32::MAX),
            ready: u32::try_from(self.app.endpoints().len()).unwrap_or(u32::MAX),
            starting: self.app.starting(),
            wanted: self.app.wanted(),
            idle_for: self.app.idle_for(now),
        }
    }

    /// Whether replicas run, or are to, by a target that is no longer the app's.
    fn target_has_changed(&self) -> bool {
        let settings = self.app.settings();
        !Arc::ptr_eq(&settings, &self.told) && self.app.wanted() > 0 && settings.target != self.told.target
    }

    fn is_asleep(&self) -> bool {
        self.call == Call::None
            && self.app.wanted() == 0
            && self.app.in_flight() == 0
            && self.app.starting() == 0
            && self.app.endpoints().is_empty()
    }
}

#[cfg(test)]
mod tests;
