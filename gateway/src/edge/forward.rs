//! One request's way: route, limits, admit or hold, send, answer.

mod again;
mod asked;
mod waiting;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use activator::admission::Fault;
use activator::admission::affinity::Affinity;
use activator::app::Wait;
use activator::settings::Protocol;
use activator::{App, Endpoint, Permit, Refusal, Ticket, Timestamp};
use http::header::{CONNECTION, CONTENT_LENGTH, SET_COOKIE};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::Body;
use rustix::io::Errno;

use super::backend::Backend;
use super::body::{EdgeBody, UploadProgress};
use super::client_body::ClientBody;
use super::compact::compact;
use super::files::Lack;
use super::flight::{Flight, Record};
use super::headers::{Peer, add_via, clean_response, may_be_passed_on, reflection};
use super::listener::STREAM_WINDOW;
use super::outgoing::Outgoing;
use super::patience::Patience;
use super::problem::{Flaw, Problem, is_grpc};
use super::route::{is_named, port_of};
use super::tunnel;
use super::upstream::{self, Answer, SendError};
use super::websocket;
use super::{Edge, EdgeOfConnection};
use crate::access_log::Entry;
use crate::tls::app::TlsFault;
use asked::{host, is_coded, is_large, is_target};
use waiting::Waiting;

/// How long other endpoints are preferred after a failed connect.
const SUSPICION: Duration = Duration::from_secs(2);

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Why a request gets no answer from its app, and whose it is if that is known.
type Failed = (Problem, Option<Record>);
type Answered = Result<Response<EdgeBody>, Failed>;

/// A request that has had a permit, until its response is on the way.
struct Exchange {
    outgoing: Outgoing,
    record: Record,
    patience: Patience,
    /// Why there was no TLS at the last try, if that was it.
    fault: Option<TlsFault>,
}

