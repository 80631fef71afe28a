use super::*;

fn seconds(seconds: f64) -> Timestamp {
    Timestamp::from_nanos((seconds * 1e9) as u64)
}

fn seen(at: f64, peak: u32, arrivals: u64) -> Seen {
    Seen { at: seconds(at), peak, arrivals }
}

/// A look each second from 100 s on, with what was seen.
fn each_second(looks: impl IntoIterator<Item = (u32, u64)>) -> Recent {
    let mut looks = looks.into_iter().zip(100..).map(|((peak, arrivals), at)| seen(f64::from(at), peak, arrivals));
    let mut recent = Recent::new(looks.next().unwrap(), 0);
    looks.for_each(|look| recent.record(look));
    recent
}

#[test]
fn a_burst_is_seen_for_twenty_seconds_and_no_longer() {
    let recent = each_second([(0, 0), (7, 7), (0, 7)]);
    assert_eq!(recent.peak(seconds(101.0)).concurrency, 7);
    assert_eq!(recent.peak(seconds(121.0)).concurrency, 7);
    assert_eq!(recent.peak(seconds(121.1)).concurrency, 0);
}

#[test]
fn looks_that_come_fast_become_one_and_lose_nothing() {
    let mut recent = Recent::new(seen(100.0, 1, 1), 0);
    for n in 1..=1_000 {
        recent.record(seen(100.0 + f64::from(n) / 1_000.0, if n == 500 { 90 } else { 2 }, 1));
    }
    assert!(recent.looks.len() < 6, "{}", recent.looks.len());
    assert_eq!(recent.peak(seconds(101.0)).concurrency, 90);
}

#[test]
fn a_steady_rate_is_that_rate_whenever_it_is_looked_at() {
    // Ten a second; looks at uneven times, as ticks and questions come.
    let mut recent = Recent::new(seen(100.0, 1, 0), 0);
    let mut at = 100.0;
    for n in 0..100 {
        at += [0.31, 1.0, 0.97, 1.05, 0.6][n % 5];
        recent.record(seen(at, 1, ((at - 100.0) * 10.0) as u64));
        let rate = recent.peak(seconds(at)).rate;
        let is_all_there = at >= 106.0;
        assert!(rate <= 10.2 && (!is_all_there || rate >= 9.8), "{rate} at {at}");
    }
}

#[test]
fn what_wakes_an_app_counts_as_a_mean_over_six_seconds() {
    let recent = Recent::new(seen(100.0, 30, 1_030), 1_000);
    assert_eq!(recent.peak(seconds(100.0)), Peak { concurrency: 30, rate: 5.0 });
}

#[test]
fn a_burst_of_arrivals_is_seen_at_its_most_and_then_forgotten() {
    let recent = each_second((0..=30).map(|n| (0, if n < 10 { 0 } else { 60 })));
    assert_eq!(recent.peak(seconds(130.0)).rate, 10.0);
    // The last window in which they all came ended at 115 s.
    assert_eq!(recent.peak(seconds(135.0)).rate, 10.0);
    assert!(recent.peak(seconds(136.5)).is_zero());
}

#[test]
fn a_gateway_that_has_just_begun_divides_by_the_whole_span() {
    let recent = Recent::new(seen(1.0, 1, 6), 0);
    assert_eq!(recent.peak(seconds(1.0)).rate, 1.0);
}

#[test]
fn it_stays_small() {
    let recent = each_second((0..1_000).map(|n| (1, n)));
    assert!(recent.looks.len() <= 29, "{}", recent.looks.len());
}

#[test]
fn after_a_long_silence_nothing_counts() {
    let mut recent = each_second([(5, 5), (5, 10)]);
    recent.record(seen(1_000.0, 1, 11));
    assert_eq!(recent.peak(seconds(1_000.0)), Peak { concurrency: 1, rate: 1.0 / 6.0 });
}
