//! Which path gets which answer.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, TE, TRAILER};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;

use super::body::{self, AnyBody};
use super::mirror::Mirror;
use super::server::Stopping;
use super::{Echo, grpc, upgrade};

/// Code that `/die` and `--die-above` exit with.
const DEATH: i32 = 7;
const MAX_BYTES: u64 = 1 << 40;
const MAX_MILLIS: u64 = 3_600_000;
const MAX_EVENTS: u64 = 1_000_000;

/// What a request holds until its answer has been sent.
pub(super) type Held = [Option<OwnedSemaphorePermit>; 2];

type Answer = Response<AnyBody>;

/// Why a request cannot be answered as asked, in words for whoever tries things out.
type Complaint = (StatusCode, String);

/// Answers a request. What comes with the answer is to be kept until the answer has been sent.
pub(super) async fn answer(echo: &Arc<Echo>, stopping: &Stopping, request: Request<Incoming>) -> (Answer, Held) {
    // Health checks do not wait for a slot.
    match request.uri().path() {
        "/healthz" => return (health(echo), Held::default()),
        "/grpc.health.v1.Health/Check" => return (grpc::health(echo.is_ready()), Held::default()),
        _ => {}
    }
    let life = echo.lives.as_ref().map(|lives| {
        lives.clone().try_acquire_owned().unwrap_or_else(|_| {
            super::say(std::io::stderr(), "echo: too many requests, dying as told");
            std::process::exit(DEATH)
        })
    });
    let slot = match &echo.slots {
        // The semaphore is never closed.
        Some(slots) => slots.clone().acquire_owned().await.ok(),
        None => None,
    };
    let number = echo.served.fetch_add(1, Ordering::Relaxed) + 1;
    let answer = asked_for(echo, stopping, request, number).await;
    (answer.unwrap_or_else(|(status, why)| text(status, format!("{why}\n"))), [life, slot])
}

async fn asked_for(
    echo: &Echo,
    stopping: &Stopping,
    request: Request<Incoming>,
    number: u64,
) -> Result<Answer, Complaint> {
    let uri = request.uri();
    Ok(match uri.path() {
        "/hello" => text(StatusCode::OK, "Hello, world!"),
        "/sleep" => {
            let millis = query(uri, "ms", 0, 0..=MAX_MILLIS)?;
            tokio::time::sleep(Duration::from_millis(millis)).await;
            mirror(request, number, echo).await?
        }
        "/bytes" => {
            let length = query(uri, "n", 0, 0..=MAX_BYTES)?;
            promising(length, body::filler(length))
        }
        "/close" => {
            let length = query(uri, "after", 0, 0..=MAX_BYTES)?;
            promising((2 * length).max(1), body::broken_after(length))
        }
        "/sse" => {
            let count = query(uri, "n", 10, 0..=MAX_EVENTS)?;
            let pause = Duration::from_millis(query(uri, "ms", 1000, 0..=MAX_MILLIS)?);
            let mut answer = typed("text/event-stream", body::events(count, pause));
            answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            answer
        }
        "/stream" => stream(request),
        "/ws" => upgrade::websocket(request, stopping.clone())?,
        "/upgrade" => upgrade::raw(request, stopping.clone())?,
        "/die" => std::process::exit(DEATH),
        "/echo.Echo/Say" => grpc::say(request),
        "/echo.Echo/Fail" => grpc::fail(),
        path => match path.strip_prefix("/status/") {
            Some(code) => status(code)?,
            None => mirror(request, number, echo).await?,
        },
    })
}

fn health(echo: &Echo) -> Answer {
    if echo.is_ready() {
        text(StatusCode::OK, "ok\n")
    } else {
        text(StatusCode::SERVICE_UNAVAILABLE, "not ready yet\n")
    }
}

fn status(code: &str) -> Result<Answer, Complaint> {
    let status = code.parse().ok().filter(|code| (200..=599).contains(code));
    let status = status.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or_else(|| bad("/status/: expected a code from 200 to 599"))?;
    Ok(text(status, format!("{status}\n")))
}

/// The request's body is the answer's. Trailers that the request announces are announced in turn, or HTTP/1.1 drops them.
fn stream(request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let kind = head.headers.get(CONTENT_TYPE).cloned();
    let mut answer = typed("application/octet-stream", body.map_err(Into::into).boxed_unsync());
    if let Some(kind) = kind {
        answer.headers_mut().insert(CONTENT_TYPE, kind);
    }
    if head.headers.contains_key(TE) {
        for announced in head.headers.get_all(TRAILER) {
            answer.headers_mut().append(TRAILER, announced.clone());
        }
    }
    answer
}

async fn mirror(request: Request<Incoming>, number: u64, echo: &Echo) -> Result<Answer, Complaint> {
    let mirror = Mirror::read(request, number, echo)
        .await
        .map_err(|error| bad(format!("the body did not come whole: {error}")))?;
    let mut json = serde_json::to_vec_pretty(&mirror).map_err(|error| bad(error.to_string()))?;
    json.push(b'\n');
    Ok(typed("application/json", body::full(json)))
}

/// The number `name` in the query, or `default`.
fn query(uri: &Uri, name: &str, default: u64, range: RangeInclusive<u64>) -> Result<u64, Complaint> {
    let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let Some((_, value)) = pairs.into_iter().find(|(key, _)| *key == name) else { return Ok(default) };
    value.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
        bad(format!("{name}: expected a whole number from {} to {}, not `{value}`", range.start(), range.end()))
    })
}

fn bad(why: impl Into<String>) -> Complaint {
    (StatusCode::BAD_REQUEST, why.into())
}

fn text(status: StatusCode, text: impl Into<bytes::Bytes>) -> Answer {
    let mut answer = typed("text/plain; charset=utf-8", body::full(text));
    *answer.status_mut() = status;
    answer
}

fn promising(length: u64, body: AnyBody) -> Answer {
    let mut answer = typed("application/octet-stream", body);
    answer.headers_mut().insert(CONTENT_LENGTH, length.into());
    answer
}

fn typed(kind: &'static str, body: AnyBody) -> Answer {
    let mut answer = Response::new(body);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
