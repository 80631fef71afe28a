use activator::resource::human::HumanDuration;
use activator::resource::{self, ScaledBy};
use activator::settings::{self, Hold, Metric, Scaling};

use super::Conversion;

// === impl Conversion ===

impl Conversion<'_> {
    /// How replicas follow demand; what does not fit together is reported.
    pub(super) fn scaling(&mut self, scaling: &resource::Scaling, target: &resource::Target) -> Scaling {
        let needs_kubernetes = match scaling.by {
            ScaledBy::Zerogate => None,
            ScaledBy::Keda => Some("keda"),
            ScaledBy::Hpa => Some("hpa"),
        };
        if let Some(by) = needs_kubernetes
            && target.scale_target_ref.is_none()
        {
            self.clash(
                "spec.scaling.by",
                &["spec.target"],
                format!("`{by}` needs a Kubernetes target; processes are scaled by `zerogate`"),
            );
        }
        let resource::Scaling { min_replicas: min, max_replicas: max, activation_replicas: first, .. } = *scaling;
        if min > max {
            self.clash(
                "spec.scaling.minReplicas",
                &["spec.scaling.maxReplicas"],
                format!("`{min}` is more than maxReplicas, which is {max}"),
            );
        }
        if first > max {
            self.clash(
                "spec.scaling.activationReplicas",
                &["spec.scaling.maxReplicas"],
                format!("`{first}` is more than maxReplicas, which is {max}"),
            );
        }
        if scaling.panic_window > scaling.stable_window {
            let message =
                format!("`{}` is longer than stableWindow, which is {}", scaling.panic_window, scaling.stable_window);
            self.clash("spec.scaling.panicWindow", &["spec.scaling.stableWindow"], message);
        }
        Scaling {
            by: match scaling.by {
                ScaledBy::Zerogate => settings::ScaledBy::Zerogate,
                ScaledBy::Hpa => settings::ScaledBy::Hpa,
                ScaledBy::Keda => settings::ScaledBy::Keda,
            },
            min_replicas: min,
            max_replicas: max,
            metric: match scaling.metric {
                resource::Metric::Concurrency => Metric::Concurrency,
                resource::Metric::RequestRate => Metric::RequestRate,
            },
            target: scaling.target,
            utilization: scaling.utilization,
            concurrency_limit: Some(scaling.concurrency_limit).filter(|limit| *limit > 0),
            stable_window: scaling.stable_window.0,
            panic_window: scaling.panic_window.0,
            panic_threshold: scaling.panic_threshold,
            idle_timeout: scaling.idle_timeout.0,
            scale_down_delay: scaling.scale_down_delay.0,
            activation_replicas: first,
        }
    }

    /// Bounds of what may wait; an app that sleeps is woken by what waits.
    pub(super) fn hold(&mut self, hold: &resource::Hold, scaling: &resource::Scaling) -> Hold {
        if hold.max_requests == 0 && scaling.min_replicas == 0 {
            let message = "`0` lets no request wait, so that none could wake the app; write 1 at least, or set \
                           scaling.minReplicas to 1";
            self.clash("spec.hold.maxRequests", &["spec.scaling.minReplicas"], message);
        }
        let HumanDuration(timeout) = hold.timeout;
        Hold { max_requests: hold.max_requests as usize, timeout }
    }
}
