use serde_json::json;

use super::*;

/// An `HTTPApp` of this age in seconds, with a host of its own unless another is given.
fn app(name: &str, created: i64, host: &str, target: &str) -> Object {
    let time = k8s_openapi::jiff::Timestamp::from_second(created).unwrap();
    let object = json!({
        "apiVersion": "zerogate.dev/v1alpha1", "kind": "HTTPApp",
        "metadata": {
            "name": name, "namespace": "n", "uid": format!("{name}-{created}"), "generation": 1,
            "creationTimestamp": time.to_string(),
        },
        "spec": {
            "routes": [{"hosts": [host]}],
            "target": {"scaleTargetRef": {"name": target}, "service": {"name": target}},
        },
    });
    Object::new(serde_json::from_value(object).unwrap())
}

fn names(declared: &Declared) -> Vec<&str> {
    declared.apps.keys().map(|id| &*id.name).collect()
}

/// What became of each of which there is news.
fn told(all: &mut All) -> Vec<(String, Option<Accepted>)> {
    let mut news: Vec<_> =
        all.news().into_iter().map(|(id, news)| (id.name.to_string(), news.map(|news| news.accepted))).collect();
    news.sort_by(|a, b| a.0.cmp(&b.0));
    news
}

#[test]
fn the_older_of_two_with_one_target_has_it_and_the_younger_takes_over() {
    let mut all = All::default();
    all.take(None, Change::Restarted(vec![app("a", 20, "a.example", "t"), app("b", 10, "b.example", "t")]));
    assert_eq!(names(&all.declared()), ["b"]);
    let taken = "Deployment n/t is the target of app `n/b` already, which is older".to_owned();
    let refused = Accepted::TargetTaken { taken };
    assert_eq!(told(&mut all), [("a".into(), Some(refused)), ("b".into(), Some(Accepted::InForce))]);
    assert!(told(&mut all).is_empty(), "once");

    assert!(all.take(None, Change::Deleted(app("b", 10, "b.example", "t"))));
    assert_eq!(names(&all.declared()), ["a"]);
    assert_eq!(told(&mut all), [("a".into(), Some(Accepted::InForce)), ("b".into(), None)]);

    // Whoever comes back is the younger now.
    assert!(all.take(None, Change::Applied(app("b", 30, "b.example", "t"))));
    assert_eq!(names(&all.declared()), ["a"]);
    assert!(matches!(told(&mut all)[..], [(_, Some(Accepted::TargetTaken { .. }))]));
}

#[test]
fn an_app_that_gets_none_of_its_routes_is_not_in_force() {
    let mut all = All::default();
    all.take(None, Change::Restarted(vec![app("a", 10, "a.example", "a"), app("b", 20, "a.example", "b")]));
    assert_eq!(names(&all.declared()), ["a"]);
    let news = told(&mut all);
    assert!(matches!(&news[1], (_, Some(Accepted::RoutesTaken { .. }))), "{news:?}");
}

#[test]
fn a_new_list_of_one_namespace_says_nothing_of_another() {
    let mut all = All::default();
    all.take(Some("n"), Change::Restarted(vec![app("a", 10, "a.example", "a")]));
    all.take(Some("other"), Change::Restarted(vec![]));
    assert_eq!(names(&all.declared()), ["a"]);
    all.take(Some("n"), Change::Restarted(vec![]));
    assert!(all.declared().apps.is_empty());
}
