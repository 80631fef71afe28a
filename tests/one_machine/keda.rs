//! A client of the external scaler protocol, as KEDA is one.

use std::collections::BTreeMap;

use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};

use crate::gateway::Gateway;
use crate::wait::soon;

/// The protocol, as the gateway has it.
#[allow(missing_docs, clippy::all)]
pub mod protocol {
    tonic::include_proto!("externalscaler");
}

use protocol::external_scaler_client::ExternalScalerClient;
pub use protocol::{GetMetricSpecResponse, IsActiveResponse, MetricSpec, MetricValue, ScaledObjectRef};

/// One who asks, over a connection of its own.
#[derive(Clone)]
pub struct Keda {
    pub channel: Channel,
}

/// A ScaledObject of this name in `default` with this metadata.
pub fn object(name: &str, metadata: &[(&str, &str)]) -> ScaledObjectRef {
    let metadata = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    // As KEDA does, which sends all there is.
    let address = ("scalerAddress".to_owned(), "zerogate:9091".to_owned());
    let scaler_metadata: BTreeMap<_, _> = metadata.chain([address]).collect();
    ScaledObjectRef { name: name.to_owned(), namespace: "default".to_owned(), scaler_metadata }
}

/// The only message that comes, and the end after it is not there yet.
pub async fn next<T>(stream: &mut Streaming<T>) -> T {
    soon("a message", stream.message()).await.expect("no error").expect("not the end")
}

/// A stream's end.
pub async fn end<T>(stream: &mut Streaming<T>) -> Code {
    loop {
        match soon("the end of a stream", stream.message()).await {
            Ok(Some(_)) => {}
            Ok(None) => return Code::Ok,
            Err(status) => return status.code(),
        }
    }
}

impl Gateway {
    /// One who asks it, without TLS.
    pub async fn keda(&self) -> Keda {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.scaler)).unwrap();
        Keda { channel: soon("a connection", endpoint.connect()).await.unwrap() }
    }
}

// === impl Keda ===

impl Keda {
    fn client(&self) -> ExternalScalerClient<Channel> {
        ExternalScalerClient::new(self.channel.clone())
    }

    pub async fn is_active(&self, object: ScaledObjectRef) -> Result<bool, Status> {
        soon("IsActive", self.client().is_active(object)).await.map(|answer| answer.into_inner().result)
    }

    /// The only metric there is.
    pub async fn spec(&self, object: ScaledObjectRef) -> Result<MetricSpec, Status> {
        let mut specs = soon("GetMetricSpec", self.client().get_metric_spec(object)).await?.into_inner().metric_specs;
        assert_eq!(specs.len(), 1, "{specs:?}");
        Ok(specs.remove(0))
    }

    /// The only value there is.
    pub async fn value(&self, object: ScaledObjectRef, metric_name: &str) -> Result<MetricValue, Status> {
        let request =
            protocol::GetMetricsRequest { scaled_object_ref: Some(object), metric_name: metric_name.to_owned() };
        let mut values = soon("GetMetrics", self.client().get_metrics(request)).await?.into_inner().metric_values;
        assert_eq!(values.len(), 1, "{values:?}");
        Ok(values.remove(0))
    }

    pub async fn listen(&self, object: ScaledObjectRef) -> Result<Streaming<IsActiveResponse>, Status> {
        Ok(soon("StreamIsActive", self.client().stream_is_active(object)).await?.into_inner())
    }

    pub async fn specs(&self, object: ScaledObjectRef) -> Result<Streaming<GetMetricSpecResponse>, Status> {
        Ok(soon("StreamMetricSpec", self.client().stream_metric_spec(object)).await?.into_inner())
    }
}
