//! Leaving HTTP, by what each side speaks: with HTTP/1.1 a request is upgraded and answered with 101 (RFC 9110, 7.8), with HTTP/2 a
//! WebSocket is a `CONNECT` with `:protocol`, answered with 200 (RFC 8441). Of a WebSocket each is made the other.

use std::sync::Arc;

use http::header::{
    CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Body;
use hyper::ext::Protocol;
use hyper::upgrade::OnUpgrade;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::headers::{Peer, strip_hop_by_hop, upgrade};
use super::problem::Flaw;

const WEBSOCKET: &str = "websocket";

/// A client's wish to leave HTTP, which the app grants or not.
pub struct Wish {
    client: OnUpgrade,
    peer: Arc<Peer>,
    way: Way,
}

/// How it is asked of the app, and granted to the client.
enum Way {
    /// Upgraded on both sides, to whatever the two agree upon.
    Upgrade,
    /// Asked with HTTP/2, and upgraded at the app, which has to prove that it has understood with this value.
    ToHttp1(HeaderValue),
    /// Upgraded at the client, which is to have this value, and asked of the app with HTTP/2.
    ToHttp2(HeaderValue),
    /// Asked with HTTP/2 on both sides.
    Connect,
}

/// How a request would leave HTTP.
pub enum Asked {
    /// By an upgrade, to this.
    Upgrade(HeaderValue),
    /// As a WebSocket with HTTP/2.
    Connect,
}

// === impl Asked ===

impl Asked {
    /// How `request` would leave HTTP, if it would and its app, which speaks HTTP/2 or HTTP/1.1, can be asked for that.
    /// `may_upgrade` if its headers may say so.
    pub fn of<B: Body>(request: &Request<B>, may_upgrade: bool, http2: bool) -> Option<Self> {
        if asks_by_connect(request) {
            return Some(Self::Connect);
        }
        let protocol = upgrade(request.headers()).filter(|_| may_upgrade && request.version() == Version::HTTP_11)?;
        // With HTTP/2 there are only WebSockets.
        let can_be = !http2
            || (is_websocket(&protocol)
                && request.method() == Method::GET
                && request.headers().contains_key(SEC_WEBSOCKET_KEY)
                && request.body().is_end_stream());
        can_be.then_some(Self::Upgrade(protocol))
    }

    /// Has `request`, whose headers are the app's already, ask for it.
    pub fn ask<B>(self, request: &mut Request<B>, peer: &Arc<Peer>, http2: bool) -> Wish {
        let client = hyper::upgrade::on(&mut *request);
        let headers = request.headers_mut();
        let way = match (self, http2) {
            (Self::Upgrade(protocol), false) => {
                insert_upgrade(headers, protocol);
                Way::Upgrade
            }
            (Self::Upgrade(_), true) => {
                let key = headers.remove(SEC_WEBSOCKET_KEY);
                headers.remove(CONTENT_LENGTH);
                *request.method_mut() = Method::CONNECT;
                request.extensions_mut().insert(Protocol::from_static(WEBSOCKET));
                Way::ToHttp2(accept(key.as_ref().map_or(&[], HeaderValue::as_bytes)))
            }
            (Self::Connect, false) => {
                let key = generate_key();
                let accept = accept(key.as_bytes());
                if let Ok(key) = HeaderValue::try_from(key) {
                    headers.insert(SEC_WEBSOCKET_KEY, key);
                }
                headers.entry(SEC_WEBSOCKET_VERSION).or_insert(HeaderValue::from_static("13"));
                headers.remove(CONTENT_LENGTH);
                insert_upgrade(headers, HeaderValue::from_static(WEBSOCKET));
                *request.method_mut() = Method::GET;
                request.extensions_mut().remove::<Protocol>();
                Way::ToHttp1(accept)
            }
            (Self::Connect, true) => Way::Connect,
        };
        Wish { client, peer: peer.clone(), way }
    }
}

fn insert_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Whether it is a WebSocket's `CONNECT`.
pub fn asks_by_connect<B>(request: &Request<B>) -> bool {
    request.method() == Method::CONNECT && protocol(request).is_some_and(|name| name.eq_ignore_ascii_case(WEBSOCKET))
}

/// What a `CONNECT` of HTTP/2 is to be a tunnel for, if it says so.
pub fn protocol<B>(request: &Request<B>) -> Option<&str> {
    request.extensions().get::<Protocol>().map(Protocol::as_str)
}

fn is_websocket(protocol: &HeaderValue) -> bool {
    protocol.as_bytes().eq_ignore_ascii_case(WEBSOCKET.as_bytes())
}

/// What proves that a key was understood (RFC 6455, 4.2.2).
fn accept(key: &[u8]) -> HeaderValue {
    // It is base64.
    HeaderValue::try_from(derive_accept_key(key)).unwrap_or_else(|_| HeaderValue::from_static(""))
}

// === impl Wish ===

impl Wish {
    /// Whether `answer` grants it. If not, it is an answer like any other.
    ///
    /// # Errors
    /// It is none that the client could be given.
    pub fn is_granted<B>(&self, answer: &Response<B>) -> Result<bool, Flaw> {
        let (status, headers) = (answer.status(), answer.headers());
        let switches = status == StatusCode::SWITCHING_PROTOCOLS;
        match &self.way {
            Way::Upgrade if switches && upgrade(headers).is_none() => Err(Flaw::Switches),
            Way::Upgrade => Ok(switches),
            Way::ToHttp1(accept) if switches => {
                let proves = headers.get(SEC_WEBSOCKET_ACCEPT) == Some(accept);
                let is_it = upgrade(headers).is_some_and(|protocol| is_websocket(&protocol));
                if proves && is_it { Ok(true) } else { Err(Flaw::NoWebSocket) }
            }
            Way::ToHttp2(_) | Way::Connect if switches => Err(Flaw::Switches),
            // hyper takes no other of these for a tunnel.
            Way::ToHttp2(_) | Way::Connect if status == StatusCode::OK => Ok(true),
            // With HTTP/2 each of these would mean that it is granted; for HTTP/1.1's clients it is a plain answer.
            Way::ToHttp1(_) | Way::Connect | Way::ToHttp2(_) if status.is_success() => Err(Flaw::NoWebSocket),
            Way::ToHttp1(_) | Way::Connect | Way::ToHttp2(_) => Ok(false),
        }
    }

    /// Makes the app's headers, which grant it, the client's; with that the client's side, and who it is.
    pub fn grant(self, status: &mut StatusCode, headers: &mut HeaderMap) -> (OnUpgrade, Arc<Peer>) {
        let protocol = headers.get(UPGRADE).cloned();
        strip_hop_by_hop(headers);
        match self.way {
            Way::Upgrade => insert_upgrade(headers, protocol.unwrap_or_else(|| HeaderValue::from_static(""))),
            Way::ToHttp2(accept) => {
                *status = StatusCode::SWITCHING_PROTOCOLS;
                headers.remove(CONTENT_LENGTH);
                insert_upgrade(headers, HeaderValue::from_static(WEBSOCKET));
                headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
            }
            Way::ToHttp1(_) | Way::Connect => {
                *status = StatusCode::OK;
                headers.remove(CONTENT_LENGTH);
                headers.remove(SEC_WEBSOCKET_ACCEPT);
            }
        }
        (self.client, self.peer)
    }
}

#[cfg(test)]
mod tests;
