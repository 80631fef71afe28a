//! One request's way: route, limits, admit or hold, send, answer.

use std::sync::Arc;
use std::time::Duration;

use activator::{Clock, Permit, Ticket};
use http::header::{CONNECTION, HOST, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::{Body, Incoming};

use super::Edge;
use super::backend::Backend;
use super::body::{EdgeBody, RequestBody, UploadProgress};
use super::headers::{Peer, prepare_request, strip_hop_by_hop, upgrade};
use super::problem::{Problem, is_grpc};
use super::tunnel;
use super::upstream::{self, Answer, Lease, SendError};
use crate::access_log::Entry;
use crate::config::settings::Protocol;

/// Pauses before a request that could not be sent is tried again; after the last one it gets its error.
const RETRY_PAUSES: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(10),
    Duration::from_millis(40),
    Duration::from_millis(160),
    Duration::from_millis(640),
];
/// How long other endpoints are preferred after a failed connect.
const SUSPICION: Duration = Duration::from_secs(2);

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// A request from its arrival to the end of its response, whatever that end is: counts and logs it once, on drop.
pub struct Record {
    backend: Arc<Backend>,
    status: Option<StatusCode>,
    bytes: u64,
    complete: bool,
    entry: Option<(Box<Entry>, Arc<Edge>)>,
}

/// A response on its way: what has to end with it.
pub struct Flight {
    record: Record,
    permit: Option<Permit>,
    lease: Option<Lease>,
    clock: Clock,
}

// === the way ===

/// Answers `request` from `peer`.
pub async fn handle(edge: Arc<Edge>, peer: Arc<Peer>, request: Request<Incoming>) -> Response<EdgeBody> {
    let to_grpc = is_grpc(request.headers());
    let wants_body = request.method() != Method::HEAD;
    match serve(edge, peer, request).await {
        Ok(response) => response,
        Err((problem, record)) => {
            metrics::counter!(
                "zerogate_refused_total",
                "app" => record.as_ref().map_or_else(String::new, |r| r.backend.app.id().to_string()),
                "cause" => problem.label()
            )
            .increment(1);
            let response = problem.response(to_grpc);
            if let Some(mut record) = record {
                record.status = Some(response.status());
                record.complete = true;
            }
            // hyper sees to this with HTTP/1 only.
            if wants_body { response } else { response.map(|_| EdgeBody::empty()) }
        }
    }
}

type Failed = (Problem, Option<Record>);

async fn serve(edge: Arc<Edge>, peer: Arc<Peer>, request: Request<Incoming>) -> Result<Response<EdgeBody>, Failed> {
    if request.method() == Method::CONNECT {
        return Err((Problem::ConnectMethod, None));
    }
    let Some(host) = host(&request) else { return Err((Problem::BadHost, None)) };
    let Some(backend) = find(&edge, &host, &request) else {
        return Err((Problem::NoRoute { host: host.to_str().unwrap_or_default().to_owned() }, None));
    };
    let entry = edge.access_log.is_on().then(|| {
        let entry = Entry::new(&request, &host, peer.client(request.headers(), &edge.options), edge.clock.now());
        (Box::new(entry), edge.clone())
    });
    let mut record = Record { backend, status: None, bytes: 0, complete: false, entry };
    if let Err(problem) = record.backend.limits.check(request.headers(), &peer, &edge.options) {
        return Err((problem, Some(record)));
    }
    let permit = match record.backend.app.enter().try_admit(edge.clock.now()) {
        Ok(permit) => permit,
        Err(ticket) => match hold(ticket, header_bytes(&request)).await {
            Ok(permit) => permit,
            Err(problem) => return Err((problem, Some(record))),
        },
    };
    if let Some((entry, _)) = &mut record.entry {
        entry.held = permit.wait().map(|wait| wait.held);
    }
    // Boxed: what is needed only from here on is not to weigh on every held request.
    Box::pin(forward(edge, peer, host, request, permit, record)).await
}

/// Waits in line for a free slot.
async fn hold(ticket: Ticket, header_bytes: usize) -> Result<Permit, Problem> {
    let app = ticket.app().clone();
    ticket.hold(header_bytes).await.map_err(|refusal| {
        let retry_after = app.retry_after(&refusal, app.clock().now());
        Problem::Refused { refusal, retry_after }
    })
}

