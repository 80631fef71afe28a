//! The one place where a cause becomes an answer: status, `application/problem+json` (RFC 9457), `Retry-After`; for gRPC
//! clients a trailers-only response.

use std::time::Duration;

use activator::Refusal;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use serde_json::json;

use super::body::EdgeBody;
use super::files::Lack;
use super::via::MOST_PASSES;
use crate::tls::app::TlsFault;

/// Why a request gets an answer from the gateway and not from its app.
#[derive(Debug)]
pub enum Problem {
    /// The request has no usable host.
    BadHost,
    /// Its target is neither a path nor a URL that is served here.
    BadTarget,
    /// `OPTIONS` or `TRACE` that may not be passed on any further: the answer that it asks for.
    LastHop {
        /// The `TRACE` as it came, if it is that.
        seen: Option<String>,
    },
    /// `CONNECT` asks for a tunnel to anywhere.
    ConnectMethod,
    /// `CONNECT` asks for a protocol that is not served.
    ConnectProtocol,
    /// The app speaks HTTP/2, and does not let it carry WebSockets.
    NoWebSocket,
    /// The body has a transfer coding besides chunks.
    TransferCoding,
    /// No app is declared for this host, path and headers.
    NoRoute {
        /// The host, as asked for.
        host: String,
    },
    /// The host is another one than the client has asked for in its TLS handshake.
    Misdirected {
        /// What it has asked for there.
        name: String,
    },
    /// The app is to be asked by TLS only.
    NeedsTls {
        /// Where that is.
        location: Option<HeaderValue>,
    },
    /// Too many requests.
    RateLimited {
        /// What is limited: "app" or "client".
        policy: &'static str,
        /// The burst it allows.
        burst: u32,
        /// Until the next one may come.
        wait: Duration,
    },
    /// As many requests of the app are in flight as may be.
    TooManyInFlight {
        /// How many.
        limit: u32,
    },
    /// It comes round again and again.
    Loop,
    /// The activator gave no permit.
    Refused {
        /// Why.
        refusal: Refusal,
        /// How long the client had better wait.
        retry_after: Duration,
    },
    /// There is no open file for a connection to the app.
    NoFile(Lack),
    /// No connection to the app could be made; nothing was sent.
    CannotConnect,
    /// The app is to be spoken to with TLS, and that came to nothing; nothing was sent.
    AppTls(TlsFault),
    /// The app closed the connection before it answered.
    ConnectionLost,
    /// The app has refused the request each time that it was sent.
    StreamRefused,
    /// The app answered something that cannot be passed on as what it is.
    BadAnswer(Flaw),
    /// The app did not answer in time.
    AnswerTimeout(Timeout),
    /// The client sent nothing more of its body for too long, or sent it wrongly.
    BadBody,
}

/// What is wrong with an app's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// It is not HTTP.
    NotHttp,
    /// Its header is too large.
    TooLarge,
    /// It has a transfer coding besides chunks.
    Coded,
    /// It changes to a protocol that nobody asked for.
    Switches,
    /// It grants a WebSocket in a way that is none.
    NoWebSocket,
}

/// Which time has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// `timeouts.responseHeader`, from the request's end to the response's head.
    Head {
        /// How long it is.
        after: Duration,
    },
    /// `timeouts.request`, for the whole of it.
    Request {
        /// How long it is.
        after: Duration,
    },
}

/// gRPC status codes (grpc/doc/statuscodes.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GrpcStatus {
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Unavailable = 14,
}

// === impl Flaw ===

impl Flaw {
    fn detail(self) -> &'static str {
        match self {
            Self::NotHttp => "the app answered something that is not HTTP; check its port and protocol",
            Self::TooLarge => {
                "the header of the app's answer is too large to be passed on; it may have 100 lines and 32 KiB, have the app \
                 send less"
            }
            Self::Coded => {
                "the app answered with a transfer coding besides `chunked`; have it use Content-Encoding instead"
            }
            Self::Switches => "the app changed to a protocol that the client had not asked for; look at the app's log",
            Self::NoWebSocket => {
                "the app neither took up the WebSocket as it should nor refused it with an error; look whether it serves WebSockets \
                 at this path"
            }
        }
    }
}

// === impl Problem ===

