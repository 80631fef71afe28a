use activator::AppId;
use activator::settings::ScaleTarget;
use http::{HeaderName, HeaderValue};

use super::{Claim, Grant, grant};
use crate::config::settings::{HeaderMatch, HostPattern, Route};
use crate::testing::deployment;

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

fn target(api_version: &str, kind: &str, name: &str) -> ScaleTarget {
    ScaleTarget { api_version: api_version.into(), kind: kind.into(), ..deployment("n", name) }
}

/// What each of the apps gets: name, age, routes.
fn granted(apps: &[(&str, i64, Vec<Route>)]) -> Vec<Grant> {
    let apps: Vec<_> = apps.iter().map(|(name, created, routes)| (*name, *created, routes.clone(), None)).collect();
    granted_with_targets(&apps)
}

/// The same of apps with a target.
fn granted_with_targets(apps: &[(&str, i64, Vec<Route>, Option<ScaleTarget>)]) -> Vec<Grant> {
    let ids: Vec<_> = apps.iter().map(|(name, ..)| id(name)).collect();
    let claims = apps.iter().zip(&ids).map(|((_, created, routes, target), id)| Claim {
        id,
        created: *created,
        target: target.as_ref(),
        routes,
    });
    let mut grants = grant(&claims.collect::<Vec<_>>());
    let all = |routes: &[Route]| Grant { routes: routes.to_vec(), ..Grant::default() };
    ids.iter().zip(apps).map(|(id, (_, _, routes, _))| grants.remove(id).unwrap_or_else(|| all(routes))).collect()
}

/// Whether the app gets all that it claims.
fn is_whole(grant: &Grant) -> bool {
    grant.refused.is_empty() && grant.target_taken.is_none()
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
        assert_eq!(grants[1], Grant { routes: claimed.clone(), ..Grant::default() });
    }
}

#[test]
fn of_two_apps_of_one_age_the_first_by_name_has_it() {
    let grants = granted(&[("b", 1, vec![route(&["a"], &[""])]), ("a", 1, vec![route(&["a"], &[""])])]);
    assert!(grants[0].routes.is_empty());
    assert_eq!(
        words(&grants[0]),
        [
            "spec.routes[0]: host `a` with path `/` is routed already by app `n/a`, which is as old and comes first by name"
        ]
    );
    assert_eq!(grants[1].routes.len(), 1);
}

#[test]
fn of_two_apps_with_one_target_the_younger_gets_nothing_and_keeps_nothing_from_others() {
    let deployment = || Some(target("apps/v1", "Deployment", "t"));
    let grants = granted_with_targets(&[
        ("third", 3, vec![route(&["b"], &[""])], Some(target("apps/v1", "Deployment", "other"))),
        ("young", 2, vec![route(&["b"], &[""])], Some(target("apps/v1beta9", "Deployment", "t"))),
        ("old", 1, vec![route(&["a"], &[""])], deployment()),
        ("as-old", 1, vec![route(&["c"], &[""])], deployment()),
    ]);
    let taken: Vec<_> = grants.iter().map(|grant| grant.target_taken.as_deref()).collect();
    assert_eq!(
        taken,
        [
            None,
            Some("Deployment n/t is the target of app `n/as-old` already, which is older"),
            Some("Deployment n/t is the target of app `n/as-old` already, which is as old and comes first by name"),
            None,
        ]
    );
    assert_eq!(grants.iter().map(|grant| grant.routes.len()).collect::<Vec<_>>(), [1, 0, 0, 1]);
    assert_eq!(grants.iter().map(is_whole).collect::<Vec<_>>(), [true, false, false, true]);
    assert!(grants[0].refused.is_empty(), "a route of an app that is not in force is free");
}

#[test]
fn targets_that_differ_in_anything_are_others() {
    let claimed = |name| vec![route(&[name], &[""])];
    let grants = granted_with_targets(&[
        ("a", 1, claimed("a"), Some(target("apps/v1", "Deployment", "t"))),
        ("b", 2, claimed("b"), Some(target("apps/v1", "StatefulSet", "t"))),
        ("c", 3, claimed("c"), Some(target("apps/v1", "Deployment", "u"))),
        ("d", 4, claimed("d"), Some(target("other.example/v1", "Deployment", "t"))),
        ("e", 5, claimed("e"), None),
        ("f", 6, claimed("f"), None),
    ]);
    assert!(grants.iter().all(is_whole), "{grants:?}");
}

#[test]
fn an_app_without_a_route_has_no_target_either() {
    let deployment = || Some(target("apps/v1", "Deployment", "t"));
    let grants = granted_with_targets(&[
        ("first", 1, vec![route(&["a"], &[""])], Some(target("apps/v1", "Deployment", "first"))),
        ("routeless", 2, vec![route(&["a"], &[""])], deployment()),
        ("third", 3, vec![route(&["b"], &[""])], deployment()),
    ]);
    assert!(grants[1].routes.is_empty() && grants[1].target_taken.is_none());
    assert!(is_whole(&grants[2]), "{grants:?}");
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
