use std::io::Write;

use http::Request;
use serde_json::json;
use tokio::sync::Barrier;

use super::fake::{Answer, FakeApi, until};
use super::*;

/// Sends a call that nothing is known of, and returns the status of the answer.
async fn call(client: &Client) -> kube::Result<u16> {
    let request = Request::get("/anything").body(Body::empty()).map_err(kube::Error::HttpError)?;
    Ok(client.send(request).await?.status().as_u16())
}

#[tokio::test]
async fn a_connection_for_orders_is_open_before_the_first_and_soon_after_it_broke() {
    let api = FakeApi::start_http2(|_| async { Answer::of(json!({})) }).await;
    let clients = api.clients();
    for broken in 0..3 {
        until(|| api.greeted() > broken).await;
        assert_eq!(call(&clients.orders).await.expect("an answer"), 200);
        assert_eq!(api.accepted(), 1 + broken, "an order goes over the connection that is there");
        api.cut();
    }
}

#[tokio::test]
async fn a_server_of_http1_is_stayed_connected_to_as_well() {
    let api = FakeApi::start(|_| async { Answer::of(json!({})) }).await;
    let clients = api.clients();
    for broken in 0..3 {
        api.until_accepted(1 + broken).await;
        assert_eq!(call(&clients.orders).await.expect("an answer"), 200);
        api.cut();
    }
}

#[tokio::test]
async fn a_hundred_orders_are_under_way_at_once_on_one_connection() {
    let all = Arc::new(Barrier::new(100));
    let api = FakeApi::start_http2(move |_| {
        let all = all.clone();
        async move {
            all.wait().await;
            Answer::of(json!({}))
        }
    })
    .await;
    let clients = api.clients();
    api.until_accepted(1).await;
    let calls = (0..100).map(|_| call(&clients.orders));
    let answered = tokio::time::timeout(Duration::from_secs(10), futures_util::future::join_all(calls)).await;
    assert!(answered.expect("all at once").iter().all(|answer| matches!(answer, Ok(200))));
    assert_eq!(api.accepted(), 1);
}

#[tokio::test]
async fn reads_and_orders_share_no_connection_and_the_last_clone_ends_them() {
    let api = FakeApi::start_http2(|_| async { Answer::of(json!({})) }).await;
    let clients = api.clients();
    api.until_accepted(1).await;
    assert_eq!(call(&clients.reads).await.expect("an answer"), 200);
    assert_eq!(api.accepted(), 2);
    drop(clients.clone());
    assert_eq!(call(&clients.orders).await.expect("an answer"), 200);
    drop(clients);
    until(|| api.open() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_idle_asks_something_once_a_minute_so_that_it_is_not_closed() {
    let api = FakeApi::start(|_| async { Answer::of(json!({})) }).await;
    let _clients = api.clients();
    api.until_accepted(1).await;
    tokio::time::sleep(Duration::from_secs(3630)).await;
    assert_eq!((api.greeted(), api.accepted()), (61, 1));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_is_tried_until_it_is_back() {
    let api = FakeApi::start(|_| async { Answer::of(json!({})) }).await;
    let (config, address) = (api.config(), api.address());
    drop(api);
    let clock = crate::clock::Clock::running();
    let clients = Clients::new(&config).expect("usable");
    let failed = call(&clients.orders).await.expect_err("nobody listens");
    assert!(Failed::by(&failed).unsent, "{failed:?}");
    tokio::time::sleep(Duration::from_secs(60)).await;
    let api = FakeApi::start_at(address, |_| async { Answer::of(json!({})) }).await;
    let begin = clock.now();
    api.until_accepted(1).await;
    assert!(clock.now().since(begin) <= Duration::from_secs(2));
}

#[tokio::test]
async fn the_token_is_that_of_its_file() {
    let api = FakeApi::start(|_| async { Answer::of(json!({})) }).await;
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(b"first").expect("written");
    let mut config = api.config();
    config.auth_info.token_file = file.path().to_str().map(str::to_owned);
    let clients = Clients::new(&config).expect("usable");
    assert_eq!(call(&clients.reads).await.expect("an answer"), 200);
    let sent = api.asked().pop().expect("asked").headers["authorization"].clone();
    assert_eq!(sent, "Bearer first");
}

#[tokio::test]
async fn a_proxy_is_refused_in_words() {
    let mut config = Config::new(http::Uri::from_static("http://127.0.0.1:1"));
    config.proxy_url = Some(http::Uri::from_static("http://127.0.0.1:2"));
    let why = Clients::new(&config).err().expect("refused").to_string();
    assert!(why.contains("proxy"), "{why}");
}
