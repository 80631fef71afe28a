use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;
use crate::config::settings::ClientLimit;

fn rate(per_second: f64, burst: u32) -> Rate {
    Rate { per_second, burst }
}

fn options() -> EdgeOptions {
    EdgeOptions {
        header_timeout: Duration::from_secs(1),
        idle_timeout: Duration::from_secs(1),
        max_header_bytes: 8192,
        max_connections: 1,
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
        proxy_protocol: Vec::new(),
        https_port: None,
    }
}

fn peer(address: &str) -> Peer {
    let address = address.parse().unwrap();
    Peer::new(address, options().trusts(address))
}

/// The policy that refuses and how long it says to wait, if one does.
fn refusal(limits: &AppLimits, headers: &HeaderMap, peer: &Peer) -> Option<(&'static str, Duration)> {
    match limits.check(headers, peer, &options()) {
        Ok(()) => None,
        Err(Problem::RateLimited { policy, wait, .. }) => Some((policy, wait)),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn a_burst_passes_then_the_rate_and_the_wait_is_exact() {
    let clock = Clock::manual();
    let limits = AppLimits::new(&Limits { app: Some(rate(2.0, 3)), per_client: None }, clock.clone());
    let none = HeaderMap::new();
    let check = || refusal(&limits, &none, &peer("192.0.2.1"));
    for _ in 0..3 {
        assert_eq!(check(), None);
    }
    assert_eq!(check(), Some(("app", Duration::from_millis(500))));
    clock.advance(Duration::from_millis(499));
    assert_eq!(check(), Some(("app", Duration::from_millis(1))));
    clock.advance(Duration::from_millis(1));
    assert_eq!(check(), None);
    assert_eq!(check(), Some(("app", Duration::from_millis(500))));
}

#[test]
fn clients_are_told_apart_by_address_behind_trusted_proxies() {
    let per_client = Some(ClientLimit { rate: rate(1.0, 1), by: ClientKey::Address }.into());
    let limits = AppLimits::new(&Limits { app: None, per_client }, Clock::manual());
    let none = HeaderMap::new();
    assert_eq!(refusal(&limits, &none, &peer("192.0.2.1")), None);
    assert!(refusal(&limits, &none, &peer("192.0.2.1")).is_some());
    assert_eq!(refusal(&limits, &none, &peer("192.0.2.2")), None);
    let mut told = HeaderMap::new();
    told.insert("x-forwarded-for", HeaderValue::from_static("198.51.100.1"));
    assert_eq!(refusal(&limits, &told, &peer("127.0.0.1")), None, "another client behind the proxy");
    assert!(refusal(&limits, &told, &peer("127.0.0.1")).is_some());
    assert!(refusal(&limits, &told, &peer("192.0.2.1")).is_some(), "no way around by a header of one's own");
}

#[test]
fn a_client_with_a_slash_64_is_one_client() {
    let per_client = Some(ClientLimit { rate: rate(1.0, 1), by: ClientKey::Address }.into());
    let limits = AppLimits::new(&Limits { app: None, per_client }, Clock::manual());
    assert_eq!(refusal(&limits, &HeaderMap::new(), &peer("2001:db8::1")), None);
    assert!(refusal(&limits, &HeaderMap::new(), &peer("2001:db8::ffff:2")).is_some());
    assert_eq!(refusal(&limits, &HeaderMap::new(), &peer("2001:db8:0:1::1")), None);
}

#[test]
fn clients_are_told_apart_by_a_header_and_those_without_it_by_address() {
    let by = ClientKey::Header(HeaderName::from_static("x-api-key"));
    let limits = AppLimits::new(
        &Limits { app: None, per_client: Some(ClientLimit { rate: rate(1.0, 1), by }.into()) },
        Clock::manual(),
    );
    let key = |value| HeaderMap::from_iter([(HeaderName::from_static("x-api-key"), HeaderValue::from_static(value))]);
    let peer = peer("192.0.2.1");
    assert_eq!(refusal(&limits, &key("a"), &peer), None);
    assert_eq!(refusal(&limits, &key("b"), &peer), None);
    assert_eq!(refusal(&limits, &HeaderMap::new(), &peer), None);
    for headers in [key("a"), key("b"), HeaderMap::new()] {
        assert!(refusal(&limits, &headers, &peer).is_some());
    }
}

#[test]
fn one_greedy_client_does_not_use_up_what_all_share() {
    let per_client = Some(ClientLimit { rate: rate(1.0, 1), by: ClientKey::Address }.into());
    let limits = AppLimits::new(&Limits { app: Some(rate(1.0, 2)), per_client }, Clock::manual());
    let none = HeaderMap::new();
    assert_eq!(refusal(&limits, &none, &peer("192.0.2.1")), None);
    for _ in 0..10 {
        assert_eq!(refusal(&limits, &none, &peer("192.0.2.1")).map(|(policy, _)| policy), Some("client"));
    }
    assert_eq!(refusal(&limits, &none, &peer("192.0.2.2")), None);
}

#[test]
fn the_table_of_clients_is_bounded_and_forgets_the_idle() {
    let clock = Clock::manual();
    let per_client = Some(ClientLimit { rate: rate(1.0, 1), by: ClientKey::Address }.into());
    let limits = AppLimits::new(&Limits { app: None, per_client }, clock.clone());
    let none = HeaderMap::new();
    let client = |number: u32| Peer::new(IpAddr::V4((0x0100_0000 + number).into()), false);
    for number in 0..300_000 {
        assert_eq!(refusal(&limits, &none, &client(number)), None, "{number} has not been there before");
    }
    let remembered = limits.clients.as_ref().unwrap().limiter.len();
    assert!(remembered <= table::MOST && remembered > table::MOST * 9 / 10, "{remembered}");
    assert!(refusal(&limits, &none, &client(0)).is_some(), "who is remembered is limited as ever");
    clock.advance(Duration::from_secs(3));
    assert_eq!(limits.forget_idle(), 0);
}
