use super::*;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const HOLD_ON: Duration = Duration::from_secs(60);

/// Long counted, and nothing there.
fn silent(idle_for: Option<u64>) -> Demand {
    Demand { peak: Peak::default(), in_flight: 0, idle_for: idle_for.map(secs), counted_for: secs(1_000) }
}

#[test]
fn an_app_holds_on_for_its_idle_timeout_and_at_least_for_a_poll_and_a_sync() {
    assert_eq!(hold_on(secs(60), secs(30)), secs(60));
    assert_eq!(hold_on(secs(1), secs(30)), secs(50));
    assert_eq!(hold_on(secs(1), secs(5)), secs(25));
    assert_eq!(hold_on(secs(600), secs(5)), secs(600));
}

#[test]
fn it_is_active_from_the_first_request_until_it_has_held_on() {
    let active = |demand: Demand| demand.is_active(HOLD_ON, Some(1));
    assert_eq!(active(Demand { in_flight: 1, ..silent(None) }), Some(true));
    assert_eq!(active(silent(Some(0))), Some(true));
    assert_eq!(active(silent(Some(59))), Some(true));
    assert_eq!(active(silent(Some(60))), Some(false));
    assert_eq!(active(silent(None)), Some(false));
}

#[test]
fn of_what_runs_the_last_request_may_have_been_before_the_gateway_began() {
    let young = |counted| Demand { counted_for: secs(counted), ..silent(None) };
    assert_eq!(young(59).is_active(HOLD_ON, Some(3)), Some(true));
    assert_eq!(young(59).is_active(HOLD_ON, Some(0)), Some(false));
    assert_eq!(young(59).is_active(HOLD_ON, None), None, "unknown is not zero");
    assert_eq!(young(60).is_active(HOLD_ON, Some(3)), Some(false));
    assert_eq!(young(60).is_active(HOLD_ON, None), Some(false));
    assert!(!young(0).is_real(HOLD_ON));
    assert_eq!(Demand { in_flight: 1, ..young(0) }.is_active(HOLD_ON, None), Some(true));
}

#[test]
fn the_value_is_the_peak_in_the_unit_asked_for() {
    let demand = Demand { peak: Peak { concurrency: 12, rate: 3.5 }, ..silent(Some(5)) };
    assert_eq!(demand.value(Metric::Concurrency, 10.0, Some(9)), Some(12.0));
    assert_eq!(demand.value(Metric::RequestRate, 10.0, None), Some(3.5));
}

#[test]
fn until_a_window_is_counted_the_value_keeps_what_runs() {
    let young = Demand { peak: Peak { concurrency: 12, rate: 0.0 }, counted_for: secs(19), ..silent(None) };
    assert_eq!(young.value(Metric::Concurrency, 10.0, Some(3)), Some(30.0));
    assert_eq!(young.value(Metric::Concurrency, 10.0, Some(1)), Some(12.0));
    assert_eq!(young.value(Metric::Concurrency, 10.0, Some(0)), Some(12.0));
    assert_eq!(young.value(Metric::Concurrency, 10.0, None), None);
    let counted = Demand { counted_for: secs(20), ..young };
    assert_eq!(counted.value(Metric::Concurrency, 10.0, Some(3)), Some(12.0));
}
