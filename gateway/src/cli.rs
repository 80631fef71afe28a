//! The command line. Every flag of `run` has an environment variable.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use activator::resource::human::{ByteSize, HumanDuration};
use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;

use crate::echo::EchoArgs;

/// Puts apps to sleep at zero replicas and wakes them when a request comes.
#[derive(Debug, Parser)]
#[command(name = "zerogate", version, max_term_width = 120)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Networks, written with commas between them; a bare address is a network of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Networks(pub Vec<IpNet>);

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the apps declared in HTTPApp files
    Run(Box<RunArgs>),
    /// Check HTTPApp documents, for one machine or a cluster: print every problem, exit 1 if there is one
    Check(CheckArgs),
    /// Print the definition of HTTPApp to install in a cluster: zerogate crd | kubectl apply -f -
    Crd,
    /// Print a KEDA ScaledObject for an HTTPApp: zerogate keda -f app.yaml | kubectl apply -f -
    Keda(KedaArgs),
    /// Print the reference of HTTPApp
    Reference(ReferenceArgs),
    /// A small HTTP app for trying things out
    Echo(EchoArgs),
    /// Ends what a killed gateway leaves behind; started by `run`
    #[command(hide = true)]
    Guardian,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Files, folders of *.yaml and *.yml, or - for standard input; documents for one machine or for a cluster
    #[arg(required_unless_present = "filename")]
    files: Vec<PathBuf>,

    /// The same, written as for kubectl
    #[arg(short = 'f', long = "filename", value_name = "FILES")]
    filename: Vec<PathBuf>,
}

/// Arguments of `keda`.
#[derive(Debug, Args)]
pub struct KedaArgs {
    /// The HTTPApp, as NAME or NAMESPACE/NAME; with -f only this one of those in the files
    #[arg(required_unless_present = "filename")]
    pub app: Option<String>,

    /// Files or folders with the HTTPApp, or - for standard input: what is scaled, and how, is taken from it
    #[arg(short = 'f', long = "filename", value_name = "FILES")]
    pub filename: Vec<PathBuf>,

    /// Where KEDA reaches the gateway's --scaler
    #[arg(long, value_name = "HOST:PORT", default_value = "zerogate-scaler.zerogate.svc.cluster.local:9091")]
    pub address: String,

    /// Whether KEDA is also told when the app becomes active, or only asks
    #[arg(long, value_enum, default_value_t = TriggerType::ExternalPush)]
    pub trigger: TriggerType,

    /// The TriggerAuthentication that has the certificates, if the gateway's --scaler has TLS
    #[arg(long, value_name = "NAME")]
    pub authentication: Option<String>,
}

/// A type of KEDA's triggers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TriggerType {
    /// KEDA asks, and is told when the app becomes active.
    ExternalPush,
    /// KEDA asks.
    External,
}

/// Arguments of `reference`.
#[derive(Debug, Args)]
pub struct ReferenceArgs {
    /// As what
    #[arg(long, value_enum, default_value_t = ReferenceFormat::Markdown)]
    pub format: ReferenceFormat,
}

/// How the reference is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReferenceFormat {
    /// To be read: docs/httpapp.md.
    Markdown,
    /// To be used by editors: a JSON schema.
    JsonSchema,
}

