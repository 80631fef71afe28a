//! The program `zerogate`: an edge proxy that lets apps sleep at zero replicas.

mod config;
#[allow(dead_code)]
mod echo;

fn main() {}
