//! Holds, admits, counts, decides and scales: everything Zerogate does that needs no HTTP proxy.
//!
//! ```text
//! enter ─ admit ──► permit{endpoint} ───────────────► drop: slot freed, count down
//!           │ no free slot                                │
//!           └─ held (bounded, FIFO, deadline) ◄─ endpoints ┘
//!                 │ exact in-flight
//!                 └─► decision ─► platform.scale ─► endpoints
//! ```
//!
//! The pure parts ([`admission`], [`demand`], [`activity`], [`autoscaler`]) know no platform, platforms know no proxy,
//! and nothing that decides reads a clock: time is an argument.

pub mod activity;
pub mod admission;
pub mod app;
pub mod autoscaler;
pub mod clock;
pub mod demand;
pub mod failure;
pub mod fleet;
pub mod hold;
#[cfg(test)]
mod model;
pub mod platform;
pub mod registry;
pub mod resource;
pub mod scaler;
pub mod settings;
#[cfg(test)]
mod sim;
mod sync;
#[cfg(test)]
mod testing;
pub mod wake;

pub use admission::Endpoint;
pub use app::{App, Permit, Ticket};
pub use clock::{Clock, Timestamp};
pub use hold::{HoldBudget, Refusal};
pub use settings::{AppId, AppSettings};
