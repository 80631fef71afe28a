# One line each; every target sees to what it needs.
.PHONY: quickstart test h2spec check bench bench-cluster cluster simulate cluster-test cluster-down

# The gateway with two apps at zero: 127.0.0.1:8080, admin on 127.0.0.1:9090.
quickstart: ; scripts/prerequisites && cargo run --release -- run examples/quickstart.yaml

# Every test of every crate.
test: ; scripts/prerequisites && cargo test --workspace

# The HTTP/2 conformance suite against both ports.
h2spec: ; tests/h2spec/run

# Everything that a change has to pass.
check: ; bash .ci/run

# A real Kubernetes of one node on this machine with the gateway installed; needs root. Run again, it takes a new build in.
cluster: ; tests/cluster/up

# The tests on such a cluster: brought up for them, and taken down.
cluster-test: ; tests/cluster/run

# Ends what `make cluster` has brought up.
cluster-down: ; tests/cluster/down

# The benchmarks beside HAProxy and nginx: a table, about 10 minutes after the build. `make bench ARGS=--quick` takes 3.
bench: ; scripts/prerequisites bench && loadtests/run $(ARGS)

# The figures on a real cluster: a table, about 25 minutes after the build; needs root. ARGS=--quick takes 2.
bench-cluster: ; scripts/prerequisites cluster && loadtests/run cluster $(ARGS)

# 100,000 sleep/wake races against a simulated cluster, about 20 minutes; `make test` plays 1,000. ZEROGATE_SIM_SEED=N plays one world, in words.
simulate: ; scripts/prerequisites && ZEROGATE_SIM_RACES=$${ZEROGATE_SIM_RACES:-100000} cargo test -p activator --lib sim::tests -- --nocapture
