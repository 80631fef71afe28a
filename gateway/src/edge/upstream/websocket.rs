//! WebSockets at an app that speaks HTTP/2 (RFC 8441). Each has a connection of its own, as with HTTP/1.1: only when the app has said
//! what it takes may one be asked for, which is known of a connection that is not shared yet.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use activator::Endpoint;
use http::Request;
use hyper::client::conn::http2::Connection;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::http2::{Http2, builder, exchange};
use super::last_words::LastWords;
use super::{Answer, SendError, Way, tcp, within};
use crate::edge::body::RequestBody;
use crate::edge::files::OpenFile;
use crate::edge::patience::Patience;

/// How many streams the app is taken to allow before it has said so: a number that no app says, by which it is known that none has
/// been said yet.
const NOT_SAID: usize = 0x7a67_0001;
/// How often it is looked whether it has been said.
const LOOK: Duration = Duration::from_millis(2);

type Driver = Connection<TokioIo<LastWords<TcpStream>>, RequestBody, TokioExecutor>;

/// Sends `request`, an extended `CONNECT`, to `endpoint`.
pub(super) async fn send(
    endpoint: &Arc<Endpoint>,
    request: &mut Option<Request<RequestBody>>,
    patience: &mut Patience,
    way: &Way,
) -> Result<Answer, SendError> {
    let file = patience.before_deadline(way.files.take_within(way.connect)).await?.map_err(SendError::NoFile)?;
    let connecting = within(way.connect, open(endpoint.address(), file));
    let (mut connection, driver) = patience.before_deadline(connecting).await?.map_err(SendError::NotSent)?;
    if !driver.is_extended_connect_protocol_enabled() {
        return Err(SendError::NoWebSocket);
    }
    tokio::spawn(driver);
    let response = exchange(&mut connection, request, patience).await?;
    Ok(Answer { response, lease: None })
}

/// A new connection to `address`, which takes `file` of the budget; the app has said what it takes.
async fn open(address: SocketAddr, file: OpenFile) -> io::Result<(Http2, Driver)> {
    let stream = tcp(address).await?;
    let (connection, mut driver) = builder()
        .initial_max_send_streams(NOT_SAID)
        .handshake(TokioIo::new(LastWords::new(stream, Arc::default(), Some(file))))
        .await
        .map_err(io::Error::other)?;
    while driver.current_max_send_streams() == NOT_SAID {
        tokio::select! {
            _ = &mut driver => return Err(io::ErrorKind::ConnectionReset.into()),
            () = sleep(LOOK) => {}
        }
    }
    Ok((connection, driver))
}
