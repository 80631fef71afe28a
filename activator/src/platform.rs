//! What can scale a target and tell where it runs.

pub mod contract;
pub mod kubernetes;
pub mod process;
pub mod readiness;

pub use crate::failure::{FailureCause, StartFailure};
pub use contract::{
    Accepted, AppKey, Condition, NotAccepted, Observation, Observer, Order, Platform, Reached, SpecReplicas, Subject,
    WRITER,
};
