//! What can scale a target and tell where it runs.

pub mod process;
pub mod readiness;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use crate::app::App;

/// Scales targets and reports to their [`App`] what becomes of it.
///
/// Reports are made by calling the app: [`App::set_starting`], [`App::endpoint_ready`], [`App::endpoint_gone`],
/// [`App::start_failed`]. A platform takes an endpoint out of rotation, waits until it is empty, and only then stops what
/// serves it.
#[async_trait]
pub trait Platform: Send + Sync + 'static {
    /// Makes `replicas` of the app run, from now on until told otherwise. Returns as soon as the order is accepted; asking
    /// for what is already the case changes nothing. Also called when the app's settings have changed.
    ///
    /// # Errors
    /// The order cannot be carried out at all.
    async fn scale(&self, app: &Arc<App>, replicas: u32) -> Result<(), StartFailure>;

    /// Stops everything it runs and returns once nothing is left.
    async fn stop(&self);
}

/// Why a replica did not become usable, in words for those who wait for it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the app cannot be started: {cause}")]
pub struct StartFailure {
    /// What happened.
    pub cause: FailureCause,
    /// The last lines it printed, if any; bounded by the platform.
    pub output: Vec<String>,
    /// How long until it is worth another try.
    pub retry_after: Duration,
}

/// What kept a replica from becoming usable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FailureCause {
    /// The program does not exist, may not be run, or the like.
    CannotRun {
        /// The program as configured.
        program: String,
        /// What the system says.
        why: String,
    },
    /// It ended before it was ready.
    Exited {
        /// "exit code 1", "signal 9".
        how: String,
    },
    /// It was ready, but keeps ending soon after.
    Crashed {
        /// As in `Exited`.
        how: String,
        /// How long it had been ready the last time.
        ran: Duration,
    },
    /// It runs but did not pass its readiness check in time.
    NeverReady {
        /// How long it was given.
        after: Duration,
        /// What the last check met.
        last: String,
    },
    /// No port was free for it.
    NoPort {
        /// The range or port that was tried.
        tried: String,
    },
    /// The platform did not answer.
    NoAnswer {
        /// How long it was given.
        after: Duration,
    },
}

// === impl FailureCause ===

impl FailureCause {
    /// A word for metrics: one of a fixed few.
    pub fn label(&self) -> &'static str {
        match self {
            Self::CannotRun { .. } => "cannot_run",
            Self::Exited { .. } => "exited",
            Self::Crashed { .. } => "crashed",
            Self::NeverReady { .. } => "never_ready",
            Self::NoPort { .. } => "no_port",
            Self::NoAnswer { .. } => "no_answer",
        }
    }
}

impl fmt::Display for FailureCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CannotRun { program, why } => write!(f, "its command `{program}` cannot be run: {why}"),
            Self::Exited { how } => write!(f, "it ended with {how} before it was ready"),
            Self::Crashed { how, ran } => {
                write!(f, "it keeps ending after it was ready, the last time after {} ms with {how}", ran.as_millis())
            }
            Self::NeverReady { after, last } => {
                write!(f, "it was not ready within {} s; the last readiness check said: {last}", after.as_secs_f64())
            }
            Self::NoPort { tried } => write!(f, "no port was free for it ({tried})"),
            Self::NoAnswer { after } => write!(f, "the platform did not answer within {} s", after.as_secs_f64()),
        }
    }
}
