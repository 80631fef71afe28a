//! KEDA's external scaler protocol: how KEDA asks how much an app has to do, and is told when it wakes.
//!
//! ```text
//! connection (TLS) ─ HTTP/2 ─ bounds ─► the five calls ─ trigger ─ which app ─► activator's demand, over all gateways
//!                                     └► health, reflection
//! ```
//!
//! Everything is answered from memory; what is not known is said (UNAVAILABLE), and never 0 or false.

mod apps;
pub mod bounds;
mod codec;
mod counts;
mod health;
mod protocol;
pub mod scaled_object;
mod server;
mod service;
mod streams;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod tls;
mod trigger;

pub use apps::Apps;
pub use counts::Everywhere;
pub use server::ScalerServer;
pub use service::Scaler;

/// The service's full name.
const SERVICE: &str =
    <protocol::external_scaler_server::ExternalScalerServer<Scaler> as tonic::server::NamedService>::NAME;
