use activator::AppId;
use serde_json::json;

use super::*;
use crate::config::grant::Refused;
use crate::config::settings::Route;

fn grant(routes: usize, refused: &[&str]) -> Grant {
    let route = Route { hosts: Vec::new(), paths: Vec::new(), headers: Vec::new() };
    let refused = refused.iter().map(|message| Refused {
        field: "spec.routes[0]".into(),
        owner: AppId::new("default", "old"),
        message: (*message).into(),
    });
    Grant { routes: vec![route; routes], refused: refused.collect() }
}

#[test]
fn an_app_is_accepted_by_its_settings_and_by_what_it_gets_of_its_routes() {
    assert_eq!(Accepted::of(&[], false, None), Accepted::InForce);
    assert_eq!(Accepted::of(&[], false, Some(&grant(1, &[]))), Accepted::InForce);
    let taken = vec!["host `a` is routed already".to_owned()];
    let part = grant(1, &["host `a` is routed already"]);
    assert_eq!(Accepted::of(&[], false, Some(&part)), Accepted::InPart { taken: taken.clone() });
    let whole = grant(0, &["host `a` is routed already"]);
    assert_eq!(Accepted::of(&[], false, Some(&whole)), Accepted::RoutesTaken { taken });
    let problem = |field: &str| Finding { line: None, field: field.into(), message: "is wrong".into() };
    assert_eq!(
        Accepted::of(&[problem("spec.hold"), problem("")], true, Some(&whole)),
        Accepted::Refused { problems: vec!["spec.hold: is wrong".into(), "is wrong".into()], last_good: true }
    );
}

#[test]
fn a_status_of_another_shape_is_as_good_as_none() {
    let status = json!({ "state": "asleep", "replicas": 0, "lastWake": "2026-01-01T00:00:00Z", "from_later": 1 });
    let read = written(&json!({ "status": status }));
    assert_eq!((read.state.as_deref(), read.replicas), (Some("asleep"), Some(0)));
    assert!(read.last_wake.is_some());
    for other in [json!({}), json!({ "status": 5 }), json!({ "status": { "replicas": "many" } })] {
        assert_eq!(written(&other), HttpAppStatus::default());
    }
}
