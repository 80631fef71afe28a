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
    /// When the first pod was given to a node.
    pub scheduled: Option<Timestamp>,
    /// When the first replica ran: a process was spawned, a pod had its IP.
    pub started: Option<Timestamp>,
    /// When the first endpoint passed its readiness check.
    pub ready: Option<Timestamp>,
    /// When the kubelet called the first pod ready, which may be long after.
    pub ready_by_kubelet: Option<Timestamp>,
    /// When the first byte of an answer was there for a client.
    pub first_byte: Option<Timestamp>,
}

/// A part of a wake, for the histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// From the wake's begin to the accepted scale call.
    ScaleCall,
    /// From there to the first pod that has a node.
    Scheduled,
    /// From there to the first process.
    Started,
    /// From there to the first pod with an IP.
    PodIp,
    /// From there to the first passed readiness check.
    Listening,
    /// From the first process or IP until the kubelet calls the first pod ready.
    ReadyByKubelet,
    /// From the first passed readiness check to the first byte of an answer.
    FirstByte,
}

// === impl Wake ===

impl Wake {
    /// A wake for `wanted` replicas, asked for at `asked`.
    pub fn new(asked: Timestamp, wanted: u32) -> Self {
        Self {
            asked,
            wanted,
            scaled: None,
            scheduled: None,
            started: None,
            ready: None,
            ready_by_kubelet: None,
            first_byte: None,
        }
    }

    /// Notes that `phase` is over at `now`, once. Returns how long it took, counted from the end of the last phase known.
    pub(crate) fn pass(&mut self, phase: Phase, now: Timestamp) -> Option<Duration> {
        let before = match phase {
            Phase::ScaleCall => Some(self.asked),
            Phase::Scheduled => self.scaled,
            Phase::Started | Phase::PodIp => self.scheduled.or(self.scaled),
            Phase::Listening | Phase::ReadyByKubelet => self.started,
            Phase::FirstByte => self.ready,
        };
        let end = match phase {
            Phase::ScaleCall => &mut self.scaled,
            Phase::Scheduled => &mut self.scheduled,
            Phase::Started | Phase::PodIp => &mut self.started,
            Phase::Listening => &mut self.ready,
            Phase::ReadyByKubelet => &mut self.ready_by_kubelet,
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
            Self::Scheduled => "pod_scheduled",
            Self::Started => "started",
            Self::PodIp => "pod_ip",
            Self::Listening => "listening",
            Self::ReadyByKubelet => "ready_by_kubelet",
            Self::FirstByte => "first_byte",
        }
    }
}

#[cfg(test)]
mod tests;
