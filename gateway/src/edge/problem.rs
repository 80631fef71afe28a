//! The one place where a cause becomes an answer: status, `application/problem+json` (RFC 9457), `Retry-After`; for gRPC
//! clients a trailers-only response.

use std::time::Duration;

use activator::Refusal;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use serde_json::json;

use super::body::EdgeBody;
use super::via::MOST_PASSES;

/// Why a request gets an answer from the gateway and not from its app.
#[derive(Debug)]
pub enum Problem {
    /// The request has no usable host.
    BadHost,
    /// `CONNECT` asks for a tunnel to anywhere.
    ConnectMethod,
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
    /// It comes round again and again.
    Loop,
    /// The activator gave no permit.
    Refused {
        /// Why.
        refusal: Refusal,
        /// How long the client had better wait.
        retry_after: Duration,
    },
    /// No connection to the app could be made; nothing was sent.
    CannotConnect,
    /// The app closed the connection before it answered.
    ConnectionLost,
    /// The app answered something that is not HTTP, or that cannot be passed on as what it is.
    BadAnswer,
    /// The app did not answer in time.
    AnswerTimeout(Timeout),
    /// The client sent nothing more of its body for too long, or sent it wrongly.
    BadBody,
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

// === impl Problem ===

impl Problem {
    /// A word for metrics: one of a fixed few.
    pub fn label(&self) -> &'static str {
        match self {
            Self::BadHost => "bad_host",
            Self::ConnectMethod => "connect_method",
            Self::TransferCoding => "transfer_coding",
            Self::NoRoute { .. } => "no_route",
            Self::Misdirected { .. } => "misdirected",
            Self::NeedsTls { .. } => "needs_tls",
            Self::RateLimited { .. } => "rate_limited",
            Self::Loop => "loop",
            Self::Refused { refusal, .. } => refusal.label(),
            Self::CannotConnect => "cannot_connect",
            Self::ConnectionLost => "connection_lost",
            Self::BadAnswer => "bad_answer",
            Self::AnswerTimeout(_) => "answer_timeout",
            Self::BadBody => "bad_body",
        }
    }

    fn status(&self) -> (StatusCode, GrpcStatus) {
        use GrpcStatus as G;
        use StatusCode as S;
        match self {
            Self::BadHost | Self::BadBody => (S::BAD_REQUEST, G::InvalidArgument),
            Self::ConnectMethod => (S::METHOD_NOT_ALLOWED, G::Unimplemented),
            Self::TransferCoding => (S::NOT_IMPLEMENTED, G::Unimplemented),
            Self::NoRoute { .. } => (S::NOT_FOUND, G::Unimplemented),
            Self::Misdirected { .. } => (S::MISDIRECTED_REQUEST, G::Unavailable),
            Self::NeedsTls { .. } => (S::PERMANENT_REDIRECT, G::Unavailable),
            Self::RateLimited { .. } => (S::TOO_MANY_REQUESTS, G::ResourceExhausted),
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
            Self::CannotConnect | Self::ConnectionLost | Self::BadAnswer => (S::BAD_GATEWAY, G::Unavailable),
            Self::AnswerTimeout(_) => (S::GATEWAY_TIMEOUT, G::DeadlineExceeded),
        }
    }

    /// The cause and the next step.
    fn detail(&self) -> String {
        match self {
            Self::BadHost => {
                "the request names no valid host; send one `Host` header (or `:authority`) with the app's name".into()
            }
            Self::ConnectMethod => "CONNECT is not served here; send the request to the app's host directly".into(),
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
            Self::Loop => format!(
                "the request has come round to this gateway more than {MOST_PASSES} times; the app, or one that it asks, \
                 sends requests back here: let it ask somebody else"
            ),
            Self::Refused { refusal, retry_after } => {
                format!("{refusal}; try again in {} s", seconds_up(*retry_after))
            }
            Self::CannotConnect => {
                "the app accepts no connection; it may be restarting, try again, and look at its log".into()
            }
            Self::ConnectionLost => {
                "the app closed the connection before it answered; the request may have had an effect; look at the \
                 app's log"
                    .into()
            }
            Self::BadAnswer => {
                "the app answered something that is not HTTP, or with a transfer coding besides `chunked`; check its \
                 port and protocol"
                    .into()
            }
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
            Self::CannotConnect => Some(Duration::from_secs(1)),
            _ => None,
        }
    }

    /// The answer to a client, which is a gRPC client or not.
    pub fn response(&self, to_grpc: bool) -> Response<EdgeBody> {
        if to_grpc { self.grpc() } else { self.http() }
    }

    fn http(&self) -> Response<EdgeBody> {
        let (status, _) = self.status();
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
