//! 50 to 1,300 closed loops within two minutes on an app that takes 10 requests at a time.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::{Bench, HOST};
use crate::Result;
use crate::clock::Moment;
use crate::gateway::{AppState, Gateway};
use crate::load::{Summary, Tally, Target, lock};
use crate::plot::{Panel, svg};
use crate::report::Row;

const FIRST: usize = 50;
const LAST: usize = 1300;
/// How often new clients join.
const TICK: Duration = Duration::from_millis(100);
/// How often replicas and waits are looked at.
const SAMPLE: Duration = Duration::from_millis(500);

struct Sample {
    seconds: f64,
    clients: usize,
    app: AppState,
    /// Of the answers since the last sample.
    answers: Summary,
}

pub async fn run(bench: &Bench) -> Result<Vec<Row>> {
    let documents = bench.declare("ramp", include_str!("../../apps/ramp.yaml"), 1, |_, document| document)?;
    let gateway = Gateway::start(bench, "ramp", &documents, &[]).await?;
    let (rise, stay) = bench.choose((110, 10), (35, 5));
    let (rise, whole) = (Duration::from_secs(rise), Duration::from_secs(rise + stay));

    let target = Target::get(gateway.http, HOST, "/hello");
    let (started, tally) = (Moment::now(), Arc::<Mutex<Tally>>::default());
    let (mut clients, mut samples, mut total) = (JoinSet::new(), Vec::new(), Tally::default());
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut next_sample = Duration::ZERO;
    while started.elapsed() < whole {
        ticks.tick().await;
        let part = (started.elapsed().as_secs_f64() / rise.as_secs_f64()).min(1.0);
        while clients.len() < FIRST + ((LAST - FIRST) as f64 * part) as usize {
            clients.spawn(target.clone().client(tally.clone(), started, whole));
        }
        if started.elapsed() >= next_sample {
            next_sample = started.elapsed() + SAMPLE;
            let app = gateway.app("app-0").await?;
            let window = std::mem::take(&mut *lock(&tally));
            total.add(window.clone());
            let seconds = started.elapsed().as_secs_f64();
            samples.push(Sample { seconds, clients: clients.len(), app, answers: window.summary() });
        }
    }
    while let Some(ended) = clients.join_next().await {
        ended?;
    }
    total.add(std::mem::take(&mut *lock(&tally)));
    gateway.until("app-0", Duration::from_secs(10), |app| app.held == 0 && app.in_flight == 0).await?;
    gateway.process.stop().await?;

    let total = total.summary();
    bench.save("ramp", &total)?;
    bench.write("ramp.csv", &csv(&samples))?;
    bench.write("ramp.svg", &plot(&samples))?;
    let most = samples.iter().map(|sample| sample.app.ready).max().unwrap_or_default();
    Ok(vec![Row::goal(
        format!("{FIRST} -> {LAST} concurrent clients in {} s, 10 at a time in 50 ms per process", rise.as_secs()),
        format!(
            "{} answers, {} not 2xx {:?}; up to {most} replicas; wait p50 {:.0} ms, p99 {:.0} ms, max {:.0} ms",
            total.answers, total.failures, total.failed, total.p50_ms, total.p99_ms, total.max_ms
        ),
        "no answer but 2xx",
        total.failures == 0 && total.answers > 0,
    )])
}

fn csv(samples: &[Sample]) -> String {
    let mut csv = String::from("seconds,clients,wanted,ready,in_flight,held,answers,failures,p50_ms,p99_ms\n");
    for Sample { seconds, clients, app, answers } in samples {
        let AppState { in_flight, held, wanted, ready } = app;
        let Summary { answers, failures, p50_ms, p99_ms, .. } = answers;
        // Writing to a String does not fail.
        let _ = writeln!(
            csv,
            "{seconds:.2},{clients},{wanted},{ready},{in_flight},{held},{answers},{failures},{p50_ms:.1},{p99_ms:.1}"
        );
    }
    csv
}

fn plot(samples: &[Sample]) -> String {
    let curve = |value: fn(&Sample) -> f64| -> Vec<(f64, f64)> {
        samples.iter().map(|sample| (sample.seconds, value(sample))).filter(|point| point.1.is_finite()).collect()
    };
    svg(&[
        Panel {
            title: "requests",
            curves: vec![("clients", curve(|s| s.clients as f64)), ("held", curve(|s| s.app.held as f64))],
        },
        Panel {
            title: "replicas",
            curves: vec![("wanted", curve(|s| s.app.wanted as f64)), ("ready", curve(|s| s.app.ready as f64))],
        },
        Panel {
            title: "time to first byte, ms",
            curves: vec![("p50", curve(|s| s.answers.p50_ms)), ("p99", curve(|s| s.answers.p99_ms))],
        },
    ])
}
