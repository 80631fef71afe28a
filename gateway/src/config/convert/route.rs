use std::collections::BTreeMap;
use std::sync::Arc;

use activator::resource;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, header};

use super::{Conversion, host};
use crate::config::problem::quoted;
use crate::config::settings::{HeaderMatch, HostPattern, Route};
use crate::edge::headers::is_hop_by_hop;

// === impl Conversion ===

impl Conversion<'_> {
    /// Every route; those parts that make no sense are reported and left out.
    pub(super) fn routes(&mut self, routes: &[resource::Route]) -> Vec<Route> {
        let routes =
            routes.iter().enumerate().map(|(index, route)| self.route(&format!("spec.routes[{index}]"), route));
        routes.collect()
    }

    fn route(&mut self, field: &str, route: &resource::Route) -> Route {
        let mut hosts = Vec::with_capacity(route.hosts.len().max(1));
        for (index, text) in route.hosts.iter().enumerate() {
            match host::pattern(text) {
                Ok(host) => hosts.push(host),
                Err(message) => self.add(&format!("{field}.hosts[{index}]"), message),
            }
        }
        if route.hosts.is_empty() {
            hosts.push(HostPattern::Any);
        }
        let mut paths = Vec::with_capacity(route.paths.len());
        for (index, path) in route.paths.iter().enumerate() {
            match prefix(&path.prefix) {
                Ok("") => paths.push(Arc::default()),
                Ok(path) => paths.push(path.into()),
                Err(message) => self.add(&format!("{field}.paths[{index}].prefix"), message),
            }
        }
        Route { hosts, paths, headers: self.headers(field, &route.headers) }
    }

    fn headers(&mut self, field: &str, headers: &[resource::HeaderMatch]) -> Vec<HeaderMatch> {
        let mut known = BTreeMap::new();
        for (index, header) in headers.iter().enumerate() {
            let field = format!("{field}.headers[{index}]");
            let name = match header_name(&header.name) {
                Ok(name) => name,
                Err(message) => {
                    self.add(&format!("{field}.name"), message);
                    continue;
                }
            };
            let value = match header_value(&header.value) {
                Ok(value) => value,
                Err(message) => {
                    self.add(&format!("{field}.value"), message);
                    continue;
                }
            };
            if known.contains_key(name.as_str()) {
                self.add(&format!("{field}.name"), format!("`{name}` is there twice; give each header once"));
                continue;
            }
            known.insert(name.as_str().to_owned(), HeaderMatch { name, value });
        }
        known.into_values().collect()
    }
}

/// The name of a header that a request may be told by.
pub(super) fn header_name(text: &str) -> Result<HeaderName, String> {
    let name: HeaderName = text.parse().map_err(|_| {
        format!("{} is no header name; it has letters, digits and `-` only, such as `x-tenant`", quoted(text))
    })?;
    if name == header::HOST {
        return Err("`host` is no header to match; write it into `hosts`".to_owned());
    }
    // `Trailer` passes, but tells of this message's end only.
    if is_hop_by_hop(&name) || name == header::TRAILER {
        return Err(format!("`{name}` concerns one connection only; it cannot be matched"));
    }
    Ok(name)
}

fn header_value(text: &str) -> Result<HeaderValue, String> {
    if text.trim() != text {
        return Err(format!("{} begins or ends with a space, which no header value does", quoted(text)));
    }
    HeaderValue::from_str(text).map_err(|_| format!("{} has other than printable ASCII characters", quoted(text)))
}

/// The path without the slash at its end.
fn prefix(text: &str) -> Result<&str, String> {
    if !text.starts_with('/') {
        return Err(format!("{} does not begin with `/`", quoted(text)));
    }
    if text.contains(['?', '#']) {
        return Err(format!("{} has a query or fragment; only the path is matched", quoted(text)));
    }
    if PathAndQuery::try_from(text).is_err() || !text.is_ascii() {
        return Err(format!("{} has characters that a path cannot have; write them percent-encoded", quoted(text)));
    }
    let path = text.strip_suffix('/').unwrap_or(text);
    if path.split('/').skip(1).any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(format!("{} has an empty, `.` or `..` segment, which no request comes with", quoted(text)));
    }
    Ok(path)
}
