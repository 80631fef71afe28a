//! Where a replica listens that is not ready: on another port than it was told, or at another address. Told from `/proc`; where
//! there is none, nobody listens anywhere.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rustix::process::Pid;

use super::listener::{LISTEN, family_of, sockets_of};
use super::stat::Stat;
use crate::clock::{Clock, Timestamp};

/// How often it is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// The same of one that takes longer to start than most.
const LATER_LOOKS: Duration = Duration::from_secs(5);
const LATER: Duration = Duration::from_secs(15);
/// How long it has to have listened on other ports only, and done nothing else, to be taken for one that is where it wants to be.
/// An app may well listen for its metrics, or for a debugger, long before it is ready.
const SETTLED: Duration = Duration::from_secs(10);
/// What an idle process may use of that, in the system's ticks of 10 ms: 2 %.
const IDLE_TICKS: u64 = 20;
/// Addresses that are told at most.
const MOST_TOLD: usize = 5;

/// Where the processes of a replica listen instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Elsewhere(Vec<SocketAddr>);

/// What there was to see at one time.
struct Look {
    elsewhere: Elsewhere,
    /// CPU time that its processes have used, in ticks.
    used: u64,
}

/// How long it has been the same.
struct Since {
    at: Timestamp,
    used: u64,
    elsewhere: Elsewhere,
}

/// Waits until `group`, which is to listen on `port` at the loopback address, listens elsewhere for good, as it seems.
pub(super) async fn settled(group: Pid, port: u16, clock: &Clock, mut tell: impl FnMut(&Elsewhere)) -> Elsewhere {
    let mut since: Option<Since> = None;
    let begin = clock.now();
    loop {
        let pause = if clock.now().since(begin) < LATER { LOOK } else { LATER_LOOKS };
        tokio::time::sleep(pause).await;
        let Some(Look { elsewhere, used }) = look(group, port).await else {
            since = None;
            continue;
        };
        let now = clock.now();
        match &since {
            Some(before) if before.elsewhere == elsewhere => {
                let is_idle = used.saturating_sub(before.used) <= IDLE_TICKS;
                if elsewhere.has_port(port) || (now.since(before.at) >= SETTLED && is_idle) {
                    return elsewhere;
                }
                if is_idle {
                    continue;
                }
            }
            _ if !elsewhere.has_port(port) => tell(&elsewhere),
            _ => {}
        }
        since = Some(Since { at: now, used, elsewhere });
    }
}

/// Where `group` listens instead of on `port`, if it does, now.
pub(super) async fn now(group: Pid, port: u16) -> Option<Elsewhere> {
    look(group, port).await.map(|look| look.elsewhere)
}

async fn look(group: Pid, port: u16) -> Option<Look> {
    // It reads many files.
    tokio::task::spawn_blocking(move || look_at(group.as_raw_pid(), port)).await.ok().flatten()
}

fn look_at(group: i32, port: u16) -> Option<Look> {
    let members: Vec<Stat> = family_of(group).filter_map(Stat::of).collect();
    let sockets: HashSet<String> = members.iter().flat_map(|process| sockets_of(process.pid)).collect();
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().filter_map(|table| fs::File::open(table).ok());
    let mut all: Vec<SocketAddr> = tables
        .flat_map(|table| listeners(BufReader::with_capacity(4096, table)))
        .filter_map(|(address, inode)| sockets.contains(&inode).then_some(address))
        .collect();
    all.sort_unstable();
    all.dedup();
    let reaches = |address: &SocketAddr| {
        let any = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()];
        address.port() == port && any.contains(&address.ip().to_canonical())
    };
    if all.is_empty() || all.iter().any(reaches) {
        return None;
    }
    Some(Look { elsewhere: Elsewhere(all), used: members.iter().map(|process| process.used).sum() })
}

/// The listening sockets of a table like `/proc/net/tcp`, and their inodes.
fn listeners(table: impl BufRead) -> impl Iterator<Item = (SocketAddr, String)> {
    // Those that listen come first.
    table.lines().map_while(Result::ok).skip(1).map_while(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (address, state) = (fields.nth(1)?, fields.nth(1)?);
        (state == LISTEN).then_some(())?;
        Some((socket_address(address)?, fields.nth(5)?.to_owned()))
    })
}

/// `0100007F:4E21`: words in the order of this machine, the port in that of the network.
fn socket_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let words: Option<Vec<[u8; 4]>> = (0..address.len() / 8)
        .map(|n| Some(u32::from_str_radix(address.get(n * 8..n * 8 + 8)?, 16).ok()?.to_ne_bytes()))
        .collect();
    let ip: IpAddr = match words?.as_flattened() {
        bytes if bytes.len() == 4 => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into(),
        bytes => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into(),
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

// === impl Elsewhere ===

impl Elsewhere {
    /// Whether it has the right port, and only the address is another.
    fn has_port(&self, port: u16) -> bool {
        self.0.iter().any(|address| address.port() == port)
    }
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, address) in self.0.iter().take(MOST_TOLD).enumerate() {
            write!(f, "{}{address}", if n > 0 { ", " } else { "" })?;
        }
        if self.0.len() > MOST_TOLD { write!(f, " and {} more", self.0.len() - MOST_TOLD) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
