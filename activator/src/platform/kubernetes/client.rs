//! The ways to the API server: one connection for watches and reads, and one of its own for orders that is always open, so
//! that a wake after hours of silence pays for no handshake and waits behind nothing.

mod failed;
mod warm;

#[cfg(test)]
pub(crate) mod fake;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper_rustls::{FixedServerNameResolver, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::{Body, ConfigExt, RustlsTlsError};
use kube::{Client, Config};
use tokio::sync::watch;
use tower::{BoxError, ServiceBuilder};

pub(crate) use failed::Failed;
use warm::{Counting, Warm};

/// How long a TCP connection may take.
const CONNECT: Duration = Duration::from_secs(3);
/// How long the head of an answer may take, connection and TLS handshake included.
const HEAD: Duration = Duration::from_secs(10);
/// How often the other side is asked whether it is still there, and how long it has to say so.
const PING: Duration = Duration::from_secs(10);
const PONG: Duration = Duration::from_secs(5);
/// HTTP/2 windows: enough for a page of a large list to come without waiting.
const WINDOW: u32 = 1024 * 1024;

/// Clients of one cluster. Clones share their connections.
#[derive(Clone)]
pub struct Clients {
    /// For watches, reads, and all that may wait.
    pub reads: Client,
    /// For orders that requests wait for, and nothing else. Its connection is opened at once, kept while idle, and opened anew
    /// soon after it breaks.
    pub orders: Client,
    _warm: Arc<Warm>,
}

/// Which HTTP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    /// HTTP/2 if TLS settles on that, else HTTP/1.1.
    Negotiated,
    /// HTTP/2 with prior knowledge.
    #[cfg(test)]
    Two,
}

// === impl Clients ===

impl Clients {
    /// Clients as `config` says, which is that of the pod or a kubeconfig. Within a runtime, which then drives them. Tokens and
    /// the CA are read anew from their files about once a minute, if `config` has them in files.
    ///
    /// # Errors
    /// The configuration cannot be used: a bad certificate, or a proxy, which this does not speak to.
    pub fn new(config: &Config) -> kube::Result<Self> {
        Self::speaking(config, Version::Negotiated)
    }

    /// Both over `client`, which keeps its connection, if it has one, itself.
    #[cfg(test)]
    pub(crate) fn over(client: Client) -> Self {
        let (_, none) = watch::channel(1);
        Self { reads: client.clone(), orders: client.clone(), _warm: Arc::new(Warm::keep(client, none)) }
    }

    fn speaking(config: &Config, version: Version) -> kube::Result<Self> {
        let (reads, _) = client(config, version)?;
        let (orders, open) = client(config, version)?;
        Ok(Self { reads, orders: orders.clone(), _warm: Arc::new(Warm::keep(orders, open)) })
    }
}

/// A client with a connection of its own (several, if the server speaks HTTP/1.1 only), and how many of those are open.
fn client(config: &Config, version: Version) -> kube::Result<(Client, watch::Receiver<usize>)> {
    if let Some(proxy) = &config.proxy_url {
        let (proxy_url, protocol_feature) = (Box::new(proxy.clone()), "kube/http-proxy");
        return Err(kube::Error::ProxyProtocolDisabled { proxy_url, protocol_feature });
    }
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    tcp.set_keepalive(Some(PING));
    tcp.set_keepalive_interval(Some(PONG));
    #[cfg(target_os = "linux")]
    tcp.set_tcp_user_timeout(Some(PING + PONG));
    let mut tls = HttpsConnectorBuilder::new().with_tls_config(config.rustls_client_config()?).https_or_http();
    if let Some(name) = &config.tls_server_name {
        let name =
            name.clone().try_into().map_err(RustlsTlsError::InvalidServerName).map_err(kube::Error::RustlsTls)?;
        tls = tls.with_server_name_resolver(FixedServerNameResolver::new(name));
    }
    let (connector, open) = Counting::new(tls.enable_all_versions().wrap_connector(tcp));

    let mut http = legacy::Client::builder(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(None)
        .http2_keep_alive_interval(PING)
        .http2_keep_alive_timeout(PONG)
        .http2_keep_alive_while_idle(true)
        .http2_initial_stream_window_size(WINDOW)
        .http2_initial_connection_window_size(4 * WINDOW);
    #[cfg(test)]
    http.http2_only(version == Version::Two);
    #[cfg(not(test))]
    let Version::Negotiated = version;
    let http: legacy::Client<_, Body> = http.build(connector);

    let call = tower::service_fn(move |request: Request<Body>| {
        let answer = http.request(request);
        async move {
            match tokio::time::timeout(HEAD, answer).await {
                Ok(answer) => answer.map_err(BoxError::from),
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time").into()),
            }
        }
    });
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(call);
    Ok((Client::new(service, config.default_namespace.clone()), open))
}

#[cfg(test)]
mod tests;
