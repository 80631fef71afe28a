//! Scenarios on a real cluster: the gateway is the pod that the manifests install, apps are Deployments, and the time a call
//! came in is what the API server's audit log says. Run inside the cluster's network by `loadtests/run cluster`.

mod app;
mod asleep;
mod audit;
mod fleet;
mod idle;
mod installed;
mod many;
mod ramp;
mod seen;
mod together;
mod wake;
mod wakes;

use std::fmt;
use std::path::PathBuf;

use clap::ValueEnum;
use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};

use crate::Result;
use crate::report::Row;
use crate::scenario::{Bench, each};
use installed::Installed;

/// What the scenarios on a cluster are told.
#[derive(clap::Args)]
pub struct ClusterArgs {
    /// Fewer rounds and shorter runs: to see that all works, not for figures.
    #[arg(long)]
    quick: bool,
    /// The scenarios to run.
    #[arg(long, value_delimiter = ',', default_values_t = Scenario::ALL)]
    only: Vec<Scenario>,
    /// The cluster's folder: the admin's kubeconfig, the audit log, the gateway's program.
    #[arg(long, env = "ZG_CLUSTER_RUN")]
    cluster: PathBuf,
    /// Bombardier.
    #[arg(long, default_value = "bombardier")]
    bombardier: PathBuf,
    /// Where raw results and logs go.
    #[arg(long, default_value = "loadtests/results/cluster")]
    pub results: PathBuf,
    /// How many wakes of each kind `wake` does; 50, or 3 with --quick.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    wakes: Option<u16>,
}

/// The cluster, and what all scenarios are given.
struct Cluster {
    bench: Bench,
    /// With the admin's rights.
    client: Client,
    folder: PathBuf,
    /// The gateway, of which one runs.
    gateway: Installed,
    wakes: usize,
}

/// What can be run.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Scenario {
    /// 100 sleeping apps and no request: memory, CPU time, API requests.
    Idle,
    /// Wakes in turn: through the gateway, without early tries, and without a gateway.
    Wake,
    /// 20 Deployments at the same moment.
    Together,
    /// Bombardier on a sleeping Deployment.
    Asleep,
    /// 50 to 1,300 clients, at most 20 pods.
    Ramp,
    /// 5,000 sleeping apps.
    Many,
    /// Two and three gateways: what they tell each other costs, how many pods they want, and what it costs that one dies.
    Fleet,
}

/// Runs the scenarios one after the other and prints the table of their figures.
pub async fn run_all(args: ClusterArgs) -> Result<()> {
    let kubeconfig = Kubeconfig::read_from(args.cluster.join("admin.conf"))?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let client = Client::try_from(config)?;
    let bench = Bench {
        zerogate: args.cluster.join("zerogate"),
        own: std::env::current_exe()?,
        bombardier: args.bombardier,
        results: args.results.canonicalize()?,
        quick: args.quick,
        asleep_seconds: if args.quick { 15 } else { 180 },
    };
    let before = Installed::how_many(&client).await?;
    let gateway = Installed::of(&client, 1).await?;
    let wakes = args.wakes.map_or(bench.choose(50, 3), usize::from);
    let cluster = Cluster { bench, client, folder: args.cluster, gateway, wakes };
    let done = each(&cluster.bench, &args.only, async |scenario| cluster.run(scenario).await).await;
    Installed::of(&cluster.client, before).await?;
    done
}

// === impl Cluster ===

impl Cluster {
    async fn run(&self, scenario: Scenario) -> Result<Vec<Row>> {
        match scenario {
            Scenario::Idle => idle::run(self).await,
            Scenario::Wake => wake::run(self).await,
            Scenario::Together => together::run(self).await,
            Scenario::Asleep => asleep::run(self).await,
            Scenario::Ramp => ramp::run(self).await,
            Scenario::Many => many::run(self).await,
            Scenario::Fleet => fleet::run(self).await,
        }
    }
}

// === impl Scenario ===

impl Scenario {
    /// Each, in the order of the table: first what needs a gateway that has done little yet, last what needs others.
    const ALL: [Self; 7] = [Self::Idle, Self::Wake, Self::Together, Self::Asleep, Self::Ramp, Self::Many, Self::Fleet];
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}
