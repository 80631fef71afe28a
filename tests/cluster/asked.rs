//! What a gateway of a fleet tells KEDA, asked as KEDA asks.

use std::net::SocketAddr;

use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::gateway::Gateway;
use crate::namespace::Namespace;
use crate::wait::soon;

/// The protocol, as the gateway has it.
#[allow(missing_docs, clippy::all)]
mod protocol {
    tonic::include_proto!("externalscaler");
}

use protocol::external_scaler_client::ExternalScalerClient;
use protocol::{GetMetricsRequest, ScaledObjectRef};

/// What one gateway says of one app.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Says {
    /// Whether it is active, and how much it has to do.
    Known(bool, f64),
    /// That it does not know.
    Unavailable,
}

async fn client(gateway: &Gateway) -> ExternalScalerClient<Channel> {
    let address = SocketAddr::new(gateway.http.ip(), 9091);
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    ExternalScalerClient::new(soon("a connection", endpoint.connect()).await.unwrap())
}

/// What the gateway of a pod says of an app.
pub async fn asked(gateway: &Gateway, namespace: &Namespace, app: &str) -> Says {
    let mut client = client(gateway).await;
    let object = ScaledObjectRef { name: app.to_owned(), namespace: namespace.name.clone(), ..Default::default() };
    let request = GetMetricsRequest { scaled_object_ref: Some(object.clone()), metric_name: String::new() };
    let unless_unavailable = |status: Status| assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    let active = soon("IsActive", client.is_active(object)).await.map_err(unless_unavailable);
    let metrics = soon("GetMetrics", client.get_metrics(request)).await.map_err(unless_unavailable);
    let (Ok(active), Ok(metrics)) = (active, metrics) else { return Says::Unavailable };
    let values = metrics.into_inner().metric_values;
    assert_eq!(values.len(), 1, "{values:?}");
    Says::Known(active.into_inner().result, values[0].metric_value_float)
}
