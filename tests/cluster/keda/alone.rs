//! KEDA without a gateway, to compare with: a scaler that says what the test tells it.

use std::net::SocketAddr;

use futures_util::{StreamExt, stream};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::codegen::{BoxStream, Service};
use tonic::{Request, Response, Status};

/// The protocol, as the gateway has it.
#[allow(missing_docs, clippy::all)]
mod protocol {
    tonic::include_proto!("externalscaler");
}

use protocol::external_scaler_server::{ExternalScaler, ExternalScalerServer};
use protocol::{
    GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse, MetricSpec, MetricValue,
    ScaledObjectRef,
};

/// Says one for whoever asks while it is active.
pub struct Alone {
    pub address: SocketAddr,
    active: watch::Sender<bool>,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Says(watch::Receiver<bool>);

// === impl Alone ===

impl Alone {
    /// Inactive.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (active, says) = watch::channel(false);
        let service = ExternalScalerServer::new(Says(says));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                let calls = service_fn(move |request| service.clone().call(request));
                let connection = http2::Builder::new(TokioExecutor::new());
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), calls));
            }
        });
        Self { address, active, task }
    }

    /// Is active from now on, and tells those who listen.
    pub fn activate(&self) {
        self.active.send_replace(true);
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// === impl Says ===

#[tonic::async_trait]
impl ExternalScaler for Says {
    type StreamIsActiveStream = BoxStream<IsActiveResponse>;
    type StreamMetricSpecStream = BoxStream<GetMetricSpecResponse>;

    async fn is_active(&self, _: Request<ScaledObjectRef>) -> Result<Response<IsActiveResponse>, Status> {
        Ok(Response::new(IsActiveResponse { result: *self.0.borrow() }))
    }

    async fn stream_is_active(
        &self,
        _: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamIsActiveStream>, Status> {
        let mut active = self.0.clone();
        let edge = async move {
            let is_told = active.wait_for(|active| *active).await.is_ok();
            Ok(IsActiveResponse { result: is_told })
        };
        Ok(Response::new(Box::pin(stream::once(edge).chain(stream::pending()))))
    }

    async fn get_metric_spec(&self, _: Request<ScaledObjectRef>) -> Result<Response<GetMetricSpecResponse>, Status> {
        let spec = MetricSpec { metric_name: "alone".to_owned(), target_size: 1, target_size_float: 1.0 };
        Ok(Response::new(GetMetricSpecResponse { metric_specs: vec![spec] }))
    }

    async fn get_metrics(&self, _: Request<GetMetricsRequest>) -> Result<Response<GetMetricsResponse>, Status> {
        let value = i64::from(*self.0.borrow());
        let value =
            MetricValue { metric_name: "alone".to_owned(), metric_value: value, metric_value_float: value as f64 };
        Ok(Response::new(GetMetricsResponse { metric_values: vec![value] }))
    }

    async fn stream_metric_spec(
        &self,
        _: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamMetricSpecStream>, Status> {
        Err(Status::unimplemented("there is one target for ever"))
    }
}
