//! The protocol as Rust, made from `proto/fleet.proto`.
#![allow(missing_docs, clippy::all, clippy::disallowed_methods)]

tonic::include_proto!("zerogate.fleet.v1");
