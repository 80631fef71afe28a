use std::sync::Arc;

use activator::hold::WaitState;
use activator::platform::{FailureCause, StartFailure};
use http_body_util::BodyExt;

use super::*;

fn refused(refusal: Refusal, retry_after: Duration) -> Problem {
    Problem::Refused { refusal, retry_after }
}

async fn document(problem: &Problem) -> (Response<EdgeBody>, serde_json::Value) {
    let (parts, body) = problem.response(false).into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let document = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(parts.headers[CONTENT_LENGTH], bytes.len().to_string());
    (Response::from_parts(parts, EdgeBody::empty()), document)
}

fn cannot_start() -> Problem {
    let failure = StartFailure {
        cause: FailureCause::Exited { how: "exit code 3".into() },
        output: vec!["no such table".into()],
        retry_after: Duration::from_millis(500),
    };
    refused(Refusal::CannotStart(Arc::new(failure)), Duration::from_millis(1500))
}

#[tokio::test]
async fn every_problem_has_its_status_for_http_and_for_grpc() {
    let deadline = |state| Refusal::Deadline { held: Duration::from_secs(1), state };
    let second = Duration::from_secs(1);
    for (problem, http, grpc) in [
        (Problem::BadHost, 400, "3"),
        (Problem::BadTarget, 400, "3"),
        (Problem::BadBody, 400, "3"),
        (Problem::ConnectMethod, 405, "12"),
        (Problem::TransferCoding, 501, "12"),
        (Problem::NoRoute { host: "h".into() }, 404, "12"),
        (Problem::RateLimited { policy: "app", burst: 1, wait: second }, 429, "8"),
        (Problem::TooManyInFlight { limit: 3 }, 503, "8"),
        (refused(Refusal::LineFull { limit: 3 }, second), 503, "8"),
        (refused(Refusal::GatewayFull, second), 503, "8"),
        (refused(deadline(WaitState::Starting), second), 504, "4"),
        (refused(deadline(WaitState::Busy), second), 504, "4"),
        (refused(Refusal::Stopping, second), 503, "14"),
        (refused(Refusal::Removed, second), 503, "14"),
        (cannot_start(), 503, "14"),
        (Problem::CannotConnect, 502, "14"),
        (Problem::NoFile(Lack::All), 503, "8"),
        (Problem::NoFile(Lack::Share), 503, "8"),
        (Problem::ConnectionLost, 502, "14"),
        (Problem::BadAnswer(Flaw::NotHttp), 502, "14"),
        (Problem::AnswerTimeout(Timeout::Head { after: second }), 504, "4"),
    ] {
        let (response, document) = document(&problem).await;
        assert_eq!(response.status(), http, "{problem:?}");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(document["status"], http);
        assert!(document["detail"].as_str().unwrap().len() > 20, "{document}");
        let response = problem.response(true);
        assert_eq!(response.status(), 200, "trailers-only");
        assert_eq!(response.headers()["grpc-status"], grpc, "{problem:?}");
        assert!(http_body::Body::is_end_stream(response.body()));
    }
}

#[tokio::test]
async fn a_failed_start_tells_why_and_what_it_printed() {
    let (response, document) = document(&cannot_start()).await;
    assert_eq!(response.headers()[RETRY_AFTER], "2", "rounded up: a client that waits so long is not too early");
    assert_eq!(document["cause"], "exited");
    assert_eq!(document["output"][0], "no such table");
    let detail = "the app cannot be started: it ended with exit code 3 before it was ready; try again in 2 s";
    assert_eq!(document["detail"], detail);
}

#[tokio::test]
async fn a_rate_limit_names_its_policy() {
    let problem = Problem::RateLimited { policy: "client", burst: 5, wait: Duration::from_millis(20) };
    let (response, _) = document(&problem).await;
    assert_eq!(response.headers()[RETRY_AFTER], "1");
    assert_eq!(response.headers()["ratelimit-policy"], "\"client\";q=5");
    assert_eq!(response.headers()["ratelimit"], "\"client\";r=0;t=1");
}

#[test]
fn grpc_is_told_by_its_content_type() {
    for (value, grpc) in [
        ("application/grpc", true),
        ("application/grpc+proto", true),
        ("application/grpc;charset=utf-8", true),
        ("application/grpc-web", false),
        ("application/json", false),
    ] {
        let request = Request::post("/").header(CONTENT_TYPE, value).body(()).unwrap();
        assert_eq!(is_grpc(&request), grpc, "{value}");
    }
}

#[test]
fn grpc_messages_are_percent_encoded() {
    assert_eq!(percent_encode("100% — ok\n"), "100%25 %E2%80%94 ok%0A");
}
