//! Readiness checks made by the gateway itself, from the first millisecond on, so that an endpoint is used the moment it can
//! be. The same checks for every platform.

mod http;
mod pod;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpStream;

use crate::clock::Clock;
use crate::settings::{Protocol, Readiness};
pub use pod::{Action, PodCheck};

/// How long one try may take where nobody has said so.
const TRY_TIMEOUT: Duration = Duration::from_secs(1);
/// The same at most, whatever a pod's probe says.
const LONGEST_TRY: Duration = Duration::from_secs(10);
/// Pauses between tries stay between these while an app may still be about to start.
const SHORTEST: Duration = Duration::from_millis(1);
const SHORT: Duration = Duration::from_millis(5);
/// After this the app is a slow starter, and tries become rarer.
const SLOW_START: Duration = Duration::from_secs(10);
/// The longest pause between tries.
const LONGEST: Duration = Duration::from_millis(100);
/// The pause after a try that took some work.
const SELDOM: Duration = Duration::from_millis(250);

/// One endpoint's readiness check.
#[derive(Debug)]
pub struct Probe {
    check: Check,
    /// Before the first try.
    delay: Duration,
    /// Between tries, if that is always the same.
    every: Option<Duration>,
    /// How many tries in a row have to pass.
    passes: u32,
    last: Option<NotReady>,
}

/// What is tried, and where.
#[derive(Debug)]
enum Check {
    Readiness(Readiness, SocketAddr),
    Pod(PodCheck, IpAddr),
}

/// Why an endpoint cannot take a request yet.
#[derive(Debug, Error)]
pub enum NotReady {
    /// No connection.
    #[error("cannot connect: {0}")]
    Connect(std::io::Error),
    /// The connection was made with itself: nobody listens, and the system happened to choose that very port to connect from.
    #[error("nobody listens")]
    Nobody,
    /// Somebody listens, but not what is to be tried.
    #[error("its port is held by process {pid} ({name}), which is not of this app")]
    Foreign {
        /// The process.
        pid: i32,
        /// What it is called.
        name: String,
    },
    /// No answer within the time of one try.
    #[error("no answer within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// Something else than the protocol asked for.
    #[error("no valid answer: {0}")]
    Protocol(hyper::Error),
    /// An HTTP status outside of 200 to 399, or for gRPC other than 200.
    #[error("status {0}")]
    Status(hyper::StatusCode),
    /// It is sent on and on.
    #[error("its answers send on to each other")]
    Redirects,
    /// The health service does not answer `SERVING`.
    #[error("the health service says {0}")]
    Health(&'static str),
    /// The health service's answer makes no sense.
    #[error("the health service's answer is malformed")]
    Malformed,
    /// The health call ended with a gRPC status that is not 0, as when there is no health service or it does not know the
    /// service asked about.
    #[error("the health check ended with gRPC status {0}")]
    GrpcStatus(String),
}

/// The pause before the next try of an endpoint that has been tried for `elapsed`: a two-hundredth of that, 1 to 5 ms;
/// after 10 s a two-thousandth, at most 100 ms.
pub fn interval(elapsed: Duration) -> Duration {
    if elapsed < SLOW_START { (elapsed / 200).clamp(SHORTEST, SHORT) } else { (elapsed / 2000).min(LONGEST) }
}

// === impl NotReady ===

impl NotReady {
    /// Whether finding it out took many system calls.
    fn is_costly(&self) -> bool {
        matches!(self, Self::Foreign { .. })
    }
}

// === impl Probe ===

impl Probe {
    /// A check of what is to listen on `address`.
    pub fn new(readiness: Readiness, address: SocketAddr) -> Self {
        Self { check: Check::Readiness(readiness, address), delay: Duration::ZERO, every: None, passes: 1, last: None }
    }

    /// The check that a pod with this address wants, made with the pauses of [`interval`]; its initial delay begins now.
    pub fn of_pod(check: PodCheck, pod: IpAddr) -> Self {
        let (delay, passes) = (check.initial_delay, check.success_threshold);
        Self { check: Check::Pod(check, pod), delay, every: None, passes, last: None }
    }

    /// The same with a pause of `pause` between tries, however long it takes.
    pub fn every(self, pause: Duration) -> Self {
        Self { every: Some(pause), ..self }
    }

    /// The same with its first try in `delay`, whatever initial delay the check has.
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Tries until it passes; for ever, if it never does: the caller sets the deadline. Dropping the future ends it at once.
    pub async fn ready(&mut self, clock: &Clock) {
        self.ready_and(clock, || std::future::ready(Ok(()))).await;
    }

    /// The same, where what passes has to stand another check besides.
    pub async fn ready_and<F>(&mut self, clock: &Clock, also: impl Fn() -> F)
    where
        F: Future<Output = Result<(), NotReady>>,
    {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        let begin = clock.now();
        let mut passed = 0;
        loop {
            let tried = match self.check().await {
                Ok(()) => also().await,
                not_ready => not_ready,
            };
            let usual = || self.every.unwrap_or_else(|| interval(clock.now().since(begin)));
            let pause = match tried {
                Ok(()) => {
                    passed += 1;
                    if passed >= self.passes {
                        return;
                    }
                    usual()
                }
                Err(why) => {
                    passed = 0;
                    let pause = if why.is_costly() { SELDOM } else { usual() };
                    self.last = Some(why);
                    pause
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Tries once, for as long as a pod's probe says, but no longer than 10 s; for a second where there is none.
    ///
    /// # Errors
    /// Why it does not pass.
    pub async fn check(&self) -> Result<(), NotReady> {
        let longest = match &self.check {
            Check::Readiness(..) => TRY_TIMEOUT,
            Check::Pod(check, _) => check.timeout.min(LONGEST_TRY),
        };
        tokio::time::timeout(longest, self.attempt()).await.unwrap_or(Err(NotReady::TimedOut(longest)))
    }

    /// What the last try met that did not pass.
    pub fn last(&self) -> Option<&NotReady> {
        self.last.as_ref()
    }

    async fn attempt(&self) -> Result<(), NotReady> {
        let (readiness, address) = match &self.check {
            Check::Readiness(Readiness::HttpGet { path, protocol: Protocol::Https }, address) => {
                return pod::get_https(*address, path).await;
            }
            Check::Readiness(readiness, address) => (readiness, *address),
            Check::Pod(check, pod) => return check.attempt(*pod).await,
        };
        let stream = TcpStream::connect(address).await.map_err(NotReady::Connect)?;
        let stream = not_itself(stream, address)?;
        match readiness {
            Readiness::TcpSocket => Ok(()),
            Readiness::HttpGet { path, protocol: Protocol::H2c } => http::get_http2(stream, path).await,
            Readiness::HttpGet { path, .. } => http::get(stream, path).await,
            Readiness::Grpc { service } => http::grpc(stream, service).await,
        }
    }
}

/// `stream`, unless it was made to `address` with itself.
fn not_itself(stream: TcpStream, address: SocketAddr) -> Result<TcpStream, NotReady> {
    if stream.local_addr().is_ok_and(|local| local == address) { Err(NotReady::Nobody) } else { Ok(stream) }
}

#[cfg(test)]
mod tests;
