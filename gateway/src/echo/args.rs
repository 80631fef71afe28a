//! The command line of `zerogate echo`.

use std::net::{IpAddr, Ipv4Addr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use activator::resource::human::HumanDuration;

/// A small HTTP app for trying things out.
#[derive(Debug, Clone, clap::Args)]
pub struct EchoArgs {
    /// Port to listen on; 0 takes a free one
    #[arg(long, env = "PORT", default_value_t = 8000)]
    pub port: u16,
    /// Address to listen on
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub addr: IpAddr,
    /// A name to show in answers, to tell apps apart
    #[arg(long)]
    pub name: Option<String>,
    /// Threads that serve
    #[arg(long, default_value = "1")]
    pub threads: NonZeroUsize,
    /// Wait this long before listening, like an app that is slow to start
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    pub start_delay: HumanDuration,
    /// Answer 503 on /healthz for this long after listening
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    pub unready_for: HumanDuration,
    /// Serve this many requests at a time; more wait in the app. Health checks do not count
    #[arg(long, value_name = "N")]
    pub concurrency: Option<NonZeroU32>,
    /// Exit with code 7 when there are more requests than this at a time, like an app that runs out of memory
    #[arg(long, value_name = "N")]
    pub die_above: Option<NonZeroU32>,
    /// Take this many streams on an HTTP/2 connection; more are refused
    #[arg(long, value_name = "N")]
    pub max_streams: Option<NonZeroU32>,
    /// Take no WebSockets over HTTP/2
    #[arg(long)]
    pub no_extended_connect: bool,
    /// Close connections that are idle for this long
    #[arg(long, value_name = "DURATION")]
    pub keep_alive_timeout: Option<HumanDuration>,
    /// Exit with this code
    #[arg(long, value_name = "CODE")]
    pub exit_code: Option<u8>,
    /// When to exit; 0s is before listening
    #[arg(long, value_name = "DURATION", default_value = "0s", requires = "exit_code")]
    pub exit_after: HumanDuration,
    /// Run, but never listen
    #[arg(long)]
    pub never_listen: bool,
    /// Answer bytes that are not HTTP
    #[arg(long, conflicts_with = "hang")]
    pub garbage: bool,
    /// Serve TLS with the certificate in this file
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Protocols that clients may choose in the handshake
    #[arg(long, value_name = "PROTOCOL,…", value_delimiter = ',', default_value = "h2,http/1.1")]
    pub tls_alpn: Vec<String>,
    /// Accept connections, but never answer
    #[arg(long)]
    pub hang: bool,
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Served.
    Http,
    /// Answered with bytes that are not HTTP.
    Garbage,
    /// Never answered.
    Hang,
}

// === impl EchoArgs ===

impl EchoArgs {
    pub(super) fn manner(&self) -> Manner {
        match (self.garbage, self.hang) {
            (true, _) => Manner::Garbage,
            (_, true) => Manner::Hang,
            (false, false) => Manner::Http,
        }
    }
}

#[cfg(test)]
mod tests;
