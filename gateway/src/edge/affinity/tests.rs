use super::*;

#[test]
fn a_cookie_is_found_among_others() {
    let token = |cookies: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(COOKIE, HeaderValue::from_static(cookie));
        }
        super::token(&headers, "zerogate-1")
    };
    assert_eq!(token(&["a=b; zerogate-1=00000000000000ff;c=d"]), Some(255));
    assert_eq!(token(&["a=b", "zerogate-1=1"]), Some(1));
    assert_eq!(token(&["zerogate-1=no; zerogate-1=2"]), Some(2));
    for none in [&[][..], &["zerogate-12=1"], &["zerogate-1"], &["zerogate-1="], &["zerogate-1=10000000000000000"]] {
        assert_eq!(token(none), None, "{none:?}");
    }
}

#[test]
fn clients_are_told_apart_by_header_or_address() {
    let options = EdgeOptions {
        header_timeout: std::time::Duration::from_secs(1),
        idle_timeout: std::time::Duration::from_secs(1),
        max_header_bytes: 8192,
        max_connections: 1,
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
        proxy_protocol: Vec::new(),
        https_port: None,
    };
    let of = |affinity: &Affinity, headers: &[(&'static str, &'static str)], peer: &str| {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect();
        let address = peer.parse().unwrap();
        affinity.of(&headers, &Peer::new(address, options.trusts(address)), &options)
    };
    let header = Affinity::Header("x-session".parse().unwrap());
    assert_eq!(of(&header, &[("x-session", "a")], "192.0.2.1"), of(&header, &[("x-session", "a")], "192.0.2.2"));
    assert_ne!(of(&header, &[("x-session", "a")], "192.0.2.1"), of(&header, &[("x-session", "b")], "192.0.2.1"));
    assert_eq!(of(&header, &[], "192.0.2.1"), None);
    let told = [("x-forwarded-for", "192.0.2.1")];
    assert_eq!(of(&Affinity::Address, &told, "127.0.0.1"), of(&Affinity::Address, &[], "192.0.2.1"));
    assert_ne!(of(&Affinity::Address, &told, "192.0.2.9"), of(&Affinity::Address, &[], "192.0.2.1"));
}
