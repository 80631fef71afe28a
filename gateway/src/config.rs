//! From `HTTPApp` documents to validated settings.

mod conform;
pub mod human;
pub mod problem;
pub mod resource;
pub mod schema;
pub mod settings;
pub mod yaml;
