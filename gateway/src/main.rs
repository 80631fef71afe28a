//! The program `zerogate`: an edge proxy that lets apps sleep at zero replicas.

mod config;

fn main() {}
