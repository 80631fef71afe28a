use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};

use super::*;
use crate::platform::process::guardian::Guardian;

#[tokio::test]
async fn nothing_outlives_a_gateway_that_is_killed() {
    let file = scratch();
    let gateway = children::command("gateway");
    let mut gateway = Command::new(&gateway[0])
        .args(&gateway[1..])
        .env("GRANDCHILD", &file)
        .stdout(Stdio::null())
        .spawn()
        .expect("a gateway");
    until("the replica runs", || file.exists()).await;
    let pids = std::fs::read_to_string(&file).expect("written");
    let pids: Vec<i32> = pids.split_whitespace().map(|pid| pid.parse().expect("a number")).collect();
    assert!(pids.len() == 2 && pids.iter().all(|pid| is_alive(*pid)));
    gateway.kill().and_then(|()| gateway.wait().map(drop)).expect("killed");
    until("all is gone", || !pids.iter().any(|pid| is_alive(*pid))).await;
    std::fs::remove_file(file).expect("removed");
}

/// A process in a group of its own.
fn bystander() -> std::process::Child {
    Command::new("sleep").arg("1000").process_group(0).spawn().expect("sleep")
}

#[tokio::test]
async fn the_guardian_outlasts_signals_and_kills_what_is_left_when_its_input_ends() {
    let this = children::command("guardian");
    let mut guardian = Command::new(&this[0])
        .args(&this[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("a guardian");
    let pid = i32::try_from(guardian.id()).expect("a pid");
    // SIGHUP, SIGINT, SIGQUIT and SIGTERM are 1, 2, 3 and 15, from bit 0 on.
    let caught = 0b100_0000_0000_0111_u64;
    until("it catches signals", || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).map(str::trim);
        mask.and_then(|mask| u64::from_str_radix(mask, 16).ok()).is_some_and(|mask| mask & caught == caught)
    })
    .await;
    for signal in [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM] {
        kill(pid, signal);
    }
    let (mut guarded, mut released) = (bystander(), bystander());
    let mut input = guardian.stdin.take().expect("piped");
    write!(input, "+{0}\n+{1}\n-{1}\n", guarded.id(), released.id()).expect("it listens");
    assert!(guardian.try_wait().expect("ours").is_none());
    drop(input);
    assert!(guardian.wait().expect("ours").success());
    assert_eq!(guarded.wait().expect("ours").signal(), Some(9));
    assert!(released.try_wait().expect("ours").is_none());
    released.kill().and_then(|()| released.wait().map(drop)).expect("killed");
}

#[tokio::test]
async fn a_guardian_that_ends_is_replaced_by_one_that_knows_all() {
    let file = scratch();
    let (pids, log) = (file.with_extension("pids"), file.with_extension("log"));
    let script = "echo $$ >> $0.pids; exec cat >> $0.log";
    let arguments = ["-c", script, file.to_str().expect("a path")].map(str::to_owned).to_vec();
    let (ended, mut end) = mpsc::unbounded_channel();
    let command = GuardianCommand { program: "/bin/sh".into(), arguments };
    let mut guardian = Guardian::start(Some(command), Clock::running(), move |pid| {
        let _ = ended.send(pid);
    });
    let group = |number| Pid::from_raw(number).expect("a pid");
    for number in [101, 102, 103] {
        guardian.add(group(number));
    }
    guardian.remove(group(102));
    let is_told = |what: &str| std::fs::read_to_string(&log).is_ok_and(|told| told == what);
    until("it is told", || is_told("+101\n+102\n+103\n-102\n")).await;

    let first = std::fs::read_to_string(&pids).expect("written").trim().parse().expect("a number");
    kill(first, Signal::KILL);
    std::fs::remove_file(&log).expect("removed");
    let pid = tokio::time::timeout(DEADLINE, end.recv()).await.expect("in time").expect("an end");
    assert_eq!(pid.as_raw_pid(), first);
    guardian.ended(pid);
    until("another is told", || is_told("+101\n+103\n") || is_told("+103\n+101\n")).await;

    // One that has ended without anybody having noticed is replaced before it is needed.
    let second = std::fs::read_to_string(&pids).expect("written").lines().last().map(str::to_owned);
    let second = second.expect("another").parse().expect("a number");
    kill(second, Signal::KILL);
    until("it is gone", || !is_alive(second)).await;
    std::fs::remove_file(&log).expect("removed");
    guardian.remove(group(101));
    guardian.socket().expect("a guardian");
    until("a third is told", || is_told("+103\n")).await;
    drop(guardian);
    std::fs::remove_file(pids).and_then(|()| std::fs::remove_file(log)).expect("removed");
}
