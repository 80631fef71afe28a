//! Rate limits: looked at before anything else is done for a request.

use http::{Method, Request};

use crate::client::{Client, Sending, empty, get, grpc, request};
use crate::document::{App, file};
use crate::gateway::{Gateway, Setup};
use crate::wait::until;

/// One request, and then none for more than a quarter of an hour.
const ONE: &str = "requestsPerSecond: 0.001, burst: 1";

fn with(name: &str, value: &str) -> Request<Sending> {
    request(Method::GET, "hello.localhost", "/hello").header(name, value).body(empty()).unwrap()
}

#[tokio::test]
async fn too_many_requests_get_429_and_keep_their_connection() {
    let gateway = Gateway::start(&[App::echo("hello").spec("limits: {requestsPerSecond: 0.001, burst: 3}")]).await;
    let mut client = Client::http1(gateway.http).await;
    for _ in 0..3 {
        assert_eq!(client.send(get("hello.localhost", "/hello")).await.status, 200);
    }
    for _ in 0..3 {
        let reply = client.send(get("hello.localhost", "/hello")).await;
        assert_eq!(reply.problem(429)["cause"], "rate_limited");
        assert!((500..=1000).contains(&reply.retry_after()), "{reply:?}");
        assert!(reply.header("ratelimit").contains("r=0"), "{reply:?}");
        assert!(reply.header("ratelimit-policy").contains("q=3"), "{reply:?}");
        assert_ne!(reply.header("connection"), "close");
    }
    let reply = Client::http2(gateway.http).await.send(grpc("hello.localhost", "/echo.Echo/Say", b"")).await;
    assert_eq!((reply.status.as_u16(), reply.grpc_status()), (200, "8"));
    assert_eq!(gateway.metric("zerogate_refused_total", &[("cause", "rate_limited")]).await, 4.0);
    gateway.finish().await;
}

#[tokio::test]
async fn a_refused_request_never_wakes_an_app() {
    let app = App::echo("hello").spec(&format!("limits: {{{ONE}}}")).spec("scaling: {idleTimeout: 1s}");
    let gateway = Gateway::start(&[app]).await;
    assert_eq!(gateway.get("hello.localhost", "/hello").await.status, 200);
    gateway.state("hello", "asleep").await;
    for _ in 0..20 {
        gateway.get("hello.localhost", "/hello").await.problem(429);
    }
    let app = gateway.app("hello").await;
    assert_eq!((&app["state"], &app["replicas"]["wanted"]), (&"asleep".into(), &0.into()), "{app}");
    gateway.finish().await;
}

#[tokio::test]
async fn clients_are_told_apart_by_header() {
    let limits = format!("limits: {{perClient: {{{ONE}, by: header, header: X-API-Key}}}}");
    let gateway = Gateway::start(&[App::echo("hello").spec(&limits)]).await;
    let mut client = Client::http1(gateway.http).await;
    for key in ["one", "two"] {
        assert_eq!(client.send(with("x-api-key", key)).await.status, 200);
        client.send(with("x-api-key", key)).await.problem(429);
    }
    // Those without it, by address.
    assert_eq!(client.send(get("hello.localhost", "/hello")).await.status, 200);
    client.send(get("hello.localhost", "/hello")).await.problem(429);
    gateway.finish().await;
}

#[tokio::test]
async fn clients_are_told_apart_by_address_behind_trusted_proxies() {
    let app = App::echo("hello").spec(&format!("limits: {{perClient: {{{ONE}}}}}"));
    let setup = Setup::new(std::slice::from_ref(&app)).flag("--trusted-proxies", "127.0.0.0/8,10.0.0.0/8");
    let gateway = setup.start().await;
    let mut client = Client::http1(gateway.http).await;
    for address in ["192.0.2.1", "192.0.2.2, 10.0.0.1"] {
        assert_eq!(client.send(with("x-forwarded-for", address)).await.status, 200, "{address}");
        client.send(with("x-forwarded-for", address)).await.problem(429);
    }
    // The last one that is no proxy counts: what a client writes before it changes nothing.
    client.send(with("x-forwarded-for", "7.7.7.7, 192.0.2.1")).await.problem(429);
    gateway.finish().await;
    // Whoever is not trusted cannot be somebody else.
    let gateway = Setup::new(&[app]).flag("--trusted-proxies", "10.0.0.0/8").start().await;
    assert_eq!(gateway.send(with("x-forwarded-for", "192.0.2.1")).await.status, 200);
    gateway.send(with("x-forwarded-for", "192.0.2.2")).await.problem(429);
    gateway.finish().await;
}

#[tokio::test]
async fn a_change_elsewhere_forgets_nobody_who_has_used_up_his_limit() {
    let limited = App::echo("hello").spec(&format!("limits: {{{ONE}}}"));
    let gateway = Gateway::start(std::slice::from_ref(&limited)).await;
    assert_eq!(gateway.get("hello.localhost", "/hello").await.status, 200);
    gateway.get("hello.localhost", "/hello").await.problem(429);
    gateway.rewrite(&file(&[limited, App::echo("new")]));
    until("the new app answers", async || (gateway.get("new.localhost", "/hello").await.status == 200).then_some(()))
        .await;
    gateway.get("hello.localhost", "/hello").await.problem(429);
    gateway.finish().await;
}
