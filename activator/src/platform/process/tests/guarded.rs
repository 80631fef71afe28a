use std::process::{Command, Stdio};

use super::*;

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
