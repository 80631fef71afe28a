//! KEDA asks: the calls, who may be meant, health and reflection.

use tonic::Code;
use tonic::client::Grpc;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_prost::ProstCodec;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::client::Client;
use crate::document::App;
use crate::gateway::{Gateway, Setup};
use crate::keda::{MetricSpec, object};
use crate::wait::{soon, until};

async fn start(apps: &[App]) -> Gateway {
    Setup::new(apps).scaler().start().await
}

fn never_listens() -> App {
    App::echo_with("slow", "--never-listen").spec("scaling: {target: 10}")
}

#[tokio::test]
async fn what_is_held_makes_an_app_active_and_is_its_demand() {
    let gateway = start(&[never_listens()]).await;
    let keda = gateway.keda().await;
    let spec = keda.spec(object("slow", &[])).await.unwrap();
    let expected =
        MetricSpec { metric_name: "zerogate-concurrency-slow".into(), target_size: 7, target_size_float: 7.0 };
    assert_eq!(spec, expected);
    assert!(!keda.is_active(object("slow", &[])).await.unwrap());
    assert_eq!(keda.value(object("slow", &[]), &spec.metric_name).await.unwrap().metric_value_float, 0.0);

    let held: Vec<_> = (0..3).map(|_| gateway.spawn_get("slow.localhost", "/")).collect();
    gateway.held("slow", 3).await;
    assert!(keda.is_active(object("slow", &[])).await.unwrap());
    let value = keda.value(object("slow", &[]), &spec.metric_name).await.unwrap();
    assert_eq!((value.metric_value, value.metric_value_float), (3, 3.0));
    held.iter().for_each(|one| one.abort());
    gateway.quiet().await;
    // They are gone, but the next poll is to see that they were there.
    let value = keda.value(object("slow", &[]), &spec.metric_name).await.unwrap();
    assert_eq!((value.metric_value, value.metric_value_float), (3, 3.0));
    assert!(keda.is_active(object("slow", &[])).await.unwrap());
    gateway.finish().await;
}

#[tokio::test]
async fn a_burst_shorter_than_a_tick_is_seen() {
    let gateway = start(&[App::echo("hello")]).await;
    let keda = gateway.keda().await;
    assert_eq!(gateway.get("hello.localhost", "/hello").await.status, 200);
    let burst: Vec<_> = (0..20).map(|_| gateway.spawn_get("hello.localhost", "/sleep?ms=100")).collect();
    for one in burst {
        assert_eq!(soon("an answer", one).await.unwrap().status, 200);
    }
    gateway.quiet().await;
    let value = keda.value(object("hello", &[("target", "5")]), "").await.unwrap();
    assert_eq!((value.metric_value, value.metric_name.as_str()), (20, "zerogate-concurrency-hello"));
    let rate = [("metric", "requestRate"), ("target", "5")];
    let value = keda.value(object("hello", &rate), "zerogate-request-rate-hello").await.unwrap();
    assert!(value.metric_value >= 1 && value.metric_value_float > 0.0, "{value:?}");
    gateway.finish().await;
}

#[tokio::test]
async fn an_old_client_gets_whole_numbers() {
    // The messages of a KEDA before 2.17, which knows no floats.
    #[derive(Clone, PartialEq, prost::Message)]
    struct OldSpec {
        #[prost(string, tag = "1")]
        metric_name: String,
        #[prost(int64, tag = "2")]
        target_size: i64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    struct OldSpecs {
        #[prost(message, repeated, tag = "1")]
        metric_specs: Vec<OldSpec>,
    }
    let gateway = start(&[never_listens()]).await;
    let held = gateway.spawn_get("slow.localhost", "/");
    gateway.held("slow", 1).await;
    let keda = gateway.keda().await;
    let mut old = Grpc::new(keda.channel.clone());
    soon("a connection", old.ready()).await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/externalscaler.ExternalScaler/GetMetricSpec");
    let request = tonic::Request::new(object("slow", &[("target", "2.5")]));
    let codec: ProstCodec<_, OldSpecs> = ProstCodec::default();
    let specs = soon("an answer", old.unary(request, path, codec)).await.unwrap().into_inner();
    assert_eq!(specs.metric_specs, [OldSpec { metric_name: "zerogate-concurrency-slow".into(), target_size: 3 }]);

    #[derive(Clone, PartialEq, prost::Message)]
    struct OldRequest {
        #[prost(message, optional, tag = "1")]
        scaled_object_ref: Option<crate::keda::ScaledObjectRef>,
        #[prost(string, tag = "2")]
        metric_name: String,
    }
    soon("a connection", old.ready()).await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/externalscaler.ExternalScaler/GetMetrics");
    let metric_name = specs.metric_specs[0].metric_name.clone();
    let request = OldRequest { scaled_object_ref: Some(object("slow", &[("target", "2.5")])), metric_name };
    // A value has the same fields as a spec.
    let codec: ProstCodec<_, OldSpecs> = ProstCodec::default();
    let values = soon("an answer", old.unary(tonic::Request::new(request), path, codec)).await.unwrap().into_inner();
    assert_eq!(values.metric_specs, [OldSpec { metric_name: "zerogate-concurrency-slow".into(), target_size: 1 }]);
    held.abort();
    gateway.finish().await;
}

#[tokio::test]
async fn mistakes_are_named() {
    let gateway = start(&[App::echo("hello")]).await;
    let keda = gateway.keda().await;
    let status = keda.is_active(object("hello", &[("traget", "3")])).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("`traget`: there is no such key; did you mean `target`?"), "{status}");
    let status = keda.spec(object("helo", &[])).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("`default/helo`") && status.message().contains("`default/hello`"), "{status}");
    let status = keda.listen(object("x", &[("app", "default/hallo")])).await.unwrap_err();
    assert_eq!((status.code(), status.message().contains("`default/hello`")), (Code::NotFound, true), "{status}");
    let status = keda.specs(object("hello", &[("metric", "cpu")])).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let status = keda.value(object("hello", &[]), "s0-zerogate-concurrency-hello").await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let refused = [("code", "INVALID_ARGUMENT")];
    assert_eq!(gateway.metric("zerogate_scaler_calls_total", &refused).await, 3.0);
    assert_eq!(gateway.metric("zerogate_scaler_calls_total", &[("code", "NOT_FOUND")]).await, 2.0);
    gateway.finish().await;
}

