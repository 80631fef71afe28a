use serde_json::json;

use super::*;
use crate::clock::{Clock, Timestamp};
use crate::platform::kubernetes::client::fake::{Answer, FakeApi};

async fn lines(api: &FakeApi) -> Vec<String> {
    last_lines(&api.clients().reads, "shop", "hello-1", "app", true).await
}

#[test]
fn keeps_ten_clean_lines_of_2_kib() {
    let many: String = (0..30).map(|n| format!("line {n}\n")).collect();
    assert_eq!(last(many.as_bytes()), (20..30).map(|n| format!("line {n}")).collect::<Vec<_>>());
    assert_eq!(last(b"a\tb\r\n\n\x1b[31mred\x1b[0m \x07!\xff"), ["a b", "red !\u{fffd}"]);
    let long = format!("{}\n{}\nend", "x".repeat(3000), "ä".repeat(1000));
    let lines = last(long.as_bytes());
    assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [45, 2000, 3]);
    assert!(last(b"").is_empty());
}

#[tokio::test]
async fn asks_for_the_last_life_of_the_container() {
    let api = FakeApi::start(|_| async { Answer::text(b"one\ntwo\n") }).await;
    assert_eq!(lines(&api).await, ["one", "two"]);
    let asked = api.asked();
    assert_eq!(asked[0].uri.path(), "/api/v1/namespaces/shop/pods/hello-1/log");
    let parameters = ["container", "previous", "tailLines"].map(|name| asked[0].parameter(name));
    assert_eq!(parameters.map(Option::unwrap_or_default), ["app", "true", "10"]);
}

#[tokio::test]
async fn says_nothing_where_it_may_not_or_cannot() {
    for status in [403, 404, 500] {
        let api = FakeApi::start(move |_| async move { Answer::no(status, "", "") }).await;
        assert!(lines(&api).await.is_empty(), "{status}");
    }
    let api = FakeApi::start(|_| async { Answer::of(json!("x".repeat(2 * READ))) }).await;
    assert!(lines(&api).await.is_empty(), "more than was asked for");
}

#[tokio::test(start_paused = true)]
async fn waits_no_longer_than_a_second() {
    let api = FakeApi::start(|_| std::future::pending()).await;
    let clock = Clock::running();
    assert!(lines(&api).await.is_empty());
    let took = clock.now().since(Timestamp::ZERO);
    assert!((DEADLINE..DEADLINE * 2).contains(&took), "{took:?}");
}
