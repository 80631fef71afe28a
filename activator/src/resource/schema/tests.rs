use serde_json::{Map, Value, json};

use super::{HttpApp, crd, document, each, json_schema};

/// The schema that the definition has.
fn installed() -> Value {
    let crd = serde_json::to_value(crd()).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// Calls `visit` with each schema and its path.
fn walk(schema: &Value, path: &str, visit: &mut impl FnMut(&str, &Map<String, Value>)) {
    let Some(fields) = schema.as_object() else { return };
    visit(path, fields);
    for (name, property) in fields.get("properties").and_then(Value::as_object).into_iter().flatten() {
        walk(property, &format!("{path}.{name}"), visit);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(within) = fields.get(key) {
            walk(within, &format!("{path}[]"), visit);
        }
    }
}

/// All rules: the path with the message.
fn rules() -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    walk(&installed(), "", &mut |path, fields| {
        for rule in fields.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten() {
            let text = |key: &str| rule[key].as_str().unwrap_or_default().to_owned();
            all.push((path.to_owned(), text("rule"), text("message")));
        }
    });
    all
}

#[test]
fn the_json_schema_has_no_references_and_plain_enums() {
    fn visit(value: &Value, path: &str) {
        if let Value::Object(fields) = value {
            for (key, value) in fields {
                assert!(!["$ref", "$defs", "oneOf", "const"].contains(&key.as_str()), "{path}/{key}");
                visit(value, &format!("{path}/{key}"));
            }
        }
    }
    let schema = json_schema();
    visit(&schema, "");
    let scaling = &schema["properties"]["spec"]["properties"]["scaling"]["properties"];
    assert_eq!(scaling["by"]["enum"], json!(["zerogate", "keda", "hpa"]));
    assert!(scaling["by"]["description"].as_str().unwrap().contains("\n\n- `keda`: "));
    assert!(scaling["idleTimeout"]["description"].as_str().unwrap().ends_with(" From 1s to 24h."));
}

