//! Which app a request goes to.

use http::Method;

use crate::client::{Client, Reply, empty, get, request};
use crate::document::App;
use crate::gateway::Gateway;

/// The name of the app that answered.
#[track_caller]
fn app(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()["name"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_unknown_host_gets_404_that_names_it() {
    let gateway = Gateway::start(&[App::echo("hello")]).await;
    for mut client in Client::both(gateway.http).await {
        let problem = client.send(get("nobody.localhost", "/")).await.problem(404);
        assert!(problem["detail"].as_str().unwrap().contains("nobody.localhost"), "{problem}");
        let head = client.send(request(Method::HEAD, "nobody.localhost", "/").body(empty()).unwrap()).await;
        assert_eq!((head.status.as_u16(), head.body.len()), (404, 0));
        // Not the last word of this connection.
        assert_eq!(client.send(get("hello.localhost", "/hello")).await.status, 200);
    }
    gateway.finish().await;
}

#[tokio::test]
async fn exact_hosts_come_before_wildcards_and_the_most_labels_first() {
    let gateway = Gateway::start(&[
        App::echo("exact").routes("[{hosts: [one.localhost]}]"),
        App::echo("wide").routes(r#"[{hosts: ["*.localhost"]}]"#),
        App::echo("deep").routes(r#"[{hosts: ["*.deep.localhost"]}]"#),
    ])
    .await;
    for (host, expected) in [
        ("one.localhost", "exact"),
        ("ONE.LocalHost", "exact"),
        ("one.localhost:8080", "exact"),
        ("two.localhost", "wide"),
        ("one.two.localhost", "wide"),
        ("deep.localhost", "wide"),
        ("a.deep.localhost", "deep"),
        ("a.b.Deep.localhost", "deep"),
    ] {
        assert_eq!(app(&gateway.get(host, "/").await), expected, "{host}");
    }
    gateway.get("localhost", "/").await.problem(404);
    gateway.finish().await;
}

#[tokio::test]
async fn the_longest_path_prefix_wins_by_whole_segments() {
    let gateway = Gateway::start(&[
        App::echo("root").routes("[{hosts: [x.localhost]}]"),
        App::echo("api").routes("[{hosts: [x.localhost], paths: [{prefix: /api}]}]"),
        App::echo("v2").routes("[{hosts: [x.localhost], paths: [{prefix: /api/v2/}]}]"),
        App::echo("part").routes("[{hosts: [y.localhost], paths: [{prefix: /only}]}]"),
    ])
    .await;
    for (path, expected) in [
        ("/", "root"),
        ("/apis", "root"),
        ("/api", "api"),
        ("/api?x=/api/v2", "api"),
        ("/api/v1", "api"),
        ("/api/v22", "api"),
        ("/api/v2", "v2"),
        ("/api/v2/x", "v2"),
    ] {
        assert_eq!(app(&gateway.get("x.localhost", path).await), expected, "{path}");
    }
    assert_eq!(app(&gateway.get("y.localhost", "/only/this").await), "part");
    gateway.get("y.localhost", "/").await.problem(404);
    gateway.finish().await;
}

#[tokio::test]
async fn headers_tell_routes_apart() {
    let gateway = Gateway::start(&[
        App::echo("any").routes("[{hosts: [x.localhost]}]"),
        App::echo("blue").routes("[{hosts: [x.localhost], headers: [{name: X-Tenant, value: blue}]}]"),
    ])
    .await;
    let mut client = Client::http2(gateway.http).await;
    for (tenant, expected) in [("blue", "blue"), ("red", "any")] {
        let request = request(Method::GET, "x.localhost", "/").header("x-tenant", tenant);
        assert_eq!(app(&client.send(request.body(empty()).unwrap()).await), expected);
    }
    gateway.finish().await;
}
