//! The five calls.

use std::sync::Arc;
use std::time::Duration;

use activator::activity::hold_on;
use activator::settings::Metric;
use activator::{App, AppId, Clock};
use tonic::codegen::BoxStream;
use tonic::{Code, Request, Response, Status};

use super::apps::{Apps, NoApp};
use super::bounds::{BoundEach, OpenFor};
use super::counts::Counts;
use super::protocol::external_scaler_server::ExternalScaler;
use super::protocol::{
    GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse, MetricSpec, MetricValue,
    ScaledObjectRef,
};
use super::streams;
use super::trigger::{Trigger, label};
use crate::shutdown::Drain;

/// Most streams of one app: a trigger has two, which overlap for a moment when its ScaledObject changes.
const STREAMS_EACH: usize = 32;

/// Answers from memory.
#[derive(Clone)]
pub struct Scaler(pub(super) Arc<Inner>);

/// What it answers from.
pub struct Inner {
    pub(super) apps: Apps,
    pub(super) counts: Arc<dyn Counts>,
    pub(super) clock: Clock,
    pub(super) drain: Arc<Drain>,
    streams: Arc<BoundEach>,
}

/// What a trigger is about.
pub(super) struct Asked {
    pub(super) app: Arc<App>,
    metric: Metric,
    target: f64,
    polling_interval: Duration,
}

// === impl Scaler ===

impl Scaler {
    /// Of these apps.
    pub fn new(apps: Apps, counts: Arc<dyn Counts>, clock: Clock, drain: Arc<Drain>) -> Self {
        Self(Arc::new(Inner { apps, counts, clock, drain, streams: BoundEach::new(STREAMS_EACH) }))
    }
}

#[tonic::async_trait]
impl ExternalScaler for Scaler {
    type StreamIsActiveStream = BoxStream<IsActiveResponse>;
    type StreamMetricSpecStream = BoxStream<GetMetricSpecResponse>;

    async fn is_active(&self, request: Request<ScaledObjectRef>) -> Result<Response<IsActiveResponse>, Status> {
        let answer = self.0.is_active(request.get_ref()).map(|result| IsActiveResponse { result });
        told("IsActive", answer)
    }

