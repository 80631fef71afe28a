//! Runs apps in a Kubernetes cluster.

pub mod client;
pub mod logs;
pub mod orders;
pub mod watch;
