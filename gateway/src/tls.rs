//! TLS with clients: certificates, which one a client gets, and handshakes.
//!
//! ```text
//! files, folder ─┐
//! Secrets ───────┴─► store (the last good one of each) ─► choice (by SNI) ─► handshake
//! ```

pub mod certificate;
mod choice;
pub mod files;
mod folder;
pub mod handshake;
pub mod store;

pub use handshake::Handshakes;
pub use store::Certificates;
