//! Local processes.

mod backoff;
mod output;
mod ports;
