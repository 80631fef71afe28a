use std::path::Path;

use super::Loader;
use crate::config::problem::Problems;
use crate::config::settings::Declared;

pub(super) fn load_text(text: &str) -> Result<Declared, Problems> {
    let mut loader = Loader::default();
    loader.text("apps.yaml".to_owned(), Path::new("/srv"), text);
    loader.finish()
}

const GOOD: &str = "\
apiVersion: zerogate.dev/v1alpha1
kind: HTTPApp
metadata: {name: a, namespace: n}
spec:
  routes: [{hosts: [a.example]}]
  target: {process: {command: [x]}}
";

/// The good document with a line replaced, or added if there is none of its field.
fn with(line: &str) -> String {
    let field = |line: &str| line.split(':').next().unwrap().to_owned();
    let mut lines: Vec<_> = GOOD.lines().collect();
    match lines.iter().position(|good| field(good) == field(line)) {
        Some(index) => lines[index] = line,
        None => lines.push(line),
    }
    lines.join("\n")
}

#[test]
fn show() {
    for line in ROWS {
        match load_text(&with(line)) {
            Ok(_) => println!("{line}\n    NONE"),
            Err(p) => println!("{line}\n    {p}"),
        }
    }
}
const ROWS: &[&str] = &[
    "apiVersion: zerogate.dev/v1",
    "apiVersion: 1",
    "kind: Deployment",
    "kind: HttpApp",
    "metadata: {name: a, namespace: n, uid: 1}",
    "metadata: {namespace: n}",
    "metadata: {name: Shop}",
    "metadata: {name: my_app}",
    "metadata: {name: a..b}",
    "metadata: {name: -a}",
    "metadata: {name: a, namespace: n.m}",
    "metadata: {name: 5}",
    "metadata: {name: ''}",
    "metadata: [name]",
    "metadata:",
    "spec: text",
    "status: {}",
    "  route: []",
    "  routes: []",
    "  routes: {hosts: [a]}",
    "  routes: [{hosts: a.example}]",
    "  routes: [{host: a.example}]",
    "  routes: [{hosts: ['a.example:80']}]",
    "  routes: [{hosts: ['http://a.example']}]",
    "  routes: [{hosts: ['a.example/x']}]",
    "  routes: [{hosts: ['a.*.example']}]",
    "  routes: [{hosts: ['bücher.example']}]",
    "  routes: [{hosts: ['a b']}]",
    "  routes: [{hosts: ['a..b']}]",
    "  routes: [{hosts: ['-a']}]",
    "  routes: [{hosts: ['::1']}]",
    "  routes: [{hosts: ['[::1']}]",
    "  routes: [{hosts: ['']}]",
    "  routes: [{hosts: [a.example, A.Example]}]",
    "  routes: [{paths: []}]",
    "  routes: [{paths: [/api]}]",
    "  routes: [{paths: [{prefix: api}]}]",
    "  routes: [{paths: [{prefix: /a?b}]}]",
    "  routes: [{paths: [{prefix: /a//b}]}]",
    "  routes: [{paths: [{prefix: '/a b'}]}]",
    "  routes: [{paths: [{exact: /a}]}]",
    "  routes: [{headers: [{name: x-a, value: b}, {name: X-A, value: c}]}]",
    "  routes: [{headers: [{name: Upgrade, value: b}]}]",
    "  routes: [{headers: [{name: Host, value: b}]}]",
    "  routes: [{headers: [{name: 'x a', value: b}]}]",
    "  routes: [{headers: [{name: x-a, value: ' b'}]}]",
    "  routes: [{headers: [{name: x-a, value: \"b\\n\"}]}]",
    "  routes: [{headers: [{name: x-a, value: 1}]}]",
    "  routes: [{headers: [{name: x-a}]}]",
    "  target: {}",
    "  target: {command: [x]}",
    "  target: {process: {command: x -y}}",
    "  target: {process: {command: []}}",
    "  target: {process: {command: [' ']}}",
    "  target: {process: {command: [x, 1]}}",
    "  target: {process: {command: [x, \"a\\0\"]}}",
    "  target: {process: {command: [x], env: {A: 1}}}",
    "  target: {process: {command: [x], env: {A: yes, B: true}}}",
    "  target: {process: {command: [x], env: [A=b]}}",
    "  target: {process: {command: [x], env: {PORT: '80'}}}",
    "  target: {process: {command: [x], env: {'A=': b}}}",
    "  target: {process: {command: [x], port: any}}",
    "  target: {process: {command: [x], port: 0}}",
    "  target: {process: {command: [x], port: 70000}}",
    "  target: {process: {command: [x], port: [80]}}",
    "  target: {process: {command: [x], port: 8000}}",
    "  target: {process: {command: [x], stopSignal: SIGTREM}}",
    "  target: {process: {command: [x], stopSignal: 15}}",
    "  target: {process: {command: [x], stopGrace: 11m}}",
    "  target: {process: {command: [x], stopGrace: 10}}",
    "  target: {process: {command: [x]}, startTimeout: 0}",
    "  target: {process: {command: [x]}, protocol: http2}",
    "  target: {process: {command: [x]}, protocol: grpc}",
    "  target: {process: {command: [x]}, readiness: {httpGet: {path: healthz}}}",
    "  target: {process: {command: [x]}, readiness: {httpGet: {}, grpc: {}}}",
    "  target: {process: {command: [x]}, readiness: {exec: {}}}",
    "  target: {process: {command: [x]}, readiness: {tcpSocket: }}",
    "  target: {process: {command: [x]}, readiness: {tcpSocket: {port: 1}}}",
    "  target: {process: {command: [x]}, readiness: tcpSocket}",
    "  scaling: {by: keda}",
    "  scaling: {by: hpa}",
    "  scaling: {by: knative}",
    "  scaling: {targget: 5}",
    "  scaling: {minreplicas: 5}",
    "  scaling: {colour: red}",
    "  scaling: {maxReplicas: ten}",
    "  scaling: {maxReplicas: 1.5}",
    "  scaling: {maxReplicas: 0}",
    "  scaling: {maxReplicas: 1001}",
    "  scaling: {maxReplicas: -1}",
    "  scaling: {minReplicas: 5, maxReplicas: 2}",
    "  scaling: {activationReplicas: 11}",
    "  scaling: {metric: concurency}",
    "  scaling: {target: 0}",
    "  scaling: {target: .nan}",
    "  scaling: {target: many}",
    "  scaling: {utilization: 0}",
    "  scaling: {panicThreshold: 100}",
    "  scaling: {stableWindow: 60}",
    "  scaling: {stableWindow: 1 minute}",
    "  scaling: {stableWindow: 1d}",
    "  scaling: {stableWindow: 1.5s}",
    "  scaling: {stableWindow: 5s}",
    "  scaling: {stableWindow: 2h}",
    "  scaling: {panicWindow: -6s}",
    "  scaling: {idleTimeout: true}",
    "  scaling: {idleTimeout: 0s}",
    "  scaling: {target: 5, target: 6}",
    "  scaling:",
    "  hold: {maxRequests: 10k}",
    "  hold: {timeout: 50ms}",
    "  timeouts: {connect: 0}",
    "  timeouts: {request: 1w}",
    "  limits: {burst: 5}",
    "  limits: {requestsPerSecond: 0.0001}",
    "  limits: {requestsPerSecond: -1}",
    "  limits: {perClient: {by: header}}",
    "  limits: {perClient: {by: {headers: x-a}}}",
    "  limits: {perClient: {by: [ip]}}",
    "  limits: {perClient: {requestsPerSecond: 1, by: {header: 'a b'}}}",
    "  limits: {perClient: {burst: 1}}",
];
