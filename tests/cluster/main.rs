//! Against a real Kubernetes: `tests/cluster/run`, or `tests/cluster/suite` against the cluster that `tests/cluster/up` has
//! made. Each test has a namespace of its own, so they run side by side; it goes with the test unless the test fails.

#[allow(dead_code, reason = "shared with the tests on one machine")]
#[path = "../one_machine/authority.rs"]
mod authority;
#[allow(dead_code, reason = "shared with the tests on one machine")]
#[path = "../one_machine/client.rs"]
mod client;
#[allow(dead_code, reason = "shared with the tests on one machine")]
#[path = "../one_machine/ports.rs"]
mod ports;
#[allow(dead_code, reason = "shared with the tests on one machine")]
#[path = "../one_machine/wait.rs"]
mod wait;

#[allow(dead_code, reason = "more than the tests so far use")]
mod api_server;
#[allow(dead_code, reason = "more than the tests so far use")]
mod app;
mod asked;
#[allow(dead_code, reason = "more than the tests so far use")]
mod cluster;
#[allow(dead_code, reason = "more than the tests so far use")]
mod gateway;
mod installed;
mod kubeconfig;
#[allow(dead_code, reason = "more than the tests so far use")]
mod load;
#[allow(dead_code, reason = "more than the tests so far use")]
mod namespace;
mod proxy;

mod cut;
mod documents;
mod early;
mod endpoints;
mod expired;
mod failing;
mod fleet;
mod keda;
mod manifests;
mod older;
mod outage;
mod overload;
mod pods;
mod races;
mod replacing;
mod resource;
mod restarting;
mod rights;
mod services;
mod sharing;
mod sleeping;
mod status;
mod three;
mod vanishing;
mod waking;
mod writers;
