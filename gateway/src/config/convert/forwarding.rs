use std::sync::Arc;

use activator::resource;
use http::HeaderValue;
use http::uri::Authority;

use super::Conversion;
use crate::config::problem::quoted;
use crate::config::settings::Forwarding;

// === impl Conversion ===

impl Conversion<'_> {
    /// What the app is told of the client, if that is not the usual.
    pub(super) fn forwarding(&mut self, forwarding: &resource::Forwarding) -> Option<Arc<Forwarding>> {
        let host = forwarding.host.as_deref().and_then(|text| match host(text) {
            Ok(host) => Some(host),
            Err(message) => {
                self.add("spec.forwarding.host", message);
                None
            }
        });
        let forwarding = Forwarding { headers: forwarding.headers, host };
        (forwarding != Forwarding::default()).then(|| forwarding.into())
    }
}

fn host(text: &str) -> Result<HeaderValue, String> {
    let is_host = text.parse::<Authority>().is_ok_and(|authority| {
        let port = text.strip_prefix(authority.host()).and_then(|rest| rest.strip_prefix(':'));
        !authority.host().is_empty() && !text.contains('@') && port.is_none_or(|port| port.parse::<u16>().is_ok())
    });
    let value = HeaderValue::from_str(text).ok().filter(|_| is_host);
    value.ok_or_else(|| format!("{} is no host with a port or without, such as `localhost:8888`", quoted(text)))
}
