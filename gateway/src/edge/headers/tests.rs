use std::net::Ipv6Addr;
use std::time::Duration;

use super::*;

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

fn get<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

fn peer(trusted: bool) -> Peer {
    Peer::new("192.0.2.7".parse().unwrap(), trusted)
}

fn prepare(headers: &mut HeaderMap, peer: &Peer, host: &'static str) {
    let host = HeaderValue::from_static(host);
    prepare_request(headers, Seen::of(headers, &host), peer, &host, Version::HTTP_11, None);
}

/// The same for an app that is told otherwise.
fn prepare_for(headers: &mut HeaderMap, peer: &Peer, told: ForwardingHeaders, rewritten: Option<&'static str>) {
    let host = HeaderValue::from_static("app.example.org");
    let forwarding = Forwarding { headers: told, host: rewritten.map(HeaderValue::from_static) };
    prepare_request(headers, Seen::of(headers, &host), peer, &host, Version::HTTP_11, Some(&forwarding));
}

#[test]
fn an_app_is_told_of_clients_in_the_way_it_wants() {
    let sent = headers(&[
        ("host", "app.example.org"),
        ("forwarded", "for=10.0.0.1"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-real-ip", "10.0.0.1"),
    ]);
    for trusted in [false, true] {
        let mut all = sent.clone();
        prepare_for(&mut all, &peer(trusted), ForwardingHeaders::None, None);
        assert_eq!(all.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["host", "via"], "{trusted}");
        let mut all = sent.clone();
        prepare_for(&mut all, &peer(trusted), ForwardingHeaders::XForwarded, None);
        assert!(!all.contains_key("forwarded"), "{trusted}");
        let list = if trusted { "10.0.0.1, 192.0.2.7" } else { "192.0.2.7" };
        assert_eq!(get(&all, "x-forwarded-for"), [list]);
        assert_eq!(get(&all, "x-forwarded-host"), ["app.example.org"]);
    }
}

#[test]
fn an_app_gets_the_host_it_wants_and_is_told_the_other() {
    let mut all = headers(&[("host", "app.example.org")]);
    prepare_for(&mut all, &peer(false), ForwardingHeaders::All, Some("localhost:8888"));
    assert_eq!(get(&all, "host"), ["localhost:8888"]);
    assert_eq!(get(&all, "x-forwarded-host"), ["app.example.org"]);
    assert_eq!(get(&all, "forwarded"), ["for=192.0.2.7;host=app.example.org;proto=http"]);
}

fn prepared(mut headers: HeaderMap, peer: &Peer) -> HeaderMap {
    prepare(&mut headers, peer, "app.example.org");
    headers
}

#[test]
fn hop_by_hop_headers_and_what_connection_names_end_here() {
    let mut all = headers(&[
        ("connection", "close, X-Private"),
        ("connection", "x-other"),
        ("x-private", "1"),
        ("x-other", "2"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authorization", "Basic eA=="),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("x-kept", "3"),
        ("trailer", "x-sum"),
    ]);
    strip_hop_by_hop(&mut all);
    let mut left: Vec<_> = all.keys().map(HeaderName::as_str).collect();
    left.sort_unstable();
    assert_eq!(left, ["trailer", "x-kept"]);
}

#[test]
fn connection_cannot_name_what_frames_or_routes_the_message() {
    let mut all = headers(&[("connection", "content-length, host"), ("content-length", "3"), ("host", "h")]);
    strip_hop_by_hop(&mut all);
    let mut framed =
        headers(&[("connection", "transfer-encoding"), ("transfer-encoding", "chunked"), ("content-length", "4")]);
    strip_hop_by_hop(&mut framed);
    assert!(framed.is_empty(), "{framed:?}");
    assert_eq!(get(&all, "content-length"), ["3"]);
    assert_eq!(get(&all, "host"), ["h"]);
}

#[test]
fn te_stays_only_as_trailers() {
    for (sent, kept) in [("trailers", vec!["trailers"]), ("gzip, Trailers", vec!["trailers"]), ("gzip", vec![])] {
        let mut all = HeaderMap::new();
        all.insert(TE, HeaderValue::from_static(sent));
        all.insert(CONNECTION, HeaderValue::from_static("te"));
        strip_hop_by_hop(&mut all);
        assert_eq!(get(&all, "te"), kept, "{sent}");
    }
}

#[test]
fn an_unknown_client_cannot_pretend_to_be_somebody_else() {
    let spoofed = headers(&[
        ("x-forwarded-for", "198.51.100.1"),
        ("x-forwarded-for", "198.51.100.2"),
        ("x-forwarded-host", "bank.example"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=198.51.100.1"),
    ]);
    let sent = prepared(spoofed, &peer(false));
    assert_eq!(get(&sent, "x-forwarded-for"), ["192.0.2.7"]);
    assert_eq!(get(&sent, "x-forwarded-host"), ["app.example.org"]);
    assert_eq!(get(&sent, "x-forwarded-proto"), ["http"]);
    assert_eq!(get(&sent, "forwarded"), ["for=192.0.2.7;host=app.example.org;proto=http"]);
}

#[test]
fn nor_by_names_that_only_some_proxies_use() {
    let spoofed = headers(&[
        ("x-forwarded-port", "443"),
        ("x-forwarded-prefix", "/admin"),
        ("x-forwarded-ssl", "on"),
        ("x_forwarded_for", "198.51.100.1"),
        ("x-real-ip", "198.51.100.1"),
        ("x-real-ipsum", "kept"),
        ("x-forward", "kept"),
    ]);
    let sent = prepared(spoofed.clone(), &peer(false));
    let mut left: Vec<_> = sent.keys().map(HeaderName::as_str).collect();
    left.sort_unstable();
    let ours = ["forwarded", "host", "via", "x-forward", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
    assert_eq!(left, [&ours[..], &["x-real-ipsum"]].concat());
    assert_eq!(get(&prepared(spoofed, &peer(true)), "x-real-ip"), ["198.51.100.1"]);
}

#[test]
fn what_a_trusted_proxy_says_in_the_older_headers_only_is_not_contradicted() {
    for (name, value) in [
        ("x-forwarded-for", "198.51.100.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "public.example.org"),
    ] {
        let sent = prepared(headers(&[(name, value)]), &peer(true));
        assert_eq!(get(&sent, "forwarded"), [""; 0], "{name}");
    }
    let sent = prepared(HeaderMap::new(), &peer(true));
    assert_eq!(get(&sent, "forwarded"), ["for=192.0.2.7;host=app.example.org;proto=http"]);
}

#[test]
fn what_a_trusted_proxy_says_is_extended() {
    let told = headers(&[
        ("x-forwarded-for", "198.51.100.1"),
        ("x-forwarded-for", "198.51.100.2"),
        ("x-forwarded-host", "public.example.org"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "for=198.51.100.1"),
    ]);
    let sent = prepared(told, &peer(true));
    assert_eq!(get(&sent, "x-forwarded-for"), ["198.51.100.1, 198.51.100.2, 192.0.2.7"]);
    assert_eq!(get(&sent, "x-forwarded-host"), ["public.example.org"]);
    assert_eq!(get(&sent, "x-forwarded-proto"), ["https"]);
    let forwarded = "for=198.51.100.1, for=192.0.2.7;host=app.example.org;proto=http";
    assert_eq!(get(&sent, "forwarded"), [forwarded]);
}

#[test]
fn ipv6_and_ports_are_quoted_in_forwarded() {
    let mut all = HeaderMap::new();
    let peer = Peer::new(Ipv6Addr::LOCALHOST.into(), false);
    prepare(&mut all, &peer, "h:8080");
    assert_eq!(get(&all, "forwarded"), ["for=\"[::1]\";host=\"h:8080\";proto=http"]);
    assert_eq!(get(&all, "x-forwarded-for"), ["::1"]);
}

#[test]
fn one_connection_may_ask_for_several_hosts() {
    let peer = peer(false);
    for host in ["a", "b", "a"] {
        let mut all = HeaderMap::new();
        prepare(&mut all, &peer, host);
        assert_eq!(get(&all, "forwarded"), [format!("for=192.0.2.7;host={host};proto=http")]);
    }
}

#[test]
fn the_host_is_preserved_or_made_from_the_authority_and_expect_is_ours() {
    let mut sent = headers(&[("host", "App.example.org:80"), ("expect", "100-continue")]);
    prepare(&mut sent, &peer(false), "App.example.org:80");
    assert_eq!(get(&sent, "host"), ["App.example.org:80"]);
    assert_eq!(get(&sent, "expect"), [""; 0]);
    // With an absolute target, the host it names, whatever there is beside it.
    for beside in [["app.example.org", "other.example.org"], ["other.example.org", "app.example.org"]] {
        let sent = prepared(headers(&beside.map(|host| ("host", host))), &peer(false));
        assert_eq!(get(&sent, "host"), ["app.example.org"]);
    }
    assert_eq!(get(&prepared(headers(&[("host", "other.example.org")]), &peer(false)), "host"), ["app.example.org"]);
    assert_eq!(get(&prepared(HeaderMap::new(), &peer(false)), "host"), ["app.example.org"]);
}

#[test]
fn an_upgrade_wants_both_headers() {
    let both = headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]);
    assert_eq!(upgrade(&both), Some(HeaderValue::from_static("websocket")));
    assert_eq!(upgrade(&headers(&[("upgrade", "websocket")])), None);
    assert_eq!(upgrade(&headers(&[("connection", "upgrade")])), None);
}

#[test]
fn the_client_is_the_last_address_that_is_no_trusted_proxy() {
    let options = EdgeOptions {
        header_timeout: Duration::from_secs(1),
        idle_timeout: Duration::from_secs(1),
        max_header_bytes: 8192,
        max_connections: 1,
        trusted_proxies: vec!["192.0.2.0/24".parse().unwrap()],
        proxy_protocol: Vec::new(),
        https_port: None,
    };
    let client = |trusted: bool, pairs: &[(&'static str, &'static str)]| {
        peer(trusted).client(&headers(pairs), &options).to_string()
    };
    let chain = [("x-forwarded-for", "10.0.0.1, 198.51.100.9"), ("x-forwarded-for", "192.0.2.1")];
    assert_eq!(client(true, &chain), "198.51.100.9");
    assert_eq!(client(false, &chain), "192.0.2.7", "an unknown client's word counts nothing");
    assert_eq!(client(true, &[]), "192.0.2.7");
    assert_eq!(client(true, &[("x-forwarded-for", "192.0.2.2")]), "192.0.2.2");
    for (written, meant) in [
        ("::ffff:198.51.100.9", "198.51.100.9"),
        ("198.51.100.9:1111", "198.51.100.9"),
        ("[2001:db8::1]:1111", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("198.51.100.9, ::ffff:192.0.2.1", "198.51.100.9"),
    ] {
        let mut all = HeaderMap::new();
        all.insert(X_FORWARDED_FOR, HeaderValue::from_static(written));
        assert_eq!(peer(true).client(&all, &options).to_string(), meant, "{written}");
    }
    assert_eq!(client(true, &[("x-forwarded-for", "198.51.100.9, nonsense, 192.0.2.1")]), "192.0.2.1");
}

#[test]
fn nobody_gets_past_the_gateway_by_an_upgrade_to_http() {
    for protocol in ["h2c", "H2C", "websocket, h2c", "HTTP/2.0", "http/1.1"] {
        let mut all = headers(&[("connection", "Upgrade"), ("http2-settings", "AAMAAABkAAQAAP__")]);
        all.insert(UPGRADE, HeaderValue::from_static(protocol));
        assert_eq!(upgrade(&all), None, "{protocol}");
        strip_hop_by_hop(&mut all);
        assert!(all.is_empty(), "{all:?}");
    }
}

#[test]
fn a_length_beside_chunked_is_not_passed_on() {
    let mut all = headers(&[("transfer-encoding", "chunked"), ("content-length", "3")]);
    strip_hop_by_hop(&mut all);
    assert!(all.is_empty(), "{all:?}");
}

#[test]
fn with_tls_the_app_is_told_so() {
    let mut all = HeaderMap::new();
    let peer = peer(false).with_tls(Some("app.example.org"));
    assert_eq!((peer.scheme(), peer.server_name()), ("https", Some("app.example.org")));
    prepare(&mut all, &peer, "app.example.org");
    assert_eq!(get(&all, "x-forwarded-proto"), ["https"]);
    assert_eq!(get(&all, "forwarded"), ["for=192.0.2.7;host=app.example.org;proto=https"]);
}

#[test]
fn whether_a_client_has_spoken_tls_is_known_here_or_believed_of_a_trusted_proxy() {
    assert!(peer(false).with_tls(None).is_secure(&HeaderMap::new()));
    for (trusted, sent, secure) in [
        (true, "https", true),
        (true, "https, http", true),
        (true, "http, https", false),
        (true, "http", false),
        (true, "", false),
        (false, "https", false),
    ] {
        assert_eq!(peer(trusted).is_secure(&headers(&[("x-forwarded-proto", sent)])), secure, "{trusted} {sent}");
    }
    assert!(!peer(true).is_secure(&HeaderMap::new()));
}
