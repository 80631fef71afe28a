use std::net::TcpListener;

use super::*;

/// A few ports next to each other that nobody uses; each test looks for them in another hundred.
fn quiet_range(hundred: u16, count: u16) -> RangeInclusive<u16> {
    (0..100)
        .map(|_| hundred + fastrand::u16(..100 - count))
        .find(|first| (*first..*first + count).all(|port| try_port(port).is_ok()))
        .map(|first| first..=first + count - 1)
        .expect("a few free ports")
}

#[test]
fn each_port_is_given_out_once_and_comes_back() {
    let ports = Ports::new(quiet_range(19_000, 4));
    let leases: Vec<_> = (0..4).map(|_| ports.any().expect("free")).collect();
    let given: HashSet<_> = leases.iter().map(PortLease::get).collect();
    assert_eq!(given, ports.range().clone().collect());
    assert!(ports.any().is_err());
    assert!(ports.fixed(*ports.range().start()).is_err());
    drop(leases);
    assert_eq!(ports.leased(), 0);
    assert!(ports.any().is_ok());
}

#[test]
fn a_port_just_given_back_is_the_last_to_be_used_again() {
    let ports = Ports::new(quiet_range(19_100, 4));
    let used: Vec<_> = (0..4).map(|_| ports.any().expect("free").get()).collect();
    assert_eq!(used.iter().collect::<HashSet<_>>().len(), 4);
}

#[test]
fn a_port_somebody_listens_on_is_passed_over() {
    let ports = Ports::new(quiet_range(19_200, 2));
    let (first, last) = (*ports.range().start(), *ports.range().end());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, first)).expect("bind");
    for _ in 0..3 {
        assert_eq!(ports.any().expect("the other one").get(), last);
    }
    assert!(ports.fixed(first).is_err());
    drop(listener);
    assert_eq!(ports.fixed(first).expect("free now").get(), first);
}

#[test]
#[cfg(target_os = "linux")]
fn two_gateways_on_one_machine_do_not_give_out_the_same_port() {
    let range = quiet_range(19_300, 2);
    let (here, there) = (Ports::new(range.clone()), Ports::new(range));
    let lease = here.any().expect("free");
    for _ in 0..3 {
        assert_ne!(there.any().expect("the other one").get(), lease.get());
    }
    assert!(there.fixed(lease.get()).is_err(), "nobody listens yet, but it is given out");
    let port = lease.get();
    drop(lease);
    assert!(there.fixed(port).is_ok());
}

#[test]
#[expect(clippy::reversed_empty_ranges, reason = "that is what is tried")]
fn an_empty_range_has_none() {
    assert!(Ports::new(9..=8).any().is_err());
}