#[tokio::test]
async fn apps_come_and_go_with_the_configuration() {
    let gateway = start(&[App::echo("hello")]).await;
    let keda = gateway.keda().await;
    let mut specs = keda.specs(object("hello", &[])).await.unwrap();
    assert_eq!(crate::keda::next(&mut specs).await.metric_specs[0].target_size, 70);
    gateway.rewrite(&crate::document::file(&[App::echo("hello").spec("scaling: {target: 20}"), App::echo("two")]));
    assert_eq!(crate::keda::next(&mut specs).await.metric_specs[0].target_size_float, 14.0);
    assert_eq!(keda.spec(object("hello", &[])).await.unwrap().target_size, 14);
    until("the new app", async || keda.spec(object("two", &[])).await.ok()).await;
    gateway.rewrite(&crate::document::file(&[App::echo("two")]));
    assert_eq!(crate::keda::end(&mut specs).await, Code::NotFound);
    gateway.finish().await;
}

#[tokio::test]
async fn health_and_reflection_are_served() {
    let gateway = start(&[App::echo("hello")]).await;
    let keda = gateway.keda().await;
    let mut health = HealthClient::new(keda.channel.clone());
    for service in ["", "externalscaler.ExternalScaler"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = soon("health", health.check(request)).await.unwrap().into_inner();
        assert_eq!(answer.status().as_str_name(), "SERVING", "{service}");
    }
    let unknown = health.check(HealthCheckRequest { service: "x".to_owned() }).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);

    let ask = |what| ServerReflectionRequest { host: String::new(), message_request: Some(what) };
    let asked = [
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol("externalscaler.ExternalScaler".to_owned())),
    ];
    let mut reflection = ServerReflectionClient::new(keda.channel.clone());
    let requests = futures_util::stream::iter(asked);
    let mut answers = soon("reflection", reflection.server_reflection_info(requests)).await.unwrap().into_inner();
    let mut next = async || soon("an answer", answers.message()).await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(services) = next().await else { panic!("a list") };
    let mut names: Vec<_> = services.service.into_iter().map(|service| service.name).collect();
    names.retain(|name| !name.starts_with("grpc.reflection"));
    assert_eq!(names, ["externalscaler.ExternalScaler", "grpc.health.v1.Health"]);
    let MessageResponse::FileDescriptorResponse(file) = next().await else { panic!("a file") };
    let text = String::from_utf8_lossy(&file.file_descriptor_proto[0]).into_owned();
    assert!(text.contains("StreamMetricSpec") && text.contains("metricValueFloat"), "{text}");
    let other = Grpc::new(keda.channel.clone());
    let mut other = other;
    soon("a connection", other.ready()).await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/some.Other/Call");
    let codec: ProstCodec<HealthCheckRequest, HealthCheckRequest> = ProstCodec::default();
    let request = tonic::Request::new(HealthCheckRequest::default());
    let status = soon("an answer", other.unary(request, path, codec)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    gateway.finish().await;
}

#[tokio::test]
async fn it_is_not_served_unless_it_is_asked_for() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    assert!(tokio::net::TcpStream::connect(gateway.scaler).await.is_err());
    gateway.finish().await;
}

#[tokio::test]
async fn an_address_that_is_taken_and_flags_that_miss_another_are_told() {
    let setup = Setup::new(&[App::echo("hello")]);
    let http = setup.http().to_string();
    let (status, said) = setup.flag("--scaler", &http).fail().await;
    assert!(!status.success() && said.contains("--scaler") && said.contains("an address of its own"), "{said}");
    let (status, said) = Setup::new(&[App::echo("hello")]).scaler().flag("--scaler-cert", "/x.pem").fail().await;
    assert!(!status.success() && said.contains("--scaler-key"), "{said}");
    let setup = Setup::new(&[App::echo("hello")]).scaler();
    let (status, said) = setup.flag("--scaler-cert", "/no/x.pem").flag("--scaler-key", "/no/y.pem").fail().await;
    assert!(!status.success() && said.contains("--scaler-cert /no/x.pem: cannot be read"), "{said}");
}

#[tokio::test]
async fn who_does_not_speak_http2_is_sent_away() {
    let gateway = start(&[App::echo("hello")]).await;
    let mut client = Client::http1(gateway.scaler).await;
    let answer = client.try_send(crate::client::get("x", "/some/long/path/so/that/there/are/enough/bytes")).await;
    assert!(answer.is_err(), "{answer:?}");
    assert!(gateway.keda().await.is_active(object("hello", &[])).await.is_ok());
    gateway.finish().await;
}
