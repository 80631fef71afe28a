use clap::Parser;

use super::*;
use crate::app::{AppArgs, serve};
use crate::gateway::free_addr;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    app: AppArgs,
}

/// What `clients` closed loops make of an app started with `args`, within 300 ms of its listening.
async fn load(clients: usize, timeout: Duration, args: &[&str]) -> Tally {
    let addr = free_addr().unwrap();
    let port = addr.port().to_string();
    let app = Cli::parse_from(["app", "--port", &port].iter().chain(args)).app;
    let target = Target { timeout, ..Target::get(addr, "a.localhost", "/hello") };
    let load = async {
        while Connection::open(addr).await.is_err() {
            tokio::task::yield_now().await;
        }
        target.run(clients, Duration::from_millis(300)).await
    };
    tokio::select! {
        ended = serve(app) => panic!("the app ended: {ended:?}"),
        tally = load => tally.unwrap(),
    }
}

#[tokio::test]
async fn answers_are_counted_with_their_latencies() {
    let tally = load(3, Duration::from_secs(5), &["--service-ms", "20", "--concurrency", "3"]).await;
    assert!(tally.errors.is_empty(), "{:?}", tally.errors);
    assert_eq!(tally.answers.keys().collect::<Vec<_>>(), [&200]);
    assert_eq!(tally.latencies.len() as u64, tally.total());
    assert!(tally.latencies.iter().all(|&us| us >= 20_000));
}

#[tokio::test]
async fn an_app_given_more_than_it_takes_refuses() {
    let summary = load(3, Duration::from_secs(5), &["--service-ms", "20", "--concurrency", "2"]).await.summary();
    assert!(summary.failed["503"] > 0, "{summary:?}");
    assert!(summary.answers > summary.failures);
}

#[tokio::test]
async fn no_answer_in_time_is_an_error() {
    let summary = load(2, Duration::from_millis(50), &["--service-ms", "5000"]).await.summary();
    assert_eq!(summary.answers, 0);
    assert!(summary.failed["timeout"] >= 2, "{summary:?}");
}

#[tokio::test]
async fn nobody_there_is_an_error() {
    let target = Target::get(free_addr().unwrap(), "a.localhost", "/");
    let summary = target.run(1, Duration::from_millis(30)).await.unwrap().summary();
    assert!(summary.failures > 0 && summary.answers == 0, "{summary:?}");
}