    async fn stream_is_active(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamIsActiveStream>, Status> {
        let object = request.into_inner();
        let stream = self.0.open(&object).map(|(asked, open)| streams::activity(self.clone(), object, asked, open));
        told("StreamIsActive", stream)
    }

    async fn get_metric_spec(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<GetMetricSpecResponse>, Status> {
        told("GetMetricSpec", self.0.asked(request.get_ref()).map(|asked| asked.spec()))
    }

    async fn get_metrics(&self, request: Request<GetMetricsRequest>) -> Result<Response<GetMetricsResponse>, Status> {
        told("GetMetrics", self.0.metrics(request.get_ref()))
    }

    async fn stream_metric_spec(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamMetricSpecStream>, Status> {
        let object = request.into_inner();
        let stream = self.0.open(&object).map(|(asked, open)| streams::specs(self.clone(), object, asked, open));
        told("StreamMetricSpec", stream)
    }
}

/// Counts the answer.
fn told<T>(rpc: &'static str, answer: Result<T, Status>) -> Result<Response<T>, Status> {
    let code = match &answer {
        Ok(_) => "OK",
        Err(status) => match status.code() {
            Code::Unavailable => "UNAVAILABLE",
            Code::NotFound => "NOT_FOUND",
            Code::InvalidArgument => "INVALID_ARGUMENT",
            Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
            _ => "OTHER",
        },
    };
    metrics::counter!("zerogate_scaler_calls_total", "rpc" => rpc, "code" => code).increment(1);
    answer.map(Response::new)
}

// === impl Inner ===

impl Inner {
    /// What `object` asks about.
    pub(super) fn asked(&self, object: &ScaledObjectRef) -> Result<Asked, Status> {
        if !self.drain.is_serving() {
            return Err(Status::unavailable(match self.drain.has_begun() {
                true => "the gateway stops; ask another one, or again when there is one",
                false => "the gateway has just started and does not know all apps yet; ask again in a moment",
            }));
        }
        let trigger = Trigger::read(&object.scaler_metadata, &object.namespace)
            .map_err(|mistake| Status::invalid_argument(mistake.to_string()))?;
        let app = match &trigger.app {
            Some(id) => self.apps.get(id),
            None if object.name.is_empty() => {
                return Err(Status::invalid_argument(
                    "neither `app` in the trigger's metadata nor the name of a ScaledObject says which app this is about",
                ));
            }
            None => self.apps.of_object(&AppId::new(object.namespace.as_str(), object.name.as_str())),
        };
        let app = app.map_err(|none| match none {
            NoApp::Unknown { .. } => Status::not_found(none.to_string()),
            NoApp::Several { .. } => Status::invalid_argument(none.to_string()),
        })?;
        let scaling = &app.settings().scaling;
        let metric = trigger.metric.unwrap_or(scaling.metric);
        let own_target = match metric {
            _ if metric == scaling.metric => Some(scaling.steering_target()),
            Metric::Concurrency => scaling.steering_concurrency(),
            Metric::RequestRate => None,
        };
        let target = trigger.target.or(own_target).ok_or_else(|| {
            Status::invalid_argument(format!(
                "the trigger's metadata `target`: is missing, and the app's own target is not for `{}`",
                label(metric)
            ))
        })?;
        Ok(Asked { app, metric, target, polling_interval: trigger.polling_interval })
    }

    fn is_active(&self, object: &ScaledObjectRef) -> Result<bool, Status> {
        let asked = self.asked(object)?;
        let demand = self.counts.demand(&asked.app, self.clock.now()).ok_or_else(sum_not_known)?;
        demand.is_active(asked.hold_on(), asked.app.found_replicas()).ok_or_else(|| replicas_not_known(&asked.app))
    }

    fn metrics(&self, request: &GetMetricsRequest) -> Result<GetMetricsResponse, Status> {
        let object = request.scaled_object_ref.as_ref();
        let object = object.ok_or_else(|| Status::invalid_argument("scaledObjectRef is missing"))?;
        let asked = self.asked(object)?;
        let metric_name = asked.metric_name();
        // By hand one may well leave it out.
        if !request.metric_name.is_empty() && request.metric_name != metric_name {
            return Err(Status::invalid_argument(format!(
                "metricName is another one than GetMetricSpec tells: `{metric_name}`"
            )));
        }
        let demand = self.counts.demand(&asked.app, self.clock.now()).ok_or_else(sum_not_known)?;
        let value = demand
            .value(asked.metric, asked.target, asked.app.found_replicas())
            .ok_or_else(|| replicas_not_known(&asked.app))?;
        let value = MetricValue { metric_name, metric_value: whole(value), metric_value_float: value };
        Ok(GetMetricsResponse { metric_values: vec![value] })
    }

    /// What a stream is about, if one more may be open for it.
    fn open(&self, object: &ScaledObjectRef) -> Result<(Asked, OpenFor), Status> {
        let asked = self.asked(object)?;
        let open = self.streams.open(asked.app.id()).ok_or_else(|| {
            let (most, app) = (self.streams.most(), asked.app.id());
            Status::resource_exhausted(format!("{most} streams are open for `{app}`, which is the most there may be"))
        })?;
        Ok((asked, open))
    }
}

fn sum_not_known() -> Status {
    Status::unavailable("it is not known what other gateways count; ask again in a moment")
}

fn replicas_not_known(app: &App) -> Status {
    Status::unavailable(format!(
        "it is not known yet how many replicas the target of `{}` has, nor what was asked of it before this gateway started; \
         ask again in a moment",
        app.id()
    ))
}

/// Rounded up, for those who know whole numbers only.
fn whole(value: f64) -> i64 {
    // Saturates.
    value.ceil() as i64
}

// === impl Asked ===

impl Asked {
    /// The metric and its target, as they are to be told.
    pub(super) fn spec(&self) -> GetMetricSpecResponse {
        let spec = MetricSpec {
            metric_name: self.metric_name(),
            target_size: whole(self.target).max(1),
            target_size_float: self.target,
        };
        GetMetricSpecResponse { metric_specs: vec![spec] }
    }

    /// How long the app counts as active after its last request.
    pub(super) fn hold_on(&self) -> Duration {
        hold_on(self.app.settings().scaling.idle_timeout, self.polling_interval)
    }

    /// A part of a URL: of lower case letters, digits, `-` and `.`, as the app's name is.
    fn metric_name(&self) -> String {
        let metric = match self.metric {
            Metric::Concurrency => "concurrency",
            Metric::RequestRate => "request-rate",
        };
        format!("zerogate-{metric}-{}", self.app.id().name)
    }
}

#[cfg(test)]
mod tests;
