mod fake;
mod shared;

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::app::{AppState, Permit};
use crate::hold::Refusal;
use crate::registry::Registry;
use crate::settings::{AppId, AppSettings, Target};
use crate::testing::{World, hold, hold_many, limited, settings, settle};
use fake::{Answer, AtOnce, Fake, FakePlatform};

/// A running scale loop, one declared app, and the platform it runs on.
struct Gateway {
    registry: Registry,
    app: Arc<App>,
    fake: Arc<Fake>,
    /// How often the loop was woken.
    polls: Arc<AtomicUsize>,
}

impl Gateway {
    async fn new(settings: AppSettings, start_time: Duration) -> Self {
        Self::with(settings, Fake::new(start_time)).await
    }

    async fn with(settings: AppSettings, fake: Arc<Fake>) -> Self {
        let World { shared, pokes } = World::new(Clock::running());
        let platform = Arc::new(FakePlatform(fake.clone()));
        let scaler = Scaler::new(shared.clock.clone(), platform.clone(), pokes);
        let polls = Arc::new(AtomicUsize::new(0));
        tokio::spawn({
            let polls = polls.clone();
            let mut run = Box::pin(scaler.run(std::future::pending()));
            std::future::poll_fn(move |context| {
                polls.fetch_add(1, Ordering::Relaxed);
                run.as_mut().poll(context)
            })
        });
        let registry = Registry::new(shared, platform);
        registry.apply([(id(), settings)], |_| {});
        let app = registry.all()[&id()].clone();
        settle().await;
        Self { registry, app, fake, polls }
    }

    fn apply(&self, settings: Option<AppSettings>) {
        self.registry.apply(settings.map(|s| (id(), s)), |_| {});
    }

    /// Sends a request and waits for its permit.
    async fn request(&self) -> Result<Permit, Refusal> {
        match self.app.enter().try_admit(self.app.clock().now()) {
            Ok(permit) => Ok(permit),
            Err(ticket) => ticket.hold(100).await,
        }
    }

    fn seconds(&self) -> f64 {
        self.app.clock().now().since(Timestamp::ZERO).as_secs_f64()
    }

    /// Whether only the registry and this know of the app: nothing of it is left in the loop.
    fn is_forgotten(&self) -> bool {
        Arc::strong_count(&self.app) == 2
    }
}

fn id() -> AppId {
    AppId::new("default", "a")
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
    settle().await;
}

fn nervous() -> AppSettings {
    settings(Scaling { idle_timeout: secs(1), ..Scaling::default() })
}

/// Never more than one at a replica, and no replica in reserve.
fn one_each() -> AppSettings {
    settings(Scaling { concurrency_limit: Some(1), utilization: 100, ..Scaling::default() })
}

