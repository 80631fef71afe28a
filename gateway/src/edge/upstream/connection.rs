//! One HTTP/1.1 connection to an endpoint.
//!
//! hyper's half of it has a task of its own. Requests could drive it themselves and spare that task's wake-ups, but then each is
//! written as it comes and wakes the app each time; with a task for each, what is ready together is written together, and an
//! app that is kept busy need not be woken (measured: 0.07 instead of 0.23 wakes of the app per request, 1 us of the gateway's).

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::last_words::LastWords;
use super::sent::Sent;
use super::shards::{self, Home};
use super::{SendError, THERE, take_back};
use crate::edge::body::RequestBody;
use crate::edge::files::OpenFile;
use crate::edge::gather::{Gather, PIECE};
use crate::edge::patience::Patience;
use crate::edge::timer::LazyTimer;

/// Bytes of a request's body that may wait to be written, two pieces as they are read; and most of a response's header.
const MOST_BUFFERED: usize = 2 * PIECE;

/// A connection that carries one request at a time.
pub(super) struct Connection {
    sender: SendRequest<RequestBody>,
    timer: LazyTimer,
    sent: Arc<Sent>,
    /// Where its driver runs.
    home: Home,
}

// === impl Connection ===

impl Connection {
    /// A new connection over `stream`, which takes `file` of the budget.
    ///
    /// # Errors
    /// What the system says.
    pub(super) async fn open<S>(stream: S, file: OpenFile) -> io::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let sent = Arc::<Sent>::default();
        let io = TokioIo::new(Gather::new(LastWords::new(stream, sent.clone(), Some(file))));
        let (sender, driver) = http1::Builder::new()
            // As other proxies do (RFC 9112, 5.1 and 5.2): the space goes, folded lines are joined.
            .allow_spaces_after_header_name_in_responses(true)
            .allow_obsolete_multiline_headers_in_responses(true)
            .max_buf_size(MOST_BUFFERED)
            .handshake(io)
            .await
            .map_err(io::Error::other)?;
        tokio::spawn(driver.with_upgrades());
        Ok(Self { sender, timer: LazyTimer::default(), sent, home: shards::home() })
    }

    /// Where its driver runs.
    pub(super) fn home(&self) -> Home {
        self.home
    }

    /// Whether the request before is over and done with.
    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    /// Waits until the request before is over and done with.
    ///
    /// # Errors
    /// The connection has ended.
    pub(super) async fn ready(&mut self) -> io::Result<()> {
        self.sender.ready().await.map_err(io::Error::other)
    }

    /// Sends `request` and waits for the response's head, as long as `patience` lasts. The request is taken out only to be sent,
    /// and is back if nothing of it was.
    ///
    /// # Errors
    /// Why there is no response.
    pub(super) async fn exchange(
        &mut self,
        request: &mut Option<Request<RequestBody>>,
        patience: &mut Patience,
    ) -> Result<Response<Incoming>, SendError> {
        let Self { sender, timer, .. } = self;
        let mut answer = pin!(sender.try_send_request(request.take().expect(THERE)));
        std::future::poll_fn(|cx| match answer.as_mut().poll(cx) {
            Poll::Ready(Ok(response)) => Poll::Ready(Ok(response)),
            Poll::Ready(Err(e)) => Poll::Ready(Err(take_back(e, request))),
            Poll::Pending => patience.poll_over(timer, cx).map(|timeout| Err(timeout.into())),
        })
        .await
    }

    /// Keeps the request that goes out next if it `may_go_again`.
    pub(super) fn keep_what_is_sent(&self, may_go_again: bool) {
        self.sent.begin(may_go_again);
    }

    /// The request that went out last, if it was kept and nothing has come back of it.
    pub(super) fn unanswered(&self) -> Option<Request<RequestBody>> {
        self.sent.again()
    }

    /// Whether it has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}
