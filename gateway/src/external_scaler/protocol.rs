//! The protocol as Rust, made from `proto/externalscaler.proto`.
#![allow(missing_docs, clippy::all, clippy::disallowed_methods)]

tonic::include_proto!("externalscaler");

/// The same for reflection: an encoded `FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/externalscaler.bin"));
