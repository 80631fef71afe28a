//! TLS with clients: certificates, which one a client gets, and handshakes. And with apps: what they are known by.
//!
//! ```text
//! files, folder ─┐
//! Secrets ───────┴─► store (the last good one of each) ─► choice (by SNI) ─► handshake
//! ```

pub mod app;
pub mod authorities;
pub mod certificate;
mod choice;
pub mod files;
mod folder;
pub mod handshake;
pub mod store;

pub use authorities::Authorities;
pub use handshake::Handshakes;
pub use store::Certificates;
