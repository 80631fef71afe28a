//! From `HTTPApp` documents to validated settings.

pub mod settings;
