//! The way of an app from zero to its first usable endpoint, taken apart by phase.

use std::time::Duration;

use crate::clock::Timestamp;

/// One wake, as far as it has come. A phase that is not over has no time yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wake {
    /// When it was decided on, which is at once when the first request is held; or when the last replica had crashed.
    pub asked: Timestamp,
    /// How many replicas were asked for.
    pub wanted: u32,
    /// When the platform had accepted the scale call.
    pub scaled: Option<Timestamp>,
    /// When the first replica ran (for a process: was spawned).
    pub started: Option<Timestamp>,
    /// When the first endpoint passed its readiness check.
    pub ready: Option<Timestamp>,
    /// When the first byte of an answer was there for a client.
    pub first_byte: Option<Timestamp>,
}

/// A part of a wake, for the histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// From the wake's begin to the accepted scale call.
    ScaleCall,
    /// From there to the first running replica.
    Started,
    /// From there to the first passed readiness check.
    Listening,
    /// From there to the first byte of an answer.
    FirstByte,
}

// === impl Wake ===

impl Wake {
    /// A wake for `wanted` replicas, asked for at `asked`.
    pub fn new(asked: Timestamp, wanted: u32) -> Self {
        Self { asked, wanted, scaled: None, started: None, ready: None, first_byte: None }
    }

    /// Notes that `phase` is over at `now`, once. Returns how long it took, counted from the end of the last phase known.
    pub(crate) fn pass(&mut self, phase: Phase, now: Timestamp) -> Option<Duration> {
        let before = match phase {
            Phase::ScaleCall => Some(self.asked),
            Phase::Started => self.scaled,
            Phase::Listening => self.started,
            Phase::FirstByte => self.ready,
        };
        let end = match phase {
            Phase::ScaleCall => &mut self.scaled,
            Phase::Started => &mut self.started,
            Phase::Listening => &mut self.ready,
            Phase::FirstByte => &mut self.first_byte,
        };
        if end.is_some() {
            return None;
        }
        *end = Some(now);
        Some(now.since(before.unwrap_or(self.asked)))
    }

    /// From its begin to the first usable endpoint.
    pub fn duration(&self) -> Option<Duration> {
        self.ready.map(|ready| ready.since(self.asked))
    }

    /// Until when the replicas asked for with the first one are waited for before all that is held goes to those that are
    /// there: as much time again as the first one took, and at least a second.
    pub(crate) fn companions_until(&self) -> Option<Timestamp> {
        let ready = self.ready?;
        Some(ready + ready.since(self.asked).max(Duration::from_secs(1)))
    }
}

// === impl Phase ===

impl Phase {
    /// A word for metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::ScaleCall => "scale_call",
            Self::Started => "started",
            Self::Listening => "listening",
            Self::FirstByte => "first_byte",
        }
    }
}

#[cfg(test)]
mod tests;
