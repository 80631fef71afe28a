//! The edge: pingora carries it, hyper speaks HTTP.
//!
//! ```text
//! listener ─ route ─ limits ─ admit ─► permit{endpoint} ─ upstream ─ response ─ permit dropped
//! ```

mod affinity;
pub mod backend;
pub mod body;
mod client_body;
mod client_stream;
mod compact;
pub mod files;
mod first_line;
pub mod flight;
mod forward;
mod gather;
mod hangup;
pub mod headers;
mod linger;
pub mod listener;
mod malformed;
mod outgoing;
mod patience;
pub mod per_address;
pub mod problem;
mod proxy_header;
mod rewound;
pub mod route;
mod stall;
mod timer;
mod tunnel;
pub mod upstream;
mod via;
mod websocket;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use activator::Clock;
use activator::registry::Registry;
use arc_swap::ArcSwap;
use ipnet::IpNet;

use crate::access_log::AccessLog;
use crate::shutdown::Drain;
use crate::tls::{Authorities, Certificates};
use files::OpenFiles;
use per_address::PerAddress;
use route::Router;

/// What every connection of the edge shares.
pub struct Edge {
    /// Where requests go; swapped whole when the configuration changes.
    pub router: ArcSwap<Router>,
    /// The live apps.
    pub registry: Arc<Registry>,
    /// What time it is.
    pub clock: Clock,
    /// Whether the gateway is going.
    pub drain: Arc<Drain>,
    /// How many connections each client has.
    pub per_address: Arc<PerAddress>,
    /// What connections may take of the system.
    pub files: Arc<OpenFiles>,
    /// What TLS is spoken with.
    pub certificates: Arc<Certificates>,
    /// What apps are known by that speak TLS.
    pub authorities: Arc<Authorities>,
    /// Where finished requests are told of, if anywhere.
    pub access_log: AccessLog,
    /// Its bounds.
    pub options: EdgeOptions,
}

/// The edge as one connection has it. Each of its requests counts here who uses it: one count for all would go from core to core
/// with every request.
pub struct EdgeOfConnection(pub Arc<Edge>);

/// Bounds of the edge that hold for all apps.
#[derive(Debug, Clone)]
pub struct EdgeOptions {
    /// How long a client may take for a request's header, from its first byte on or, if it is the first, from the connection on.
    pub header_timeout: Duration,
    /// How long a client may keep an idle connection, between requests.
    pub idle_timeout: Duration,
    /// Most bytes of a request's header block.
    pub max_header_bytes: usize,
    /// Most client connections at once.
    pub max_connections: usize,
    /// Whose `X-Forwarded-*` and `Forwarded` headers are believed and extended.
    pub trusted_proxies: Vec<IpNet>,
    /// Whose connections begin with a PROXY header that says whose they are.
    pub proxy_protocol: Vec<IpNet>,
    /// The port where clients find TLS, if it is served.
    pub https_port: Option<u16>,
}

impl Deref for EdgeOfConnection {
    type Target = Arc<Edge>;

    fn deref(&self) -> &Arc<Edge> {
        &self.0
    }
}

impl EdgeOptions {
    /// Whether what `address` says of its own client is believed.
    pub fn trusts(&self, address: std::net::IpAddr) -> bool {
        self.trusted_proxies.iter().any(|net| net.contains(&address))
    }

    /// Whether connections from `address` begin with a PROXY header.
    pub fn speaks_for_others(&self, address: std::net::IpAddr) -> bool {
        self.proxy_protocol.iter().any(|net| net.contains(&address))
    }
}
