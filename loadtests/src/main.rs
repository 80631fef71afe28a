//! Load scenarios and side-by-side benchmarks of the program `zerogate`. Everything runs on loopback or in the network of a cluster of our
//! own, is bounded in count and in time, and stops by itself; only processes started here are ended here.

mod app;
mod bombardier;
mod clock;
mod cluster;
mod gateway;
mod http;
mod load;
mod plot;
mod process;
mod report;
mod scenario;
mod stats;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::scenario::{Bench, Scenario};

/// What may go wrong, with enough in its words to act on.
type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// Load scenarios and side-by-side benchmarks of zerogate.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the scenarios and prints their figures as a Markdown table.
    Bench(BenchArgs),
    /// The same on a real cluster, run by `loadtests/run cluster`.
    Cluster(cluster::ClusterArgs),
    /// A small app to put behind a proxy; listens on 127.0.0.1.
    App(app::AppArgs),
}

#[derive(clap::Args)]
struct BenchArgs {
    /// Fewer rounds and shorter runs: to see that all works, not for figures.
    #[arg(long)]
    quick: bool,
    /// The scenarios to run.
    #[arg(long, value_delimiter = ',', default_values_t = Scenario::ALL)]
    only: Vec<Scenario>,
    /// The gateway; the one beside this program if not given.
    #[arg(long)]
    zerogate: Option<PathBuf>,
    /// Bombardier; if it is not there, a closed loop of our own does the same.
    #[arg(long, default_value = "bombardier")]
    bombardier: PathBuf,
    /// Where raw results, logs and plots go.
    #[arg(long, default_value = "loadtests/results")]
    results: PathBuf,
    /// How long Bombardier runs, in seconds; 60, or 20 with --quick.
    #[arg(long, value_parser = clap::value_parser!(u64).range(5..=600))]
    asleep_seconds: Option<u64>,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Bench(args) => bench(args),
        Command::Cluster(args) => cluster(args),
        Command::App(args) => run(app::serve(args)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("loadtest: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One thread: the generator must not take both cores from what it measures.
fn run(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

fn bench(args: BenchArgs) -> Result<()> {
    process::raise_open_files()?;
    std::fs::create_dir_all(&args.results)?;
    let own = std::env::current_exe()?;
    let bench = Bench {
        zerogate: args.zerogate.unwrap_or_else(|| own.with_file_name("zerogate")),
        own,
        bombardier: args.bombardier,
        results: args.results.canonicalize()?,
        quick: args.quick,
        asleep_seconds: args.asleep_seconds.unwrap_or(if args.quick { 20 } else { 60 }),
    };
    run(unless_interrupted(scenario::run_all(&bench, &args.only)))
}

fn cluster(args: cluster::ClusterArgs) -> Result<()> {
    process::raise_open_files()?;
    std::fs::create_dir_all(&args.results)?;
    run(unless_interrupted(cluster::run_all(args)))
}

/// What was started dies as its handle is dropped.
async fn unless_interrupted(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::select! {
        done = work => done,
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
    }
}