#[test]
fn the_definition_names_the_resource_and_shows_its_state() {
    let crd = serde_json::to_value(crd()).unwrap();
    assert_eq!(crd["metadata"]["name"], "httpapps.zerogate.dev");
    let spec = &crd["spec"];
    assert_eq!(spec["scope"], "Namespaced");
    assert_eq!(spec["names"]["kind"], "HTTPApp");
    assert_eq!(spec["names"]["shortNames"], json!(["happ"]));
    let version = &spec["versions"][0];
    assert_eq!(version["name"], "v1alpha1");
    assert_eq!(version["subresources"], json!({"status": {}}));
    let columns: Vec<_> =
        version["additionalPrinterColumns"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(columns, ["State", "Replicas", "In-flight", "Last wake", "Age"]);
}

/// What the API server asks of a structural schema.
#[test]
fn the_definition_is_structural() {
    const KNOWN: [&str; 22] = [
        "additionalProperties",
        "default",
        "description",
        "enum",
        "format",
        "items",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "nullable",
        "pattern",
        "properties",
        "required",
        "type",
        "x-kubernetes-int-or-string",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-validations",
    ];
    let mut count = 0;
    walk(&installed(), "", &mut |path, fields| {
        count += 1;
        for key in fields.keys() {
            assert!(KNOWN.contains(&key.as_str()) || (path.is_empty() && key == "title"), "{path}: {key}");
        }
        assert_ne!(fields.get("nullable"), Some(&json!(true)), "{path}");
        let either = fields.get("x-kubernetes-int-or-string") == Some(&json!(true));
        assert_eq!(fields.get("type").is_some(), !either, "{path}");
        assert!(!(fields.contains_key("properties") && fields.contains_key("additionalProperties")), "{path}");
        assert_ne!(fields.get("additionalProperties"), Some(&json!(false)), "{path}");
        assert!(fields.get("type") != Some(&json!("array")) || fields.contains_key("items"), "{path}");
    });
    assert!(count > 60, "{count}");
}

/// Those of a list or mapping would make the rules about them too dear.
#[test]
fn what_rules_are_about_is_bounded() {
    walk(&installed()["properties"]["spec"], "", &mut |path, fields| {
        if fields.get("type") == Some(&json!("array")) {
            assert!(fields.contains_key("maxItems"), "{path}");
        }
        if fields.contains_key("additionalProperties") {
            assert!(fields.contains_key("maxProperties"), "{path}");
        }
        if fields.contains_key("x-kubernetes-validations") && fields.get("type") == Some(&json!("string")) {
            assert!(fields.contains_key("maxLength"), "{path}");
        }
    });
}

/// `kubectl explain` shows descriptions and not defaults.
#[test]
fn every_field_is_described_with_its_default() {
    let mut defaults = 0;
    walk(&installed(), "", &mut |path, fields| {
        let described = fields.get("description").and_then(Value::as_str).unwrap_or_default();
        assert!(described.ends_with(['.', ':']) || path.ends_with("[]"), "{path}: {described}");
        match fields.get("default") {
            // Its own fields say what theirs are.
            Some(Value::Object(_)) => {}
            Some(_) => {
                defaults += 1;
                assert!(
                    described.contains(" Defaults to ") || described.contains("\n\nDefaults to "),
                    "{path}: {described}"
                );
            }
            None => {}
        }
    });
    assert!(defaults > 30, "{defaults}");
    let scaling = &installed()["properties"]["spec"]["properties"]["scaling"]["properties"];
    assert_eq!(scaling["maxReplicas"]["default"], 10);
    assert_eq!(
        scaling["maxReplicas"]["description"],
        "Never more replicas than this; at least `minReplicas`. Defaults to `10`."
    );
    let by = scaling["by"]["description"].as_str().unwrap();
    assert!(by.contains("\n\n- `keda`: ") && by.ends_with("\n\nDefaults to `zerogate`."), "{by}");
}

#[test]
fn fields_that_depend_on_each_other_have_rules() {
    let rules = rules();
    for (path, part) in [
        (".spec", "self.scaling.by == 'zerogate' || has(self.target.scaleTargetRef)"),
        (".spec", "self.hold.maxRequests > 0 || self.scaling.minReplicas > 0"),
        (".spec", "self.scaling.maxReplicas == 1"),
        (".spec.scaling", "self.minReplicas <= self.maxReplicas"),
        (".spec.scaling", "self.activationReplicas <= self.maxReplicas"),
        (".spec.scaling", "duration(self.panicWindow) <= duration(self.stableWindow)"),
        (".spec.scaling.stableWindow", "duration(self) >= duration('1s') && duration(self) <= duration('1h')"),
        (".spec.scaling.target", "self >= 0.01"),
        (".spec.routes[].hosts[]", "self.matches("),
        (".spec.routes[].paths[].prefix", "self.startsWith('/')"),
        (".spec.scaling.scaleDownDelay", "type(self) == int || ("),
        (".spec.target", "has(self.process) != has(self.scaleTargetRef)"),
        (".spec.target", "!has(self.process)"),
        (".spec.target", "has(self.scaleTargetRef) == has(self.service)"),
        (".spec.limits", "self.burst == 0 || self.requestsPerSecond > 0.0"),
        (".spec.limits.perClient", "self.requestsPerSecond == 0.0 || self.requestsPerSecond >= 0.001"),
        (".spec.limits.perClient", "self.by != 'header' || has(self.header)"),
        (".spec.limits.perClient", "self.by == 'header' || !has(self.header)"),
    ] {
        let found = rules.iter().any(|(at, rule, message)| at == path && rule.contains(part) && !message.is_empty());
        assert!(found, "{path}: {part}\n{rules:#?}");
    }
}

/// Every field that a document may have below `spec` is in the definition, and the other way round.
#[test]
fn a_document_and_an_object_have_the_same_fields() {
    let fields = |schema: &Value| {
        let mut paths = Vec::new();
        walk(&schema["properties"]["spec"], "", &mut |path, _| paths.push(path.to_owned()));
        paths.sort();
        paths
    };
    assert_eq!(fields(&document()), fields(&installed()));
}

#[test]
fn every_schema_within_is_visited_once() {
    let mut schema = json!({"properties": {"a": {"items": {}}, "b": {"additionalProperties": {}}}, "anyOf": [{}]});
    let mut count = 0;
    each(&mut schema, &mut |_| count += 1);
    assert_eq!(count, 6);
}

#[test]
fn an_object_with_a_status_reads_back_as_it_was_written() {
    let object = json!({
        "apiVersion": "zerogate.dev/v1alpha1", "kind": "HTTPApp",
        "metadata": {"name": "a", "namespace": "n", "generation": 2},
        "spec": {"routes": [{}], "target": {"scaleTargetRef": {"name": "a"}, "service": {"name": "a", "port": "web"}}},
        "status": {
            "conditions": [{
                "type": "Accepted", "status": "False", "reason": "RouteTaken", "message": "host `a` is another's",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
            "observedGeneration": 2, "state": "awake", "replicas": 2, "readyReplicas": 1, "inFlight": 3,
            "lastWake": "2026-01-01T00:00:00Z",
            "lastDecision": {"at": "2026-01-01T00:00:00Z", "replicas": 2, "reason": "in flight"},
            "failure": "no image",
        },
    });
    let app: HttpApp = serde_json::from_value(object.clone()).unwrap();
    let written = serde_json::to_value(&app).unwrap();
    assert_eq!(written["status"], object["status"]);
    assert_eq!(written["spec"]["target"]["scaleTargetRef"]["kind"], "Deployment");
    assert_eq!(serde_json::from_value::<HttpApp>(written).unwrap(), app);
    let known: Vec<_> =
        installed()["properties"]["status"]["properties"].as_object().unwrap().keys().cloned().collect();
    assert!(object["status"].as_object().unwrap().keys().all(|key| known.contains(key)), "{known:?}");
}
