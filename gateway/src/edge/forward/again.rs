//! Requests that go out more than once: nothing of them was sent, or they came too early, or to one that somebody else was just
//! taking away, and are safe to be sent again.

use std::time::Duration;

use activator::{Permit, Ticket, Timestamp};
use http::Request;

use super::waiting::Waiting;
use super::{Answered, Exchange, header_bytes, hold, refused};
use crate::edge::body::RequestBody;
use crate::edge::outgoing::Outgoing;
use crate::edge::problem::Problem;
use crate::edge::upstream::{Answer, SendError, copy, is_safe};

/// Pauses before a request is tried again. In a cluster, where word of pods that are gone may come late, the last one over and
/// over until it may wait no longer; a process that accepts nothing is known to be there.
const PAUSES: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(10),
    Duration::from_millis(40),
    Duration::from_millis(160),
    Duration::from_millis(640),
];

/// How long until it is known of an endpoint that it was being taken away. Word of that comes by the API server.
const KNOWN_AFTER: Duration = Duration::from_secs(1);
const LOOK_EACH: Duration = Duration::from_millis(10);

// === impl Exchange ===

impl Exchange {
    /// Sends the request to an endpoint that its platform does not call ready, or that may be taken away without a word before.
    pub(super) async fn begin_with_spare(mut self, permit: Permit, now: Timestamp) -> Answered {
        match self.send_once(&permit, now).await {
            Ok(answer) => {
                let wait = permit.wait();
                self.finish(answer, permit, wait)
            }
            Err(Some(problem)) => Err((problem, Some(self.record))),
            Err(None) => self.try_again(permit).await,
        }
    }

    /// Tries other endpoints, as long as there is something to be sent, and the same one if there is no other; if there is none at
    /// all, waits for the next. All that for as long as a request may be held.
    pub(super) async fn try_again(mut self, mut permit: Permit) -> Answered {
        let wait = permit.wait();
        let protocol = permit.endpoint().protocol();
        let header_bytes = self.outgoing.request.as_ref().map_or(0, header_bytes);
        let mut pauses = PAUSES.into_iter();
        let [.., last] = PAUSES;
        loop {
            let pause = match pauses.next() {
                Some(pause) => pause,
                None => match self.fault {
                    Some(fault) => return Err((Problem::AppTls(fault), Some(self.record))),
                    None if permit.app().settings().target.outlives_gateway() => last,
                    None => return Err((Problem::CannotConnect, Some(self.record))),
                },
            };
            let again = admit_again(permit.give_back(), pause, header_bytes);
            let admitted = self.patience.before_deadline(again).await;
            permit = match admitted.unwrap_or_else(|timeout| Err(Problem::AnswerTimeout(timeout))) {
                Ok(permit) if permit.endpoint().protocol() == protocol => permit,
                // The app was replaced by one that speaks otherwise; what was made for the old one is of no use to it.
                Ok(_) => return Err((Problem::CannotConnect, Some(self.record))),
                Err(problem) => return Err((problem, Some(self.record))),
            };
            let now = permit.app().clock().now();
            self.patience.renew(permit.app().clock().instant(now));
            match self.send_once(&permit, now).await {
                Ok(answer) => {
                    let wait = permit.wait().or(wait);
                    return self.finish(answer, permit, wait);
                }
                Err(Some(problem)) => return Err((problem, Some(self.record))),
                Err(None) => {}
            }
        }
    }

    /// Sends the request. In the error, what the client is to be told; nothing, if the request is there again.
    ///
    /// What an endpoint says that is used before its platform calls it ready may only mean that this was too early: then the
    /// platform's word is waited for, with a request that may be sent twice (RFC 9110, 9.2.1). So it is if somebody else has
    /// taken the endpoint away before it has said anything.
    async fn send_once(&mut self, permit: &Permit, now: Timestamp) -> Result<Answer, Option<Problem>> {
        let is_early = permit.endpoint().is_early();
        let goes_unasked = permit.app().is_put_to_sleep_by_others();
        let spare = if is_early || goes_unasked { self.spare() } else { None };
        let waiting = Waiting::new(permit, &self.patience);
        let sent = self.send(permit.endpoint(), now).await;
        waiting.over();
        let is_broken = self.patience.upload().is_some_and(|upload| upload.is_broken());
        if is_early && !is_broken && came_too_early(&sent) {
            let app = permit.app();
            app.distrust_early(permit.endpoint());
            if spare.is_some() {
                metrics::counter!("zerogate_early_retries_total", "app" => app.id().to_string()).increment(1);
                self.outgoing.request = spare;
                return Err(None);
            }
        }
        let is_lost = matches!(&sent, Err(SendError::Sent(error)) if !error.is_parse() && !error.is_parse_too_large());
        if goes_unasked && is_lost && spare.is_some() && goes(permit).await {
            metrics::counter!("zerogate_lost_retries_total", "app" => permit.app().id().to_string()).increment(1);
            self.outgoing.request = spare;
            return Err(None);
        }
        sent.map_err(|error| self.failed(error, permit))
    }

    /// The request once more, if it may be sent twice.
    fn spare(&self) -> Option<Request<RequestBody>> {
        let Outgoing { request, .. } = &self.outgoing;
        let request = request.as_ref().filter(|request| is_safe(request.method()))?;
        if self.patience.upload().is_some() {
            return None;
        }
        Some(copy(request))
    }
}

/// Whether the endpoint turns out to have been on its way out.
async fn goes(permit: &Permit) -> bool {
    let clock = permit.app().clock();
    let until = clock.now() + KNOWN_AFTER;
    while !permit.endpoint().is_closed() {
        if clock.now() >= until {
            return false;
        }
        tokio::time::sleep(LOOK_EACH).await;
    }
    true
}

fn came_too_early(sent: &Result<Answer, SendError>) -> bool {
    match sent {
        Ok(answer) => answer.response.status().is_server_error(),
        Err(SendError::Sent(error)) => !error.is_parse() && !error.is_parse_too_large(),
        Err(_) => false,
    }
}

/// Another permit after a failed try, `pause` later.
async fn admit_again(mut ticket: Ticket, pause: Duration, header_bytes: usize) -> Result<Permit, Problem> {
    if !pause.is_zero() {
        let app = ticket.app().clone();
        if app.clock().now() >= ticket.deadline() {
            return Err(Problem::CannotConnect);
        }
        ticket = ticket.pause(pause, header_bytes).await.map_err(|refusal| refused(&app, refusal))?;
    }
    let now = ticket.app().clock().now();
    match ticket.try_admit(now) {
        Ok(permit) => Ok(permit),
        Err(ticket) => hold(ticket, header_bytes, None).await,
    }
}

#[cfg(test)]
mod tests;
