use std::net::TcpListener;

use super::*;

#[test]
fn the_table_of_the_system_is_read() {
    let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:4E21 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 100 1 0000000000000000 100 0 0 10 0
   1: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 200 1 0 100 0 0 10 0
   2: 0100007F:4E22 0100007F:A1B2 01 00000000:00000000 00:00000000 00000000     0        0 300 1 0000000000000000 20 4 30 10 -1
";
    let seen: Vec<_> = listeners(table.as_bytes()).collect();
    let expected = [("127.0.0.1:20001", "100"), ("[::1]:8080", "200")];
    // Words are written in the order of the machine.
    if cfg!(target_endian = "little") {
        assert_eq!(seen, expected.map(|(address, inode)| (address.parse().unwrap(), inode.to_owned())));
    }
    for bad in ["", "7F", "0100007F", "0100007F:", "0100007:4E21", "zz00007F:4E21", "0100007F0100007F:4E21"] {
        assert_eq!(socket_address(bad), None, "{bad}");
    }
}

#[test]
fn what_listens_where_it_should_is_not_elsewhere() {
    let here = rustix::process::getpid().as_raw_pid();
    let right = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let other = TcpListener::bind("127.0.0.2:0").unwrap();
    let Look { elsewhere, .. } = look_at(here, right).expect("it does not listen there any more");
    assert!(elsewhere.to_string().contains(&other.local_addr().unwrap().to_string()), "{elsewhere}");
    for address in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
        // A machine may do without IPv6.
        let Ok(listener) = TcpListener::bind(address) else { continue };
        assert!(look_at(here, listener.local_addr().unwrap().port()).is_none(), "{address}");
    }
}
