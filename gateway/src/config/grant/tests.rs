use activator::AppId;
use http::{HeaderName, HeaderValue};

use super::{Claim, Grant, grant};
use crate::config::settings::{HeaderMatch, HostPattern, Route};

fn route(hosts: &[&str], paths: &[&str]) -> Route {
    Route {
        hosts: hosts.iter().map(|host| HostPattern::Exact((*host).into())).collect(),
        paths: paths.iter().map(|path| (*path).into()).collect(),
        headers: Vec::new(),
    }
}

fn id(name: &str) -> AppId {
    AppId::new("n", name)
}

/// What each of the apps gets: name, age, routes.
fn granted(apps: &[(&str, i64, Vec<Route>)]) -> Vec<Grant> {
    let ids: Vec<_> = apps.iter().map(|(name, ..)| id(name)).collect();
    let claims = apps.iter().zip(&ids).map(|((_, created, routes), id)| Claim { id, created: *created, routes });
    let mut grants = grant(&claims.collect::<Vec<_>>());
    let all = |routes: &[Route]| Grant { routes: routes.to_vec(), refused: Vec::new() };
    ids.iter().zip(apps).map(|(id, (_, _, routes))| grants.remove(id).unwrap_or_else(|| all(routes))).collect()
}

fn words(grant: &Grant) -> Vec<String> {
    grant.refused.iter().map(|refused| format!("{}: {}", refused.field, refused.message)).collect()
}

#[test]
fn of_two_apps_the_older_has_it_and_the_younger_is_told_whatever_the_order() {
    let claimed = vec![route(&["a"], &[""])];
    let mut apps = vec![("young", 20, claimed.clone()), ("old", 10, claimed.clone())];
    for reversed in [false, true] {
        if reversed {
            apps.reverse();
        }
        let mut grants = granted(&apps);
        if reversed {
            grants.reverse();
        }
        assert!(grants[0].routes.is_empty());
        assert_eq!(
            words(&grants[0]),
            ["spec.routes[0]: host `a` with path `/` is routed already by app `n/old`, which is older"]
        );
        assert_eq!(grants[0].refused[0].owner, id("old"));
        assert_eq!(grants[1], Grant { routes: claimed.clone(), refused: Vec::new() });
    }
}

#[test]
fn of_two_apps_of_one_age_the_first_by_name_has_it() {
    let grants = granted(&[("b", 1, vec![route(&["a"], &[""])]), ("a", 1, vec![route(&["a"], &[""])])]);
    assert!(grants[0].routes.is_empty());
    assert_eq!(grants[1].routes.len(), 1);
}

#[test]
fn the_younger_keeps_what_is_not_taken() {
    let grants = granted(&[
        ("old", 1, vec![route(&["a"], &["/x"]), route(&["c"], &[""])]),
        ("young", 2, vec![route(&["a", "b", "d"], &["/x", "/y"]), route(&["c"], &[""]), route(&["e"], &[""])]),
    ]);
    assert_eq!(grants[1].routes, [route(&["a"], &["/y"]), route(&["b", "d"], &["/x", "/y"]), route(&["e"], &[""])]);
    assert_eq!(
        words(&grants[1]),
        [
            "spec.routes[0]: host `a` with path `/x` is routed already by app `n/old`, which is older",
            "spec.routes[1]: host `c` with path `/` is routed already by app `n/old`, which is older",
        ]
    );
}

#[test]
fn a_route_that_differs_in_its_headers_is_another_one() {
    let with = |value| Route {
        headers: vec![HeaderMatch { name: HeaderName::from_static("x"), value: HeaderValue::from_static(value) }],
        ..route(&["a"], &[""])
    };
    let grants =
        granted(&[("old", 1, vec![with("1"), route(&["a"], &[""])]), ("young", 2, vec![with("2"), with("1")])]);
    assert_eq!(grants[1].routes, [with("2")]);
    assert_eq!(
        words(&grants[1]),
        [
            "spec.routes[1]: host `a` with path `/` and the same headers is routed already by app `n/old`, which is older"
        ]
    );
}

#[test]
fn what_an_app_claims_twice_it_has() {
    let grants = granted(&[("a", 1, vec![route(&["a", "a"], &[""]), route(&["a"], &[""])])]);
    assert!(grants[0].refused.is_empty());
    assert_eq!(grants[0].routes.len(), 2);
}
