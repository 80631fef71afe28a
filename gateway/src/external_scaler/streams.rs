//! The two streams. Each makes its next message when the last one was taken: who reads slowly gets the latest, and nothing is
//! queued. They end with OK when the gateway stops.

use std::future::pending;
use std::pin::pin;

use activator::Timestamp;
use activator::activity::{Push, Pushes};
use futures_util::stream;
use tonic::Status;
use tonic::codegen::BoxStream;

use super::bounds::OpenFor;
use super::protocol::{GetMetricSpecResponse, IsActiveResponse, ScaledObjectRef};
use super::service::{Asked, Scaler};

/// One who listens.
struct Listener {
    scaler: Scaler,
    object: ScaledObjectRef,
    asked: Asked,
    _open: OpenFor,
}

/// What a look at an app comes to.
enum Look<T> {
    Say(T),
    /// Look again at that time, if there is one, or when something changes.
    Wait(Option<Timestamp>),
}

/// Says when the app becomes active, and slowly again as long as it is. Never that it is not.
pub(super) fn activity(
    scaler: Scaler,
    object: ScaledObjectRef,
    asked: Asked,
    open: OpenFor,
) -> BoxStream<IsActiveResponse> {
    let mut pushes = Pushes::default();
    let listener = Listener { scaler, object, asked, _open: open };
    listener.each(move |listener| {
        let Listener { scaler, asked, .. } = listener;
        let now = scaler.0.clock.now();
        // What is not known is neither an edge nor an end.
        let Some(demand) = scaler.0.counts.demand(&asked.app, now) else { return Ok(Look::Wait(None)) };
        let observed = asked.app.observed_from_outside(demand.is_real(asked.hold_on()));
        Ok(match pushes.look(&observed, now, fastrand::f64()) {
            Push::Now => Look::Say(IsActiveResponse { result: true }),
            Push::At(at) => Look::Wait(Some(at)),
            Push::WhenChanged => Look::Wait(None),
        })
    })
}

/// Says what is measured at once, and again whenever that changes.
pub(super) fn specs(
    scaler: Scaler,
    object: ScaledObjectRef,
    asked: Asked,
    open: OpenFor,
) -> BoxStream<GetMetricSpecResponse> {
    let mut said = None;
    let listener = Listener { scaler, object, asked, _open: open };
    listener.each(move |listener| {
        // The app's own target may be another by now.
        listener.asked = listener.scaler.0.asked(&listener.object)?;
        let spec = listener.asked.spec();
        if said.as_ref() == Some(&spec) {
            return Ok(Look::Wait(None));
        }
        said = Some(spec.clone());
        Ok(Look::Say(spec))
    })
}

// === impl Listener ===

impl Listener {
    /// A stream of what `look` says.
    fn each<T: Send + 'static>(
        self,
        look: impl FnMut(&mut Self) -> Result<Look<T>, Status> + Send + 'static,
    ) -> BoxStream<T> {
        let messages = stream::unfold(Some((self, look)), |state| async {
            let (mut listener, mut look) = state?;
            let message = listener.next(&mut look).await?;
            let goes_on = message.is_ok();
            Some((message, goes_on.then_some((listener, look))))
        });
        Box::pin(messages)
    }

    /// The next message, an error to end with, or the end.
    async fn next<T>(
        &mut self,
        look: &mut impl FnMut(&mut Self) -> Result<Look<T>, Status>,
    ) -> Option<Result<T, Status>> {
        loop {
            let app = self.asked.app.clone();
            let mut changed = pin!(app.changes().notified());
            changed.as_mut().enable();
            if self.scaler.0.drain.has_begun() {
                return None;
            }
            if app.is_closing() {
                // Asked anew, whoever listens gets to the app that is declared under that name by now, if there is one.
                return self.scaler.0.asked(&self.object).err().map(Err);
            }
            let at = match look(self) {
                Ok(Look::Say(message)) => return Some(Ok(message)),
                Ok(Look::Wait(at)) => at,
                Err(status) => return Some(Err(status)),
            };
            let due = async {
                match at {
                    Some(at) => tokio::time::sleep_until(self.scaler.0.clock.instant(at)).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = changed => {}
                () = due => {}
                () = self.scaler.0.drain.until_begun() => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests;
