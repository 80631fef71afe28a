//! Where `HTTPApp`s come from, and what is told of them.

#[allow(dead_code)] // The cluster as a source is to come.
pub mod status;
