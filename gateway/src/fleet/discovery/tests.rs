use serde_json::{Value, json};

use super::*;

fn slice(name: &str, ports: Value, endpoints: Value) -> Slice {
    let object = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": name}, "addressType": "IPv4",
        "ports": ports, "endpoints": endpoints,
    });
    Slice::of(serde_json::from_value(object).expect("a slice"))
}

fn endpoint(pod: &str, ip: &str, conditions: Value) -> Value {
    json!({"addresses": [ip], "conditions": conditions, "targetRef": {"kind": "Pod", "name": pod}})
}

fn port() -> Value {
    json!([{"name": "other", "port": 1}, {"name": "fleet", "port": 9092}])
}

fn pod(name: &str, address: &str, ready: bool) -> Pod {
    Pod { name: name.into(), address: Some(address.parse().expect("an address")), ready }
}

#[test]
fn gateways_are_known_by_their_pods_and_called_ready_only_if_they_serve() {
    let ready = json!({"ready": true, "serving": true, "terminating": false});
    // As with publishNotReadyAddresses.
    let starting = json!({"ready": true, "serving": false, "terminating": false});
    let going = json!({"ready": true, "serving": true, "terminating": true});
    let mut slices = Slices::default();
    let endpoints = json!([
        endpoint("a", "10.0.0.1", ready),
        endpoint("b", "10.0.0.2", starting),
        endpoint("c", "10.0.0.3", going),
        endpoint("d", "10.0.0.4", json!({})),
        {"addresses": ["10.0.0.5"]},
    ]);
    slices.take(Change::Restarted(vec![slice("one", port(), endpoints)]));
    let all = [
        pod("a", "10.0.0.1:9092", true),
        pod("b", "10.0.0.2:9092", false),
        pod("c", "10.0.0.3:9092", false),
        pod("d", "10.0.0.4:9092", true),
    ];
    assert_eq!(slices.all("a").expect("a list"), all);
}

#[test]
fn what_this_gateway_is_not_in_is_no_list() {
    let mut slices = Slices::default();
    assert_eq!(slices.all("a"), None);
    slices.take(Change::Applied(slice("one", port(), json!([endpoint("a", "10.0.0.1", json!({}))]))));
    assert_eq!(slices.all("b"), None);
    slices.take(Change::Applied(slice("two", port(), json!([endpoint("b", "10.0.0.2", json!({}))]))));
    assert_eq!(slices.all("b").expect("a list").len(), 2);
    slices.take(Change::Deleted(slice("two", json!([]), json!([]))));
    assert_eq!(slices.all("b"), None);
    assert_eq!(slices.all("a").expect("a list").len(), 1);
    slices.take(Change::Restarted(Vec::new()));
    assert_eq!(slices.all("a"), None);
}

#[test]
fn a_gateway_in_two_slices_is_one() {
    let mut slices = Slices::default();
    let at = |ready: bool| json!({"serving": ready});
    slices.take(Change::Applied(slice("one", json!([]), json!([endpoint("a", "10.0.0.1", at(false))]))));
    slices.take(Change::Applied(slice("two", port(), json!([endpoint("a", "10.0.0.1", at(true))]))));
    assert_eq!(slices.all("a").expect("a list"), [pod("a", "10.0.0.1:9092", true)]);
}
