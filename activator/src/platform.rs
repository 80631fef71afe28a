//! What can scale a target and tell where it runs.

pub mod contract;
pub mod kubernetes;
pub mod process;
pub mod readiness;

use std::sync::Arc;

use async_trait::async_trait;

use crate::app::App;
pub use crate::failure::{FailureCause, StartFailure};

/// Scales targets and reports to their [`App`] what becomes of it.
///
/// Reports are made by calling the app: [`App::set_starting`], [`App::endpoint_ready`], [`App::endpoint_gone`],
/// [`App::start_failed`]. A platform takes an endpoint out of rotation, waits until it is empty, and only then stops what
/// serves it.
#[async_trait]
pub trait Platform: Send + Sync + 'static {
    /// Makes `replicas` of the app run, from now on until told otherwise. Returns as soon as the order is accepted; asking
    /// for what is already the case changes nothing. Also called when the app's settings have changed.
    ///
    /// # Errors
    /// The order cannot be carried out at all.
    async fn scale(&self, app: &Arc<App>, replicas: u32) -> Result<(), StartFailure>;

    /// Stops everything it runs and returns once nothing is left.
    async fn stop(&self);
}
