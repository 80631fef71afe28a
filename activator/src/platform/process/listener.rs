//! Who listens on a replica's port: the replica, it is hoped, and not a process that has taken the port before it could.
//!
//! Told from `/proc`, as far as it tells: a listener that nobody can be found for, or whose owner was left behind by its
//! parents (a daemon), may well act for the app, as Docker does for `docker run --publish`, and counts as its own. Where there
//! is no `/proc` everybody does.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;

use rustix::net::getsockname;
use rustix::net::sockopt::socket_acceptconn;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::stat::{Stat, numbers};
use crate::platform::readiness::NotReady;

/// Listens for containers, on behalf of whoever has published a port. Only a gateway that runs as root gets to see it.
const DOCKER_PROXY: &str = "docker-proxy";

/// The state of a listening socket in `/proc/net/tcp`.
pub(super) const LISTEN: &str = "0A";

/// Whether what listens on `port` may be of `group`.
///
/// # Errors
/// It is known not to be.
pub(super) async fn check(port: u16, group: Pid) -> Result<(), NotReady> {
    // It reads many files, though seldom more than those of the group's leader.
    tokio::task::spawn_blocking(move || look(port, group)).await.unwrap_or(Ok(()))
}

fn look(port: u16, group: Pid) -> Result<(), NotReady> {
    // As good as always, and the tables of a system take milliseconds to be listed.
    if family_of(group.as_raw_pid()).any(|pid| listens(pid, port)) {
        return Ok(());
    }
    let sockets: HashSet<_> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .filter_map(|table| File::open(table).ok())
        // Those that listen come first, so that a small buffer does not have the system list the rest.
        .flat_map(|table| listeners(BufReader::with_capacity(4096, table), port))
        .collect();
    if sockets.is_empty() || family_of(group.as_raw_pid()).any(|pid| has_one_of(pid, &sockets)) {
        return Ok(());
    }
    let owners: Vec<_> = numbers("/proc").filter(|pid| has_one_of(*pid, &sockets)).filter_map(Stat::of).collect();
    let is_foreign =
        |owner: &Stat| owner.group != group.as_raw_pid() && owner.name != DOCKER_PROXY && !is_orphan(owner);
    match owners.first() {
        Some(owner) if owners.iter().all(is_foreign) => {
            Err(NotReady::Foreign { pid: owner.pid, name: owner.name.clone() })
        }
        _ => Ok(()),
    }
}

/// The inodes of the sockets that listen on `port`, from a table like `/proc/net/tcp`.
fn listeners(table: impl BufRead, port: u16) -> Vec<String> {
    let port = format!(":{port:04X}");
    let of_one = |line: String| {
        let mut fields = line.split_ascii_whitespace();
        let (address, state) = (fields.nth(1)?, fields.nth(1)?);
        (state == LISTEN).then(|| (address.ends_with(&port), fields.nth(5).unwrap_or_default().to_owned()))
    };
    let lines = table.lines().map_while(Result::ok).skip(1);
    lines.map_while(of_one).filter_map(|(is_there, inode)| is_there.then_some(inode)).collect()
}

/// `leader` and all that descend from it, as far as the system tells.
pub(super) fn family_of(leader: i32) -> impl Iterator<Item = i32> {
    let mut to_visit = vec![leader];
    std::iter::from_fn(move || {
        let next = to_visit.pop()?;
        for thread in numbers(&format!("/proc/{next}/task")) {
            let children = fs::read_to_string(format!("/proc/{next}/task/{thread}/children")).unwrap_or_default();
            to_visit.extend(children.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
        }
        Some(next)
    })
}

/// Whether `pid` is seen to listen on `port`: its sockets themselves are asked.
fn listens(pid: i32, port: u16) -> bool {
    let Some(process) = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else {
        return false;
    };
    let files = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let sockets = files.filter(|file| {
        fs::read_link(file.path()).is_ok_and(|link| link.as_os_str().as_encoded_bytes().starts_with(b"socket:"))
    });
    sockets.filter_map(|file| file.file_name().to_str()?.parse().ok()).any(|number: i32| {
        pidfd_getfd(&process, number, PidfdGetfdFlags::empty()).is_ok_and(|socket| {
            let bound = getsockname(&socket).ok().and_then(|address| SocketAddr::try_from(address).ok());
            bound.is_some_and(|address| address.port() == port) && socket_acceptconn(&socket).unwrap_or(false)
        })
    })
}

fn has_one_of(pid: i32, sockets: &HashSet<String>) -> bool {
    sockets_of(pid).any(|inode| sockets.contains(&inode))
}

/// The inodes of the sockets that `pid` has open, as far as the system tells.
pub(super) fn sockets_of(pid: i32) -> impl Iterator<Item = String> {
    let files = fs::read_dir(format!("/proc/{pid}/fd"));
    files
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|file| fs::read_link(file.path()).ok())
        .filter_map(|file| Some(file.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
}

/// Whether it was handed to the system's first process, or started by it, so that nobody can tell who wanted it.
fn is_orphan(process: &Stat) -> bool {
    process.parent <= 1 || Stat::of(process.parent).is_none_or(|parent| parent.name == "systemd")
}

#[cfg(test)]
mod tests;
