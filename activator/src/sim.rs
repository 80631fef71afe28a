//! The gateway against a cluster that is made up: the real [`App`](crate::app::App), scaler, decision, registry and Kubernetes
//! platform, watches and orders included, over a client that ends in a simulated API server. Time is paused, everything that
//! happens by chance is drawn from one seed, and what is promised is checked whenever something happens.
//!
//! ```text
//! director ─► requests ─► App ◄─► scaler ─► KubernetesPlatform ─► kube::Client ─► api ─► cluster ─► controller, kubelet
//!                │ permit                        ▲                                 │        │
//!                └─► pod: there? accepting?      └──────── lists, watches ◄────────┴── log ◄┘
//! ```
//!
//! [`world::run`] plays one seed; the sweeps are in `tests`.

mod api;
mod cluster;
mod director;
mod fleet;
mod gateway;
mod log;
mod objects;
mod pods;
mod promises;
mod traffic;
mod weather;
mod world;

#[cfg(test)]
mod tests;