/// Answers `request` from `peer`.
///
/// What is kept across the waits here is kept by every held request, and what is boxed is not: so the two long waits are. It is
/// no `async fn`, which would keep its arguments a second time, 280 bytes, and move them there.
#[allow(clippy::manual_async_fn)]
pub fn handle(
    edge: Arc<EdgeOfConnection>,
    peer: Arc<Peer>,
    mut request: Request<ClientBody>,
) -> impl Future<Output = Response<EdgeBody>> + Send {
    async move {
        let to_grpc = is_grpc(&request);
        let wants_body = request.method() != Method::HEAD;
        let is_large = is_large(&request);
        peer.wait().set_reads_on(!is_large);
        let failed = 'failed: {
            let (mut host, mut record) = match route(&edge, &peer, &request) {
                Ok(routed) => routed,
                Err(failed) => break 'failed failed,
            };
            let Backend { app, most_in_flight, .. } = &**record.backend();
            let Some(ticket) = app.enter_within(*most_in_flight) else {
                let limit = *most_in_flight;
                break 'failed (Problem::TooManyInFlight { limit }, Some(record));
            };
            let now = ticket.arrived();
            let affinity = record.backend().affinity.as_ref();
            let affinity = affinity.and_then(|by| by.of(request.headers(), &peer, &edge.options));
            record.was_led_by(affinity);
            let permit = match ticket.try_admit_to(now, affinity) {
                Ok(permit) => permit,
                Err(ticket) => {
                    compact(&mut request);
                    host = HeaderValue::from_bytes(host.as_bytes()).unwrap_or(host);
                    match Box::pin(hold(ticket, held_bytes(&request), record.led_by())).await {
                        Ok(permit) => permit,
                        Err(problem) => break 'failed (problem, Some(record)),
                    }
                }
            };
            match admitted(request, &peer, &host, permit, record).await {
                Ok(mut response) => {
                    if response.body().has_deadline() {
                        response.body_mut().tell(peer.wait());
                    }
                    return response;
                }
                Err(failed) => failed,
            }
        };
        let mut response = refuse(failed, to_grpc, wants_body);
        if is_large {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Which app a request is for, and whether it may come at all.
fn route(edge: &Arc<Edge>, peer: &Peer, request: &Request<ClientBody>) -> Result<(HeaderValue, Record), Failed> {
    let unrouted = |problem: Problem, host: Option<&HeaderValue>| {
        if edge.access_log.is_on() {
            let now = edge.clock.now();
            let host = host.cloned().unwrap_or_else(|| HeaderValue::from_static(""));
            let entry = Entry::new(request, &host, peer.client(request.headers(), &edge.options), now);
            let status = problem.response(is_grpc(request)).status();
            edge.access_log.write(&entry, None, Some(status), 0, true, now);
        }
        (problem, None)
    };
    if request.method() == Method::CONNECT && !websocket::asks_by_connect(request) {
        let problem = websocket::protocol(request).map_or(Problem::ConnectMethod, |_| Problem::ConnectProtocol);
        return Err(unrouted(problem, None));
    }
    if !is_target(request) {
        return Err(unrouted(Problem::BadTarget, None));
    }
    if !may_be_passed_on(request) {
        return Err(unrouted(Problem::LastHop { seen: reflection(request) }, None));
    }
    let host = host(request).ok_or_else(|| unrouted(Problem::BadHost, None))?;
    if !request.body().is_end_stream() && is_coded(request.headers()) {
        return Err(unrouted(Problem::TransferCoding, Some(&host)));
    }
    // RFC 9110, 7.4: who asks for one host in the handshake and for another in the request may be meant to get neither's.
    if let Some(name) = peer.server_name()
        && !host.to_str().is_ok_and(|host| is_named(host, name))
    {
        return Err(unrouted(Problem::Misdirected { name: name.to_owned() }, Some(&host)));
    }
    let Some(backend) = find(edge, &host, request) else {
        let name = host.to_str().unwrap_or_default().to_owned();
        return Err(unrouted(Problem::NoRoute { host: name }, Some(&host)));
    };
    let entry = edge.access_log.is_on().then(|| {
        let entry = Entry::new(request, &host, peer.client(request.headers(), &edge.options), edge.clock.now());
        (Box::new(entry), edge.clone())
    });
    let record = Record::new(backend, peer.speaks_tls(), entry);
    if record.backend().redirects()
        && let Some(port) = edge.options.https_port
        && !peer.is_secure(request.headers())
    {
        return Err((Problem::NeedsTls { location: with_tls(&host, port, request.uri()) }, Some(record)));
    }
    let limits = record.backend().limits.as_ref();
    match limits.map_or(Ok(()), |limits| limits.check(request.headers(), peer, &edge.options)) {
        Ok(()) => Ok((host, record)),
        Err(problem) => Err((problem, Some(record))),
    }
}

/// Waits in line for a free slot.
async fn hold(ticket: Ticket, bytes: usize, affinity: Option<Affinity>) -> Result<Permit, Problem> {
    let app = ticket.app().clone();
    ticket.hold_for(bytes, affinity).await.map_err(|refusal| refused(&app, refusal))
}

fn refused(app: &App, refusal: Refusal) -> Problem {
    let retry_after = app.retry_after(&refusal, app.clock().now());
    Problem::Refused { refusal, retry_after }
}

/// Goes on with a request that has its permit. Not async itself: what it makes on the way would stay in the caller's frame.
fn admitted(
    request: Request<ClientBody>,
    peer: &Arc<Peer>,
    host: &HeaderValue,
    permit: Permit,
    mut record: Record,
) -> Pin<Box<dyn Future<Output = Answered> + Send>> {
    record.admitted(&permit);
    let (outgoing, upload) =
        match Outgoing::new(request, peer, host, record.backend(), permit.endpoint().protocol() == Protocol::H2c) {
            Ok(prepared) => prepared,
            Err(problem) => return Box::pin(std::future::ready(Err((problem, Some(record))))),
        };
    let clock = permit.app().clock();
    let now = if permit.wait().is_none() { permit.arrived() } else { clock.now() };
    let patience = Patience::new(&record.backend().timeouts, upload, clock.instant(now));
    Box::pin(exchange(Exchange { outgoing, record, patience, fault: None }, permit, now))
}

/// Sends the request and returns the app's answer.
///
/// No `async fn`: that would keep its arguments a second time, 400 bytes for every request in flight.
#[allow(clippy::manual_async_fn)]
fn exchange(mut exchange: Exchange, permit: Permit, now: Timestamp) -> impl Future<Output = Answered> + Send {
    async move {
        if permit.endpoint().is_early() || permit.app().is_put_to_sleep_by_others() {
            return Box::pin(exchange.begin_with_spare(permit, now)).await;
        }
        // Neither answer nor problem is there any more when it is tried again: what is would make this larger for all.
        let waiting = Waiting::new(&permit, &exchange.patience);
        let error = match exchange.send(permit.endpoint(), now).await {
            Ok(answer) => {
                waiting.over();
                let wait = permit.wait();
                return exchange.finish(answer, permit, wait);
            }
            Err(e) => {
                waiting.over();
                e
            }
        };
        if let Some(problem) = exchange.failed(error, &permit) {
            return Err((problem, Some(exchange.record)));
        }
        Box::pin(exchange.try_again(permit)).await
    }
}

// === impl Exchange ===

impl Exchange {
    fn send(
        &mut self,
        endpoint: &Arc<Endpoint>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Answer, SendError>> + Send {
        let way = self.record.backend().way();
        upstream::send(endpoint, &mut self.outgoing.request, &mut self.patience, way, now)
    }

    /// What the client is to be told; nothing yet, if nothing was sent.
    fn failed(&mut self, error: SendError, permit: &Permit) -> Option<Problem> {
        let (app, endpoint) = (permit.app(), permit.endpoint());
        self.fault = None;
        match error {
            SendError::NoFile(lack) => Some(Problem::NoFile(lack)),
            SendError::NoWebSocket => Some(Problem::NoWebSocket),
            SendError::NotSent(why) => {
                if is_out_of_files(&why) {
                    return Some(Problem::NoFile(Lack::All));
                }
                if Errno::from_io_error(&why) != Some(Errno::ADDRNOTAVAIL) {
                    app.suspect(endpoint, app.clock().now() + SUSPICION);
                }
                tracing::debug!(app = %app.id(), endpoint = endpoint.name(), error = %why, "cannot connect");
                None
            }
            SendError::Sent(e) => {
                tracing::debug!(app = %app.id(), endpoint = endpoint.name(), error = %e, "no answer");
                let problem = lost(&e, self.patience.upload());
                if !matches!(problem, Problem::BadBody) {
                    app.blame(endpoint, Fault::NoAnswer);
                }
                Some(problem)
            }
            SendError::Tls(fault) => {
                let id = app.id().to_string();
                metrics::counter!("zerogate_app_tls_failures_total", "app" => id, "cause" => fault.label())
                    .increment(1);
                tracing::debug!(app = %app.id(), endpoint = endpoint.name(), "no TLS: {fault}");
                app.suspect(endpoint, app.clock().now() + SUSPICION);
                self.fault = Some(fault);
                (!fault.is_passing()).then_some(Problem::AppTls(fault))
            }
            SendError::Refused => {
                app.suspect(endpoint, app.clock().now() + SUSPICION);
                Some(Problem::StreamRefused)
            }
            SendError::TimedOut(timeout) => {
                if self.patience.has_sent_all() {
                    app.blame(endpoint, Fault::NoAnswer);
                }
                Some(Problem::AnswerTimeout(timeout))
            }
        }
    }

    /// The app's answer as the client gets it.
    fn finish(self, Answer { mut response, lease }: Answer, permit: Permit, wait: Option<Wait>) -> Answered {
        permit.app().trust(permit.endpoint());
        if let Some(wait) = wait {
            permit.app().first_byte();
            if let Ok(timing) = HeaderValue::from_str(&server_timing(wait)) {
                response.headers_mut().append(SERVER_TIMING, timing);
            }
        }
        if let Some(affinity) = &self.record.backend().affinity
            && let Some(cookie) = affinity.cookie(&permit, self.record.led_by())
        {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        if response.body().size_hint().exact().is_none() && is_coded(response.headers()) {
            return Err((Problem::BadAnswer(Flaw::Coded), Some(self.record)));
        }
        let idle = self.record.backend().timeouts.idle;
        let granted = match &self.outgoing.wish {
            Some(wish) => wish.is_granted(&response),
            None if response.status() == StatusCode::SWITCHING_PROTOCOLS => Err(Flaw::Switches),
            None => Ok(false),
        };
        let granted = match granted {
            Ok(granted) => granted,
            Err(flaw) => return Err((Problem::BadAnswer(flaw), Some(self.record))),
        };
        let mut flight = Flight::new(self.record, permit, lease, self.patience.upload().cloned(), response.status());
        if let Some(wish) = self.outgoing.wish.filter(|_| granted) {
            return Ok(tunnel::switch(response, *wish, idle, flight));
        }
        let is_over = self.patience.upload().filter(|upload| upload.ends_connection()).is_some_and(|upload| {
            // One that answers well may well read on, unless it says that it closes.
            let status = response.status();
            let ends = status.is_client_error() || status.is_server_error() || closes(&response);
            upload.answered(ends);
            ends
        });
        clean_response(response.headers_mut());
        if is_over {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        flight.add_hsts(response.headers_mut());
        let version = response.version();
        add_via(response.headers_mut(), version);
        *response.version_mut() = Version::HTTP_11;
        if response.status() == StatusCode::NO_CONTENT {
            // RFC 9110, 8.6 and 15.3.5: neither length nor body; HTTP/2 apps may send both all the same.
            response.headers_mut().remove(CONTENT_LENGTH);
            flight.body_ended();
            return Ok(response.map(|_| EdgeBody::empty()));
        }
        let deadline = self.patience.deadline();
        Ok(response.map(|body| EdgeBody::upstream(body, idle, deadline, flight)))
    }
}

/// Whether the app takes nothing more on the connection that this came on.
fn closes<B>(response: &Response<B>) -> bool {
    let says = |word: &str| {
        let values = response.headers().get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|said| said.trim().eq_ignore_ascii_case(word))
    };
    if response.version() == Version::HTTP_10 { !says("keep-alive") } else { says("close") }
}

/// Whether it is this machine that has no open file left for a connection, for which no endpoint is to blame.
fn is_out_of_files(why: &io::Error) -> bool {
    matches!(Errno::from_io_error(why), Some(Errno::MFILE | Errno::NFILE))
}

/// The gateway's own answer.
fn refuse((problem, record): Failed, to_grpc: bool, wants_body: bool) -> Response<EdgeBody> {
    let app = record.as_ref().map_or_else(String::new, |record| record.backend().app.id().to_string());
    metrics::counter!("zerogate_refused_total", "app" => app, "cause" => problem.label()).increment(1);
    let mut response = problem.response(to_grpc);
    if let Some(record) = record {
        record.add_hsts(response.headers_mut());
        record.refused(response.status());
    }
    // hyper sees to this with HTTP/1 only.
    if wants_body { response } else { response.map(|_| EdgeBody::empty()) }
}

/// Why a request that was sent got no answer.
fn lost(error: &hyper::Error, upload: Option<&Arc<UploadProgress>>) -> Problem {
    if upload.is_some_and(|upload| upload.is_broken()) {
        Problem::BadBody
    } else if error.is_parse_too_large() {
        Problem::BadAnswer(Flaw::TooLarge)
    } else if error.is_parse() {
        Problem::BadAnswer(Flaw::NotHttp)
    } else {
        Problem::ConnectionLost
    }
}

/// The same with TLS, as a client is to ask for it.
fn with_tls(host: &HeaderValue, port: u16, uri: &Uri) -> Option<HeaderValue> {
    let host = host.to_str().ok()?;
    let name = &host[..host.len() - port_of(host).len()];
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let path = if path.starts_with('/') { path } else { "/" };
    HeaderValue::from_str(&format!("https://{name}{port}{path}")).ok()
}

fn find(edge: &Edge, host: &HeaderValue, request: &Request<ClientBody>) -> Option<Arc<Backend>> {
    let router = edge.router.load();
    router.find(host.to_str().ok()?, request.uri().path(), request.headers()).cloned()
}

/// What a request keeps in memory while it is held: its header block, and what HTTP/2 lets in of its body. With HTTP/1 that
/// stays in the socket.
fn held_bytes<B: Body>(request: &Request<B>) -> usize {
    let body = request.body();
    if request.version() != Version::HTTP_2 || body.is_end_stream() {
        return header_bytes(request);
    }
    let let_in = body.size_hint().upper().unwrap_or(u64::MAX).min(STREAM_WINDOW.into());
    header_bytes(request) + usize::try_from(let_in).unwrap_or(usize::MAX)
}

/// What the header block of a request keeps in memory.
fn header_bytes<B>(request: &Request<B>) -> usize {
    let headers = request.headers();
    let texts: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    texts + request.uri().path_and_query().map_or(0, |p| p.as_str().len()) + headers.len() * size_of::<HeaderValue>()
}

/// How long the request was held and how long the wake took, in milliseconds.
fn server_timing(wait: Wait) -> String {
    let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
    match wait.wake {
        Some(wake) => format!("hold;dur={:.1}, wake;dur={:.1}", millis(wait.held), millis(wake)),
        None => format!("hold;dur={:.1}", millis(wait.held)),
    }
}

#[cfg(test)]
mod tests;
