//! KEDA's question, `GetMetrics`, with 10,000 apps and 100 calls in flight over one connection, as KEDA has one; and what it costs
//! that KEDA listens.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use h2::client::SendRequest;
use prost::Message;
use serde_json::json;
use tokio::net::TcpStream;
use tonic::client::Grpc;
use tonic::codegen::http;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Streaming};
use tonic_prost::ProstCodec;

use super::{Bench, HOST};
use crate::Result;
use crate::clock::Moment;
use crate::gateway::{Gateway, free_addr};
use crate::load::Target;
use crate::process::cpu_time;
use crate::report::Row;
use crate::stats::percentile;

const APPS: usize = 10_000;
const IN_FLIGHT: usize = 100;
const LISTENERS: usize = 5_000;

#[derive(Clone, PartialEq, prost::Message)]
struct ScaledObjectRef {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    namespace: String,
    #[prost(btree_map = "string, string", tag = "3")]
    metadata: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct IsActive {
    #[prost(bool, tag = "1")]
    result: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct GetMetrics {
    #[prost(message, optional, tag = "1")]
    object: Option<ScaledObjectRef>,
    #[prost(string, tag = "2")]
    metric: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Metrics {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Metric>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Metric {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(double, tag = "3")]
    value: f64,
}

pub async fn run(bench: &Bench) -> Result<Vec<Row>> {
    let document = include_str!("../../apps/many.yaml");
    let documents = bench.declare("keda", document, APPS, |_, document| document)?;
    let address = free_addr()?;
    let flags = ["--threads", "1", "--scaler", &address.to_string()];
    let gateway = Gateway::start(bench, "keda", &documents, &flags).await?;
    Target::get(gateway.http, HOST, "/hello").run(1, Duration::from_millis(100)).await?;

    let channel = Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
    let each = bench.choose(1_000, 100);
    let before = cpu_time(gateway.process.pid())?;
    // Not by tonic, whose client costs more than what is measured.
    let (client, connection) = h2::client::handshake(TcpStream::connect(address).await?).await?;
    let connection = tokio::spawn(connection);
    let lanes = try_join_all((0..IN_FLIGHT).map(|lane| ask(client.clone(), lane, each))).await?;
    connection.abort();
    let used = cpu_time(gateway.process.pid())?.saturating_sub(before);
    let empty = gateway.process.resident()?;
    let listeners = listen(&channel).await?;
    let each_listener = gateway.process.resident()?.saturating_sub(empty) as f64 / listeners.len() as f64 / 1024.0;
    drop(listeners);
    gateway.process.stop().await?;
    let mut took = lanes.concat();
    took.sort();
    let [median, most] = [50.0, 99.0].map(|percent| percentile(&took, percent).unwrap_or_default());
    let millis = |took: Duration| took.as_secs_f64() * 1e3;
    bench.save("keda", &json!({ "calls": took.len(), "p50": millis(median), "p99": millis(most), "cpu": used }))?;
    Ok(vec![
        Row::goal(
            format!("GetMetrics, 10,000 apps, {IN_FLIGHT} in flight"),
            format!(
                "p50 {:.2} ms, p99 {:.2} ms; {:.0} us of CPU time each",
                millis(median),
                millis(most),
                used.as_secs_f64() * 1e6 / took.len() as f64
            ),
            "p99 <= 5 ms",
            most <= Duration::from_millis(5),
        ),
        Row::note(format!("memory per StreamIsActive, {LISTENERS} apps"), format!("{each_listener:.1} KiB")),
    ])
}

/// One stream for each of [`LISTENERS`] apps.
async fn listen(channel: &Channel) -> Result<Vec<Streaming<IsActive>>> {
    let mut client = Grpc::new(channel.clone());
    let mut listeners = Vec::with_capacity(LISTENERS);
    for app in 0..LISTENERS {
        let path = PathAndQuery::from_static("/externalscaler.ExternalScaler/StreamIsActive");
        client.ready().await?;
        let codec: ProstCodec<_, IsActive> = ProstCodec::default();
        listeners.push(client.server_streaming(Request::new(object(app)), path, codec).await?.into_inner());
    }
    Ok(listeners)
}

/// A ScaledObject that names the app.
fn object(app: usize) -> ScaledObjectRef {
    let metadata = [("scalerAddress", "zerogate:9091".to_owned()), ("app", format!("default/app-{app}"))];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value)).into();
    ScaledObjectRef { name: format!("so-{app}"), namespace: "default".to_owned(), metadata }
}

/// One call after the other, each about another app: how long they took.
async fn ask(client: SendRequest<Bytes>, lane: usize, calls: usize) -> Result<Vec<Duration>> {
    let mut took = Vec::with_capacity(calls);
    for call in 0..calls {
        let app = (lane + call * IN_FLIGHT) % APPS;
        let metric = format!("zerogate-concurrency-app-{app}");
        let message = GetMetrics { object: Some(object(app)), metric: metric.clone() }.encode_to_vec();
        let frame = [&[0][..], &u32::try_from(message.len())?.to_be_bytes(), &message].concat();
        let request = http::Request::post("http://zerogate/externalscaler.ExternalScaler/GetMetrics")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())?;
        let begun = Moment::now();
        let mut client = client.clone().ready().await?;
        let (response, mut body) = client.send_request(request, false)?;
        body.send_data(frame.into(), true)?;
        let mut body = response.await?.into_body();
        let mut data = Vec::new();
        while let Some(part) = body.data().await {
            let part = part?;
            body.flow_control().release_capacity(part.len())?;
            data.extend_from_slice(&part);
        }
        took.push(begun.elapsed());
        let answer = Metrics::decode(data.get(5..).ok_or("no message")?)?;
        if answer.values.len() != 1 || answer.values[0].name != metric {
            return Err(format!("not one value of {metric}: {answer:?}").into());
        }
    }
    Ok(took)
}
