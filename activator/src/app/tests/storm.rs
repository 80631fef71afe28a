//! Everything at once, at random: whatever happens in whatever order, what is free is never waited for, and in the end
//! every count is 0 again.

use tokio::task::JoinHandle;

use super::*;
use crate::admission::Endpoint;

const MOST_EACH: u32 = 4;
const BUDGET: usize = 60;

/// One request on its way: admitted or held, tried again elsewhere, cut off by a panic, or let go.
async fn request(app: Arc<App>, seed: u64, unit: Duration) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut ticket = app.enter();
    loop {
        let admitted = ticket.try_admit(app.clock().now());
        let permit = match admitted {
            Ok(permit) => permit,
            Err(ticket) => match ticket.hold(random.usize(..500)).await {
                Ok(permit) => permit,
                Err(_) => return,
            },
        };
        match random.u32(..10) {
            // Without the hook: no report for a panic on purpose.
            0 => std::panic::resume_unwind(Box::new("on purpose")),
            1 => return,
            2 => {
                permit.endpoint().suspect(app.clock().now() + unit * random.u32(..20));
                ticket = permit.give_back();
            }
            3 => {
                tokio::task::yield_now().await;
                ticket = permit.give_back();
            }
            _ => return tokio::time::sleep(unit * random.u32(..50)).await,
        }
    }
}

struct Storm {
    world: World,
    app: Arc<App>,
    random: fastrand::Rng,
    unit: Duration,
    requests: Vec<JoinHandle<()>>,
    gone: Vec<Arc<Endpoint>>,
    endpoints: u32,
    ticked: Timestamp,
}

impl Storm {
    fn new(seed: u64, unit: Duration) -> Self {
        let world = World::with_budget(Clock::running(), HoldBudget::new(BUDGET, BUDGET * 200));
        let mut random = fastrand::Rng::with_seed(seed);
        let app = world.app("a", Self::settings(&mut random, unit));
        Self { world, app, random, unit, requests: Vec::new(), gone: Vec::new(), endpoints: 0, ticked: Timestamp::ZERO }
    }

    fn settings(random: &mut fastrand::Rng, unit: Duration) -> AppSettings {
        let hold = Hold { max_requests: random.usize(1..50), timeout: unit * random.u32(10..200) };
        AppSettings { hold, ..limited(random.u32(1..=MOST_EACH)) }
    }

    fn add_endpoint(&mut self) {
        self.endpoints += 1;
        self.app.endpoint_ready(endpoint(&self.endpoints.to_string()));
    }

    async fn step(&mut self) {
        let (app, random) = (&self.app, &mut self.random);
        match random.u32(..100) {
            0..40 => {
                for _ in 0..random.u32(1..5) {
                    self.requests.push(tokio::spawn(request(app.clone(), random.u64(..), self.unit)));
                }
            }
            40..50 if !self.requests.is_empty() => {
                let gives_up = random.usize(..self.requests.len());
                self.requests.swap_remove(gives_up).abort();
            }
            50..57 => self.add_endpoint(),
            57..64 => {
                let endpoints = app.endpoints();
                if let Some(going) = random.choice(endpoints.iter()) {
                    app.endpoint_gone(going);
                    self.gone.push(going.clone());
                }
            }
            64..67 => drop(app.configure(Self::settings(random, self.unit))),
            67..70 => app.set_starting(random.u32(..3)),
            70..72 => app.start_failed(failure(self.unit * 30)),
            72..75 => {
                let endpoints = app.endpoints();
                if app.try_sleep() {
                    self.gone.extend(endpoints.iter().cloned());
                }
            }
            75..90 => tokio::time::sleep(self.unit * random.u32(..10)).await,
            90..92 => {
                self.ticked = app.clock().now();
                app.tick(self.ticked);
            }
            _ => tokio::task::yield_now().await,
        }
        self.world.take_pokes();
        assert!(self.app.held() <= 50 && self.world.shared.budget.requests() <= BUDGET + 3);
    }

    /// Nothing else runs: what is true between any two steps.
    fn check(&self) {
        let endpoints = self.app.endpoints();
        let limit = self.app.settings().scaling.concurrency_limit.unwrap();
        for one in endpoints.iter() {
            assert!(!one.is_closed(), "in rotation and closed: {one:?}");
            assert!(one.in_flight() <= MOST_EACH, "{one:?}");
            // That a suspicion is over is noticed by the next tick.
            let free = !one.is_suspect(self.ticked) && one.in_flight() < limit;
            assert!(!free || self.app.held() == 0, "{} wait though a slot is free at {one:?}", self.app.held());
        }
        let inside: u32 = endpoints.iter().chain(&self.gone).map(|e| e.in_flight()).sum();
        assert!(inside + self.app.held() as u32 <= self.app.in_flight());
        assert!(self.world.shared.budget.requests() >= self.app.held());
    }

    async fn end(mut self) {
        self.app.set_starting(0);
        self.add_endpoint();
        let over = async {
            for one in self.requests.drain(..) {
                // Cut off or panicked: both on purpose.
                let _ = one.await;
            }
        };
        tokio::time::timeout(secs(60), over).await.expect("every wait has an end");
        // Those that gave up may be on their way out on another thread.
        let deadline = tokio::time::timeout(secs(60), async {
            while self.app.in_flight() > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        deadline.await.expect("every request is counted down");
        let (app, budget) = (&self.app, &self.world.shared.budget);
        assert_eq!((app.in_flight(), app.held(), budget.requests(), budget.bytes()), (0, 0, 0, 0));
        for one in app.endpoints().iter().chain(&self.gone) {
            assert_eq!(one.in_flight(), 0, "{one:?}");
        }
        for one in &self.gone {
            tokio::time::timeout(secs(1), one.drained()).await.expect("closed and empty");
        }
        let reading = app.read(app.clock().now());
        assert_eq!(reading.integral, app.read(app.clock().now() + secs(100)).integral, "nothing counts on");
        assert!(app.try_sleep() && app.endpoints().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_storm_passes_and_leaves_nothing() {
    for seed in 0..10 {
        fastrand::seed(seed);
        let mut storm = Storm::new(seed, Duration::from_millis(1));
        for _ in 0..3_000 {
            storm.step().await;
            storm.check();
        }
        storm.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_storm_on_many_threads_passes_and_leaves_nothing() {
    for seed in 0..4 {
        let mut storm = Storm::new(seed, Duration::from_micros(100));
        for _ in 0..2_000 {
            storm.step().await;
        }
        storm.end().await;
    }
}
