//! The scenarios, one a file, and what they share.

mod asleep;
mod first;
mod held;
mod keda;
mod many;
mod ramp;
mod wake;
mod warm;

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::PathBuf;

use clap::ValueEnum;
use serde::Serialize;

use crate::Result;
use crate::clock::Moment;
use crate::report::{Row, load_average, machine, table};

/// The host that every scenario's first app has.
const HOST: &str = "app-0.localhost";

/// What all scenarios are given.
pub struct Bench {
    /// The gateway's program.
    pub zerogate: PathBuf,
    /// This program.
    pub own: PathBuf,
    /// Bombardier, which may not be there.
    pub bombardier: PathBuf,
    /// Where results go; absolute.
    pub results: PathBuf,
    /// Fewer rounds, shorter runs.
    pub quick: bool,
    /// How long the load on a sleeping app lasts, in seconds.
    pub asleep_seconds: u64,
}

/// What can be run.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Scenario {
    /// CPU time per warm request, beside HAProxy and nginx.
    Warm,
    /// Memory of 10,000 held requests, and after they hang up.
    Held,
    /// From the app's listening to the first byte at the client.
    Wake,
    /// 1,000 first requests at once.
    First,
    /// Bombardier on a sleeping app.
    Asleep,
    /// 50 to 1,300 clients on an app that takes 10 at a time.
    Ramp,
    /// 10,000 sleeping apps.
    Many,
    /// What KEDA asks of a gateway with 10,000 apps.
    Keda,
}

/// Runs `scenarios` one after the other and prints the table of their figures.
pub async fn run_all(bench: &Bench, scenarios: &[Scenario]) -> Result<()> {
    each(bench, scenarios, async |scenario| bench.run(scenario).await).await
}

/// Does `run` with `scenarios` one after the other and prints the table of their figures. A scenario that breaks is told
/// and does not keep the others from running.
pub async fn each<S: Copy + fmt::Display>(
    bench: &Bench,
    scenarios: &[S],
    run: impl AsyncFn(S) -> Result<Vec<Row>>,
) -> Result<()> {
    let machine = machine();
    let mut rows = Vec::new();
    let mut broken = Vec::new();
    for &scenario in scenarios {
        let started = Moment::now();
        eprintln!("{scenario} … (load average {})", load_average());
        match run(scenario).await {
            Ok(figures) => rows.extend(figures),
            Err(error) => {
                eprintln!("{scenario}: {error}");
                broken.push(format!("{scenario}: {error}"));
            }
        }
        eprintln!("{scenario}: {:.0} s", started.elapsed().as_secs_f64());
    }
    let table = table(&rows, &machine);
    println!("{table}");
    fs::write(bench.results.join("table.md"), &table)?;
    bench.save("table", &rows)?;
    if broken.is_empty() { Ok(()) } else { Err(broken.join("; ").into()) }
}

// === impl Bench ===

impl Bench {
    async fn run(&self, scenario: Scenario) -> Result<Vec<Row>> {
        match scenario {
            Scenario::Warm => warm::run(self).await,
            Scenario::Held => held::run(self).await,
            Scenario::Wake => wake::run(self).await,
            Scenario::First => first::run(self).await,
            Scenario::Asleep => asleep::run(self).await,
            Scenario::Ramp => ramp::run(self).await,
            Scenario::Many => many::run(self).await,
            Scenario::Keda => keda::run(self).await,
        }
    }

    /// `full`, or `quick` if it is to be quick.
    pub fn choose<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// `PATH` with this program's folder first, so that the documents' `loadtest` is this program.
    pub fn path(&self) -> Result<OsString> {
        let own = self.own.parent().map(PathBuf::from).into_iter();
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        Ok(std::env::join_paths(own.chain(std::env::split_paths(&inherited)))?)
    }

    /// The log of the scenario `name`'s processes.
    pub fn log(&self, name: &str) -> PathBuf {
        self.results.join(format!("{name}.log"))
    }

    /// Writes `text` to the file `name` among the results.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.results.join(name);
        fs::write(&path, text)?;
        Ok(path)
    }

    /// Writes `raw` to `name.json` among the results.
    pub fn save(&self, name: &str, raw: &impl Serialize) -> Result<()> {
        self.write(&format!("{name}.json"), &serde_json::to_string_pretty(raw)?)?;
        Ok(())
    }

    /// Writes `count` copies of `document` to one file, named app-0, app-1 and so on, each changed by `change`.
    fn declare(
        &self,
        name: &str,
        document: &str,
        count: usize,
        change: impl Fn(usize, String) -> String,
    ) -> Result<PathBuf> {
        let copies: Vec<String> =
            (0..count).map(|index| change(index, document.replace("app-0", &format!("app-{index}")))).collect();
        self.write(&format!("{name}.yaml"), &copies.join("---\n"))
    }
}

// === impl Scenario ===

impl Scenario {
    /// Each, in the order of the table.
    pub const ALL: [Self; 8] =
        [Self::Warm, Self::Held, Self::Wake, Self::First, Self::Asleep, Self::Ramp, Self::Many, Self::Keda];
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}
