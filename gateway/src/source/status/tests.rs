use serde_json::json;

use super::*;

#[test]
fn a_status_of_another_shape_is_as_good_as_none() {
    let status = json!({ "state": "asleep", "replicas": 0, "lastWake": "2026-01-01T00:00:00Z", "from_later": 1 });
    let read = written(&mut json!({ "status": status })).expect("a status");
    assert!(read.last_wake.is_some());
    for mut other in [json!({}), json!({ "status": 5 }), json!({ "status": { "replicas": "many" } })] {
        assert_eq!(written(&mut other), None);
    }
}
