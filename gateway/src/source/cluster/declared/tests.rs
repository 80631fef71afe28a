use std::sync::Arc;

use activator::Clock;
use serde_json::json;

use super::*;
use crate::edge::Edge;
use crate::edge::backend::Backend;
use crate::source::apply;
use crate::testing::{edge, heap};

/// An app as an API server tells it: `number` in its name, host and Service, and this `idleTimeout`.
fn object(number: usize, generation: i64, idle: &str) -> Object {
    read(&Reader::default(), number, generation, idle)
}

fn read(reader: &Reader, number: usize, generation: i64, idle: &str) -> Object {
    let name = format!("app-{number}");
    let object = json!({
        "apiVersion": "zerogate.dev/v1alpha1",
        "kind": "HTTPApp",
        "metadata": {
            "name": name, "namespace": "shop", "generation": generation, "resourceVersion": "7",
            "uid": format!("0b7f3a52-4c1e-4f0e-9d55-{number:012}"), "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "routes": [{"hosts": [format!("{name}.shop.localhost")], "paths": [{"prefix": "/"}], "headers": []}],
            "target": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                "service": {"name": name, "port": "http"},
            },
            "scaling": {"idleTimeout": idle},
        },
    });
    reader.read(serde_json::from_value(object).expect("an object"))
}

fn whole(count: usize) -> Change<Object> {
    let reader = Reader::default();
    Change::Restarted((0..count).map(|number| read(&reader, number, 1, "3s")).collect())
}

fn backends(edge: &Edge) -> Vec<Arc<Backend>> {
    edge.router.load().backends().to_vec()
}

#[test]
fn a_change_of_one_leaves_the_others_what_they_are_to_the_pointer() {
    let edge = edge(&Clock::manual());
    let mut all = All::default();
    assert!(all.take(None, whole(10)));
    apply(&edge, &all.declared());
    let (before, live) = (backends(&edge), edge.registry.all());
    let settings = |number: usize| live[before[number].app.id()].settings();
    let settings_before: Vec<_> = (0..10).map(settings).collect();

    // All are told again, as after a watch that could not be resumed, and one of them has changed.
    let again = (0..10).map(|number| if number == 3 { object(3, 2, "4s") } else { object(number, 1, "3s") });
    assert!(all.take(None, Change::Restarted(again.collect())));
    let declared = all.declared();
    apply(&edge, &declared);
    for (number, before) in before.iter().enumerate() {
        let same = Arc::ptr_eq(&settings(number), &settings_before[number]);
        assert_eq!(same, number != 3, "{number}");
        // What the edge has of it has not changed.
        assert!(Arc::ptr_eq(before, &backends(&edge)[number]), "{number}");
        assert!(Arc::ptr_eq(&settings(number), &declared.apps[before.app.id()].activator), "it is kept once");
    }
}

#[test]
fn what_only_its_status_differs_in_is_nothing_to_apply() {
    let mut all = All::default();
    assert!(all.take(None, whole(3)));
    assert!(!all.take(None, Change::Applied(object(1, 1, "3s"))));
    assert!(all.take(None, Change::Applied(object(1, 2, "3s"))), "its generation is told in its status");
    assert!(all.take(None, Change::Applied(object(3, 1, "3s"))));
    assert!(all.take(None, Change::Deleted(object(3, 1, "3s"))));
    assert_eq!(all.declared().apps.len(), 3);
}

#[test]
fn the_declaration_of_a_sleeping_app_takes_little_memory() {
    const APPS: usize = 7000;
    let edge = edge(&Clock::manual());
    let before = heap::kept();
    let mut all = All::default();
    all.take(None, whole(APPS));
    apply(&edge, &all.declared());
    all.news(&Certificates::default(), &Authorities::default());
    let each = (heap::kept() - before) / APPS as isize;
    // The tables of 7,000 are full.
    assert!(each <= 1900, "{each} bytes for each app");
}

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
    let mut news: Vec<_> = all
        .news(&Certificates::default(), &Authorities::default())
        .into_iter()
        .map(|(id, news)| (id.name.to_string(), news.map(|news| news.accepted)))
        .collect();
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

#[test]
fn a_status_that_was_written_is_told_of_once() {
    let mut all = All::default();
    let written = || Object { written: Some(Box::default()), ..object(1, 1, "3s") };
    assert!(all.take(None, Change::Restarted(vec![object(0, 1, "3s"), written()])));
    assert_eq!(all.rewritten().count(), 0, "a new one is told of whole");
    all.news(&Certificates::default(), &Authorities::default());
    assert!(!all.take(None, Change::Applied(written())));
    assert!(!all.take(None, Change::Applied(object(0, 1, "3s"))));
    let rewritten: Vec<_> = all.rewritten().map(|(id, _)| id.name.to_string()).collect();
    assert_eq!(rewritten, ["app-1"]);
    assert_eq!(all.rewritten().count(), 0);
}
