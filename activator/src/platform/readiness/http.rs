//! The checks that speak HTTP. One connection per try: what is tried is whether a new one is served.

use std::pin::pin;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, TE, USER_AGENT};
use hyper::rt::{Read, Write};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::NotReady;

const AGENT: &str = concat!("zerogate-readiness/", env!("CARGO_PKG_VERSION"));
const HEALTH_CHECK: &str = "http://localhost/grpc.health.v1.Health/Check";
/// A health answer is two bytes in a frame of five; nothing near this is one.
const MAX_ANSWER: usize = 16 * 1024;
/// Length of a gRPC frame's head: a flag and a 32-bit length.
const FRAME_HEAD: usize = 5;
/// Key of field 1 as a length-delimited value (`HealthCheckRequest.service`) and as a varint (`HealthCheckResponse.status`).
const SERVICE: u8 = 1 << 3 | 2;
const STATUS: u8 = 1 << 3;
const SERVING: u64 = 1;

/// Runs what one HTTP/2 connection needs besides, and no longer than itself.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<JoinSet<()>>>);

/// Ends the tasks when the try is over, or dropped.
struct Ending(Tasks);

pub(super) async fn get(stream: TcpStream, path: &str) -> Result<(), NotReady> {
    get_over(TokioIo::new(stream), path).await
}

/// The same over any connection.
pub(super) async fn get_over<I: Read + Write + Unpin>(io: I, path: &str) -> Result<(), NotReady> {
    let request = Request::get(path).header(HOST, "localhost").header(USER_AGENT, AGENT);
    let request = request.body(Empty::<Bytes>::new()).map_err(|_| NotReady::Malformed)?;
    passes(&exchange_http1(io, request).await?)
}

/// One request on one HTTP/1.1 connection, which ends with the head of its answer.
pub(super) async fn exchange_http1<I>(io: I, request: Request<Empty<Bytes>>) -> Result<Response<Incoming>, NotReady>
where
    I: Read + Write + Unpin,
{
    let (mut sender, connection) = http1::handshake(io).await.map_err(NotReady::Protocol)?;
    let mut response = pin!(sender.send_request(request));
    let mut connection = pin!(connection);
    let response = tokio::select! {
        biased;
        response = &mut response => response,
        // The connection may end in the same moment in which the answer arrives.
        _ = &mut connection => response.await,
    };
    response.map_err(NotReady::Protocol)
}

pub(super) async fn get_http2(stream: TcpStream, path: &str) -> Result<(), NotReady> {
    let request = Request::get(format!("http://localhost{path}")).header(USER_AGENT, AGENT);
    let request = request.body(Empty::<Bytes>::new()).map_err(|_| NotReady::Malformed)?;
    let tasks = Ending(Tasks::default());
    passes(&exchange(stream, request, &tasks.0).await?)
}

pub(super) async fn grpc(stream: TcpStream, service: &str) -> Result<(), NotReady> {
    let request = Request::post(HEALTH_CHECK)
        .header(USER_AGENT, AGENT)
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .body(Full::new(health_request(service)))
        .map_err(|_| NotReady::Malformed)?;
    let tasks = Ending(Tasks::default());
    let response = exchange(stream, request, &tasks.0).await?;
    if response.status() != hyper::StatusCode::OK {
        return Err(NotReady::Status(response.status()));
    }
    // An answer without a message has its status among the headers.
    grpc_status(response.headers()).unwrap_or(Ok(()))?;
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(|_| NotReady::Malformed)?;
    body.trailers().and_then(grpc_status).unwrap_or(Ok(()))?;
    match health_status(&body.to_bytes()).ok_or(NotReady::Malformed)? {
        SERVING => Ok(()),
        2 => Err(NotReady::Health("NOT_SERVING")),
        3 => Err(NotReady::Health("SERVICE_UNKNOWN")),
        _ => Err(NotReady::Health("UNKNOWN")),
    }
}

/// One request on one HTTP/2 connection.
async fn exchange<B>(stream: TcpStream, request: Request<B>, tasks: &Tasks) -> Result<Response<Incoming>, NotReady>
where
    B: Body<Data = Bytes, Error = std::convert::Infallible> + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        http2::handshake(tasks.clone(), TokioIo::new(stream)).await.map_err(NotReady::Protocol)?;
    tasks.0.lock().spawn(async move {
        // What goes wrong with it, the request is told.
        let _ = connection.await;
    });
    sender.send_request(request).await.map_err(NotReady::Protocol)
}

fn passes(response: &Response<Incoming>) -> Result<(), NotReady> {
    match response.status().as_u16() {
        200..=399 => Ok(()),
        _ => Err(NotReady::Status(response.status())),
    }
}

/// A `HealthCheckRequest` in a gRPC frame.
fn health_request(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    // The default value of a field is left out.
    if !service.is_empty() {
        message.put_u8(SERVICE);
        put_varint(&mut message, service.len() as u64);
        message.put_slice(service.as_bytes());
    }
    let mut frame = BytesMut::with_capacity(FRAME_HEAD + message.len());
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put(message);
    frame.freeze()
}

/// The status of the `HealthCheckResponse` in `frame`; `None` if there is none.
fn health_status(frame: &[u8]) -> Option<u64> {
    let (head, message) = frame.split_at_checked(FRAME_HEAD)?;
    // Compressed though we did not offer to take that, or not the length it says.
    if head[0] != 0 || u32::from_be_bytes(head[1..].try_into().ok()?) as usize != message.len() {
        return None;
    }
    match message {
        // Left out: the default, which is 0.
        [] => Some(0),
        [STATUS, value @ ..] => varint(value),
        _ => None,
    }
}

fn put_varint(buffer: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        buffer.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    buffer.put_u8(value as u8);
}

fn varint(bytes: &[u8]) -> Option<u64> {
    let end = bytes.iter().take(9).position(|byte| byte & 0x80 == 0)?;
    Some(bytes[..=end].iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f)))
}

/// What `grpc-status` says, if it is there.
fn grpc_status(headers: &HeaderMap) -> Option<Result<(), NotReady>> {
    let status = headers.get("grpc-status")?;
    if status == "0" {
        return Some(Ok(()));
    }
    Some(Err(NotReady::GrpcStatus(status.to_str().unwrap_or("?").chars().take(16).collect())))
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, task: F) {
        self.0.lock().spawn(task);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        // The tasks hold their set: they have to be ended for it to go.
        self.0.0.lock().abort_all();
    }
}

#[cfg(test)]
mod tests;
