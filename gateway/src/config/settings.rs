//! What the edge has to know of an app: validated, ready to use. The activator's part is [`AppSettings`].

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use activator::resource::ForwardingHeaders;
use activator::settings::share;
use activator::{AppId, AppSettings};
use http::{HeaderName, HeaderValue};
use tokio_rustls::rustls::pki_types::ServerName;

/// All that the documents declare.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Declared {
    /// Each app with its settings.
    pub apps: BTreeMap<AppId, AppConfig>,
}

/// One app's settings, kept once by all who go by them: what has not changed is the same `Arc`.
#[derive(Debug, Clone, PartialEq)]
pub struct AppConfig {
    /// For the activator.
    pub activator: Arc<AppSettings>,
    /// For the edge.
    pub edge: Arc<EdgeSettings>,
}

/// What the edge has to know of an app.
#[derive(Debug, Clone, PartialEq)]
pub struct EdgeSettings {
    /// Any match sends a request to the app.
    pub routes: Vec<Route>,
    /// How long things may take. Most apps have the same.
    pub timeouts: Arc<Timeouts>,
    /// How many requests may come.
    pub limits: Limits,
    /// How many may be in flight at once; `u32::MAX` for any number.
    pub most_in_flight: u32,
    /// What the app is told of the client, if that is not the usual.
    pub forwarding: Option<Arc<Forwarding>>,
    /// What leads a client's requests to the same endpoint, if anything does.
    pub affinity: Option<Arc<Affinity>>,
    /// How clients reach it by TLS, if it says anything of that.
    pub tls: Option<Arc<AppTls>>,
    /// What it is known by where it speaks TLS itself, if it says anything of that.
    pub trust: Option<Arc<Trust>>,
}

/// What an app is known by that speaks TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// Who has to have signed its certificate.
    pub authority: AuthoritySource,
    /// What that has to be for; `None` for the usual.
    pub server_name: Option<ServerName<'static>>,
}

/// Where the certificates of an authority are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AuthoritySource {
    /// Those that the system knows.
    System,
    /// In a file in PEM's format.
    File(PathBuf),
    /// In a Secret.
    Secret(KeyOf),
    /// In a ConfigMap.
    ConfigMap(KeyOf),
}

/// A key of an object of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyOf {
    /// Where the object is.
    pub namespace: Arc<str>,
    /// What it is called.
    pub name: Arc<str>,
    /// Which of its keys.
    pub key: Arc<str>,
}

/// What leads a client's requests to the same endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Affinity {
    /// A cookie of this name.
    Cookie(Box<str>),
    /// The value of this header.
    Header(HeaderName),
    /// The client's address.
    Address,
}

/// What an app is told of the client and of the host that was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forwarding {
    /// Which headers tell it.
    pub headers: ForwardingHeaders,
    /// The `Host` that it gets in place of the one that was asked for.
    pub host: Option<HeaderValue>,
}

/// How clients reach an app by TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppTls {
    /// Where its own certificate is, if it has one.
    pub certificate: Option<CertificateSource>,
    /// Whether requests that come without TLS are sent to where it is.
    pub redirect: bool,
    /// What browsers are told in `Strict-Transport-Security`.
    pub hsts: Option<HeaderValue>,
}

/// Where a certificate is, with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateSource {
    /// In files in PEM's format.
    Files {
        /// The certificate, and those between it and its authority.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
    },
    /// In the Secret of this name, in the app's namespace.
    Secret(Arc<str>),
}

/// Matches a request whose host matches one of `hosts`, whose path matches one of `paths`, and which has all `headers`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Never empty.
    pub hosts: Vec<HostPattern>,
    /// Never empty. Each starts with `/` and has no `/` at its end, but for the root, which is the empty string here.
    pub paths: Vec<Arc<str>>,
    /// All have to match; sorted by name, no name twice.
    pub headers: Vec<HeaderMatch>,
}

/// What a host has to be. In lower case, without port and trailing dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// This one.
    Exact(Arc<str>),
    /// Any with at least one label more: `*.example.org` is kept as `example.org`.
    Suffix(Arc<str>),
    /// Any: `*`.
    Any,
}

/// A header that has to be there with exactly this value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HeaderMatch {
    /// Its name.
    pub name: HeaderName,
    /// Its value.
    pub value: HeaderValue,
}

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// One connection attempt to an endpoint.
    pub connect: Duration,
    /// From the request's end to the response's header.
    pub response_header: Duration,
    /// Silence while a body or an upgraded connection is open.
    pub idle: Duration,
    /// A whole request from its permit to the response's end; `None` for no limit.
    pub request: Option<Duration>,
}

/// How many requests may come.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// For the whole app; `None` for no limit.
    pub app: Option<Rate>,
    /// For each client; `None` for no limit.
    pub per_client: Option<Box<ClientLimit>>,
}

/// A rate with a burst above it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Requests per second, above 0.
    pub per_second: f64,
    /// Requests at once, at least 1.
    pub burst: u32,
}

/// A rate per client.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientLimit {
    /// The rate each client has.
    pub rate: Rate,
    /// What tells clients apart.
    pub by: ClientKey,
}

/// What tells clients apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientKey {
    /// Their address, taken from `X-Forwarded-For` behind trusted proxies.
    Address,
    /// The value of this header; clients without it by address.
    Header(HeaderName),
}

// === impl AppConfig ===

impl AppConfig {
    /// Keeps once what it has alike with another.
    pub fn share(&mut self, other: &Self) {
        Arc::make_mut(&mut self.activator).share(&other.activator);
        share(&mut Arc::make_mut(&mut self.edge).timeouts, &other.edge.timeouts);
    }
}

// === impl AuthoritySource ===

impl fmt::Display for AuthoritySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("the system's certificates"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Secret(KeyOf { namespace, name, key }) => write!(f, "{key} of Secret {namespace}/{name}"),
            Self::ConfigMap(KeyOf { namespace, name, key }) => write!(f, "{key} of ConfigMap {namespace}/{name}"),
        }
    }
}

// === impl Limits ===

impl Limits {
    /// Any number may come.
    pub const NONE: Self = Self { app: None, per_client: None };
}
