use std::cell::Cell;

use proptest::prelude::*;

use super::*;

fn route(host: &str, path: &str, headers: &[(&'static str, &'static str)]) -> Route {
    let host = match host.strip_prefix("*.") {
        Some(suffix) => HostPattern::Suffix(suffix.into()),
        None if host == "*" => HostPattern::Any,
        None => HostPattern::Exact(host.into()),
    };
    let headers = headers
        .iter()
        .map(|(name, value)| HeaderMatch {
            name: HeaderName::from_static(name),
            value: HeaderValue::from_static(value),
        })
        .collect();
    Route { hosts: vec![host], paths: vec![path.trim_end_matches('/').into()], headers }
}

fn router(routes: &[(&'static str, Route)]) -> Router<&'static str> {
    Router::new(routes.iter().map(|(app, route)| (Arc::new(*app), vec![route.clone()])))
}

fn find(router: &Router<&'static str>, host: &str, path: &str) -> Option<&'static str> {
    router.find(host, path, &HeaderMap::new()).map(|app| **app)
}

#[test]
fn hosts_match_in_any_case_with_port_and_trailing_dot() {
    let router = router(&[("a", route("app.example.org", "/", &[])), ("six", route("[::1]", "/", &[]))]);
    for host in
        ["app.example.org", "APP.Example.ORG", "app.example.org:8080", "app.example.org.", "app.example.org.:80"]
    {
        assert_eq!(find(&router, host, "/"), Some("a"), "{host}");
    }
    assert_eq!(find(&router, "[::1]:8080", "/"), Some("six"));
    for host in ["", ".", ":80", "app.example.or", "xapp.example.org", "[::1", &"a".repeat(300)] {
        assert_eq!(find(&router, host, "/"), None, "{host}");
    }
}

#[test]
fn any_host_of_any_route_leads_to_the_app() {
    let mut two_hosts = route("a", "/", &[]);
    two_hosts.hosts.push(HostPattern::Exact("b".into()));
    two_hosts.paths = vec!["/one".into(), "/two".into()];
    let router = Router::new([(Arc::new("app"), vec![two_hosts, route("c", "/x", &[])])]);
    for (host, path) in [("a", "/one"), ("a", "/two"), ("b", "/one"), ("b", "/two"), ("c", "/x")] {
        assert_eq!(find(&router, host, path), Some("app"), "{host}{path}");
    }
    for (host, path) in [("a", "/x"), ("b", "/"), ("c", "/one")] {
        assert_eq!(find(&router, host, path), None, "{host}{path}");
    }
}

#[test]
fn exact_comes_before_wildcard_and_most_labels_first() {
    let router = router(&[
        ("any", route("*", "/", &[])),
        ("org", route("*.org", "/", &[])),
        ("example", route("*.example.org", "/", &[])),
        ("exact", route("a.example.org", "/", &[])),
    ]);
    assert_eq!(find(&router, "a.example.org", "/"), Some("exact"));
    assert_eq!(find(&router, "b.example.org", "/"), Some("example"));
    assert_eq!(find(&router, "x.y.example.org", "/"), Some("example"));
    assert_eq!(find(&router, "example.org", "/"), Some("org"), "a wildcard wants one label more");
    assert_eq!(find(&router, "elsewhere.net", "/"), Some("any"));
}

#[test]
fn the_longest_prefix_wins_by_segment() {
    let router = router(&[
        ("root", route("h", "/", &[])),
        ("api", route("h", "/api", &[])),
        ("v1", route("h", "/api/v1/", &[])),
    ]);
    for (path, app) in [
        ("/", "root"),
        ("/apix", "root"),
        ("/ap", "root"),
        ("/api", "api"),
        ("/api/", "api"),
        ("/api/v", "api"),
        ("/api/v1x/y", "api"),
        ("/api/v1", "v1"),
        ("/api/v1/", "v1"),
        ("/api/v1/users/1", "v1"),
        ("*", "root"),
        ("", "root"),
    ] {
        assert_eq!(find(&router, "h", path), Some(app), "{path}");
    }
}

#[test]
fn a_header_mismatch_does_not_hide_a_shorter_prefix_or_a_wider_host() {
    let router = router(&[
        ("wide", route("*.example.org", "/", &[])),
        ("root", route("a.example.org", "/", &[])),
        ("blue", route("a.example.org", "/api", &[("x-tenant", "blue")])),
        ("only", route("b.example.org", "/api", &[])),
    ]);
    assert_eq!(find(&router, "a.example.org", "/api/x"), Some("root"));
    assert_eq!(find(&router, "b.example.org", "/"), Some("wide"));
    let mut headers = HeaderMap::new();
    headers.insert("x-tenant", HeaderValue::from_static("blue"));
    assert_eq!(router.find("a.example.org", "/api/x", &headers).map(|app| **app), Some("blue"));
}

#[test]
fn the_rule_with_the_most_matching_headers_wins() {
    let router = router(&[
        ("plain", route("h", "/", &[])),
        ("tenant", route("h", "/", &[("x-tenant", "blue")])),
        ("both", route("h", "/", &[("x-beta", "1"), ("x-tenant", "blue")])),
        ("beta", route("h", "/", &[("x-beta", "1")])),
    ]);
    let app = |pairs: &[(&'static str, &'static str)]| {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        router.find("h", "/", &headers).map(|app| **app)
    };
    assert_eq!(app(&[]), Some("plain"));
    assert_eq!(app(&[("x-tenant", "red")]), Some("plain"));
    assert_eq!(app(&[("x-tenant", "blue")]), Some("tenant"));
    assert_eq!(app(&[("x-tenant", "red"), ("x-tenant", "blue")]), Some("tenant"), "any of several values");
    assert_eq!(app(&[("x-beta", "1")]), Some("beta"));
    assert_eq!(app(&[("x-tenant", "blue"), ("x-beta", "1")]), Some("both"));
}

/// Makes hashers, and counts them: a lookup takes one.
#[derive(Default)]
struct Counting(RandomState);

thread_local! {
    static HASHED: Cell<u32> = const { Cell::new(0) };
}

impl BuildHasher for Counting {
    type Hasher = <RandomState as BuildHasher>::Hasher;

    fn build_hasher(&self) -> Self::Hasher {
        HASHED.set(HASHED.get() + 1);
        self.0.build_hasher()
    }
}

/// Lookups that it takes to find each of these with so many apps declared.
fn lookups(apps: usize, requests: &[(&str, &str)]) -> Vec<u32> {
    let router: Router<usize, Counting> = Router::new((0..apps).map(|n| {
        let own = route(&format!("app-{n}.example.org"), "/", &[]);
        let below = route(&format!("*.app-{n}.example.org"), "/a/b", &[]);
        let shared = route("shared.example.org", &format!("/app-{n}"), &[]);
        (Arc::new(n), vec![own, below, shared])
    }));
    let count = |(host, path): &(&str, &str)| {
        HASHED.set(0);
        router.find(host, path, &HeaderMap::new());
        HASHED.get()
    };
    requests.iter().map(count).collect()
}

#[test]
fn a_lookup_costs_the_same_with_any_number_of_apps() {
    let deep = format!("{}app-3.example.org", "x.".repeat(100));
    let requests = [
        ("app-3.example.org", "/"),
        ("x.app-3.example.org", "/a/b/c"),
        ("shared.example.org", "/app-3/x/y"),
        (&deep, "/a/b"),
        ("nobody.example.net", "/"),
    ];
    let few = lookups(10, &requests);
    assert_eq!(few, lookups(10_000, &requests));
    // The exact host, and no more suffixes than the deepest that is declared has labels.
    assert!(few.iter().all(|count| *count <= 1 + 3 + 3), "{few:?}");
}

/// What the router promises, written down as simply as possible: look at all routes, take the most specific one.
fn by_looking_at_all(apps: &[Vec<Route>], host: &str, path: &str) -> Option<usize> {
    let host_rank = |pattern: &HostPattern| match pattern {
        HostPattern::Exact(name) if **name == *host => Some((2, 0)),
        HostPattern::Suffix(name) if host.strip_suffix(&**name).is_some_and(|h| h.ends_with('.')) => {
            Some((1, name.matches('.').count()))
        }
        HostPattern::Any => Some((0, 0)),
        _ => None,
    };
    let path_rank = |prefix: &Arc<str>| {
        let rest = path.strip_prefix(&**prefix)?;
        (rest.is_empty() || rest.starts_with('/')).then_some(prefix.len())
    };
    let mut best = None;
    for (app, route) in apps.iter().enumerate().flat_map(|(app, routes)| routes.iter().map(move |route| (app, route))) {
        let hosts = route.hosts.iter().filter_map(host_rank).max();
        let paths = route.paths.iter().filter_map(path_rank).max();
        if let Some(rank) = hosts.zip(paths)
            && best.is_none_or(|(_, best_rank)| rank > best_rank)
        {
            best = Some((app, rank));
        }
    }
    best.map(|(app, _)| app)
}

/// A route with several hosts and paths.
fn any_route() -> impl Strategy<Value = Route> {
    let hosts = proptest::collection::vec("(\\*|(\\*\\.)?[ab](\\.[ab]){0,2})", 1..4);
    let paths = proptest::collection::vec("(/[ab]{1,2}){0,3}", 1..4);
    (hosts, paths).prop_map(|(hosts, paths)| {
        let hosts = hosts.iter().flat_map(|host| route(host, "/", &[]).hosts).collect();
        Route { hosts, paths: paths.into_iter().map(Into::into).collect(), headers: Vec::new() }
    })
}

proptest! {
    #[test]
    fn finds_what_looking_at_all_routes_finds(
        apps in proptest::collection::vec(proptest::collection::vec(any_route(), 1..4), 0..6),
        host in "[ab](\\.[ab]){0,3}",
        path in "(/[ab]{0,2}){1,4}",
    ) {
        let router: Router<usize> = Router::new(apps.iter().enumerate().map(|(app, routes)| (Arc::new(app), routes.clone())));
        let found = router.find(&host, &path, &HeaderMap::new()).map(|app| **app);
        prop_assert_eq!(found, by_looking_at_all(&apps, &host, &path));
    }

    #[test]
    fn no_request_makes_it_panic(host in "\\PC{0,300}", path in "\\PC{0,300}") {
        let router = router(&[("a", route("a.b", "/x/y", &[])), ("b", route("*.b", "/", &[]))]);
        let _ = find(&router, &host, &path);
    }
}

#[test]
fn a_host_has_the_name_that_was_asked_for_or_another() {
    for host in ["a.example.org", "A.Example.org", "a.example.org.", "a.example.org:8443", "a.example.org.:1"] {
        assert!(is_named(host, "a.example.org"), "{host}");
    }
    for host in ["b.example.org", "a.example.org.evil", "", ":443", "xa.example.org", "[::1]:443"] {
        assert!(!is_named(host, "a.example.org"), "{host}");
    }
    for (host, port) in [("a", ""), ("a:", ":"), ("a:1", ":1"), ("[::1]", ""), ("[::1]:8", ":8")] {
        assert_eq!(port_of(host), port, "{host}");
    }
}
