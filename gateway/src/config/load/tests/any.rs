use proptest::prelude::*;
use serde_json::json;

use super::load_text;

/// Any value, with the fields and words of the format among its keys and texts.
fn value() -> impl Strategy<Value = serde_json::Value> {
    let word = prop::sample::select(vec![
        "HTTPApp",
        "zerogate",
        "keda",
        "auto",
        "SIGTERM",
        "/",
        "a.example",
        "*",
        "1s",
        "0",
        "24h",
        "ip",
        "h2c",
        "x-a",
        "",
    ]);
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|it| json!(it)),
        any::<i64>().prop_map(|it| json!(it)),
        (0..20_i64).prop_map(|it| json!(it)),
        any::<f64>().prop_map(|it| json!(it)),
        word.prop_map(|it| json!(it)),
        any::<String>().prop_map(|it| json!(it)),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let key = prop::sample::select(vec![
            "process", "command", "hosts", "paths", "prefix", "headers", "name", "value", "by", "header", "httpGet",
            "path",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::vec((key, inner), 0..4)
                .prop_map(|fields| fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_loaded_without_a_panic(
        lines in prop::collection::vec(
            r#"(apiVersion: zerogate.dev/v1alpha1|kind: HTTPApp|metadata: \{name: a\}|spec:|---|  routes: \[\{\}\]|  target: \{process: \{command: \[x\]\}\}|  scaling: \{.{0,20}\}|[ a-z:\[\]{}&*"',-]{0,20})"#,
            0..12,
        ),
    ) {
        if let Err(problems) = load_text(&lines.join("\n")) {
            prop_assert!(!problems.to_string().contains("is not understood"), "{}", problems);
        }
    }

    /// What passes the check by the schema is what serde takes: the two never differ.
    #[test]
    fn no_value_in_any_field_passes_the_schema_but_not_the_types(
        field in prop::sample::select(vec![
            "metadata/labels", "metadata/namespace", "spec/routes", "spec/target", "spec/target/process/command",
            "spec/target/process/env", "spec/target/process/port", "spec/target/process/stopGrace",
            "spec/target/process/stopSignal", "spec/target/readiness", "spec/target/readiness/httpGet",
            "spec/target/protocol", "spec/scaling", "spec/scaling/by", "spec/scaling/target", "spec/scaling/maxReplicas",
            "spec/scaling/idleTimeout", "spec/scaling/scaleDownDelay", "spec/hold/maxRequests", "spec/timeouts/request",
            "spec/limits/burst", "spec/limits/requestsPerSecond", "spec/limits/perClient/by", "spec/limits/perClient/header",
            "spec/target/scaleTargetRef", "spec/target/service", "spec/target/service/port", "spec/target/earlyReadiness",
        ]),
        value in value(),
    ) {
        let mut document = json!({
            "apiVersion": "zerogate.dev/v1alpha1", "kind": "HTTPApp", "metadata": {"name": "a"},
            "spec": {"routes": [{}], "target": {"process": {"command": ["x"]}}},
        });
        let place = field.split('/').fold(&mut document, |place, key| &mut place[key]);
        *place = value;
        if let Err(problems) = load_text(&document.to_string()) {
            prop_assert!(!problems.to_string().contains("is not understood"), "{}", problems);
            prop_assert!(!problems.to_string().contains("is not YAML"), "{}", document);
        }
    }
}
