//! Connections that leave HTTP: WebSocket, and raw bytes.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::ext::Protocol;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use super::body::{self, AnyBody};
use super::server::Stopping;

const MAX_MESSAGE: usize = 1 << 20;
/// How long the other side has to answer a close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

type Complaint = (StatusCode, String);

/// Becomes a WebSocket that echoes its messages, and says goodbye when the app stops.
///
/// # Errors
/// The request is no WebSocket handshake.
pub(super) fn websocket(request: Request<Incoming>, stopping: Stopping) -> Result<Response<AnyBody>, Complaint> {
    if request.extensions().get::<Protocol>().is_some_and(|protocol| protocol.as_str() == "websocket") {
        // With HTTP/2 (RFC 8441).
        become_websocket(request, stopping);
        return Ok(Response::new(body::full("")));
    }
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let asks = header(UPGRADE).is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"));
    let accept = header(SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    let (true, Some(accept), Some("13")) = (asks, accept, header(SEC_WEBSOCKET_VERSION)) else {
        return Err((StatusCode::UPGRADE_REQUIRED, "/ws: expected a WebSocket handshake, version 13".to_owned()));
    };
    let accept = HeaderValue::from_str(&accept).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    let mut response = switching(HeaderValue::from_static("websocket"));
    response.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, accept);
    become_websocket(request, stopping);
    Ok(response)
}

fn become_websocket(request: Request<Incoming>, stopping: Stopping) {
    tokio::spawn(async move {
        if let Ok(upgraded) = hyper::upgrade::on(request).await {
            echo_messages(upgraded, stopping).await;
        }
    });
}

/// Switches to whatever protocol the request names and echoes each byte, until the client ends its side.
///
/// # Errors
/// The request asks for no upgrade.
pub(super) fn raw(request: Request<Incoming>, stopping: Stopping) -> Result<Response<AnyBody>, Complaint> {
    let Some(protocol) = request.headers().get(UPGRADE).cloned() else {
        return Err((StatusCode::UPGRADE_REQUIRED, "/upgrade: expected an Upgrade header".to_owned()));
    };
    tokio::spawn(async move {
        if let Ok(upgraded) = hyper::upgrade::on(request).await {
            let (mut reader, mut writer) = tokio::io::split(TokioIo::new(upgraded));
            let _ = tokio::io::copy(&mut reader, &mut writer).await;
            let _ = writer.shutdown().await;
        }
        drop(stopping);
    });
    Ok(switching(protocol))
}

fn switching(protocol: HeaderValue) -> Response<AnyBody> {
    let mut response = Response::new(body::full(""));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(UPGRADE, protocol);
    response
}

async fn echo_messages(upgraded: Upgraded, mut stopping: Stopping) {
    let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
    let io = TokioIo::new(upgraded);
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(message)) if message.is_text() || message.is_binary() => {
                    if socket.send(message).await.is_err() {
                        return;
                    }
                }
                // Pings and close frames are answered by the next call.
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
            () = stopping.wait() => break,
        }
    }
    let goodbye = CloseFrame { code: CloseCode::Away, reason: "the app stops".into() };
    if socket.close(Some(goodbye)).await.is_ok() {
        let ended = async { while let Some(Ok(_)) = socket.next().await {} };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, ended).await;
    }
}