#[tokio::test(start_paused = true)]
async fn a_thousand_first_requests_are_one_wake() {
    let gateway = Gateway::new(settings(Scaling::default()), secs(2)).await;
    let held = hold_many(&gateway.app, 1_000).await;
    for one in held {
        drop(one.await.unwrap().unwrap());
    }
    assert_eq!(gateway.fake.orders(), [10]);
    assert_eq!(gateway.seconds(), 2.0, "the replicas are there and so are the answers");
    assert_eq!((gateway.app.in_flight(), gateway.registry.held()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn as_many_are_started_as_what_is_held_wants() {
    let gateway = Gateway::new(settings(Scaling::default()), secs(2)).await;
    let _held = hold_many(&gateway.app, 150).await;
    settle().await;
    assert_eq!(gateway.fake.orders(), [3]);
    assert_eq!(gateway.fake.last_order_at(), Timestamp::ZERO, "at once, without a tick");
    assert_eq!(gateway.app.starting(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_slow_start_is_asked_for_once() {
    let gateway = Gateway::new(settings(Scaling::default()), secs(50)).await;
    let held = hold(&gateway.app);
    pass(secs(49)).await;
    assert_eq!((gateway.fake.orders(), held.is_finished()), (vec![1], false));
    assert!(held.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn more_that_come_while_it_starts_ask_for_more() {
    let gateway = Gateway::new(settings(Scaling::default()), secs(10)).await;
    let mut held = hold_many(&gateway.app, 1).await;
    settle().await;
    assert_eq!(gateway.fake.orders(), [1]);
    held.extend(hold_many(&gateway.app, 999).await);
    pass(secs(1)).await;
    assert_eq!(gateway.fake.orders(), [1, 10]);
}

#[tokio::test(start_paused = true)]
async fn held_requests_with_nothing_on_its_way_are_a_burst() {
    let gateway = Gateway::new(one_each(), secs(2)).await;
    let first = gateway.request().await.unwrap();
    assert_eq!((gateway.fake.orders(), gateway.seconds()), (vec![1], 2.0));
    pass(Duration::from_millis(1_500)).await;
    let _held = hold_many(&gateway.app, 4).await;
    settle().await;
    assert_eq!((gateway.fake.orders(), gateway.seconds()), (vec![1, 5], 3.5), "at once, without a tick");
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn it_sleeps_after_the_idle_timeout() {
    let gateway = Gateway::new(nervous(), Duration::from_millis(300)).await;
    drop(gateway.request().await.unwrap());
    let ended = gateway.app.clock().now();
    pass(secs(5)).await;
    assert_eq!(gateway.fake.orders(), [1, 0]);
    let silence = gateway.fake.last_order_at().since(ended);
    assert!((secs(1)..=secs(2)).contains(&silence), "{silence:?}");
    assert_eq!((gateway.app.state(gateway.app.clock().now()), gateway.fake.ready()), (AppState::Asleep, 0));
    assert!(gateway.is_forgotten());
    assert!(gateway.request().await.is_ok(), "and wakes again");
    assert_eq!(gateway.fake.orders(), [1, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_request_in_between_wins() {
    let gateway = Gateway::new(nervous(), Duration::ZERO).await;
    for _ in 0..20 {
        drop(gateway.request().await.unwrap());
        pass(Duration::from_millis(970)).await;
    }
    let open = gateway.request().await.unwrap();
    pass(secs(3_600)).await;
    assert_eq!(gateway.fake.orders(), [1], "never silent for a second");
    assert!(!open.endpoint().is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_during_the_start_lets_it_sleep_again() {
    let gateway = Gateway::new(nervous(), secs(30)).await;
    hold_many(&gateway.app, 1).await.pop().unwrap().abort();
    pass(secs(5)).await;
    assert_eq!(gateway.fake.orders().last(), Some(&0));
    pass(secs(60)).await;
    assert!(gateway.is_forgotten() && gateway.fake.ready() == 0);
}

#[tokio::test(start_paused = true)]
async fn a_failed_start_is_told_at_once_and_tried_again_by_the_next_after_the_pause() {
    let gateway = Gateway::new(settings(Scaling::default()), secs(2)).await;
    gateway.fake.failing_starts.store(1, Ordering::Relaxed);
    let held = hold_many(&gateway.app, 3).await;
    for one in held {
        assert!(matches!(one.await.unwrap(), Err(Refusal::CannotStart(_))));
    }
    assert_eq!(gateway.seconds(), 2.0);
    settle().await;
    assert_eq!((gateway.fake.orders(), gateway.app.wanted()), (vec![1, 0], 0));
    assert_eq!(gateway.app.decisions().last().unwrap().decision.reason.label(), "failing");
    pass(secs(1)).await;
    assert!(gateway.is_forgotten(), "nobody waits: nothing is tried again for nobody");
    assert!(gateway.request().await.is_err(), "it is too early");
    pass(secs(10)).await;
    assert_eq!(gateway.fake.orders(), [1, 0], "nothing is tried again for nobody");
    assert!(gateway.request().await.is_ok());
    assert_eq!(gateway.fake.orders(), [1, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn replicas_that_are_always_kept_are_started_and_stay() {
    let gateway = Gateway::new(nervous(), secs(1)).await;
    assert_eq!(gateway.fake.orders(), [0u32; 0]);
    let kept = |min| settings(Scaling { min_replicas: min, idle_timeout: secs(1), ..Scaling::default() });
    gateway.apply(Some(kept(2)));
    pass(secs(600)).await;
    assert_eq!((gateway.fake.orders(), gateway.fake.ready()), (vec![2], 2));
    gateway.apply(Some(kept(0)));
    pass(secs(5)).await;
    assert_eq!((gateway.fake.orders().last(), gateway.fake.ready()), (Some(&0), 0));
}

#[tokio::test(start_paused = true)]
async fn new_settings_wake_nobody() {
    let gateway = Gateway::new(settings(Scaling::default()), secs(1)).await;
    gateway.apply(Some(limited(3)));
    pass(secs(3)).await;
    assert_eq!(gateway.fake.orders(), [0u32; 0]);
    assert!(gateway.is_forgotten());
}

#[tokio::test(start_paused = true)]
async fn a_changed_target_is_told_though_the_number_stays() {
    let kept = settings(Scaling { min_replicas: 1, ..Scaling::default() });
    let gateway = Gateway::new(kept.clone(), secs(1)).await;
    pass(secs(5)).await;
    let mut changed = kept.clone();
    let Target::Process(process) = &mut changed.target else { panic!("a process") };
    Arc::make_mut(process).command = vec!["false".to_owned()];
    assert_eq!(gateway.fake.subjects.load(Ordering::Relaxed), 1);
    gateway.apply(Some(changed.clone()));
    pass(secs(5)).await;
    assert_eq!((gateway.fake.orders(), gateway.fake.subjects.load(Ordering::Relaxed)), (vec![1], 2));
    gateway.apply(Some(changed));
    assert_eq!(gateway.fake.subjects.load(Ordering::Relaxed), 2, "the same again is no change");
}

#[tokio::test(start_paused = true)]
async fn a_removed_app_goes_to_zero_and_is_forgotten() {
    let gateway = Gateway::new(settings(Scaling::default()), secs(1)).await;
    let inside = gateway.request().await.unwrap();
    gateway.apply(None);
    pass(secs(2)).await;
    assert_eq!((gateway.fake.orders(), gateway.fake.ready()), (vec![1], 1), "not from under a request");
    assert!(gateway.app.endpoints().is_empty());
    assert_eq!(gateway.app.decisions().last().unwrap().decision.reason.label(), "closing");
    assert!(matches!(gateway.app.enter().hold(1).await, Err(Refusal::Removed)));
    drop(inside);
    pass(secs(2)).await;
    assert_eq!((gateway.fake.orders(), gateway.fake.ready()), (vec![1, 0], 0));
    assert_eq!(Arc::strong_count(&gateway.app), 1, "this test is the only one that still knows it");
}

#[tokio::test(start_paused = true)]
async fn removed_while_its_first_call_is_under_way_it_goes_to_zero_too() {
    let gateway = Gateway::new(settings(Scaling::default()), secs(1)).await;
    gateway.fake.script.lock().push_back(Answer::After(secs(3)));
    let held = hold_many(&gateway.app, 2).await;
    pass(secs(1)).await;
    gateway.apply(None);
    for one in held {
        assert!(matches!(one.await.unwrap(), Err(Refusal::Removed)));
    }
    pass(secs(10)).await;
    assert_eq!((gateway.fake.orders(), gateway.fake.ready()), (vec![1, 0], 0));
    assert_eq!(Arc::strong_count(&gateway.app), 1);
}

#[tokio::test(start_paused = true)]
async fn calls_are_never_reordered_and_the_last_is_what_is_wanted() {
    let gateway = Gateway::new(settings(Scaling::default()), secs(1)).await;
    gateway.fake.script.lock().extend([Answer::After(secs(4)), Answer::After(secs(4))]);
    let mut held = hold_many(&gateway.app, 1).await;
    pass(secs(1)).await;
    held.extend(hold_many(&gateway.app, 300).await);
    pass(secs(1)).await;
    held.extend(hold_many(&gateway.app, 300).await);
    pass(Duration::from_millis(1_500)).await;
    let wanted = gateway.app.wanted();
    assert!(wanted > 1 && gateway.fake.orders() == [1], "it waits for the first call to end");
    pass(secs(1)).await;
    // Several changes while a call is under way are one call afterwards (the platform asserts that none overlap).
    let orders = gateway.fake.orders();
    assert!(orders.len() == 2 && orders[1] >= wanted, "{orders:?}");
    for one in held {
        assert!(one.await.unwrap().is_ok());
    }
    pass(secs(10)).await;
    assert_eq!(gateway.fake.orders().last(), Some(&gateway.app.wanted()));
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_does_not_answer_is_told_about() {
    let gateway = Gateway::new(settings(Scaling::default()), secs(1)).await;
    gateway.fake.script.lock().push_back(Answer::Never);
    assert!(gateway.request().await.is_ok());
    assert_eq!((gateway.fake.orders(), gateway.seconds()), (vec![1, 1], 11.1), "asked again after the pause");

    let patience = crate::settings::Hold { timeout: secs(5), ..crate::settings::Hold::default() };
    let gateway = Gateway::new(AppSettings { hold: patience, ..settings(Scaling::default()) }, secs(1)).await;
    gateway.fake.script.lock().extend((0..20).map(|_| Answer::Busy));
    let refusal = gateway.request().await.unwrap_err().to_string();
    assert!(
        refusal.ends_with("the app could not be told to start: the Kubernetes API server does not do it: as scripted"),
        "{refusal}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_order_that_was_not_taken_is_given_again() {
    // The first start of replicas that are kept.
    let fake = Fake::new(secs(1));
    fake.script.lock().extend([Answer::Refused(secs(3)), Answer::Refused(secs(3))]);
    let kept = settings(Scaling { min_replicas: 2, ..Scaling::default() });
    let gateway = Gateway::with(kept, fake).await;
    pass(secs(20)).await;
    assert_eq!((gateway.fake.orders(), gateway.fake.ready()), (vec![2, 2, 2], 2));
    assert!(
        gateway.app.clock().now().since(gateway.fake.last_order_at()) > secs(10),
        "and no longer once it was taken"
    );

    // More while one runs.
    let gateway = Gateway::new(one_each(), secs(1)).await;
    let _first = gateway.request().await.unwrap();
    pass(secs(1)).await;
    gateway.fake.script.lock().push_back(Answer::Refused(secs(3)));
    let held = hold_many(&gateway.app, 8).await;
    pass(secs(10)).await;
    assert_eq!((gateway.fake.ready(), gateway.app.held()), (9, 0));
    assert!(held.iter().all(|h| h.is_finished()));

    // The way to zero: what runs is not forgotten.
    let gateway = Gateway::new(nervous(), secs(1)).await;
    drop(gateway.request().await.unwrap());
    gateway.fake.script.lock().extend([Answer::Refused(secs(3)), Answer::Never]);
    pass(secs(60)).await;
    assert_eq!((gateway.fake.orders(), gateway.fake.ready()), (vec![1, 0, 0, 0], 0));
    assert!(gateway.is_forgotten());
}

#[tokio::test(start_paused = true)]
async fn replicas_on_their_way_are_waited_for_though_more_could_not_be_ordered() {
    let gateway = Gateway::new(settings(Scaling::default()), secs(5)).await;
    let first = hold(&gateway.app);
    settle().await;
    gateway.fake.script.lock().push_back(Answer::Refused(secs(30)));
    let more = hold_many(&gateway.app, 500).await;
    pass(secs(2)).await;
    assert_eq!((gateway.fake.orders(), gateway.app.starting()), (vec![1, 8], 1));
    assert!(first.await.unwrap().is_ok());
    assert_eq!(gateway.seconds(), 5.0);
    drop(more);
}

#[tokio::test(start_paused = true)]
async fn a_crash_puts_nobody_to_sleep_before_the_idle_timeout() {
    let gateway = Gateway::new(settings(Scaling::default()), Duration::from_millis(1_500)).await;
    drop(gateway.request().await.unwrap());
    let ended = gateway.app.clock().now();
    pass(secs(3)).await;
    // At a tick there is none; later there is one on its way, then one that is ready.
    gateway.fake.crash();
    pass(secs(3)).await;
    assert_eq!((gateway.fake.orders(), gateway.fake.ready()), (vec![1], 1));
    assert!(gateway.request().await.is_ok());
    let ended = ended.max(gateway.app.clock().now());
    pass(secs(70)).await;
    assert_eq!((gateway.fake.orders(), gateway.fake.ready()), (vec![1, 0], 0));
    assert!(gateway.fake.last_order_at().since(ended) >= secs(60));
}

#[tokio::test(start_paused = true)]
async fn what_is_held_when_the_last_start_ends_is_a_burst_at_once() {
    let gateway = Gateway::new(one_each(), Duration::from_millis(500)).await;
    let mut held = hold_many(&gateway.app, 1).await;
    pass(Duration::from_millis(300)).await;
    held.extend(hold_many(&gateway.app, 1).await);
    pass(Duration::from_millis(250)).await;
    assert_eq!(gateway.fake.orders(), [1, 2]);
    assert_eq!(gateway.fake.last_order_at(), Timestamp::from_millis(500), "without a tick");
}

#[tokio::test(start_paused = true)]
async fn a_poke_right_after_a_decision_does_not_wait_for_the_tick() {
    let gateway = Gateway::new(one_each(), Duration::from_millis(10)).await;
    let _first = gateway.request().await.unwrap();
    pass(Duration::from_millis(3_290)).await;
    let _second = gateway.request().await.unwrap();
    assert_eq!((gateway.fake.orders(), gateway.seconds()), (vec![1, 2], 3.31));
    let _third = gateway.request().await.unwrap();
    assert_eq!((gateway.fake.orders(), gateway.seconds()), (vec![1, 2, 3], 3.41), "100 ms, and its start");
}

/// As [`one_each`], with no memory and no panic.
fn forgetful() -> AppSettings {
    settings(Scaling {
        panic_threshold: 1_000,
        stable_window: secs(1),
        panic_window: secs(1),
        idle_timeout: secs(1),
        ..Scaling::clone(&one_each().scaling)
    })
}

#[tokio::test(start_paused = true)]
async fn replicas_halve_at_most_once_per_tick() {
    let gateway = Gateway::new(forgetful(), Duration::from_millis(1)).await;
    let held = hold_many(&gateway.app, 8).await;
    for one in held {
        drop(one.await.unwrap().unwrap());
    }
    pass(secs(10)).await;
    assert_eq!(gateway.fake.orders(), [8, 4, 2, 0]);
    let times = gateway.fake.order_times();
    assert!(times.windows(2).all(|pair| pair[1].since(pair[0]) >= TICK), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_to_go_is_back_at_once_if_more_is_wanted_before_it_is_ordered_away() {
    // While another call is under way.
    let gateway = Gateway::new(forgetful(), Duration::from_millis(1)).await;
    let held = hold_many(&gateway.app, 2).await;
    for one in held {
        drop(one.await.unwrap().unwrap());
    }
    gateway.fake.script.lock().push_back(Answer::After(secs(3)));
    pass(Duration::from_millis(2_500)).await;
    assert_eq!((gateway.fake.orders(), gateway.app.wanted()), (vec![2, 1], 0));
    assert!(gateway.request().await.is_ok());
    assert_eq!((gateway.fake.orders(), gateway.seconds()), (vec![2, 1], 2.501));

    // When it was not accepted.
    let gateway = Gateway::new(nervous(), Duration::ZERO).await;
    drop(gateway.request().await.unwrap());
    gateway.fake.script.lock().push_back(Answer::Refused(Duration::from_millis(1_500)));
    pass(Duration::from_millis(2_700)).await;
    assert_eq!(gateway.fake.orders(), [1, 0]);
    assert!(gateway.request().await.is_ok());
    assert_eq!((gateway.fake.orders(), gateway.seconds()), (vec![1, 0], 2.7));
}

#[tokio::test(start_paused = true)]
async fn a_rate_counts_the_requests_that_wake_the_app() {
    let rate = Scaling { metric: Metric::RequestRate, panic_threshold: 1_000, ..Scaling::default() };
    let fast = Gateway::new(settings(Scaling { target: 10.0, ..rate.clone() }), secs(5)).await;
    pass(secs(1)).await;
    let _held = hold_many(&fast.app, 20).await;
    pass(secs(4)).await;
    assert_eq!(fast.fake.orders(), [3], "20 in a second, 7 each");
    let rare = Gateway::new(settings(Scaling { target: 0.3, ..rate }), secs(5)).await;
    pass(secs(1)).await;
    let _held = hold_many(&rare.app, 1).await;
    pass(secs(4)).await;
    assert_eq!(rare.fake.orders(), [1], "one request is for one replica");
}

#[tokio::test(start_paused = true)]
async fn a_loop_with_nothing_to_do_is_not_woken() {
    let gateway = Gateway::new(nervous(), secs(1)).await;
    let idle = || gateway.polls.load(Ordering::Relaxed);
    let before = idle();
    pass(secs(3_600)).await;
    assert_eq!(idle(), before, "nothing was ever active");
    drop(gateway.request().await.unwrap());
    pass(secs(10)).await;
    // The interval that was waited for when the last app fell asleep is no longer listened to, but may fire once.
    let (before, decisions) = (idle(), gateway.app.decisions());
    pass(secs(3_600)).await;
    assert!(idle() <= before + 1, "{} wake-ups in an hour", idle() - before);
    assert_eq!(gateway.app.decisions().last().map(|d| d.at), decisions.last().map(|d| d.at));
}

#[tokio::test(start_paused = true)]
async fn many_apps_leave_nothing_behind() {
    let World { shared, pokes } = World::new(Clock::running());
    let platform = Arc::new(AtOnce::default());
    let scaler = Scaler::new(shared.clock.clone(), platform.clone(), pokes);
    tokio::spawn(scaler.run(std::future::pending()));
    let registry = Registry::new(shared, platform);
    let ids: Vec<_> = (0..500).map(|n| AppId::new("default", n.to_string())).collect();
    registry.apply(ids.iter().map(|id| (id.clone(), nervous())), |_| {});
    let all = registry.all();
    let held: Vec<_> = all.values().map(hold).collect();
    for one in held {
        drop(one.await.unwrap().unwrap());
    }
    pass(secs(10)).await;
    for app in all.values() {
        assert_eq!((app.wanted(), app.in_flight(), app.endpoints().len()), (0, 0, 0), "{}", app.id());
        assert_eq!(Arc::strong_count(app), 1, "only the registry knows {}", app.id());
    }
}
