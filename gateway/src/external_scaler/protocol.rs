//! The protocol as Rust, made from `proto/externalscaler.proto`.
#![allow(missing_docs, clippy::all, clippy::disallowed_methods)]

include!(concat!(env!("OUT_DIR"), "/served/externalscaler.rs"));

/// The same for reflection: an encoded `FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/externalscaler.bin"));
