//! CPU time per warm request: HAProxy, nginx and Zerogate side by side, in turns, before the same app.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::sleep;

use super::{Bench, HOST};
use crate::Result;
use crate::clock::Moment;
use crate::gateway::{Gateway, free_addr};
use crate::load::Target;
use crate::process::{Process, cpu_time};
use crate::report::Row;
use crate::stats::median;

const CONNECTIONS: usize = 64;

/// What is measured: a process, and where it takes requests.
pub struct Candidate {
    /// What it is called in the table.
    pub name: &'static str,
    /// The process whose time counts.
    pub pid: u32,
    /// Where requests go.
    pub addr: SocketAddr,
}

/// One candidate's turn.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Turn {
    /// Microseconds of CPU time per request.
    pub cpu_us: f64,
    /// Requests answered per second.
    pub per_second: f64,
}

const PLAIN: &str = "HAProxy";
const SAME: &str = "HAProxy with the same work";
const NGINX: &str = "nginx";
const OURS: &str = "Zerogate";

pub async fn run(bench: &Bench) -> Result<Vec<Row>> {
    let upstream = free_addr()?;
    let port = format!("port: {}", upstream.port());
    let documents = bench.declare("warm", include_str!("../../apps/warm.yaml"), 1, |_, document| {
        document.replace("port: auto", &port)
    })?;
    let gateway = Gateway::start(bench, "warm", &documents, &["--threads", "1"]).await?;
    // Wakes the app, which the others then use too.
    Target::get(gateway.http, HOST, "/hello").run(1, Duration::from_millis(100)).await?;

    let plain = haproxy(bench, "haproxy", include_str!("../../proxies/haproxy.cfg"), upstream).await?;
    let same =
        haproxy(bench, "haproxy-same-work", include_str!("../../proxies/haproxy-same-work.cfg"), upstream).await?;
    let nginx = nginx(bench, upstream).await?;
    let worker = nginx.0.first_child()?.ok_or("nginx has no worker")?;
    let candidates = [
        Candidate { name: PLAIN, pid: plain.0.pid(), addr: plain.1 },
        Candidate { name: SAME, pid: same.0.pid(), addr: same.1 },
        Candidate { name: NGINX, pid: worker, addr: nginx.1 },
        Candidate { name: OURS, pid: gateway.process.pid(), addr: gateway.http },
    ];
    let turns = take_turns(bench, &candidates, bench.choose(7, 3)).await?;
    for process in [plain.0, same.0, nginx.0, gateway.process] {
        process.stop().await?;
    }
    bench.save("warm", &turns)?;

    let cpu = |name| median(&turns[name].iter().map(|turn| turn.cpu_us).collect::<Vec<_>>());
    let mut rows: Vec<Row> = [PLAIN, SAME, NGINX]
        .into_iter()
        .map(|name| {
            let times = ratio(&turns[name], &turns[PLAIN]);
            Row::note(format!("CPU time per warm request, {name}"), format!("{:.1} us, {times:.2} x", cpu(name)))
        })
        .collect();
    let (times, same) = (ratio(&turns[OURS], &turns[PLAIN]), ratio(&turns[OURS], &turns[SAME]));
    rows.push(Row::goal(
        "CPU time per warm request, Zerogate",
        format!("{:.1} us, {times:.2} x ({same:.2} x the same work)", cpu(OURS)),
        "<= 1.15 x HAProxy",
        times <= 1.15,
    ));
    Ok(rows)
}

/// The median over the rounds of what `ours` took against what `other` took in the same round.
pub fn ratio(ours: &[Turn], other: &[Turn]) -> f64 {
    median(&ours.iter().zip(other).map(|(ours, other)| ours.cpu_us / other.cpu_us).collect::<Vec<_>>())
}

/// Loads one candidate after the other, `rounds` times.
pub async fn take_turns(
    bench: &Bench,
    candidates: &[Candidate],
    rounds: usize,
) -> Result<BTreeMap<&'static str, Vec<Turn>>> {
    let mut turns: BTreeMap<&'static str, Vec<Turn>> = BTreeMap::new();
    for _ in 0..rounds {
        for candidate in candidates {
            turns.entry(candidate.name).or_default().push(turn(bench, candidate).await?);
        }
    }
    Ok(turns)
}

async fn turn(bench: &Bench, candidate: &Candidate) -> Result<Turn> {
    let target = Target::get(candidate.addr, HOST, "/hello");
    target.run(CONNECTIONS, Duration::from_millis(500)).await?;
    let (started, before) = (Moment::now(), cpu_time(candidate.pid)?);
    let summary =
        target.run(CONNECTIONS, bench.choose(Duration::from_secs(5), Duration::from_secs(2))).await?.summary();
    let (used, time) = (cpu_time(candidate.pid)?.saturating_sub(before), started.elapsed());
    if summary.failures > 0 || summary.answers == 0 {
        return Err(format!("{}: {summary:?}", candidate.name).into());
    }
    let answers = summary.answers as f64;
    Ok(Turn { cpu_us: used.as_secs_f64() * 1e6 / answers, per_second: answers / time.as_secs_f64() })
}

async fn haproxy(bench: &Bench, name: &str, config: &str, upstream: SocketAddr) -> Result<(Process, SocketAddr)> {
    let (config, addr) = configured(config, upstream)?;
    let config = bench.write(&format!("{name}.cfg"), &config)?;
    let process = Process::start(name, Command::new("haproxy").arg("-db").arg("-f").arg(config), &bench.log("warm"))?;
    listening(process, addr).await
}

async fn nginx(bench: &Bench, upstream: SocketAddr) -> Result<(Process, SocketAddr)> {
    let prefix = bench.results.join("nginx");
    fs::create_dir_all(&prefix)?;
    let (config, addr) = configured(include_str!("../../proxies/nginx.conf"), upstream)?;
    let config = bench.write("nginx/nginx.conf", &config)?;
    let mut command = Command::new("nginx");
    // -e: before it has read its configuration it would log to a file only root may write.
    command.arg("-p").arg(prefix).args(["-e", "stderr", "-c"]).arg(config);
    listening(Process::start("nginx", &mut command, &bench.log("warm"))?, addr).await
}

/// The configuration with the addresses of this run, and where the proxy will listen.
fn configured(config: &str, upstream: SocketAddr) -> Result<(String, SocketAddr)> {
    let addr = free_addr()?;
    Ok((config.replace("127.0.0.1:8001", &addr.to_string()).replace("127.0.0.1:8002", &upstream.to_string()), addr))
}

async fn listening(mut process: Process, addr: SocketAddr) -> Result<(Process, SocketAddr)> {
    let started = Moment::now();
    while TcpStream::connect(addr).await.is_err() {
        process.check()?;
        if started.elapsed() > Duration::from_secs(10) {
            return Err(format!("nothing listens on {addr} after 10 s").into());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok((process, addr))
}