/// Arguments of `run`: what holds for the whole gateway.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// HTTPApp files, or folders of *.yaml and *.yml; watched for changes
    #[arg(required_unless_present = "kubernetes", conflicts_with = "kubernetes")]
    pub files: Vec<PathBuf>,

    /// Serve the HTTPApps of a Kubernetes cluster: the one it runs in, or the one that KUBECONFIG or ~/.kube/config names
    #[arg(long, env = "ZEROGATE_KUBERNETES")]
    pub kubernetes: bool,

    /// Only the HTTPApps in these namespaces, with commas between them; all by default
    #[arg(
        long,
        env = "ZEROGATE_NAMESPACES",
        value_name = "NAME,…",
        value_delimiter = ',',
        value_parser = namespace,
        requires = "kubernetes"
    )]
    pub namespaces: Vec<String>,

    /// Where to listen for requests (HTTP/1.1, and HTTP/2 with prior knowledge)
    #[arg(long, env = "ZEROGATE_HTTP", default_value = "127.0.0.1:8080", value_name = "ADDR")]
    pub http: SocketAddr,

    /// Where to listen for requests with TLS (HTTP/1.1 and HTTP/2), such as 0.0.0.0:8443; not at all by default. Certificates are
    /// those of --tls-folder, and what apps have in `tls`
    #[arg(long, env = "ZEROGATE_HTTPS", value_name = "ADDR")]
    pub https: Option<SocketAddr>,

    /// A folder with certificates in PEM's format, NAME.crt with NAME.key, or a folder for each with tls.crt and tls.key; each is for
    /// the hosts that it names, and `default` for all others. Loaded again when they change
    #[arg(long, env = "ZEROGATE_TLS_FOLDER", value_name = "FOLDER", requires = "https")]
    pub tls_folder: Option<PathBuf>,

    /// The port of --https as clients reach it, to which apps with `tls.redirect` send them; the one it listens on by default
    #[arg(long, env = "ZEROGATE_HTTPS_PUBLIC_PORT", value_name = "PORT", requires = "https")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub https_public_port: Option<u16>,

    /// Most TLS handshakes at once; beyond that connections are closed
    #[arg(long, env = "ZEROGATE_MAX_HANDSHAKES", default_value_t = 4096, value_name = "N")]
    pub max_handshakes: usize,

    /// Where to serve /livez, /readyz, /metrics and /v1/apps
    #[arg(long, env = "ZEROGATE_ADMIN", default_value = "127.0.0.1:9090", value_name = "ADDR")]
    pub admin: SocketAddr,

    /// Where to serve KEDA (its external scaler protocol, by gRPC), such as 0.0.0.0:9091; not at all by default
    #[arg(long, env = "ZEROGATE_SCALER", value_name = "ADDR")]
    pub scaler: Option<SocketAddr>,

    /// A file with the certificate for that address, in PEM's format, and those between it and its authority: serves TLS only.
    /// Loaded again when it changes, as the next two are
    #[arg(long, env = "ZEROGATE_SCALER_CERT", value_name = "FILE", requires_all = ["scaler", "scaler_key"])]
    pub scaler_cert: Option<PathBuf>,

    /// A file with its private key
    #[arg(long, env = "ZEROGATE_SCALER_KEY", value_name = "FILE", requires = "scaler_cert")]
    pub scaler_key: Option<PathBuf>,

    /// A file with the authorities that clients' certificates have to be from; clients need none without it
    #[arg(long, env = "ZEROGATE_SCALER_CLIENT_CA", value_name = "FILE", requires = "scaler_cert")]
    pub scaler_client_ca: Option<PathBuf>,

    /// Where to hear other gateways, such as 0.0.0.0:9092, so that several act as one; POD_NAME and POD_NAMESPACE have to be in
    /// the environment. Alone by default
    #[arg(long, env = "ZEROGATE_FLEET", value_name = "ADDR", requires = "kubernetes")]
    pub fleet: Option<SocketAddr>,

    /// The headless Service that has all gateways, and the name of the Lease by which one of them leads
    #[arg(long, env = "ZEROGATE_FLEET_SERVICE", value_name = "NAME", default_value = "zerogate-fleet")]
    pub fleet_service: String,

    /// A file with this gateway's certificate for the others, in PEM's format, for the name SERVICE.NAMESPACE.svc of that Service:
    /// gateways speak TLS only. Loaded again when it changes, as the next two are
    #[arg(long, env = "ZEROGATE_FLEET_CERT", value_name = "FILE", requires_all = ["fleet", "fleet_key", "fleet_ca"])]
    pub fleet_cert: Option<PathBuf>,

    /// A file with its private key
    #[arg(long, env = "ZEROGATE_FLEET_KEY", value_name = "FILE", requires = "fleet_cert")]
    pub fleet_key: Option<PathBuf>,

    /// A file with the authorities that the certificates of all gateways have to be from
    #[arg(long, env = "ZEROGATE_FLEET_CA", value_name = "FILE", requires = "fleet_cert")]
    pub fleet_ca: Option<PathBuf>,

    /// Threads that serve requests; all cores by default
    #[arg(long, env = "ZEROGATE_THREADS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,

    /// Most requests held at once, all apps together
    #[arg(long, env = "ZEROGATE_MAX_HELD_REQUESTS", default_value_t = 100_000, value_name = "N")]
    pub max_held_requests: usize,

    /// Most bytes that held requests keep in memory, all apps together: headers, and what HTTP/2 lets in of bodies
    #[arg(long, env = "ZEROGATE_MAX_HELD_BYTES", default_value = "256MiB", value_name = "SIZE")]
    pub max_held_bytes: ByteSize,

    /// Most client connections at once; three quarters of the open files allowed by default
    #[arg(
        long,
        env = "ZEROGATE_MAX_CONNECTIONS",
        value_name = "N",
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..)
    )]
    pub max_connections: Option<usize>,

    /// Most connections of one client address at once, of a /64 with IPv6; half of --max-connections by default. Those of trusted
    /// proxies are not counted, and those of balancers with a PROXY header as the clients' that it names
    #[arg(
        long,
        env = "ZEROGATE_MAX_CONNECTIONS_PER_ADDRESS",
        value_name = "N",
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..)
    )]
    pub max_connections_per_address: Option<usize>,

    /// How long a client may take to send a request's header
    #[arg(long, env = "ZEROGATE_HEADER_TIMEOUT", default_value = "30s", value_name = "DURATION")]
    pub header_timeout: HumanDuration,

    /// How long a client may keep an idle connection between requests; longer than a load balancer before it does
    #[arg(long, env = "ZEROGATE_IDLE_TIMEOUT", default_value = "75s", value_name = "DURATION")]
    pub idle_timeout: HumanDuration,

    /// Most bytes of a request's header block, at least 8KiB; with HTTP/1.1 there may be 100 headers
    #[arg(long, env = "ZEROGATE_MAX_HEADER_SIZE", default_value = "32KiB", value_name = "SIZE")]
    pub max_header_size: ByteSize,

    /// Networks or addresses, with commas between them, whose X-Forwarded-* and Forwarded headers are believed and extended;
    /// others' are replaced. An empty list trusts nobody
    #[arg(long, env = "ZEROGATE_TRUSTED_PROXIES", default_value = "127.0.0.0/8,::1/128", value_name = "CIDR,…")]
    pub trusted_proxies: Networks,

    /// Networks or addresses, with commas between them, of balancers for TCP whose connections begin with a PROXY header (version 1
    /// or 2) that says whose they are; without one they are closed. Nobody by default
    #[arg(long, env = "ZEROGATE_PROXY_PROTOCOL", default_value = "", hide_default_value = true, value_name = "CIDR,…")]
    pub proxy_protocol: Networks,

    /// Ports for apps with `port: auto`
    #[arg(long, env = "ZEROGATE_PORTS", default_value = "20000-29999", value_name = "LOW-HIGH", value_parser = ports)]
    pub ports: RangeInclusive<u16>,

    /// After SIGTERM: how long to go on as before, not ready, so that others learn to send elsewhere
    #[arg(long, env = "ZEROGATE_LAME_DUCK", default_value = "1s", value_name = "DURATION")]
    pub lame_duck: HumanDuration,

    /// After that: how long requests in flight may take to finish
    #[arg(long, env = "ZEROGATE_DRAIN_TIMEOUT", default_value = "30s", value_name = "DURATION")]
    pub drain_timeout: HumanDuration,

    /// A line per finished request on standard output
    #[arg(long, env = "ZEROGATE_ACCESS_LOG", value_enum, default_value_t = AccessLogFormat::Off)]
    pub access_log: AccessLogFormat,

    /// How the log on standard error is written
    #[arg(long, env = "ZEROGATE_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// What is logged: a level, or directives such as `info,app=off`
    #[arg(long, env = "ZEROGATE_LOG_LEVEL", default_value = "info", value_name = "LEVEL")]
    pub log_level: String,
}