async fn forward(
    edge: Arc<Edge>,
    peer: Arc<Peer>,
    host: HeaderValue,
    mut request: Request<Incoming>,
    mut permit: Permit,
    record: Record,
) -> Result<Response<EdgeBody>, Failed> {
    let clock = &edge.clock;
    let backend = record.backend.clone();
    let timeouts = &backend.timeouts;
    let header_bytes = header_bytes(&request);
    let mut deadline = timeouts.request.map(|whole| Box::pin(tokio::time::sleep(whole)));

    let protocol = backend.protocol;
    let wants_upgrade = if protocol == Protocol::Http1 && request.version() == Version::HTTP_11 {
        upgrade(request.headers())
    } else {
        None
    };
    let client_upgrade = wants_upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
    let (mut parts, body) = request.into_parts();
    prepare_request(&mut parts.headers, &peer, &host, "http");
    if let Some(protocol) = &wants_upgrade {
        parts.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        parts.headers.insert(UPGRADE, protocol.clone());
    }
    match protocol {
        Protocol::Http1 => {
            parts.version = Version::HTTP_11;
            if parts.uri.authority().is_some() {
                parts.uri = origin_form(&parts.uri);
            }
        }
        Protocol::H2c => {
            parts.version = Version::HTTP_2;
            parts.headers.remove(HOST);
            match absolute_form(&host, &parts.uri) {
                Some(uri) => parts.uri = uri,
                None => return Err((Problem::BadHost, Some(record))),
            }
        }
    }
    let progress = (!body.is_end_stream()).then(|| Arc::new(UploadProgress::new(clock.clone())));
    let body = RequestBody::new(body, timeouts.idle, progress.clone());
    let mut request = Request::from_parts(parts, body);

    let mut failed = 0;
    let answer = loop {
        let send = upstream::send(permit.endpoint().clone(), request, protocol, timeouts.connect, clock.now());
        let sent = tokio::select! {
            sent = answer_within(timeouts.response_header, send, progress.clone()) => sent,
            () = async { if let Some(deadline) = &mut deadline { deadline.await } }, if timeouts.request.is_some() => {
                Err(Problem::AnswerTimeout { after: timeouts.request.unwrap_or_default() })
            }
        };
        let why = match sent {
            Ok(Ok(answer)) => break answer,
            Ok(Err(SendError::NotSent { request: unsent, why })) => {
                request = *unsent;
                why
            }
            Ok(Err(SendError::Sent(e))) => {
                let problem = lost(&e, progress.as_deref());
                tracing::debug!(app = %backend.app.id(), endpoint = permit.endpoint().name(), error = %e, "no answer");
                return Err((problem, Some(record)));
            }
            Err(problem) => return Err((problem, Some(record))),
        };
        let endpoint = permit.endpoint();
        endpoint.suspect(clock.now() + SUSPICION);
        tracing::debug!(app = %backend.app.id(), endpoint = endpoint.name(), error = %why, "cannot connect");
        let Some(pause) = RETRY_PAUSES.get(failed) else { return Err((Problem::CannotConnect, Some(record))) };
        failed += 1;
        let ticket = permit.give_back();
        if !pause.is_zero() {
            tokio::time::sleep(*pause).await;
        }
        permit = match ticket.try_admit(clock.now()) {
            Ok(permit) => permit,
            Err(ticket) => match hold(ticket, header_bytes).await {
                Ok(permit) => permit,
                Err(problem) => return Err((problem, Some(record))),
            },
        };
    };
    permit.endpoint().trust();

    let Answer { mut response, lease } = answer;
    if let Some(wait) = permit.wait() {
        permit.app().first_byte();
        if let Ok(timing) = HeaderValue::from_str(&server_timing(wait)) {
            response.headers_mut().append(SERVER_TIMING, timing);
        }
    }
    let mut flight = Flight { record, permit: Some(permit), lease, clock: clock.clone() };
    flight.record.status = Some(response.status());
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return tunnel::switch(response, client_upgrade, timeouts.idle, Box::new(flight))
            .map_err(|flight| (Problem::BadAnswer, Some(flight.record)));
    }
    let (mut parts, body) = response.into_parts();
    strip_hop_by_hop(&mut parts.headers);
    parts.version = Version::HTTP_11;
    Ok(Response::from_parts(parts, EdgeBody::upstream(body, timeouts.idle, deadline, flight)))
}

