//! What holds for any settings and any trace.

use proptest::prelude::*;

use super::*;

fn any_scaling() -> impl Strategy<Value = Scaling> {
    let numbers = (0u32..4, 0u32..20, 1u32..6, 110u32..1_000);
    let targets = (0.01f64..200.0, 1u32..=100, prop::option::of(1u32..50), any::<bool>());
    let times = (1u64..120, 1u64..60, 1u64..120, prop_oneof![Just(0u64), 1u64..90]);
    (numbers, targets, times).prop_map(
        |((min, more, activation, threshold), (target, utilization, limit, rate), times)| {
            let (stable, panic, idle, delay) = times;
            Scaling {
                by: crate::settings::ScaledBy::Zerogate,
                min_replicas: min,
                max_replicas: (min + more).max(1),
                metric: if rate { Metric::RequestRate } else { Metric::Concurrency },
                target,
                utilization,
                concurrency_limit: limit,
                stable_window: secs(stable),
                panic_window: secs(panic.min(stable)),
                panic_threshold: threshold,
                idle_timeout: secs(idle),
                scale_down_delay: secs(delay),
                activation_replicas: activation.min((min + more).max(1)),
            }
        },
    )
}

fn any_sample() -> impl Strategy<Value = Sample> {
    let demand = || prop_oneof![Just(0.0), 0.0..5.0, 0.0..5_000.0];
    let count = || prop_oneof![2 => Just(0u32), 3 => 0u32..8, 1 => 0u32..500];
    (demand(), demand(), count(), 0u32..=100, (count(), count(), count()), 0u64..200).prop_map(
        |(stable, panic, in_flight, held_percent, (ready, starting, wanted), idle)| Sample {
            stable,
            panic,
            in_flight,
            held: in_flight * held_percent / 100,
            ready,
            starting,
            wanted,
            idle_for: if in_flight > 0 { Duration::ZERO } else { secs(idle) },
            yields: false,
            follows: false,
            here: 0,
        },
    )
}

proptest! {
    #[test]
    fn whatever_comes_it_stays_within_bounds_and_sleeps_only_in_silence(
        scaling in any_scaling(),
        running in 0u32..5,
        steps in prop::collection::vec((0u64..20, any_sample()), 1..60),
    ) {
        let mut autoscaler = Autoscaler::new(Timestamp::ZERO, Begin::Found(running));
        let mut twin = Autoscaler::new(Timestamp::ZERO, Begin::Found(running));
        let mut seconds = 0;
        for (passed, sample) in steps {
            seconds += passed;
            let decision = autoscaler.decide(&scaling, &sample, at(seconds));
            prop_assert!((scaling.min_replicas..=scaling.max_replicas).contains(&decision.replicas), "{decision:?}");
            prop_assert_eq!(&decision, &twin.decide(&scaling, &sample, at(seconds)));
            let at_zero = sample.ready + sample.starting + sample.wanted == 0;
            if decision.replicas == 0 {
                prop_assert_eq!(sample.in_flight, 0);
                prop_assert!(sample.idle_for >= scaling.idle_timeout || sample.wanted == 0, "{decision:?}");
            }
            if at_zero && sample.in_flight == 0 && seconds >= scaling.stable_window.max(HANDOVER).as_secs() {
                prop_assert_eq!(decision.replicas, scaling.min_replicas, "nobody asked");
            }
        }
    }

    /// With replicas that are there as soon as they are wanted, the first decision is the last.
    #[test]
    fn constant_demand_never_flaps(scaling in any_scaling(), demand in 1u32..5_000) {
        let scaling = Scaling { metric: Metric::Concurrency, ..scaling };
        let mut autoscaler = seasoned();
        let first = autoscaler.decide(&scaling, &at_zero(demand), at(1_000)).replicas;
        for seconds in 1_001..1_300 {
            let decision = autoscaler.decide(&scaling, &steady(f64::from(demand), first), at(seconds));
            prop_assert_eq!(decision.replicas, first, "after {} s: {}", seconds - 1_000, decision.reason);
        }
    }
}
