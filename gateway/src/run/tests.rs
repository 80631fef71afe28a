use std::net::IpAddr;

use http::HeaderMap;

use super::*;
use crate::config::settings::Declared;
use crate::edge::headers::Peer;
use crate::source::apply;
use crate::testing::edge;

/// One app for each name, that lets each client come once in a second.
fn declared(names: &[&str]) -> Declared {
    let folder = tempfile::tempdir().unwrap();
    let paths = names.iter().map(|name| {
        let path = folder.path().join(name);
        let text = format!(
            "apiVersion: zerogate.dev/v1alpha1\nkind: HTTPApp\nmetadata: {{name: {name}}}\nspec:\n  \
             routes: [{{hosts: [{name}]}}]\n  target: {{process: {{command: [x]}}}}\n  \
             limits: {{perClient: {{requestsPerSecond: 1, burst: 1}}}}\n"
        );
        std::fs::write(&path, text).unwrap();
        path
    });
    config::load(&paths.collect::<Vec<_>>()).unwrap_or_else(|problems| panic!("{problems}"))
}

/// Whether a request of `client` to `host` may come.
fn may_come(edge: &Edge, host: &str, client: u8) -> bool {
    let headers = HeaderMap::new();
    let router = edge.router.load();
    let backend = router.find(host, "/", &headers).unwrap();
    let peer = Peer::new(IpAddr::from([192, 0, 2, client]), false);
    let limits = backend.limits.as_ref().expect("it has limits");
    limits.check(&headers, &peer, &edge.options).is_ok()
}

#[test]
fn a_change_elsewhere_forgets_nobody_and_idle_clients_are_forgotten() {
    let clock = Clock::manual();
    let edge = edge(&clock);
    apply(&edge, &declared(&["a"]));
    assert!(may_come(&edge, "a", 1) && !may_come(&edge, "a", 1));
    apply(&edge, &declared(&["a", "b"]));
    assert!(!may_come(&edge, "a", 1));
    clock.advance(Duration::from_secs(1));
    assert!(may_come(&edge, "b", 2) && may_come(&edge, "b", 3));
    // A client is idle once it has had its whole burst again for as long as that took: after two seconds here.
    clock.advance(Duration::from_millis(1500));
    assert_eq!(forget_idle_clients(&edge.router.load()), 2);
    clock.advance(Duration::from_secs(1));
    assert_eq!(forget_idle_clients(&edge.router.load()), 0);
}
