//! The check that a pod's own readiness probe asks for, made as the kubelet would make it.

use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::client::ConfigExt;
use tokio::net::TcpStream;
use tower::Service;

use super::{NotReady, http as calls};

/// Begins as the kubelet's does: that is what apps know their checks by.
const AGENT: &str = concat!("kube-probe/zerogate-", env!("CARGO_PKG_VERSION"));
/// How many requests one try may take, as with the kubelet.
const MOST_REQUESTS: usize = 10;
/// A connection is there at once, or it is better tried anew than waited for: the first packet to a pod whose network is not
/// yet known everywhere is lost, and the system sends the next one only after a second.
const CONNECT: Duration = Duration::from_millis(200);

/// What a pod's readiness probe asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodCheck {
    /// What is tried.
    pub action: Action,
    /// How long a try may take; more than 10 s counts as 10 s.
    pub timeout: Duration,
    /// How long after its container's start the app wants to be left alone.
    pub initial_delay: Duration,
    /// How many tries in a row have to pass; at least 1.
    pub success_threshold: u32,
}

/// What a pod's readiness probe tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `GET path` is answered with a status of 200 to 399.
    HttpGet {
        /// Whether over TLS; the certificate is not looked at.
        https: bool,
        /// The pod's port.
        port: u16,
        /// With query if any.
        path: String,
        /// Headers besides, or instead of, those that are always sent; `Host` among them.
        headers: Vec<(String, String)>,
    },
    /// A TCP connection is accepted.
    TcpSocket {
        /// The pod's port.
        port: u16,
    },
    /// `grpc.health.v1.Health/Check` answers `SERVING`.
    Grpc {
        /// The pod's port.
        port: u16,
        /// The service asked about; empty for the whole server.
        service: String,
    },
}

/// Where a request of a try goes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    https: bool,
    address: SocketAddr,
    path: String,
}

/// Where an answer sends on to.
#[derive(Debug, PartialEq, Eq)]
enum Onward {
    /// To a place at the same host, said without naming that host.
    Within(Place),
    /// To a place at the same host, with a `Host` of its own.
    Named(Place),
    /// To another host, or to nowhere. That is not followed, and passes.
    Elsewhere,
}

/// Connects over TLS with whoever answers.
static TRUSTING: LazyLock<Option<HttpsConnector<HttpConnector>>> = LazyLock::new(|| {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(CONNECT));
    let mut config = kube::Config::new(Uri::from_static("https://localhost"));
    config.accept_invalid_certs = true;
    config.root_cert = Some(Vec::new());
    config.rustls_https_connector_with_connector(tcp).ok()
});

// === impl PodCheck ===

impl PodCheck {
    /// What `probe` asks for, if it can be done from outside of the pod: not so if it runs a command, tries another host, or a
    /// port that `port_named`, which looks among the container's, does not know.
    pub fn of(probe: &core::Probe, port_named: impl Fn(&str) -> Option<u16>) -> Option<Self> {
        let elsewhere = |host: &Option<String>| host.as_deref().is_some_and(|host| !host.is_empty());
        let port = |port: &IntOrString| match port {
            IntOrString::Int(number) => u16::try_from(*number).ok().filter(|port| *port != 0),
            IntOrString::String(name) => port_named(name).or_else(|| name.parse().ok()),
        };
        let action = match (&probe.http_get, &probe.tcp_socket, &probe.grpc) {
            (Some(get), None, None) if !elsewhere(&get.host) => Action::HttpGet {
                https: get.scheme.as_deref().is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")),
                port: port(&get.port)?,
                path: get.path.clone().unwrap_or_default(),
                headers: get.http_headers.iter().flatten().map(|h| (h.name.clone(), h.value.clone())).collect(),
            },
            (None, Some(tcp), None) if !elsewhere(&tcp.host) => Action::TcpSocket { port: port(&tcp.port)? },
            (None, None, Some(grpc)) => {
                Action::Grpc { port: u16::try_from(grpc.port).ok()?, service: grpc.service.clone().unwrap_or_default() }
            }
            _ => return None,
        };
        let seconds =
            |n: Option<i32>, default| u64::try_from(n.unwrap_or(0)).ok().filter(|n| *n > 0).unwrap_or(default);
        Some(Self {
            action,
            timeout: Duration::from_secs(seconds(probe.timeout_seconds, 1)),
            initial_delay: Duration::from_secs(seconds(probe.initial_delay_seconds, 0)),
            success_threshold: seconds(probe.success_threshold, 1).try_into().unwrap_or(u32::MAX),
        })
    }

