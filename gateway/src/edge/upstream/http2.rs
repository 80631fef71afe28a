//! HTTP/2 with endpoints: one connection that all requests of a thread share.

use std::error::Error;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use activator::Endpoint;
use h2::Reason;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::pool::Pool;
use super::{Answer, SendError, THERE, Way, is_safe, take_back, tcp, within};
use crate::edge::body::RequestBody;
use crate::edge::files::OpenFile;
use crate::edge::patience::Patience;
use crate::edge::timer::LazyTimer;

/// Bytes of one response's body that an app may send before a client takes them.
const STREAM_WINDOW: u32 = 64 << 10;
/// Bytes of one request's body that may wait to be sent, but for the last piece.
const MOST_TO_SEND: usize = 16 << 10;
/// The connection is many clients': as large as can be, or the slow ones use it up and nobody gets anything.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
/// Most bytes of a response's header list.
const MAX_HEADERS: u32 = 256 << 10;
/// Pauses before a request goes out again that the app has refused.
const PAUSES: [Duration; 3] = [Duration::ZERO, Duration::from_millis(10), Duration::from_millis(100)];

/// A connection that is shared.
pub(super) type Http2 = http2::SendRequest<RequestBody>;

/// What became of a request that was sent and got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The app has said that it has done nothing with it (RFC 9113, 8.7): it may go out again, whatever it is.
    Refused,
    /// The connection ended: nobody knows.
    Lost,
    /// Something else went wrong.
    Failed,
}

/// A request on its way, that may have to go out again.
pub(super) struct Tries {
    pauses: std::array::IntoIter<Duration, 3>,
    /// How the connection ended that it was sent on before.
    lost: Option<hyper::Error>,
}

/// Sends `request` to an endpoint that speaks HTTP/2 with prior knowledge.
pub(super) async fn send(
    endpoint: &Arc<Endpoint>,
    request: &mut Option<Request<RequestBody>>,
    patience: &mut Patience,
    way: &Way,
) -> Result<Answer, SendError> {
    let pool = endpoint.attachment(Pool::new);
    let mut tries = Tries::new();
    loop {
        let shared = pool.shared();
        let is_new = shared.is_none();
        let connection = match shared {
            Some(connection) => connection,
            None => {
                let file = way.files.take_within(way.connect);
                let file = patience.before_deadline(file).await?.map_err(SendError::NoFile)?;
                let connect = async { open(tcp(endpoint.address()).await?, file).await };
                let connecting = within(way.connect, pool.share(connect));
                let made = patience.before_deadline(connecting).await?.map_err(SendError::NotSent);
                made.map_err(|error| error.unless_lost(tries.take_lost()))?
            }
        };
        let sent = tries.send(connection, is_new, request, patience, way).await;
        match sent.map_err(|error| error.unless_lost(tries.take_lost()))? {
            Some(response) => return Ok(Answer { response, lease: None }),
            None => continue,
        }
    }
}

/// What all connections have in common.
pub(super) fn builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MAX_HEADERS)
        .max_send_buf_size(MOST_TO_SEND);
    builder
}

/// A connection over `stream`, which takes `file` of the budget.
pub(super) async fn open<S>(stream: S, file: OpenFile) -> io::Result<Http2>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (connection, driver) = builder()
        // Until the app has said how many streams it takes: it would refuse what is beyond.
        .initial_max_send_streams(1)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(async move {
        let _ = driver.await;
        drop(file);
    });
    Ok(connection)
}

pub(super) async fn exchange(
    connection: &mut Http2,
    request: &mut Option<Request<RequestBody>>,
    patience: &mut Patience,
) -> Result<Response<Incoming>, SendError> {
    let mut timer = LazyTimer::default();
    let mut answer = pin!(connection.try_send_request(request.take().expect(THERE)));
    std::future::poll_fn(|cx| match answer.as_mut().poll(cx) {
        Poll::Ready(Ok(response)) => Poll::Ready(Ok(response)),
        Poll::Ready(Err(e)) => Poll::Ready(Err(take_back(e, request))),
        Poll::Pending => patience.poll_over(&mut timer, cx).map(|timeout| Err(timeout.into())),
    })
    .await
}

/// The head of a request once more, without a body.
pub fn copy(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut copy = Request::new(RequestBody::empty());
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    *copy.version_mut() = request.version();
    copy.headers_mut().clone_from(request.headers());
    copy
}

// === impl Fate ===

impl Fate {
    fn of(error: &hyper::Error) -> Self {
        let Some(source) = error.source() else { return Self::Failed };
        let Some(error) = source.downcast_ref::<h2::Error>() else {
            return if source.is::<io::Error>() { Self::Lost } else { Self::Failed };
        };
        // A GOAWAY is told to those streams only that it does not name; the others go on.
        let is_refused = error.is_go_away() || error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
        if is_refused && error.is_remote() { Self::Refused } else { Self::Failed }
    }
}

// === impl Tries ===

impl Tries {
    pub(super) fn new() -> Self {
        Self { pauses: PAUSES.into_iter(), lost: None }
    }

    /// It was sent before, on a connection that ended like this.
    pub(super) fn was_lost(&mut self, how: hyper::Error) {
        self.lost = Some(how);
    }

    /// How the connection ended that it was sent on before.
    pub(super) fn take_lost(&mut self) -> Option<hyper::Error> {
        self.lost.take()
    }

    /// Sends the request on `connection`, which is new or not. Nothing, if it is there again and may go out again.
    pub(super) async fn send(
        &mut self,
        mut connection: Http2,
        is_new: bool,
        request: &mut Option<Request<RequestBody>>,
        patience: &mut Patience,
        way: &Way,
    ) -> Result<Option<Response<Incoming>>, SendError> {
        if let Err(e) = connection.ready().await {
            // A connection that has ended is no reason to give up, unless it was only just made.
            return if is_new { Err(SendError::NotSent(io::Error::other(e))) } else { Ok(None) };
        }
        let spare = request.as_mut().map(|request| (copy(request), request.body_mut().lend()));
        let error = match exchange(&mut connection, request, patience).await {
            Ok(response) => return Ok(Some(response)),
            Err(SendError::NotSent(_)) if !is_new => return Ok(None),
            Err(SendError::Sent(error)) => error,
            Err(e) => return Err(e),
        };
        let fate = Fate::of(&error);
        let Some((mut spare, lent)) = spare else { return Err(SendError::Sent(error)) };
        match fate {
            Fate::Refused => {
                if let Some(lent) = lent {
                    let Some(body) = lent.back().await else { return Err(SendError::Sent(error)) };
                    *spare.body_mut() = body;
                }
                let Some(pause) = self.pauses.next() else { return Err(SendError::Refused) };
                way.count_refused();
                if !pause.is_zero() {
                    patience.before_deadline(tokio::time::sleep(pause)).await?;
                }
            }
            Fate::Lost if !is_new && self.lost.is_none() && lent.is_none() && is_safe(spare.method()) => {
                self.lost = Some(error);
                way.count_closed();
            }
            Fate::Lost | Fate::Failed => return Err(SendError::Sent(error)),
        }
        *request = Some(spare);
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