impl Problem {
    /// A word for metrics: one of a fixed few.
    pub fn label(&self) -> &'static str {
        match self {
            Self::BadHost => "bad_host",
            Self::BadTarget => "bad_target",
            Self::LastHop { .. } => "last_hop",
            Self::ConnectMethod => "connect_method",
            Self::ConnectProtocol => "connect_protocol",
            Self::NoWebSocket => "no_websocket",
            Self::TransferCoding => "transfer_coding",
            Self::NoRoute { .. } => "no_route",
            Self::Misdirected { .. } => "misdirected",
            Self::NeedsTls { .. } => "needs_tls",
            Self::RateLimited { .. } => "rate_limited",
            Self::TooManyInFlight { .. } => "too_many_in_flight",
            Self::Loop => "loop",
            Self::Refused { refusal, .. } => refusal.label(),
            Self::NoFile(_) => "open_files",
            Self::CannotConnect => "cannot_connect",
            Self::AppTls(_) => "app_tls",
            Self::ConnectionLost => "connection_lost",
            Self::StreamRefused => "stream_refused",
            Self::BadAnswer(_) => "bad_answer",
            Self::AnswerTimeout(_) => "answer_timeout",
            Self::BadBody => "bad_body",
        }
    }

    fn status(&self) -> (StatusCode, GrpcStatus) {
        use GrpcStatus as G;
        use StatusCode as S;
        match self {
            Self::BadHost | Self::BadTarget | Self::BadBody => (S::BAD_REQUEST, G::InvalidArgument),
            Self::LastHop { .. } => (S::OK, G::Unimplemented),
            Self::ConnectMethod => (S::METHOD_NOT_ALLOWED, G::Unimplemented),
            Self::TransferCoding | Self::ConnectProtocol | Self::NoWebSocket => (S::NOT_IMPLEMENTED, G::Unimplemented),
            Self::NoRoute { .. } => (S::NOT_FOUND, G::Unimplemented),
            Self::Misdirected { .. } => (S::MISDIRECTED_REQUEST, G::Unavailable),
            Self::NeedsTls { .. } => (S::PERMANENT_REDIRECT, G::Unavailable),
            Self::RateLimited { .. } => (S::TOO_MANY_REQUESTS, G::ResourceExhausted),
            Self::TooManyInFlight { .. } | Self::NoFile(_) => (S::SERVICE_UNAVAILABLE, G::ResourceExhausted),
            Self::StreamRefused => (S::SERVICE_UNAVAILABLE, G::Unavailable),
            Self::Loop => (S::LOOP_DETECTED, G::Unavailable),
            Self::Refused { refusal, .. } => match refusal {
                Refusal::LineFull { .. } | Refusal::GatewayFull | Refusal::ShareFull => {
                    (S::SERVICE_UNAVAILABLE, G::ResourceExhausted)
                }
                Refusal::Deadline { .. } => (S::GATEWAY_TIMEOUT, G::DeadlineExceeded),
                Refusal::CannotStart(_) | Refusal::Stopping | Refusal::Removed => {
                    (S::SERVICE_UNAVAILABLE, G::Unavailable)
                }
            },
            Self::AppTls(TlsFault::Late) => (S::GATEWAY_TIMEOUT, G::DeadlineExceeded),
            Self::CannotConnect | Self::AppTls(_) | Self::ConnectionLost | Self::BadAnswer(_) => {
                (S::BAD_GATEWAY, G::Unavailable)
            }
            Self::AnswerTimeout(_) => (S::GATEWAY_TIMEOUT, G::DeadlineExceeded),
        }
    }

    /// The cause and the next step.
    fn detail(&self) -> String {
        match self {
            Self::BadHost => {
                "the request names no valid host; send one `Host` header (or `:authority`) with the app's name".into()
            }
            Self::BadTarget => {
                "the target of the request is neither a path nor a URL of http; send `GET /path` and the app's name in `Host`"
                    .into()
            }
            Self::LastHop { .. } => "the request may not be passed on (`Max-Forwards: 0`), and was answered by the gateway".into(),
            Self::ConnectMethod => "CONNECT is not served here; send the request to the app's host directly".into(),
            Self::ConnectProtocol => "of the protocols that CONNECT may ask for only `websocket` is served here".into(),
            Self::NoWebSocket => {
                "the app is declared with `protocol: h2c` and takes no WebSockets over HTTP/2 (RFC 8441); have its server allow \
                 extended CONNECT, or let it speak HTTP/1.1 and take `protocol` out"
                    .into()
            }
            Self::TransferCoding => {
                "the body has a transfer coding besides `chunked`; send it with Content-Encoding instead".into()
            }
            Self::NoRoute { host } => format!(
                "no app is declared for this path and these headers at host `{host}`; check the host name, or add a \
                 route to the app's HTTPApp"
            ),
            Self::Misdirected { name } => format!(
                "the connection was made for `{name}`, and the request is for another host; send it on a connection of \
                 its own"
            ),
            Self::NeedsTls { .. } => "this app is to be asked by TLS only; ask for the same with https".into(),
            Self::RateLimited { policy, wait, .. } => format!(
                "too many requests for this {policy}; try again in {} s or ask for a higher limit",
                seconds_up(*wait)
            ),
            Self::TooManyInFlight { limit } => format!(
                "{limit} requests of the app are in flight, which is its limit; look whether it sends its requests to itself, or \
                 raise limits.inFlight"
            ),
            Self::Loop => format!(
                "the request has come round to this gateway more than {MOST_PASSES} times; the app, or one that it asks, \
                 sends requests back here: let it ask somebody else"
            ),
            Self::Refused { refusal, retry_after } => {
                format!("{refusal}; try again in {} s", seconds_up(*retry_after))
            }
            Self::NoFile(lack) => {
                let whose = match lack {
                    Lack::All => "the gateway has no open file left",
                    Lack::Share => "the app has its share of the gateway's open files",
                };
                format!(
                    "{whose}, and each connection is one; try again, or raise the gateway's limit of open files (ulimit -Hn, \
                     LimitNOFILE of systemd)"
                )
            }
            Self::CannotConnect => {
                "the app accepts no connection; it may be restarting, try again, and look at its log".into()
            }
            Self::AppTls(fault) => fault.to_string(),
            Self::ConnectionLost => {
                "the app closed the connection before it answered; the request may have had an effect; look at the \
                 app's log"
                    .into()
            }
            Self::StreamRefused => {
                "the app has refused the request, four times, and done nothing with it (REFUSED_STREAM or GOAWAY of HTTP/2); try \
                 again, and look at its log and at how many streams it takes"
                    .into()
            }
            Self::BadAnswer(flaw) => flaw.detail().into(),
            Self::AnswerTimeout(Timeout::Head { after }) => format!(
                "the app sent no response header within {} s; look at the app's log, or raise timeouts.responseHeader",
                after.as_secs_f64()
            ),
            Self::AnswerTimeout(Timeout::Request { after }) => format!(
                "the request was not over within {} s; look at the app's log, or raise timeouts.request",
                after.as_secs_f64()
            ),
            Self::BadBody => "the request's body came too slowly or was malformed; send it again".into(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { wait, .. } => Some(*wait),
            Self::Refused { retry_after, .. } => Some(*retry_after),
            Self::CannotConnect | Self::StreamRefused | Self::TooManyInFlight { .. } | Self::NoFile(_) => {
                Some(Duration::from_secs(1))
            }
            _ => None,
        }
    }

    /// The answer to a client, which is a gRPC client or not.
    pub fn response(&self, to_grpc: bool) -> Response<EdgeBody> {
        if to_grpc { self.grpc() } else { self.http() }
    }

    fn http(&self) -> Response<EdgeBody> {
        let (status, _) = self.status();
        if let Self::LastHop { seen } = self {
            let Some(seen) = seen else {
                let mut response = Response::new(EdgeBody::empty());
                response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
                return response;
            };
            let mut response = Response::new(EdgeBody::full(seen.clone().into()));
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(seen.len()));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("message/http"));
            return response;
        }
        let mut document = json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or("Error"),
            "status": status.as_u16(),
            "cause": self.label(),
            "detail": self.detail(),
        });
        if let Self::Refused { refusal: Refusal::CannotStart(failure), .. } = self
            && !failure.output.is_empty()
        {
            document["output"] = failure.output.clone().into();
        }
        let body = Bytes::from(document.to_string());
        let mut response = Response::new(EdgeBody::full(body.clone()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        self.add_headers(headers);
        response
    }

    /// Trailers-only: the status in the header block of a response without a body (gRPC over HTTP/2, "Responses").
    fn grpc(&self) -> Response<EdgeBody> {
        let (_, status) = self.status();
        let mut response = Response::new(EdgeBody::empty());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(HeaderName::from_static("grpc-status"), HeaderValue::from(status as u16));
        if let Ok(message) = HeaderValue::from_str(&percent_encode(&self.detail())) {
            headers.insert(HeaderName::from_static("grpc-message"), message);
        }
        self.add_headers(headers);
        response
    }

    fn add_headers(&self, headers: &mut HeaderMap) {
        if let Self::NeedsTls { location: Some(location) } = self {
            headers.insert(LOCATION, location.clone());
        }
        if let Some(wait) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds_up(wait)));
        }
        // draft-ietf-httpapi-ratelimit-headers: the policy and what is left of it.
        if let Self::RateLimited { policy, burst, wait } = self {
            let now = format!("\"{policy}\";r=0;t={}", seconds_up(*wait));
            if let (Ok(policy), Ok(now)) =
                (HeaderValue::from_str(&format!("\"{policy}\";q={burst}")), HeaderValue::from_str(&now))
            {
                headers.insert(HeaderName::from_static("ratelimit-policy"), policy);
                headers.insert(HeaderName::from_static("ratelimit"), now);
            }
        }
    }
}

/// Whether a request with these headers is a gRPC call.
pub fn is_grpc<B>(request: &Request<B>) -> bool {
    // gRPC's requests are POSTs, all of them; of others the headers need not be looked at.
    request.method() == Method::POST
        && request.headers().get(CONTENT_TYPE).is_some_and(|value| {
            value
                .as_bytes()
                .strip_prefix(b"application/grpc")
                .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
        })
}

/// Whole seconds, rounded up, at least 1: a client that comes back then does not come too early.
fn seconds_up(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// As `grpc-message` wants it: printable ASCII but for `%`, the rest percent-encoded.
fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}

#[cfg(test)]
mod tests;
