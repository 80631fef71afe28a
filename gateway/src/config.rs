//! From `HTTPApp` documents to validated settings.
//!
//! ```text
//! files ─ yaml ─► tree ─ conform (the schema of resource) ─► HttpApp ─ convert ─► settings ─ clash ─► Declared
//! ```
//! Each step reports all it finds, with file, line, document and field; only a document without problems goes on.

mod check;
mod clash;
mod conform;
mod convert;
pub mod human;
mod load;
mod problem;
pub mod reference;
mod resource;
mod schema;
pub mod settings;
mod watch;
mod yaml;

pub use check::check;
pub use load::load;
pub use problem::Problems;
pub use schema::json_schema;
pub use watch::{Fingerprint, watch};
