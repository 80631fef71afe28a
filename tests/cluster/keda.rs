//! With the real KEDA, as `tests/cluster/install-keda` brings it: its operator and its metrics adapter, on the node. There is no
//! DNS in the cluster, so it reaches the gateways of these tests by their addresses.
//!
//! An app counts as active for KEDA for 20 s and one poll after its last request, and KEDA counts its cooldown from there. What
//! these tests wait for is mostly that; so each has many apps, and all of them run side by side.

mod alone;
pub mod course;
mod scaled_object;

mod annotations;
mod cases;
pub mod cycle;
mod figures;
mod fleet;
mod installed;
mod numbers;
mod races;
mod restarts;
mod tls;
mod triggers;