/// How finished requests are told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AccessLogFormat {
    /// Not at all.
    Off,
    /// JSON lines.
    Json,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// To be read by people.
    Text,
    /// JSON lines.
    Json,
}

/// The name of a namespace, which is a DNS label.
fn namespace(text: &str) -> Result<String, String> {
    let name = text.trim();
    let is_inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    let is_label =
        name.len() <= 63 && name.bytes().all(|b| is_inner(&b)) && !name.starts_with('-') && !name.ends_with('-');
    if name.is_empty() {
        return Err("a name is empty; give names with commas between them, or leave it out for all namespaces".into());
    }
    match is_label {
        true => Ok(name.to_owned()),
        false => Err(format!(
            "`{name}` is no name of a namespace: that has up to 63 of a-z, 0-9 and `-`, the first and last no `-`"
        )),
    }
}

/// A range of ports such as `20000-29999`.
fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let parse = |port: &str| port.trim().parse::<u16>().ok().filter(|port| *port > 0);
    let range = text.split_once('-').and_then(|(low, high)| Some(parse(low)?..=parse(high)?));
    range.filter(|range| !range.is_empty()).ok_or_else(|| {
        format!("`{text}` is not a range of ports; give the lowest and the highest, such as 20000-29999")
    })
}

// === impl CheckArgs ===

impl CheckArgs {
    /// All that is to be checked.
    pub fn files(&self) -> Vec<PathBuf> {
        [self.files.as_slice(), self.filename.as_slice()].concat()
    }
}

// === impl Networks ===

impl FromStr for Networks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let network = |word: &str| match word.parse() {
            Ok(network) => Ok(network),
            // In the form that the addresses of peers are compared in.
            Err(_) => word
                .parse()
                .map(|address: IpAddr| address.to_canonical().into())
                .map_err(|_| format!("`{word}` is no network or address, such as 10.0.0.0/8, 192.0.2.1 or ::1")),
        };
        text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(network).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests;
