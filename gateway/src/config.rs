//! From `HTTPApp` documents to validated settings.
//!
//! ```text
//! files ─ yaml ────► tree ─ conform (the schema of the resource) ─► Document ─ convert ─► settings ─ clash ─► Declared
//! cluster ─ object ─► tree ─ conform ─► Document ─ convert ─► settings ─ grant ─► which routes are whose
//! ```
//! Each step reports all it finds, with file, line, document and field; only a document without problems goes on. Of an object
//! of a cluster there are no lines to tell.

mod check;
mod clash;
mod conform;
mod convert;
pub mod crd;
mod document;
pub mod grant;
mod load;
pub mod object;
pub mod origin;
pub mod problem;
pub mod reference;
pub mod settings;
mod shape;
mod watch;
mod yaml;

pub use check::check;
pub use conform::nearest;
pub use load::{File, Loader, load};
pub use problem::Problems;
pub use watch::{DOCUMENTS, Fingerprint, Followed, Listing, watch};