    /// Tries it once at the pod with this address.
    pub(super) async fn attempt(&self, pod: IpAddr) -> Result<(), NotReady> {
        match &self.action {
            Action::HttpGet { https, port, path, headers } => {
                let path = if path.starts_with('/') { path.clone() } else { format!("/{path}") };
                let address = SocketAddr::new(pod, *port);
                get(Place { https: *https, address, path }, headers).await
            }
            Action::TcpSocket { port } => connect(SocketAddr::new(pod, *port)).await.map(drop),
            Action::Grpc { port, service } => calls::grpc(connect(SocketAddr::new(pod, *port)).await?, service).await,
        }
    }
}

/// Asks at `place`, and where the answers send on to at the same host.
async fn get(mut place: Place, headers: &[(String, String)]) -> Result<(), NotReady> {
    let (custom_host, headers) = sent_with(headers)?;
    let mut host = custom_host;
    for _ in 0..MOST_REQUESTS {
        let mut request = Request::get(&*place.path).body(Empty::<Bytes>::new()).map_err(|_| NotReady::Malformed)?;
        request.headers_mut().extend(headers.clone());
        let host_and_port = || HeaderValue::try_from(place.address.to_string());
        let named = host.clone().map_or_else(host_and_port, Ok).map_err(|_| NotReady::Malformed)?;
        request.headers_mut().insert(HOST, named);
        let response = ask(&place, request).await?;
        match response.status() {
            status if status.is_success() => return Ok(()),
            status if status.is_redirection() => match onward(&place, status, response.headers().get(LOCATION)) {
                Onward::Within(next) => place = next,
                Onward::Named(next) => (place, host) = (next, None),
                Onward::Elsewhere => return Ok(()),
            },
            status => return Err(NotReady::Status(status)),
        }
    }
    Err(NotReady::Redirects)
}

/// The `Host` asked for, if any, and all other headers.
fn sent_with(custom: &[(String, String)]) -> Result<(Option<HeaderValue>, HeaderMap), NotReady> {
    let (mut host, mut headers) = (None, HeaderMap::new());
    for (name, value) in custom {
        let name = HeaderName::try_from(name).map_err(|_| NotReady::Malformed)?;
        let value = HeaderValue::try_from(value).map_err(|_| NotReady::Malformed)?;
        if name == HOST {
            host = Some(value);
        } else {
            headers.append(name, value);
        }
    }
    headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok((host, headers))
}

async fn ask(place: &Place, request: Request<Empty<Bytes>>) -> Result<Response<Incoming>, NotReady> {
    if !place.https {
        return calls::exchange_http1(TokioIo::new(connect(place.address).await?), request).await;
    }
    calls::exchange_http1(connect_tls(place.address).await?, request).await
}

/// A `GET` with TLS, whoever answers.
pub(super) async fn get_https(address: SocketAddr, path: &str) -> Result<(), NotReady> {
    calls::get_over(connect_tls(address).await?, path).await
}

async fn connect_tls(address: SocketAddr) -> Result<MaybeHttpsStream<TokioIo<TcpStream>>, NotReady> {
    let mut connector = TRUSTING.clone().ok_or(NotReady::Malformed)?;
    let to = Uri::try_from(format!("https://{address}")).map_err(|_| NotReady::Malformed)?;
    connector.call(to).await.map_err(|why| NotReady::Connect(std::io::Error::other(why)))
}

async fn connect(address: SocketAddr) -> Result<TcpStream, NotReady> {
    let stream = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await;
    let stream = stream.map_err(|_| NotReady::TimedOut(CONNECT))?.map_err(NotReady::Connect)?;
    super::not_itself(stream, address)
}

/// Where an answer from `place` sends on to.
fn onward(place: &Place, status: StatusCode, location: Option<&HeaderValue>) -> Onward {
    let Some(location) = location.and_then(|location| location.to_str().ok()) else { return Onward::Elsewhere };
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Onward::Elsewhere;
    }
    let location = location.split('#').next().unwrap_or_default();
    let scheme = if place.https { "https" } else { "http" };
    let absolute = match location {
        named if named.starts_with("//") => format!("{scheme}:{named}"),
        named if named.contains("://") => named.to_owned(),
        "" => return Onward::Within(place.clone()),
        path if path.starts_with('/') => return Onward::Within(Place { path: path.to_owned(), ..place.clone() }),
        relative => {
            let path = place.path.split('?').next().unwrap_or_default();
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let path =
                if relative.starts_with('?') { format!("{path}{relative}") } else { format!("{folder}/{relative}") };
            return Onward::Within(Place { path, ..place.clone() });
        }
    };
    let Ok(to) = absolute.parse::<Uri>() else { return Onward::Elsewhere };
    let https = match to.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Onward::Elsewhere,
    };
    let host = to.host().unwrap_or_default().trim_matches(['[', ']']);
    if host.parse() != Ok(place.address.ip()) {
        return Onward::Elsewhere;
    }
    let port = to.port_u16().unwrap_or(if https { 443 } else { 80 });
    let path = to.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    Onward::Named(Place { https, address: SocketAddr::new(place.address.ip(), port), path })
}

#[cfg(test)]
mod tests;
