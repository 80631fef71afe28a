use activator::resource;

use super::{Conversion, route};
use crate::config::settings::{ClientKey, ClientLimit, Limits, Rate, Timeouts};

/// Slowest rate there may be, per second.
const SLOWEST: f64 = 0.001;

// === impl Conversion ===

impl Conversion<'_> {
    /// How many requests may come; what does not fit together is reported.
    pub(super) fn limits(&mut self, limits: &resource::Limits) -> Limits {
        let client = &limits.per_client;
        let by = match (client.by, &client.header) {
            (resource::ClientKey::Ip, None) => Some(ClientKey::Address),
            (resource::ClientKey::Ip, Some(_)) => {
                self.clash(
                    "spec.limits.perClient.header",
                    &["spec.limits.perClient.by"],
                    "has no effect unless `by` is `header`; write `by: header` too",
                );
                None
            }
            (resource::ClientKey::Header, None) => {
                let message = "`header` needs the header's name too; write `header: x-api-key`, for example";
                self.clash("spec.limits.perClient.by", &["spec.limits.perClient.header"], message);
                None
            }
            (resource::ClientKey::Header, Some(name)) => match route::header_name(name) {
                Ok(name) => Some(ClientKey::Header(name)),
                Err(message) => {
                    self.add("spec.limits.perClient.header", message);
                    None
                }
            },
        };
        let rate = self.rate("spec.limits.perClient", client.requests_per_second, client.burst);
        if client.requests_per_second == 0.0 && matches!(by, Some(ClientKey::Header(_))) {
            let rate = "spec.limits.perClient.requestsPerSecond";
            self.clash(
                "spec.limits.perClient.by",
                &[rate, "spec.limits.perClient.header"],
                "has no effect without a rate; set requestsPerSecond too",
            );
        }
        Limits {
            app: self.rate("spec.limits", limits.requests_per_second, limits.burst),
            per_client: rate.zip(by).map(|(rate, by)| Box::new(ClientLimit { rate, by })),
        }
    }

    fn rate(&mut self, field: &str, per_second: f64, burst: u32) -> Option<Rate> {
        if per_second == 0.0 {
            if burst > 0 {
                let rate = format!("{field}.requestsPerSecond");
                self.clash(
                    &format!("{field}.burst"),
                    &[&rate],
                    "has no effect without a rate; set requestsPerSecond too",
                );
            }
            return None;
        }
        if per_second < SLOWEST {
            let message = format!("`{per_second}` is out of range; it has to be 0 for no limit, or {SLOWEST} at least");
            self.add(&format!("{field}.requestsPerSecond"), message);
        }
        let burst = if burst > 0 { burst } else { (per_second.ceil() as u32).max(1) };
        Some(Rate { per_second, burst })
    }
}

/// How many requests may be in flight at once.
pub(super) fn most_in_flight(limits: &resource::Limits) -> u32 {
    if limits.in_flight == 0 { u32::MAX } else { limits.in_flight }
}

/// How long things may take.
pub(super) fn timeouts(timeouts: &resource::Timeouts) -> Timeouts {
    Timeouts {
        connect: timeouts.connect.0,
        response_header: timeouts.response_header.0,
        idle: timeouts.idle.0,
        request: Some(timeouts.request.0).filter(|limit| !limit.is_zero()),
    }
}
