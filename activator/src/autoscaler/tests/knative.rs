//! Knative's decision, taken literally from knative/serving `pkg/autoscaler/scaling/autoscaler.go`, run beside ours where
//! the differences that `autoscaler.rs` names do not apply: nothing starts, nothing is held, one request is always open.

use proptest::prelude::*;

use super::*;

#[derive(Default)]
struct Knative {
    panic_time: Option<u64>,
    max_panic_pods: f64,
    delay_window: Vec<(u64, f64)>,
}

impl Knative {
    fn scale(&mut self, spec: &Scaling, stable: f64, panic: f64, ready: u32, now: u64) -> f64 {
        let ready_pods = f64::from(ready.max(1));
        let max_scale_up = (1_000.0 * ready_pods).ceil();
        let max_scale_down = (ready_pods / 2.0).floor();
        let target = spec.steering_target();
        let desired_stable = (stable / target).ceil();
        let desired_panic = (panic / target).ceil();
        let mut stable_pods = desired_stable.max(max_scale_down).min(max_scale_up);
        let mut panic_pods = desired_panic.max(max_scale_down).min(max_scale_up);
        let activation = f64::from(spec.activation_replicas);
        if activation > 1.0 {
            if desired_stable > 0.0 {
                stable_pods = stable_pods.max(activation);
            }
            if desired_panic > 0.0 {
                panic_pods = panic_pods.max(activation);
            }
        }
        let is_over = desired_panic / ready_pods >= f64::from(spec.panic_threshold) / 100.0;
        match self.panic_time {
            None if is_over => self.panic_time = Some(now),
            Some(_) if is_over => self.panic_time = Some(now),
            Some(since) if since + spec.stable_window.as_secs() < now => {
                self.panic_time = None;
                self.max_panic_pods = 0.0;
            }
            _ => {}
        }
        let mut desired = stable_pods;
        if self.panic_time.is_some() {
            self.max_panic_pods = self.max_panic_pods.max(stable_pods.max(panic_pods));
            desired = self.max_panic_pods;
        }
        let delay = spec.scale_down_delay.as_secs();
        if delay > 0 {
            self.delay_window.push((now, desired));
            let window = self.delay_window.iter().filter(|(then, _)| now - then < delay);
            desired = window.map(|(_, pods)| *pods).fold(0.0, f64::max);
        }
        desired.max(f64::from(spec.min_replicas)).min(f64::from(spec.max_replicas))
    }
}

prop_compose! {
    fn any_trace()(
        steps in prop::collection::vec(
            (
                prop_oneof![8 => 1u64..4, 1 => 1u64..100],
                prop_oneof![Just(0.0), 0.0..100.0, 0.0..2_000.0, 0.0..1_000_000.0],
                prop_oneof![Just(0.0), 0.0..100.0, 0.0..2_000.0, 0.0..1_000_000.0],
                prop_oneof![1u32..4, 1u32..50],
                // Whether the replicas wanted last are there.
                any::<bool>(),
            ),
            1..80,
        ),
    ) -> Vec<(u64, f64, f64, u32, bool)> {
        steps
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn decides_as_knative_does(
        trace in any_trace(),
        target in 1u32..100,
        utilization in 1u32..=100,
        threshold in 110u32..1_000,
        stable in 6u64..90,
        delay in prop_oneof![Just(0u64), 1u64..60],
        min in 0u32..3,
        activation in 1u32..5,
    ) {
        let scaling = Scaling {
            min_replicas: min,
            // Never in the way: what maxReplicas forbids is a difference.
            max_replicas: 1_000_000_000,
            target: f64::from(target),
            utilization,
            panic_threshold: threshold,
            stable_window: secs(stable),
            scale_down_delay: secs(delay),
            activation_replicas: activation,
            ..Scaling::default()
        };
        let (mut ours, mut knative) = (Autoscaler::new(Timestamp::ZERO, Begin::Found(0)), Knative::default());
        let (mut now, mut last) = (0, 1);
        for (passed, stable, panic, ready, settled) in trace {
            now += passed;
            let ready = if settled { last } else { ready };
            // Its windows round to six decimals.
            let rounded = |demand: f64| (demand * 1e6).round() / 1e6;
            let (stable, panic) = (rounded(stable), rounded(panic));
            let sample = Sample { stable, panic, in_flight: 1, ..steady(0.0, ready) };
            let decision = ours.decide(&scaling, &sample, at(now));
            // Where Knative would go to zero, ours keeps one for the request that is open.
            let expected = knative.scale(&scaling, stable, panic, ready, now).max(1.0);
            prop_assert_eq!(f64::from(decision.replicas), expected, "at {} s, {} ready: {}", now, ready, decision.reason);
            last = decision.replicas;
        }
    }
}
