//! gRPC's health check (`grpc.health.v1`): serving when `/readyz` says ready.

use std::pin::pin;
use std::sync::Arc;

use futures_util::stream;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::SERVICE;
use crate::shutdown::Drain;

/// The health of this gateway.
#[derive(Clone)]
pub struct Healthy(pub Arc<Drain>);

// === impl Healthy ===

#[tonic::async_trait]
impl Health for Healthy {
    type WatchStream = BoxStream<HealthCheckResponse>;

    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let service = &request.get_ref().service;
        if !is_known(service) {
            return Err(Status::not_found(format!("there is no such service here; there is {SERVICE}")));
        }
        Ok(Response::new(self.now(service)))
    }

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let service = request.into_inner().service;
        let healthy = self.clone();
        let messages = stream::unfold(None, move |said| {
            let (healthy, service) = (healthy.clone(), service.clone());
            async move {
                let message = healthy.after(said, &service).await?;
                Some((Ok(message), Some(message)))
            }
        });
        Ok(Response::new(Box::pin(messages)))
    }
}

impl Healthy {
    fn now(&self, service: &str) -> HealthCheckResponse {
        let status = match self.0.is_ready() {
            _ if !is_known(service) => ServingStatus::ServiceUnknown,
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        };
        HealthCheckResponse { status: status.into() }
    }

    /// What is the case, once it is something else than what was said; `None` when the gateway stops.
    async fn after(&self, said: Option<HealthCheckResponse>, service: &str) -> Option<HealthCheckResponse> {
        loop {
            let mut changed = pin!(self.0.changes().notified());
            changed.as_mut().enable();
            let now = self.now(service);
            if said != Some(now) {
                return Some(now);
            }
            if self.0.has_begun() {
                return None;
            }
            changed.await;
        }
    }
}

/// The empty name is the whole server.
fn is_known(service: &str) -> bool {
    service.is_empty() || service == SERVICE
}
