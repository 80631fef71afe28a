//! The one scale loop: ticks every second for apps that have demand or replicas, and at once for apps that poke.
//! A sleeping app is not in it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::app::App;
use crate::autoscaler::{Autoscaler, Sample};
use crate::clock::{Clock, Timestamp};
use crate::demand::{Reading, Window};
use crate::platform::{FailureCause, Platform, StartFailure};
use crate::settings::{Metric, Scaling, Target};

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
    done: mpsc::UnboundedSender<ScaleCallDone>,
    calls: mpsc::UnboundedReceiver<ScaleCallDone>,
}

/// An app with demand or replicas.
struct Active {
    app: Arc<App>,
    autoscaler: Autoscaler,
    window: Window,
    last_decision: Option<Timestamp>,
    /// As the platform knows it.
    target: Target,
    call: Call,
}

/// At most one scale call per app is under way, so that the last one made is the last one to arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    None,
    UnderWay,
    /// The wanted number has changed since.
    OneMore,
}

struct ScaleCallDone {
    app: Arc<App>,
    result: Result<(), StartFailure>,
}

// === impl Scaler ===

impl Scaler {
    /// A loop that scales `platform` for the apps that come in by `pokes`.
    pub fn new(clock: Clock, platform: Arc<dyn Platform>, pokes: mpsc::UnboundedReceiver<Arc<App>>) -> Self {
        let (done, calls) = mpsc::unbounded_channel();
        Self { clock, platform, pokes, active: HashMap::new(), done, calls }
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
                // With nothing active there is nothing to tick for: an idle gateway sleeps.
                _ = tick.tick(), if !self.active.is_empty() => self.tick(),
            }
        }
    }

    fn poked(&mut self, app: Arc<App>) {
        let now = self.clock.now();
        app.take_poke();
        let key = key(&app);
        let active = self.active.entry(key).or_insert_with(|| Active::new(app, now));
        // A burst of pokes leads to one decision; what it leaves undone is due at the next tick.
        let due = active.last_decision.is_none_or(|last| now.since(last) >= POKE_SPACING);
        if due || active.app.wanted() == 0 {
            self.step(key, now);
        }
    }

    fn tick(&mut self) {
        let now = self.clock.now();
        let keys: Vec<_> = self.active.keys().copied().collect();
        for key in keys {
            self.step(key, now);
        }
    }

    /// Decides on one app and carries it out; forgets the app when it is asleep.
    fn step(&mut self, key: usize, now: Timestamp) {
        let Some(active) = self.active.get_mut(&key) else { return };
        active.app.tick(now);
        let target = active.app.settings().target.clone();
        // The platform has to know of other settings even if they change no number.
        let tell_anew = (active.target != target).then(|| active.app.wanted());
        if let Some(wanted) = active.decide(now).or(tell_anew) {
            active.target = target;
            active.app.set_wanted(wanted, now);
            match active.call {
                Call::None => self.call(key),
                Call::UnderWay | Call::OneMore => active.call = Call::OneMore,
            }
        }
        if self.active.get(&key).is_some_and(Active::is_asleep) {
            self.active.remove(&key);
        }
    }

    fn call(&mut self, key: usize) {
        let Some(active) = self.active.get_mut(&key) else { return };
        active.call = Call::UnderWay;
        let (app, platform, done) = (active.app.clone(), self.platform.clone(), self.done.clone());
        let replicas = app.wanted();
        tokio::spawn(async move {
            let result = tokio::time::timeout(SCALE_CALL_TIMEOUT, platform.scale(&app, replicas)).await;
            let result = result.unwrap_or_else(|_| Err(no_answer()));
            // The loop is gone only when the gateway stops.
            let _ = done.send(ScaleCallDone { app, result });
        });
    }

    fn call_done(&mut self, done: &ScaleCallDone) {
        let key = key(&done.app);
        let Some(active) = self.active.get_mut(&key) else { return };
        let once_more = active.call == Call::OneMore;
        active.call = Call::None;
        match &done.result {
            Ok(()) => done.app.scale_call_done(),
            Err(failure) => {
                done.app.set_starting(0);
                done.app.start_failed(failure.clone());
            }
        }
        if once_more {
            self.call(key);
        } else {
            self.step(key, self.clock.now());
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
        Self {
            autoscaler: Autoscaler::new(now, running),
            window: Window::new(app.read(now), settings.scaling.stable_window),
            last_decision: None,
            target: settings.target.clone(),
            call: Call::None,
            app,
        }
    }

    /// What to tell the platform, if there is something new to tell.
    fn decide(&mut self, now: Timestamp) -> Option<u32> {
        let settings = self.app.settings();
        let scaling = &settings.scaling;
        self.window.set_keep(scaling.stable_window);
        self.window.record(self.app.read(now));
        let wanted = self.app.wanted();
        if self.app.is_closing() {
            return (wanted > 0).then_some(0);
        }
        if self.app.is_failing(now) {
            // The pause after a failed start: replicas that are kept at all times are retried by their platform.
            let kept = scaling.min_replicas;
            return (wanted != kept).then_some(kept);
        }
        let decision = self.autoscaler.decide(scaling, &self.sample(scaling, now), now);
        self.last_decision = Some(now);
        let replicas = decision.replicas;
        if replicas == 0 && wanted > 0 && !self.app.try_sleep() {
            return None;
        }
        if replicas != wanted {
            tracing::info!(app = %self.app.id(), from = wanted, to = replicas, reason = %decision.reason, "scale");
        }
        self.app.record_decision(decision, now);
        (replicas != wanted).then_some(replicas)
    }

    fn sample(&self, scaling: &Scaling, now: Timestamp) -> Sample {
        let average = |span| match scaling.metric {
            Metric::Concurrency => self.window.concurrency(span),
            Metric::RequestRate => self.window.rate(span),
        };
        let Reading { in_flight, .. } = self.window.latest();
        Sample {
            stable: average(scaling.stable_window),
            panic: average(scaling.panic_window),
            in_flight,
            held: u32::try_from(self.app.held()).unwrap_or(u32::MAX),
            ready: u32::try_from(self.app.endpoints().len()).unwrap_or(u32::MAX),
            starting: self.app.starting(),
            idle_for: self.app.idle_for(now),
        }
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