// === waiting for the answer ===

/// What `send` gives, if it comes within `header` of the request's end.
async fn answer_within<T>(
    header: Duration,
    send: impl Future<Output = T>,
    upload: Option<Arc<UploadProgress>>,
) -> Result<T, Problem> {
    let mut send = std::pin::pin!(send);
    let mut wait = header;
    loop {
        if let Ok(sent) = tokio::time::timeout(wait, send.as_mut()).await {
            return Ok(sent);
        }
        // Still uploading: a slow upload is the business of the idle timeout. Ended meanwhile: what is left from there.
        wait = upload.as_ref().map_or(Duration::ZERO, |upload| match upload.ended_for() {
            None => header,
            Some(ended) => header.saturating_sub(ended),
        });
        if wait.is_zero() {
            return Err(Problem::AnswerTimeout { after: header });
        }
    }
}

/// Why a request that was sent got no answer.
fn lost(error: &hyper::Error, progress: Option<&UploadProgress>) -> Problem {
    if progress.is_some_and(UploadProgress::is_broken) {
        Problem::BadBody
    } else if error.is_parse() || error.is_parse_too_large() {
        Problem::BadAnswer
    } else {
        Problem::ConnectionLost
    }
}

// === request parts ===

/// The host a request is for: `:authority` or the absolute form's, or else the only `Host` header.
fn host(request: &Request<Incoming>) -> Option<HeaderValue> {
    if let Some(authority) = request.uri().authority() {
        let plain = !authority.as_str().contains('@');
        return plain.then(|| HeaderValue::from_str(authority.as_str()).ok())?;
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if host.to_str().is_ok_and(|h| !h.is_empty() && !h.contains(['@', '/', ' ', ','])) => {
            Some(host.clone())
        }
        _ => None,
    }
}

fn find(edge: &Edge, host: &HeaderValue, request: &Request<Incoming>) -> Option<Arc<Backend>> {
    let router = edge.router.load();
    router.find(host.to_str().ok()?, request.uri().path(), request.headers()).cloned()
}

fn origin_form(uri: &Uri) -> Uri {
    uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")).into()
}

fn absolute_form(host: &HeaderValue, uri: &Uri) -> Option<Uri> {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(Authority::try_from(host.as_bytes()).ok()?);
    parts.path_and_query = Some(uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")));
    Uri::from_parts(parts).ok()
}

/// What the header block of a request keeps in memory while it is held.
fn header_bytes(request: &Request<Incoming>) -> usize {
    let headers = request.headers();
    let texts: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    texts + request.uri().path_and_query().map_or(0, |p| p.as_str().len()) + headers.len() * size_of::<HeaderValue>()
}

/// How long the request was held and how long the wake took, in milliseconds.
fn server_timing(wait: activator::admission::Wait) -> String {
    let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
    match wait.wake {
        Some(wake) => format!("hold;dur={:.1}, wake;dur={:.1}", millis(wait.held), millis(wake)),
        None => format!("hold;dur={:.1}", millis(wait.held)),
    }
}

// === impl Flight ===

impl Flight {
    /// `bytes` more of the response's body have gone out.
    pub fn sent(&mut self, bytes: usize) {
        self.record.bytes += bytes as u64;
    }

    /// The response's body has ended as it should: its connection serves the next request, then its slot does.
    pub fn body_ended(&mut self) {
        self.record.complete = true;
        if let Some(lease) = self.lease.take() {
            lease.give_back(&self.clock);
        }
        self.permit = None;
    }
}

impl Flight {
    /// What time it is for this request.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The upgraded connection has ended; it is of no use to anybody else.
    pub fn tunnel_ended(&mut self) {
        self.lease = None;
        self.body_ended();
    }
}

// === impl Record ===

impl Drop for Record {
    fn drop(&mut self) {
        self.backend.count(self.status);
        if let Some((entry, edge)) = self.entry.take() {
            let now = edge.clock.now();
            edge.access_log.write(&entry, self.backend.app.id(), self.status, self.bytes, self.complete, now);
        }
    }
}
