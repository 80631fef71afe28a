//! Which app a request is for: by host, then longest path prefix by segment, then headers. Immutable, swapped whole.
//!
//! A lookup is a few hash lookups: one per label of the host (wildcards) and one per segment of the path, no more of either
//! than the deepest that is declared; it does not grow with the number of apps. What does not match falls through to the next
//! less specific prefix, then to the next less specific host. Only routes of one host and path that are told apart by headers
//! cost more with their number: one lookup for each name of a header among them, whatever the number of its values.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::backend::Backend;
use crate::config::settings::{HeaderMatch, HostPattern, Route};

/// The longest host name there is (RFC 1035, 2.3.4).
const MAX_HOST: usize = 253;

/// Routes to [`Backend`]s. What is in its tables comes from the configuration and not from clients, so a hasher will do that is
/// fast and not made to resist those who choose the keys.
pub struct Router<B = Backend, S = RandomState> {
    exact: HashMap<Arc<str>, Paths<B, S>, S>,
    suffix: HashMap<Arc<str>, Paths<B, S>, S>,
    /// Most dots that a declared suffix has: a request's host is not looked at any deeper.
    deepest: usize,
    any: Option<Paths<B, S>>,
    backends: Vec<Arc<B>>,
}

/// What is declared for one host.
struct Paths<B, S> {
    prefixes: Prefixes<B, S>,
    /// Most segments and bytes that a declared prefix has: a request's path is not looked at any deeper.
    deepest: u32,
    longest: u32,
}

/// The rules for each prefix. Most hosts have one, which is not worth a table.
enum Prefixes<B, S> {
    One(Arc<str>, Rules<B, S>),
    Many(Box<ByPrefix<B, S>>),
}

type ByPrefix<B, S> = HashMap<Arc<str>, Rules<B, S>, S>;

/// What is declared for one host and prefix.
struct Rules<B, S> {
    plain: Option<Arc<B>>,
    /// Boxed, since most have none.
    by_header: Option<Box<ByHeader<B, S>>>,
}

/// By the first header of each rule: few names, any number of values.
type ByHeader<B, S> = Vec<(HeaderName, ByValue<B, S>)>;

type ByValue<B, S> = HashMap<HeaderValue, Vec<HeaderRule<B>>, S>;

struct HeaderRule<B> {
    /// The other headers that have to match.
    rest: Vec<HeaderMatch>,
    backend: Arc<B>,
}

// === impl Router ===

impl<B, S: BuildHasher + Default> Router<B, S> {
    /// A router over these apps' routes. Of two equal routes the first one wins; the configuration refuses them.
    pub fn new(apps: impl IntoIterator<Item = (Arc<B>, impl AsRef<[Route]>)>) -> Self {
        let mut router = Self::default();
        for (backend, routes) in apps {
            for route in routes.as_ref() {
                for host in &route.hosts {
                    let paths = match host {
                        HostPattern::Exact(name) => router.exact.entry(name.clone()).or_default(),
                        HostPattern::Suffix(name) => {
                            router.deepest = router.deepest.max(name.matches('.').count());
                            router.suffix.entry(name.clone()).or_default()
                        }
                        HostPattern::Any => router.any.get_or_insert_default(),
                    };
                    for path in &route.paths {
                        paths.add(path, &route.headers, &backend);
                    }
                }
            }
            router.backends.push(backend);
        }
        router
    }

    /// All apps, in the order given.
    pub fn backends(&self) -> &[Arc<B>] {
        &self.backends
    }

    /// The app for a request to `host` (as the client sent it: any case, with or without port; empty if it named none), `path` and
    /// `headers`.
    pub fn find(&self, host: &str, path: &str, headers: &HeaderMap) -> Option<&Arc<B>> {
        let mut buffer = [0; MAX_HOST];
        if host.is_empty() {
            return self.any.as_ref()?.find(path, headers);
        }
        let host = normalize(host, &mut buffer)?;
        if let Some(found) = self.exact.get(host).and_then(|paths| paths.find(path, headers)) {
            return Some(found);
        }
        if !self.suffix.is_empty() {
            let mut rest = self.deepest_parent(host);
            while let Some((_, parent)) = rest.split_once('.') {
                if let Some(found) = self.suffix.get(parent).and_then(|paths| paths.find(path, headers)) {
                    return Some(found);
                }
                rest = parent;
            }
        }
        self.any.as_ref()?.find(path, headers)
    }

    /// `host` from the first dot on that a declared suffix could follow, or all of it if it has fewer.
    fn deepest_parent<'a>(&self, host: &'a str) -> &'a str {
        let before = host.rmatch_indices('.').nth(self.deepest);
        before.map_or(host, |(at, _)| &host[at..])
    }
}

impl<B, S: Default> Default for Router<B, S> {
    /// One over no routes.
    fn default() -> Self {
        let (exact, suffix) = Default::default();
        Self { exact, suffix, deepest: 0, any: None, backends: Vec::new() }
    }
}

/// Whether a host, as a client sent it, is the one of this name, which is in lower case.
pub fn is_named(host: &str, name: &str) -> bool {
    let host = &host[..host.len() - port_of(host).len()];
    host.strip_suffix('.').unwrap_or(host).eq_ignore_ascii_case(name.strip_suffix('.').unwrap_or(name))
}

