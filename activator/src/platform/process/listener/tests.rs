use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

use super::*;

const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:4E21 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 100 1 0000000000000000 100 0 0 10 0
   1: 00000000:4E22 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 200 1 0000000000000000 100 0 0 10 0
   2: 0100007F:4E22 0100007F:A1B2 01 00000000:00000000 00:00000000 00000000     0        0 300 1 0000000000000000 20 4 30 10 -1
   3: 0100007F:4E22 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 400 1 0000000000000000 100 0 0 10 0
";

#[test]
fn the_listeners_of_a_port_are_read_until_the_connections_begin() {
    assert_eq!(listeners(TABLE.as_bytes(), 20_001), ["100"]);
    assert_eq!(listeners(TABLE.as_bytes(), 20_002), ["200"]);
    assert!(listeners(TABLE.as_bytes(), 20_003).is_empty());
    assert!(listeners(&b""[..], 20_001).is_empty());
}

#[test]
fn a_listener_is_known_to_be_of_this_process_or_not_to_be_of_another() {
    let here = rustix::process::getpid();
    let mut child = std::process::Command::new("sleep").arg("1000").spawn().expect("started");
    let other = Pid::from_child(&child);
    for listener in [TcpListener::bind((Ipv4Addr::LOCALHOST, 0)), TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0))] {
        // A machine may do without IPv6.
        let Ok(listener) = listener else { continue };
        let port = listener.local_addr().expect("bound").port();
        assert!(listens(here.as_raw_pid(), port) && !listens(other.as_raw_pid(), port));
        look(port, here).expect("its own");
        let foreign = look(port, other).expect_err("not the child's").to_string();
        assert!(foreign.contains(&format!("process {here} ")), "{foreign}");
        drop(listener);
        look(port, other).expect("nobody listens any more");
    }
    child.kill().and_then(|()| child.wait()).expect("ended");
}
