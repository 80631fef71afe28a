//! All that is wrong is told at once, and nothing that is not.

use super::{GOOD, problems, with};

/// What is told of `text`, each without its place.
fn told(text: &str) -> Vec<String> {
    let problems = problems(text);
    let lines = problems.lines().filter_map(|line| Some(line.split_once("): ")?.1.to_owned()));
    lines.collect()
}

#[test]
fn values_are_looked_at_though_shapes_are_wrong() {
    let text = "\
apiVersion: zerogate.dev/v1alpha1
kind: HTTPApp
metadata: {name: Hello_World}
spec:
  colour: red
  routes: [{hosts: [hello..localhost, 5], paths: [{prefix: hello}]}]
  target: {process: {command: [x], env: {PORT: '1'}, stopGrace: 5}}
  scaling: {maxReplicas: -3, stableWindow: 5s, panicWindow: 6s}
";
    let expected = [
        "metadata.name: `Hello_World` has `H`; a name",
        "spec.colour: unknown field; known here",
        "spec.routes[0].hosts[0]: `hello..localhost` has an empty part",
        "spec.routes[0].hosts[1]: `5` is a number",
        "spec.routes[0].paths[0].prefix: `hello` does not begin with `/`",
        "spec.scaling.maxReplicas: `-3` is out of range",
        "spec.scaling.panicWindow: `6s` is longer than stableWindow",
        "spec.target.process.env.PORT: is set to the port",
        "spec.target.process.stopGrace: `5` has no unit",
    ];
    let mut told = told(text);
    told.sort();
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told}");
    }
}

#[test]
fn nothing_is_said_of_what_only_stands_in() {
    for (line, expected) in [
        // Meant to be more than the ten that are the default.
        ("  scaling: {minReplicas: 15, maxReplica: 20}", "spec.scaling.maxReplica: unknown field"),
        ("  scaling: {minReplicas: 15, maxReplicas: '20'}", "spec.scaling.maxReplicas: `20` is text"),
        ("  maxReplicas: 20\n  scaling: {minReplicas: 15}", "spec.maxReplicas: unknown field"),
        ("  scaling: {maxReplicas: 0}", "spec.scaling.maxReplicas: `0` is out of range"),
        ("  target: {proces: {command: [x]}}", "spec.target.proces: unknown field"),
        ("  target: {process: 5}", "spec.target.process: `5` is a number"),
        ("  limits: {burst: 5, requestsPerSecond: x}", "spec.limits.requestsPerSecond: `x` is text"),
        ("  limits: {burst: 5, requestPerSecond: 1}", "spec.limits.requestPerSecond: unknown field"),
        ("  affinity: {by: header, header: 5}", "spec.affinity.header: `5` is a number"),
        ("  tls: {certificate: a, key: 5}", "spec.tls.key: `5` is a number"),
        ("  hold: {maxRequests: 0}\n  scaling: {minReplica: 1}", "spec.scaling.minReplica: unknown field"),
        ("metadata: {namespace: n}", "metadata.name: is missing"),
        ("  routes: 5", "spec.routes: `5` is a number"),
    ] {
        let told = problems(&with(line));
        assert!(told.contains(expected) && told.ends_with("\n1 problem"), "{line}\n{told}");
    }
}

#[test]
fn whose_a_route_is_does_not_depend_on_other_mistakes() {
    let second = GOOD.replace("name: a,", "name: b,").replace("[x]", "[x], colour: 1");
    let text = format!("{GOOD}---\n{second}");
    let told = told(&text);
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(told.iter().any(|it| it.contains("is routed already by spec.routes[0] of n/a")), "{told:#?}");

    // What stands in for something is nobody's.
    let faulty = |name: &str| with("  routes: [{host: 1}]").replace("name: a,", &format!("name: {name},"));
    let text = format!("{}---\n{}", faulty("a"), faulty("b"));
    let told = self::told(&text);
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(told.iter().all(|it| it.contains("unknown field")), "{told:#?}");
}