/// The port of a host with its `:`, empty if it has none.
pub fn port_of(host: &str) -> &str {
    let name = host.strip_prefix('[').and_then(|rest| rest.find(']')).map_or(0, |end| end + 2);
    host[name..].find(':').map_or("", |port| &host[name + port..])
}

/// The host in lower case, without port and trailing dot; `None` if it is no host name or address.
fn normalize<'a>(host: &'a str, buffer: &'a mut [u8; MAX_HOST]) -> Option<&'a str> {
    let name = match host.strip_prefix('[') {
        // An IPv6 address keeps its brackets.
        Some(rest) => &host[..rest.find(']')? + 2],
        None => host.bytes().position(|b| b == b':').map_or(host, |port| &host[..port]),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    if !name.bytes().any(|b| b.is_ascii_uppercase()) {
        return Some(name).filter(|name| !name.is_empty() && name.len() <= MAX_HOST);
    }
    let lower = buffer.get_mut(..name.len())?;
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    std::str::from_utf8(lower).ok()
}

// === impl Paths ===

impl<B, S: BuildHasher + Default> Paths<B, S> {
    fn add(&mut self, prefix: &Arc<str>, headers: &[HeaderMatch], backend: &Arc<B>) {
        let bounded = |count| u32::try_from(count).unwrap_or(u32::MAX);
        self.deepest = self.deepest.max(bounded(prefix.matches('/').count()));
        self.longest = self.longest.max(bounded(prefix.len()));
        self.prefixes.rules(prefix).add(headers, backend);
    }

    fn find(&self, path: &str, headers: &HeaderMap) -> Option<&Arc<B>> {
        let mut prefix = self.deepest_candidate(path);
        loop {
            if let Some(found) = self.prefixes.get(prefix).and_then(|rules| rules.find(headers)) {
                return Some(found);
            }
            if prefix.is_empty() {
                return None;
            }
            prefix = &prefix[..prefix.rfind('/').unwrap_or(0)];
        }
    }

    /// The longest part of `path` that ends with a segment and could be a declared prefix.
    fn deepest_candidate<'a>(&self, path: &'a str) -> &'a str {
        let bytes = path.as_bytes();
        let longest = self.longest as usize;
        let mut depth = 0;
        let mut end = 0;
        for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            if at > longest {
                return &path[..end];
            }
            end = at;
            depth += 1;
            if depth > self.deepest {
                return &path[..end];
            }
        }
        if bytes.len() <= longest { path } else { &path[..end] }
    }
}

impl<B, S: Default> Default for Paths<B, S> {
    fn default() -> Self {
        Self { prefixes: Prefixes::One(Arc::default(), Rules::default()), deepest: 0, longest: 0 }
    }
}

// === impl Prefixes ===

impl<B, S: BuildHasher + Default> Prefixes<B, S> {
    fn get(&self, prefix: &str) -> Option<&Rules<B, S>> {
        match self {
            Self::One(only, rules) => (**only == *prefix).then_some(rules),
            Self::Many(many) => many.get(prefix),
        }
    }

    /// The rules for `prefix`, which are none at first.
    fn rules(&mut self, prefix: &Arc<str>) -> &mut Rules<B, S> {
        if let Self::One(only, rules) = self
            && only != prefix
        {
            *self = match std::mem::take(rules) {
                none if none.is_empty() => Self::One(prefix.clone(), none),
                some => Self::Many(Box::new(HashMap::from_iter([(std::mem::take(only), some)]))),
            };
        }
        match self {
            Self::One(_, rules) => rules,
            Self::Many(many) => many.entry(prefix.clone()).or_default(),
        }
    }
}

// === impl Rules ===

impl<B, S: BuildHasher + Default> Rules<B, S> {
    fn add(&mut self, headers: &[HeaderMatch], backend: &Arc<B>) {
        let Some((first, rest)) = headers.split_first() else {
            self.plain.get_or_insert_with(|| backend.clone());
            return;
        };
        let by_header = self.by_header.get_or_insert_default();
        let at = by_header.iter().position(|(name, _)| *name == first.name).unwrap_or_else(|| {
            by_header.push((first.name.clone(), HashMap::default()));
            by_header.len() - 1
        });
        let rules = by_header[at].1.entry(first.value.clone()).or_default();
        rules.push(HeaderRule { rest: rest.to_vec(), backend: backend.clone() });
        // Most conditions first; stable, so equal ones keep their order.
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.rest.len()));
    }

    fn is_empty(&self) -> bool {
        self.plain.is_none() && self.by_header.is_none()
    }

    /// The rule with the most matching headers.
    fn find(&self, headers: &HeaderMap) -> Option<&Arc<B>> {
        let mut best: Option<&HeaderRule<B>> = None;
        for (name, by_value) in self.by_header.iter().flat_map(|all| all.iter()) {
            let rules = headers.get_all(name).iter().filter_map(|value| by_value.get(value)).flatten();
            let matching = rules.filter(|rule| {
                rule.rest.iter().all(|m| headers.get_all(&m.name).iter().any(|value| *value == m.value))
            });
            for rule in matching {
                if best.is_none_or(|best| rule.rest.len() > best.rest.len()) {
                    best = Some(rule);
                }
            }
        }
        best.map(|rule| &rule.backend).or(self.plain.as_ref())
    }
}

impl<B, S> Default for Rules<B, S> {
    fn default() -> Self {
        Self { plain: None, by_header: None }
    }
}

#[cfg(test)]
mod tests;
