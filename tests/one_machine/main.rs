//! The built binary on one machine: real processes, real sockets. Each test starts a gateway of its own on ports of its
//! own, so they run side by side; each ends with every count at 0, exit code 0 and no process left.

mod admin;
mod authority;
mod client;
mod document;
mod gateway;
mod keda;
mod ports;
mod processes;
mod raw;
mod wait;

mod admin_api;
mod app_tls;
mod bad_apps;
mod bad_clients;
mod bad_config;
mod counting;
mod crowding;
mod deciding;
mod early_answers;
mod examples;
mod flooding;
mod forwarding;
mod holding;
mod limiting;
mod manifests;
mod odd_apps;
mod odd_clients;
mod picking;
mod reloading;
mod routing;
mod running;
mod scaler;
mod scaler_bounds;
mod scaler_streams;
mod scaler_tls;
mod sleeping;
mod stopping;
mod streaming;
mod taking_nothing;
mod tls;
mod tls_files;
mod websockets;
