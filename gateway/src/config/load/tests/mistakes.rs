//! Every kind of mistake, with the line it is made in and exactly what is said of it.

/// A line that replaces or joins those of [`GOOD`](super::GOOD), and the problems that makes.
pub(super) const MISTAKES: &[(&str, &[&str])] = &[
    (
        "apiVersion: zerogate.dev/v1",
        &[
            "apps.yaml:1: document 1 (n/a): apiVersion: `zerogate.dev/v1` is unknown; it has to be `zerogate.dev/v1alpha1`",
        ],
    ),
    (
        "apiVersion: 1",
        &["apps.yaml:1: document 1 (n/a): apiVersion: `1` is a number; it has to be `zerogate.dev/v1alpha1`"],
    ),
    ("kind: Deployment", &["apps.yaml:2: document 1 (n/a): kind: `Deployment` is unknown; it has to be `HTTPApp`"]),
    ("kind: HttpApp", &["apps.yaml:2: document 1 (n/a): kind: `HttpApp` is unknown; did you mean `HTTPApp`?"]),
    (
        "metadata: {name: a, namespace: n, colour: 1}",
        &[
            "apps.yaml:3: document 1 (n/a): metadata.colour: unknown field; known here: `annotations`, `labels`, `name`, `namespace`",
        ],
    ),
    (
        "metadata: {namespace: n}",
        &["apps.yaml:3: document 1: metadata.name: is missing; it has to be text, such as `hello`"],
    ),
    (
        "metadata: {name: Shop}",
        &[
            "apps.yaml:3: document 1 (default/Shop): metadata.name: `Shop` has `S`; a name has lower-case letters, digits, `-` and `.` only",
        ],
    ),
    (
        "metadata: {name: my_app}",
        &[
            "apps.yaml:3: document 1 (default/my_app): metadata.name: `my_app` has `_`; a name has lower-case letters, digits, `-` and `.` only",
        ],
    ),
    (
        "metadata: {name: a..b}",
        &[
            "apps.yaml:3: document 1 (default/a..b): metadata.name: `a..b` is no name: a name and each part between dots begin and end with a letter or digit",
        ],
    ),
    (
        "metadata: {name: -a}",
        &[
            "apps.yaml:3: document 1 (default/-a): metadata.name: `-a` is no name: a name and each part between dots begin and end with a letter or digit",
        ],
    ),
    (
        "metadata: {name: a, namespace: n.m}",
        &[
            "apps.yaml:3: document 1 (n.m/a): metadata.namespace: `n.m` has `.`; a name has lower-case letters, digits and `-` only",
        ],
    ),
    (
        "metadata: {name: 5}",
        &["apps.yaml:3: document 1: metadata.name: `5` is a number; it has to be text, so put it in quotes: \"5\""],
    ),
    (
        "metadata: {name: ''}",
        &["apps.yaml:3: document 1 (default/): metadata.name: is empty; it has to have at least 1 character"],
    ),
    ("metadata: [name]", &["apps.yaml:3: document 1: metadata: is a list; it has to be a mapping with `name`"]),
    ("metadata:", &["apps.yaml:3: document 1: metadata: is empty; it has to be a mapping with `name`"]),
    ("spec: text", &["apps.yaml:5:9: document 1: is not YAML: mapping values are not allowed in this context"]),
    (
        "colour: {}",
        &["apps.yaml:7: document 1 (n/a): colour: unknown field; known here: `apiVersion`, `kind`, `metadata`, `spec`"],
    ),
    ("  route: []", &["apps.yaml:7: document 1 (n/a): spec.route: unknown field; did you mean `routes`?"]),
    ("  routes: []", &["apps.yaml:5: document 1 (n/a): spec.routes: is empty; it has to have at least 1 item"]),
    (
        "  routes: {hosts: [a]}",
        &["apps.yaml:5: document 1 (n/a): spec.routes: is a mapping; it has to be a list of mappings"],
    ),
    (
        "  routes: [{hosts: a.example}]",
        &[
            "apps.yaml:5: document 1 (n/a): spec.routes[0].hosts: `a.example` is text; it has to be a list, so put it in brackets: [a.example]",
        ],
    ),
    (
        "  routes: [{host: a.example}]",
        &["apps.yaml:5: document 1 (n/a): spec.routes[0].host: unknown field; did you mean `hosts`?"],
    ),
    (
        "  routes: [{hosts: ['a.example:80']}]",
        &[
            "apps.yaml:5: document 1 (n/a): spec.routes[0].hosts[0]: `a.example:80` has a port; write the host only: `a.example`",
        ],
    ),
    (
        "  routes: [{hosts: ['http://a.example']}]",
        &[
            "apps.yaml:5: document 1 (n/a): spec.routes[0].hosts[0]: `http://a.example` is a URL; write the host only, such as `app.example.org`",
        ],
    ),
    (
        "  routes: [{hosts: ['a.example/x']}]",
        &["apps.yaml:5: document 1 (n/a): spec.routes[0].hosts[0]: `a.example/x` has a path; that goes into `paths`"],
    ),
    (
        "  routes: [{hosts: ['a.*.example']}]",
        &[
            "apps.yaml:5: document 1 (n/a): spec.routes[0].hosts[0]: `a.*.example` has `*` elsewhere than as its first label; write `*.example.org`, or `*` for any host",
        ],
    ),
    (
        "  routes: [{hosts: ['bücher.example']}]",
        &[
            "apps.yaml:5: document 1 (n/a): spec.routes[0].hosts[0]: `bücher.example` has other than ASCII letters; write its ASCII form, such as `xn--bcher-kva.example`",
        ],
    ),
    (
        "  routes: [{hosts: ['a b']}]",
        &[
            "apps.yaml:5: document 1 (n/a): spec.routes[0].hosts[0]: `a b` has ` `; a host has letters, digits, `-`, `_` and `.` only",
        ],
    ),
    (
        "  routes: [{hosts: ['*.']}]",
        &[
            "apps.yaml:5: document 1 (n/a): spec.routes[0].hosts[0]: `*.` has `*` elsewhere than as its first label; write `*.example.org`, or `*` for any host",
        ],
    ),
    (
        "  routes: [{hosts: ['a..b']}]",
        &["apps.yaml:5: document 1 (n/a): spec.routes[0].hosts[0]: `a..b` has an empty part between its dots"],
    ),
    (
        "  routes: [{hosts: ['-a']}]",
        &["apps.yaml:5: document 1 (n/a): spec.routes[0].hosts[0]: `-a` has a part that begins or ends with `-`"],
    ),
    (
        "  routes: [{hosts: ['::1']}]",
        &[
            "apps.yaml:5: document 1 (n/a): spec.routes[0].hosts[0]: `::1` is an IPv6 address without brackets; write `[::1]`",
        ],
    ),
    (
        "  routes: [{hosts: ['[::1']}]",
        &[
            "apps.yaml:5: document 1 (n/a): spec.routes[0].hosts[0]: `[::1` is no IPv6 address in brackets, such as `[::1]`",
        ],
    ),
    (
        "  routes: [{hosts: ['']}]",
        &["apps.yaml:5: document 1 (n/a): spec.routes[0].hosts[0]: is empty; it has to have at least 1 character"],
    ),
    (
        "  routes: [{hosts: [a.example, A.Example]}]",
        &[
            "apps.yaml:5: document 1 (n/a): spec.routes[0]: host `a.example` with path `/` is routed already by spec.routes[0] of the same document, line 5",
        ],
    ),
    (
        "  routes: [{paths: []}]",
        &["apps.yaml:5: document 1 (n/a): spec.routes[0].paths: is empty; it has to have at least 1 item"],
    ),
    (
        "  routes: [{paths: [/api]}]",
        &[
            "apps.yaml:5: document 1 (n/a): spec.routes[0].paths[0]: `/api` is text; it has to be a mapping with `prefix`",
        ],
    ),
    (
        "  routes: [{paths: [{prefix: api}]}]",
        &["apps.yaml:5: document 1 (n/a): spec.routes[0].paths[0].prefix: `api` does not begin with `/`"],
    ),
    (
        "  routes: [{paths: [{prefix: /a?b}]}]",
        &[
            "apps.yaml:5: document 1 (n/a): spec.routes[0].paths[0].prefix: `/a?b` has a query or fragment; only the path is matched",
        ],
    ),
    (
        "  routes: [{paths: [{prefix: /a//b}]}]",
        &[
            "apps.yaml:5: document 1 (n/a): spec.routes[0].paths[0].prefix: `/a//b` has an empty, `.` or `..` segment, which no request comes with",
        ],
    ),
    (
        "  routes: [{paths: [{prefix: '/a b'}]}]",
        &[
            "apps.yaml:5: document 1 (n/a): spec.routes[0].paths[0].prefix: `/a b` has characters that a path cannot have; write them percent-encoded",
        ],
    ),
    (
        "  routes: [{paths: [{exact: /a}]}]",
        &[
            "apps.yaml:5: document 1 (n/a): spec.routes[0].paths[0].exact: unknown field; known here: `prefix`",
            "apps.yaml:5: document 1 (n/a): spec.routes[0].paths[0].prefix: is missing; it has to be text, such as `/api`",
        ],
    ),
    (
        "  routes: [{headers: [{name: x-a, value: b}, {name: X-A, value: c}]}]",
        &["apps.yaml:5: document 1 (n/a): spec.routes[0].headers[1].name: `x-a` is there twice; give each header once"],
    ),
    (
        "  routes: [{headers: [{name: Upgrade, value: b}]}]",
        &[
            "apps.yaml:5: document 1 (n/a): spec.routes[0].headers[0].name: `upgrade` concerns one connection only; it cannot be matched",
        ],
    ),
    (
        "  routes: [{headers: [{name: Host, value: b}]}]",
        &[
            "apps.yaml:5: document 1 (n/a): spec.routes[0].headers[0].name: `host` is no header to match; write it into `hosts`",
        ],
    ),
    (
        "  routes: [{headers: [{name: 'x a', value: b}]}]",
        &[
            "apps.yaml:5: document 1 (n/a): spec.routes[0].headers[0].name: `x a` is no header name; it has letters, digits and `-` only, such as `x-tenant`",
        ],
    ),
    (
        "  routes: [{headers: [{name: x-a, value: ' b'}]}]",
        &[
            "apps.yaml:5: document 1 (n/a): spec.routes[0].headers[0].value: ` b` begins or ends with a space, which no header value does",
        ],
    ),
    (
        "  routes: [{headers: [{name: x-a, value: \"b\\n\"}]}]",
        &[
            "apps.yaml:5: document 1 (n/a): spec.routes[0].headers[0].value: `b\\n` begins or ends with a space, which no header value does",
        ],
    ),
    (
        "  routes: [{headers: [{name: x-a, value: 1}]}]",
        &[
            "apps.yaml:5: document 1 (n/a): spec.routes[0].headers[0].value: `1` is a number; it has to be text, so put it in quotes: \"1\"",
        ],
    ),
    (
        "  routes: [{headers: [{name: x-a}]}]",
        &[
            "apps.yaml:5: document 1 (n/a): spec.routes[0].headers[0].value: is missing; it has to be text, such as `blue`",
        ],
    ),
    (
        "  target: {}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target: does not say what runs the app; it has to have `process`, such as `{process: {command: [zerogate, echo]}}`",
        ],
    ),
    (
        "  target: {scaleTargetRef: {name: a}, service: {name: a}}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.scaleTargetRef: is for a cluster, where the gateway runs with `--kubernetes`; in a file write `process`",
        ],
    ),
    (
        "  target: {process: {command: [x]}, scaleTargetRef: {name: a}, service: {name: a}}",
        &["apps.yaml:6: document 1 (n/a): spec.target: has `process` and `scaleTargetRef`; give one of them only"],
    ),
    (
        "  target: {process: {command: [x]}, service: {name: a}}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.service: leads to pods, which a process has none of; it belongs to `scaleTargetRef`",
        ],
    ),
    (
        "  target: {process: {command: [x]}, earlyReadiness: false}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.earlyReadiness: has no effect on a process; it belongs to `scaleTargetRef`",
        ],
    ),
    (
        "  target: {process: {command: [x]}, earlyReadiness: 1}",
        &["apps.yaml:6: document 1 (n/a): spec.target.earlyReadiness: `1` is a number; it has to be `true` or `false`"],
    ),
    (
        "  target: {scaleTargetRef: {nam: a}, service: {port: 1, name: a}}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.scaleTargetRef.nam: unknown field; did you mean `name`?",
            "apps.yaml:6: document 1 (n/a): spec.target.scaleTargetRef.name: is missing; it has to be text, such as `hello`",
        ],
    ),
    (
        "  target: {command: [x]}",
        &["apps.yaml:6: document 1 (n/a): spec.target.command: unknown field; it belongs in `spec.target.process`"],
    ),
    (
        "  target: {process: {command: x -y}}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.process.command: `x -y` is text; it has to be a list, so put it in brackets: [x -y]",
        ],
    ),
    (
        "  target: {process: {command: []}}",
        &["apps.yaml:6: document 1 (n/a): spec.target.process.command: is empty; it has to have at least 1 item"],
    ),
    (
        "  target: {process: {command: [' ']}}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.process.command[0]: is empty; the first item is the program to run",
        ],
    ),
    (
        "  target: {process: {command: [x, 1]}}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.process.command[1]: `1` is a number; it has to be text, so put it in quotes: \"1\"",
        ],
    ),
    (
        "  target: {process: {command: [x, \"a\\0\"]}}",
        &["apps.yaml:6: document 1 (n/a): spec.target.process.command[1]: has a NUL character"],
    ),
    (
        "  target: {process: {command: [x], env: {A: 1}}}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.process.env.A: `1` is a number; it has to be text, so put it in quotes: \"1\"",
        ],
    ),
    (
        "  target: {process: {command: [x], env: {A: yes, B: true}}}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.process.env.B: `true` is a boolean; it has to be text, so put it in quotes: \"true\"",
        ],
    ),
    (
        "  target: {process: {command: [x], env: [A=b]}}",
        &["apps.yaml:6: document 1 (n/a): spec.target.process.env: is a list; it has to be a mapping of names to text"],
    ),
    (
        "  target: {process: {command: [x], env: {PORT: '80'}}}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.process.env.PORT: is set to the port to listen on; choose that with spec.target.process.port",
        ],
    ),
    (
        "  target: {process: {command: [x], env: {'A=': b}}}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.process.env.A=: `A=` is no name of a variable: it cannot be empty or have `=` or NUL",
        ],
    ),
    (
        "  target: {process: {command: [x], port: any}}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.process.port: `any` is text; it has to be `auto` or a whole number from 1 to 65535",
        ],
    ),
    (
        "  target: {process: {command: [x], port: 0}}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.process.port: `0` is out of range; it has to be a whole number from 1 to 65535",
        ],
    ),
    (
        "  target: {process: {command: [x], port: 70000}}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.process.port: `70000` is out of range; it has to be a whole number from 1 to 65535",
        ],
    ),
    (
        "  target: {process: {command: [x], port: [80]}}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.process.port: is a list; it has to be `auto` or a whole number from 1 to 65535",
        ],
    ),
    (
        "  target: {process: {command: [x], port: 8000}}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.process.port: with the fixed port 8000 there can be one replica only, but spec.scaling.maxReplicas is 10; set that to 1, or write `port: auto`",
        ],
    ),
    (
        "  target: {process: {command: [x], stopSignal: SIGTREM}}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.process.stopSignal: `SIGTREM` is unknown; did you mean `SIGTERM`?",
        ],
    ),
    (
        "  target: {process: {command: [x], stopSignal: 15}}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.process.stopSignal: `15` is a number; it has to be `SIGTERM`, `SIGINT`, `SIGQUIT`, `SIGHUP`, `SIGUSR1`, `SIGUSR2`, `SIGKILL`, `TERM`, `INT`, `QUIT`, `HUP`, `USR1`, `USR2` or `KILL`",
        ],
    ),
    (
        "  target: {process: {command: [x], stopGrace: 11m}}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.process.stopGrace: `11m` is out of range; it has to be a duration from 0s to 10m",
        ],
    ),
    (
        "  target: {process: {command: [x], stopGrace: 10}}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.process.stopGrace: `10` has no unit; it has to be a duration from 0s to 10m, such as `10s`",
        ],
    ),
    (
        "  target: {process: {command: [x]}, startTimeout: 0}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.startTimeout: `0s` is out of range; it has to be a duration from 1s to 1h",
        ],
    ),
    (
        "  target: {process: {command: [x]}, protocol: http2}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.protocol: `http2` is unknown; did you mean `http1`? It has to be `http1`, `h2c` or `https`",
        ],
    ),
    (
        "  target: {process: {command: [x]}, protocol: grpc}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.protocol: `grpc` is unknown; it has to be `http1`, `h2c` or `https`",
        ],
    ),
    (
        "  target: {process: {command: [x]}, tls: {ca: ca.crt}}",
        &["apps.yaml:6: document 1 (n/a): spec.target.tls: has no effect unless `protocol` is `https`; write that too"],
    ),
    (
        "  target: {process: {command: [x]}, protocol: https, readiness: {grpc: {}}}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.readiness.grpc: is asked without TLS, which an app with the protocol `https` does not speak; write `httpGet` or `tcpSocket`",
        ],
    ),
    (
        "  target: {process: {command: [x]}, protocol: https, tls: {serverName: 'a b', caSecret: {name: x}, caConfigMap: {name: x}}}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.tls.caSecret: is a Secret of a cluster; on one machine write `ca`, a file",
            "apps.yaml:6: document 1 (n/a): spec.target.tls.caConfigMap: is a ConfigMap of a cluster; on one machine write `ca`, a file",
            "apps.yaml:6: document 1 (n/a): spec.target.tls.serverName: `a b` is neither a host name nor an address, such as `hello.internal`",
        ],
    ),
    (
        "  target: {process: {command: [x]}, readiness: {httpGet: {path: healthz}}}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.readiness.httpGet.path: `healthz` is no path; it begins with `/`, such as `/healthz`",
        ],
    ),
    (
        "  target: {process: {command: [x]}, readiness: {httpGet: {}, grpc: {}}}",
        &["apps.yaml:6: document 1 (n/a): spec.target.readiness: has `httpGet` and `grpc`; give one of them only"],
    ),
    (
        "  target: {process: {command: [x]}, readiness: {exec: {}}}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.readiness.exec: unknown field; known here: `grpc`, `httpGet`, `tcpSocket`",
        ],
    ),
    (
        "  target: {process: {command: [x]}, readiness: {tcpSocket: }}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.readiness.tcpSocket: is empty; it has to be an empty mapping, `{}`",
        ],
    ),
    (
        "  target: {process: {command: [x]}, readiness: {tcpSocket: {port: 1}}}",
        &["apps.yaml:6: document 1 (n/a): spec.target.readiness.tcpSocket.port: unknown field; there is no field here"],
    ),
    (
        "  target: {process: {command: [x]}, readiness: tcpSocket}",
        &[
            "apps.yaml:6: document 1 (n/a): spec.target.readiness: `tcpSocket` is text; it has to be a mapping with `grpc`, `httpGet` or `tcpSocket`",
        ],
    ),
    (
        "  scaling: {by: keda}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.scaling.by: `keda` needs a Kubernetes target; processes are scaled by `zerogate`",
        ],
    ),
    (
        "  scaling: {by: hpa}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.scaling.by: `hpa` needs a Kubernetes target; processes are scaled by `zerogate`",
        ],
    ),
    (
        "  scaling: {by: knative}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.scaling.by: `knative` is unknown; it has to be `zerogate`, `keda` or `hpa`",
        ],
    ),
    (
        "  scaling: {targget: 5}",
        &["apps.yaml:7: document 1 (n/a): spec.scaling.targget: unknown field; did you mean `target`?"],
    ),
    (
        "  scaling: {minreplicas: 5}",
        &["apps.yaml:7: document 1 (n/a): spec.scaling.minreplicas: unknown field; did you mean `minReplicas`?"],
    ),
    (
        "  scaling: {colour: red}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.scaling.colour: unknown field; known here: `activationReplicas`, `by`, `concurrencyLimit`, `idleTimeout`, `maxReplicas`, `metric`, `minReplicas`, `panicThreshold`, `panicWindow`, `scaleDownDelay`, `stableWindow`, `target`, `utilization`",
        ],
    ),
    (
        "  scaling: {maxReplicas: ten}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.scaling.maxReplicas: `ten` is text; it has to be a whole number from 1 to 1000, such as `10`",
        ],
    ),
    (
        "  scaling: {maxReplicas: 1.5}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.scaling.maxReplicas: `1.5` is a number; it has to be a whole number from 1 to 1000, such as `10`",
        ],
    ),
    (
        "  scaling: {maxReplicas: 0}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.scaling.maxReplicas: `0` is out of range; it has to be a whole number from 1 to 1000",
        ],
    ),
    (
        "  scaling: {maxReplicas: 1001}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.scaling.maxReplicas: `1001` is out of range; it has to be a whole number from 1 to 1000",
        ],
    ),
    (
        "  scaling: {maxReplicas: -1}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.scaling.maxReplicas: `-1` is out of range; it has to be a whole number from 1 to 1000",
        ],
    ),
    (
        "  scaling: {minReplicas: 5, maxReplicas: 2}",
        &["apps.yaml:7: document 1 (n/a): spec.scaling.minReplicas: `5` is more than maxReplicas, which is 2"],
    ),
    (
        "  scaling: {activationReplicas: 11}",
        &["apps.yaml:7: document 1 (n/a): spec.scaling.activationReplicas: `11` is more than maxReplicas, which is 10"],
    ),
    (
        "  scaling: {metric: concurency}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.scaling.metric: `concurency` is unknown; did you mean `concurrency`? It has to be `concurrency` or `requestRate`",
        ],
    ),
    (
        "  scaling: {target: 0}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.scaling.target: `0` is out of range; it has to be a number from 0.01 to 1000000",
        ],
    ),
    (
        "  scaling: {target: .nan}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.scaling.target: `NaN` is out of range; it has to be a number from 0.01 to 1000000",
        ],
    ),
    (
        "  scaling: {target: many}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.scaling.target: `many` is text; it has to be a number from 0.01 to 1000000, such as `100`",
        ],
    ),
    (
        "  scaling: {utilization: 0}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.scaling.utilization: `0` is out of range; it has to be a whole number from 1 to 100",
        ],
    ),
    (
        "  scaling: {panicThreshold: 100}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.scaling.panicThreshold: `100` is out of range; it has to be a whole number from 110 to 1000",
        ],
    ),
    (
        "  scaling: {stableWindow: 60}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.scaling.stableWindow: `60` has no unit; it has to be a duration of whole seconds from 1s to 1h, such as `1m`",
        ],
    ),
    (
        "  scaling: {stableWindow: 1 minute}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.scaling.stableWindow: `1 minute` has the unknown unit ` minute`: use ms, s, m or h; it has to be a duration of whole seconds from 1s to 1h, such as `1m`",
        ],
    ),
    (
        "  scaling: {stableWindow: 1d}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.scaling.stableWindow: `1d` has the unknown unit `d`: use ms, s, m or h; it has to be a duration of whole seconds from 1s to 1h, such as `1m`",
        ],
    ),
    (
        "  scaling: {stableWindow: 1.5s}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.scaling.stableWindow: `1.5s` is not whole seconds; it has to be a duration of whole seconds from 1s to 1h",
        ],
    ),
    (
        "  scaling: {stableWindow: 5s}",
        &["apps.yaml:7: document 1 (n/a): spec.scaling.panicWindow: `6s` is longer than stableWindow, which is 5s"],
    ),
    (
        "  scaling: {stableWindow: 2h}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.scaling.stableWindow: `2h` is out of range; it has to be a duration of whole seconds from 1s to 1h",
        ],
    ),
    (
        "  scaling: {panicWindow: -6s}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.scaling.panicWindow: `-6s` is negative; it has to be a duration of whole seconds from 1s to 1h, such as `6s`",
        ],
    ),
    (
        "  scaling: {idleTimeout: true}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.scaling.idleTimeout: `true` is a boolean; it has to be a duration from 1s to 24h, such as `1m`",
        ],
    ),
    (
        "  scaling: {idleTimeout: 0s}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.scaling.idleTimeout: `0s` is out of range; it has to be a duration from 1s to 24h",
        ],
    ),
    (
        "  scaling: {target: 5, target: 6}",
        &["apps.yaml:7: document 1 (n/a): spec.scaling.target: is given twice; first in line 7"],
    ),
    ("  scaling:", &["apps.yaml:7: document 1 (n/a): spec.scaling: is empty; it has to be a mapping, or be left out"]),
    (
        "  hold: {maxRequests: 10k}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.hold.maxRequests: `10k` is text; it has to be a whole number from 0 to 1000000, such as `1000`",
        ],
    ),
    (
        "  hold: {timeout: 50ms}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.hold.timeout: `50ms` is out of range; it has to be a duration from 100ms to 1h",
        ],
    ),
    (
        "  timeouts: {connect: 0}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.timeouts.connect: `0s` is out of range; it has to be a duration from 1ms to 1m",
        ],
    ),
    (
        "  timeouts: {request: 1w}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.timeouts.request: `1w` has the unknown unit `w`: use ms, s, m or h; it has to be a duration from 0s to 24h, such as `0s`",
        ],
    ),
    (
        "  limits: {burst: 5}",
        &["apps.yaml:7: document 1 (n/a): spec.limits.burst: has no effect without a rate; set requestsPerSecond too"],
    ),
    (
        "  limits: {requestsPerSecond: 0.0001}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.limits.requestsPerSecond: `0.0001` is out of range; it has to be 0 for no limit, or 0.001 at least",
        ],
    ),
    (
        "  limits: {requestsPerSecond: -1}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.limits.requestsPerSecond: `-1` is out of range; it has to be a number from 0 to 1000000000",
        ],
    ),
    (
        "  limits: {perClient: {by: header, header: x-a}}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.limits.perClient.by: has no effect without a rate; set requestsPerSecond too",
        ],
    ),
    (
        "  hold: {maxRequests: 0}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.hold.maxRequests: `0` lets no request wait, so that none could wake the app; write 1 at least, or set scaling.minReplicas to 1",
        ],
    ),
    (
        "  limits: {perClient: {by: header}}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.limits.perClient.by: `header` needs the header's name too; write `header: x-api-key`, for example",
        ],
    ),
    (
        "  limits: {perClient: {by: header, headers: x-a}}",
        &["apps.yaml:7: document 1 (n/a): spec.limits.perClient.headers: unknown field; did you mean `header`?"],
    ),
    (
        "  limits: {perClient: {requestsPerSecond: 1, header: x-a}}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.limits.perClient.header: has no effect unless `by` is `header`; write `by: header` too",
        ],
    ),
    (
        "  limits: {perClient: {by: {header: x-a}}}",
        &["apps.yaml:7: document 1 (n/a): spec.limits.perClient.by: is a mapping; it has to be `ip` or `header`"],
    ),
    (
        "  limits: {perClient: {by: [ip]}}",
        &["apps.yaml:7: document 1 (n/a): spec.limits.perClient.by: is a list; it has to be `ip` or `header`"],
    ),
    (
        "  limits: {perClient: {requestsPerSecond: 1, by: header, header: 'a b'}}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.limits.perClient.header: `a b` is no header name; it has letters, digits and `-` only, such as `x-tenant`",
        ],
    ),
    (
        "  limits: {perClient: {burst: 1}}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.limits.perClient.burst: has no effect without a rate; set requestsPerSecond too",
        ],
    ),
    (
        "  tls: {certificate: a.crt}",
        &["apps.yaml:7: document 1 (n/a): spec.tls.certificate: needs its key too; write `key: tls.key`, for example"],
    ),
    (
        "  tls: {key: a.key}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.tls.key: needs its certificate too; write `certificate: tls.crt`, for example",
        ],
    ),
    (
        "  tls: {secretName: hello-tls}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.tls.secretName: is a Secret of a cluster; on one machine write `certificate` and `key`",
        ],
    ),
    (
        "  tls: {hsts: 1.5s}",
        &[
            "apps.yaml:7: document 1 (n/a): spec.tls.hsts: `1.5s` is not whole seconds; it has to be a duration of whole seconds from 0s to 17520h",
        ],
    ),
];
