use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;
use crate::clock::Clock;

fn ms(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A load and a window over it, with requests that come and go as the readings pass them.
struct Observed {
    load: Load,
    window: Window,
    /// When, and whether one comes; the next one last.
    ahead: Vec<(Timestamp, bool)>,
}

impl Observed {
    fn begin(at: u64, keep: Duration, requests: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let load = Load::new();
        let window = Window::new(load.read(ms(at)), keep);
        let mut ahead: Vec<_> =
            requests.into_iter().flat_map(|(start, end)| [(ms(start), true), (ms(end), false)]).collect();
        // One that takes no time comes before it goes.
        ahead.sort_by_key(|(at, comes)| (*at, !comes));
        ahead.reverse();
        Self { load, window, ahead }
    }

    /// Lets happen what happens before `at` and reads then.
    fn read(&mut self, at: u64) {
        while let Some((then, comes)) = self.ahead.pop_if(|(then, _)| *then < ms(at)) {
            if comes {
                self.load.enter(then);
            } else {
                self.load.leave(then);
            }
        }
        self.window.record(self.load.read(ms(at)));
    }
}

/// Request-nanoseconds within `from..to` in milliseconds, by looking at every request.
fn naive_integral(requests: &[(u64, u64)], from: u64, to: u64) -> u128 {
    requests.iter().map(|(start, end)| u128::from(end.min(&to).saturating_sub(*start.max(&from))) * 1_000_000).sum()
}

#[test]
fn the_integral_is_the_time_spent_in_flight() {
    let load = Load::new();
    load.enter(ms(100));
    load.enter(ms(250));
    let reading = load.read(ms(300));
    assert_eq!((reading.in_flight, reading.integral, reading.arrivals), (2, 250_000_000, 2));
    load.leave(ms(400));
    load.leave(ms(1_000));
    let reading = load.read(ms(5_000));
    assert_eq!((reading.in_flight, reading.integral, reading.arrivals), (0, 1_050_000_000, 2));
    assert_eq!(load.last_end(), ms(1_000));
}

#[test]
fn a_request_that_comes_after_now_was_read_does_not_make_the_integral_negative() {
    let load = Load::new();
    load.enter(ms(10));
    assert_eq!(load.read(ms(9)).integral, 0);
}

#[test]
fn a_busy_century_fits() {
    let century = Timestamp::from_nanos(100 * 365 * 86_400 * 1_000_000_000);
    let load = Load::new();
    for _ in 0..100_000 {
        load.enter(Timestamp::ZERO);
    }
    let reading = load.read(century);
    assert_eq!(reading.in_flight, 100_000);
    assert_eq!(reading.integral, 100_000 * u128::from(century.as_nanos()));
}

#[test]
fn an_average_covers_the_window_and_no_more() {
    // Four at once for two seconds, before the window; then one for five.
    let mut seen = Observed::begin(0, secs(10), [(0, 2_000), (0, 2_000), (0, 2_000), (0, 2_000), (5_000, 10_000)]);
    (1..=12).for_each(|second| seen.read(second * 1_000));
    assert_eq!(seen.window.concurrency(secs(10)), 0.5);
    assert_eq!(seen.window.concurrency(secs(4)), 0.5);
    assert_eq!(seen.window.concurrency(secs(7)), 5.0 / 7.0);
    assert_eq!(seen.window.concurrency(secs(1)), 0.0);
}

#[test]
fn the_begin_of_a_window_lies_on_the_line_between_two_readings() {
    let mut seen = Observed::begin(0, secs(10), [(1_000, 1_500)]);
    [1_000, 2_000, 2_400].into_iter().for_each(|at| seen.read(at));
    // 500 ms in flight between 1 s and 2 s: on the line, 300 of them lie after 1.4 s.
    assert!((seen.window.concurrency(secs(1)) - 0.3).abs() < 1e-12);
}

#[test]
fn a_young_window_averages_over_its_age() {
    let load = Load::new();
    for _ in 0..10 {
        load.enter(ms(60_000));
    }
    let mut window = Window::new(load.read(ms(60_000)), secs(60));
    assert_eq!(window.concurrency(secs(60)), 10.0, "no time has passed: what is in flight");
    window.record(load.read(ms(60_200)));
    assert!((window.concurrency(secs(60)) - 10.0).abs() < 1e-9);
    (0..10).for_each(|_| load.leave(ms(61_000)));
    window.record(load.read(ms(61_000)));
    window.record(load.read(ms(62_000)));
    assert!((window.concurrency(secs(60)) - 5.0).abs() < 1e-9);
}

#[test]
fn silence_lowers_the_average_until_the_window_has_passed() {
    let mut seen = Observed::begin(0, secs(10), [(0, 1_000); 20]);
    for second in 1..=12 {
        seen.read(second * 1_000);
        // All of it lies in the first second, which is in the window until 10 s.
        let should = if second <= 10 { 20.0 / second as f64 } else { 0.0 };
        assert!((seen.window.concurrency(secs(10)) - should).abs() < 1e-9, "after {second} s");
    }
}

#[test]
fn a_rate_counts_arrivals_per_second() {
    // 100 a second for three seconds, then none, each far longer than the windows.
    let mut seen = Observed::begin(0, secs(60), (0..300).map(|n| (n * 10, n * 10 + 500_000)));
    (1..=6).for_each(|second| seen.read(second * 1_000));
    assert!((seen.window.rate(secs(60), 10.0) - 50.0).abs() < 1e-9);
    assert!((seen.window.rate(secs(4), 10.0) - 25.0).abs() < 1e-9);
    assert_eq!(seen.window.rate(secs(3), 10.0), 0.0);
}

#[test]
fn a_rate_of_the_first_moments_counts_as_if_a_second_had_passed() {
    let mut seen = Observed::begin(0, secs(60), [(1, 5)]);
    seen.read(10);
    assert!((seen.window.rate(secs(60), 10.0) - 1.0).abs() < 1e-9, "one request within 10 ms is not 100 per second");
    assert!((seen.window.rate(secs(60), 0.1) - 0.1).abs() < 1e-9, "one that may come every 10 s is not above that");
    assert!((seen.window.rate(secs(6), 0.1) - 1.0 / 6.0).abs() < 1e-9, "a window is never longer than it is");
}

#[test]
fn a_window_keeps_no_more_readings_than_it_needs() {
    let mut seen = Observed::begin(0, secs(60), []);
    (0..600_000).step_by(7).for_each(|at| seen.read(at));
    // Two a second, the one before the begin, and the latest that may still be replaced.
    assert!(seen.window.readings.len() <= 2 * 60 + 3, "{} readings", seen.window.readings.len());
    seen.window.set_keep(secs(5));
    seen.read(600_000);
    assert!(seen.window.readings.len() <= 2 * 5 + 3, "{} readings", seen.window.readings.len());
}

#[test]
fn readings_in_quick_succession_do_not_hide_what_came_before_them() {
    let mut seen = Observed::begin(0, secs(6), [(0, 3_000)]);
    (0..=6_000).step_by(100).for_each(|at| seen.read(at));
    assert!((seen.window.concurrency(secs(6)) - 0.5).abs() < 1e-9);
    assert!(seen.window.concurrency(secs(2)).abs() < 1e-9);
}

proptest! {
    /// With readings every second and windows of whole seconds, averages are those of a list of all requests.
    #[test]
    fn averages_are_those_of_all_requests(
        requests in prop::collection::vec((0u64..40_000, 0u64..20_000), 0..60),
        end in 1u64..45,
        window in 1u64..70,
    ) {
        let requests: Vec<_> = requests.into_iter().map(|(start, long)| (start, start + long)).collect();
        let mut seen = Observed::begin(0, secs(70), requests.iter().copied());
        for now in (1_000..=end * 1_000).step_by(1_000) {
            seen.read(now);
            let latest = seen.window.latest();
            prop_assert_eq!(latest.integral, naive_integral(&requests, 0, now));
            prop_assert_eq!(latest.arrivals, requests.iter().filter(|(start, _)| *start < now).count() as u64);
            let inside = requests.iter().filter(|(start, end)| *start < now && *end >= now).count();
            prop_assert_eq!(latest.in_flight as usize, inside);
        }
        let span = window.min(end);
        let spent = naive_integral(&requests, (end - span) * 1_000, end * 1_000);
        let average = spent as f64 / secs(span).as_nanos() as f64;
        let is = seen.window.concurrency(secs(window));
        prop_assert!((is - average).abs() < 1e-6, "{} instead of {}", is, average);
    }
}

#[test]
fn no_thread_makes_it_off() {
    const THREADS: u64 = 4;
    let (load, clock) = (Arc::new(Load::new()), Clock::manual());
    let (spent, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let workers: Vec<_> = (0..THREADS)
        .map(|seed| {
            let (load, clock, spent) = (load.clone(), clock.clone(), spent.clone());
            std::thread::spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                for _ in 0..20_000 {
                    let start = clock.now();
                    load.enter(start);
                    clock.advance(Duration::from_nanos(random.u64(..1_000)));
                    let end = clock.now();
                    load.leave(end);
                    spent.fetch_add(end.since(start).as_nanos() as u64, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let reader = {
        let (load, clock, over) = (load.clone(), clock.clone(), over.clone());
        std::thread::spawn(move || {
            while !over.load(Ordering::Acquire) {
                let reading = load.read(clock.now());
                assert!(u64::from(reading.in_flight) <= THREADS, "{reading:?}");
                assert!(reading.integral <= u128::from(THREADS * clock.now().as_nanos()), "{reading:?}");
            }
        })
    };
    workers.into_iter().for_each(|w| w.join().unwrap());
    over.store(true, Ordering::Release);
    reader.join().unwrap();
    let reading = load.read(clock.now());
    assert_eq!((reading.in_flight, reading.arrivals), (0, THREADS * 20_000));
    assert_eq!(reading.integral, u128::from(spent.load(Ordering::Relaxed)));
}
