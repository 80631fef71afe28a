//! A gateway under test.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::sleep;

use crate::Result;
use crate::clock::Moment;
use crate::http::fetch;
use crate::process::Process;
use crate::scenario::Bench;

/// How long an answer of the admin API may take; generous, since some scenarios take all the CPU time there is.
const ADMIN_LIMIT: Duration = Duration::from_secs(10);

/// A gateway that is ready.
pub struct Gateway {
    /// Its process.
    pub process: Process,
    /// Where requests go.
    pub http: SocketAddr,
    /// From its start until it was ready.
    pub ready_after: Duration,
    admin: SocketAddr,
}

/// An app as the admin API shows it.
#[derive(Debug, Default, Clone, Copy)]
pub struct AppState {
    /// Requests at endpoints.
    pub in_flight: u64,
    /// Requests that wait.
    pub held: u64,
    /// Replicas decided on.
    pub wanted: u64,
    /// Replicas that can take a request.
    pub ready: u64,
}

impl Gateway {
    /// Starts a gateway with `documents`, and waits until it is ready.
    pub async fn start(bench: &Bench, name: &str, documents: &Path, args: &[&str]) -> Result<Self> {
        let path = bench.path()?;
        Self::start_with(bench, name, |command| command.arg(documents).args(args).env("PATH", path)).await
    }

    /// Starts a gateway with what `more` adds to its command line, and waits until it is ready.
    pub async fn start_with(
        bench: &Bench,
        name: &str,
        more: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Result<Self> {
        let (http, admin) = (free_addr()?, free_addr()?);
        let mut command = Command::new(&bench.zerogate);
        command.args(["run", "--http", &http.to_string(), "--admin", &admin.to_string()]);
        let started = Moment::now();
        let process = Process::start("zerogate", more(&mut command), &bench.log(name))?;
        let mut gateway = Self { process, http, admin, ready_after: Duration::ZERO };
        while !matches!(fetch(admin, "/readyz", ADMIN_LIMIT).await, Ok(answer) if answer.status == 200) {
            gateway.process.check()?;
            if started.elapsed() > Duration::from_secs(60) {
                return Err("zerogate: not ready within 60 s".into());
            }
            sleep(Duration::from_millis(20)).await;
        }
        gateway.ready_after = started.elapsed();
        Ok(gateway)
    }

    /// The admin API's word on the app `name`.
    pub async fn app(&self, name: &str) -> Result<AppState> {
        let app = self.app_json(name).await?;
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        Ok(AppState {
            in_flight: number(&app["inFlight"]),
            held: number(&app["held"]),
            wanted: number(&app["replicas"]["wanted"]),
            ready: number(&app["replicas"]["ready"]),
        })
    }

    /// All that the admin API says on the app `name`.
    pub async fn app_json(&self, name: &str) -> Result<Value> {
        let answer = fetch(self.admin, &format!("/v1/apps/default/{name}"), ADMIN_LIMIT).await?;
        match answer.status {
            200 => Ok(serde_json::from_slice(&answer.body)?),
            status => Err(format!("admin API: {status} for the app {name}").into()),
        }
    }

    /// The metric `name`, summed over all series that have each of `labels` (`key="value"`).
    pub async fn metric(&self, name: &str, labels: &[&str]) -> Result<f64> {
        let page = String::from_utf8(fetch(self.admin, "/metrics", ADMIN_LIMIT).await?.body)?;
        Ok(sum(&page, name, labels))
    }

    /// Polls the app `name` until `wanted` holds of it, for at most `limit`.
    pub async fn until(&self, name: &str, limit: Duration, wanted: impl Fn(AppState) -> bool) -> Result<AppState> {
        let started = Moment::now();
        loop {
            let state = self.app(name).await?;
            if wanted(state) {
                return Ok(state);
            }
            if started.elapsed() > limit {
                return Err(format!("{name}: still {state:?} after {limit:?}").into());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The sum of `name`'s series on a metrics page that have each of `labels`.
pub fn sum(page: &str, name: &str, labels: &[&str]) -> f64 {
    page.lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once("} "))
        .filter(|(series, _)| labels.iter().all(|label| series.split(',').any(|has| has == *label)))
        .filter_map(|(_, value)| value.parse::<f64>().ok())
        .sum()
}

/// An address on loopback that was free a moment ago.
pub fn free_addr() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

#[cfg(test)]
mod tests;
