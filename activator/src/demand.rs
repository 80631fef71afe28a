//! Exact in-flight, and its time-weighted average over any window.
//!
//! The integral of concurrency c over time up to now is the sum over all requests of `min(end, now) - start`. With
//! K = (sum of ends so far) - (sum of starts so far) that is `c * now + K`. Count and K live in one 128-bit word, so a
//! reader never sees one without the other, and a request costs one atomic addition when it comes and one when it goes.

mod recent;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use portable_atomic::AtomicU128;

use crate::clock::Timestamp;
pub use recent::{PEAK_SPAN, Peak};
pub(crate) use recent::{Recent, Seen};

/// Requests of one app in flight, and everything needed to average them over time.
#[derive(Debug)]
pub(crate) struct Load {
    /// The count above `SHIFT`, `K + BIAS` in nanoseconds below. |K| stays under 2^95 ns for 10^12 years, so neither part
    /// ever carries into the other.
    word: AtomicU128,
    arrivals: AtomicU64,
    last_end: AtomicU64,
    /// Most in flight at once since [`Load::take_peak`].
    peak: AtomicU32,
}

const SHIFT: u32 = 96;
const ONE: u128 = 1 << SHIFT;
const BIAS: u128 = 1 << (SHIFT - 1);

/// Readings that come faster replace each other, so that a window never has more than two per second.
const LEAST_SPACING: Duration = Duration::from_millis(500);

/// A reading of a [`Load`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// When it was taken.
    pub at: Timestamp,
    /// Requests in flight then.
    pub in_flight: u32,
    /// Request-nanoseconds spent in flight until then.
    pub integral: u128,
    /// Requests that had come until then.
    pub arrivals: u64,
}

/// Readings over the last while, to average over windows. Kept only while an app has demand or replicas.
#[derive(Debug)]
pub struct Window {
    readings: VecDeque<Reading>,
    keep: Duration,
}

// === impl Load ===

impl Load {
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU128::new(BIAS),
            arrivals: AtomicU64::new(0),
            last_end: AtomicU64::new(0),
            peak: AtomicU32::new(0),
        }
    }

    /// One more. How many there are then.
    pub(crate) fn enter(&self, now: Timestamp) -> u32 {
        self.arrivals.fetch_add(1, Ordering::Relaxed);
        let before = self.word.fetch_add(ONE - u128::from(now.as_nanos()), Ordering::Relaxed);
        let in_flight = count(before).saturating_add(1);
        // Seldom more than a look at memory that is at hand by now.
        if in_flight > self.peak.load(Ordering::Relaxed) {
            self.peak.fetch_max(in_flight, Ordering::Relaxed);
        }
        in_flight
    }

    pub(crate) fn leave(&self, now: Timestamp) {
        self.last_end.fetch_max(now.as_nanos(), Ordering::Relaxed);
        self.word.fetch_sub(ONE - u128::from(now.as_nanos()), Ordering::Release);
    }

    pub(crate) fn in_flight(&self) -> u32 {
        count(self.word.load(Ordering::Acquire))
    }

    /// Most requests in flight at once since this was last asked, those that were in flight then included. For one who asks.
    pub(crate) fn take_peak(&self) -> u32 {
        let peak = self.peak.swap(0, Ordering::Relaxed);
        // Whoever comes in between and finds a greater peak than its own count counts for what is taken here.
        let in_flight = self.in_flight();
        self.peak.fetch_max(in_flight, Ordering::Relaxed);
        peak.max(in_flight)
    }

    /// Requests that have come so far.
    pub(crate) fn arrivals(&self) -> u64 {
        self.arrivals.load(Ordering::Relaxed)
    }

    /// When the last request ended; zero if none has.
    pub(crate) fn last_end(&self) -> Timestamp {
        Timestamp::from_nanos(self.last_end.load(Ordering::Relaxed))
    }

    pub(crate) fn read(&self, now: Timestamp) -> Reading {
        let word = self.word.load(Ordering::Acquire);
        let in_flight = word >> SHIFT;
        // A request may have come, on another thread, a moment after `now` was read: not below zero for that.
        let integral = (in_flight * u128::from(now.as_nanos()) + (word & (ONE - 1))).saturating_sub(BIAS);
        Reading { at: now, in_flight: count(word), integral, arrivals: self.arrivals() }
    }
}

/// The count in a word.
fn count(word: u128) -> u32 {
    u32::try_from(word >> SHIFT).unwrap_or(u32::MAX)
}

// === impl Window ===

impl Window {
    /// An empty window that can average over the last `keep`, beginning with `first`.
    pub fn new(first: Reading, keep: Duration) -> Self {
        Self { readings: VecDeque::from([first]), keep }
    }

    /// Adds a reading and forgets what no window reaches any more. Readings come in the order of time, about one a second,
    /// so there are about as many as `keep` has seconds.
    pub fn record(&mut self, reading: Reading) {
        let latest = self.readings.len() - 1;
        if latest > 0 && reading.at.since(self.readings[latest - 1].at) < LEAST_SPACING {
            self.readings[latest] = reading;
        } else {
            self.readings.push_back(reading);
        }
        // The one before the window's begin stays: the value at the begin lies between it and the next.
        while self.readings.len() > 2 && reading.at.since(self.readings[1].at) >= self.keep {
            self.readings.pop_front();
        }
    }

    /// Changes how far back averages can reach.
    pub fn set_keep(&mut self, keep: Duration) {
        self.keep = keep;
    }

    /// Mean requests in flight over the last `span`, or since the window began if that is shorter, exact at the readings and
    /// linear between them. Knative's linear window with its averaging at start: `A = sum / min(L - F + 1, nb)`.
    pub fn concurrency(&self, span: Duration) -> f64 {
        // Differences first, floats after: the integral of a busy year has more digits than a float.
        let zero = self.readings[0].integral;
        self.average_over(span, Duration::ZERO, |r| r.integral.saturating_sub(zero) as f64)
    }

    /// Mean arrivals per second over the last `span`; since the window began if that is shorter, but at least over one second
    /// and over the time in which one request comes at a rate of `target`: the first request is not yet a rate above it.
    pub fn rate(&self, span: Duration, target: f64) -> f64 {
        let one = Duration::try_from_secs_f64(1.0 / target).unwrap_or(span).min(span);
        self.average_over(span, one.max(Duration::from_secs(1)), |r| r.arrivals as f64) * 1e9
    }

    /// The latest reading.
    pub fn latest(&self) -> Reading {
        *self.readings.back().expect("a window is never empty")
    }

    fn average_over(&self, span: Duration, least: Duration, value: impl Fn(&Reading) -> f64) -> f64 {
        let last = self.latest();
        let begin = Timestamp::from_nanos(last.at.as_nanos().saturating_sub(span.as_nanos() as u64));
        // The last reading not after the begin, and the first after it.
        let after = self.readings.partition_point(|r| r.at <= begin);
        let (base, from) = match after.checked_sub(1) {
            None => (value(&self.readings[0]), self.readings[0].at),
            Some(before) => {
                let a = &self.readings[before];
                let at_begin = match self.readings.get(after) {
                    Some(b) if b.at > a.at => {
                        let part = begin.since(a.at).as_nanos() as f64 / b.at.since(a.at).as_nanos() as f64;
                        value(a) + (value(b) - value(a)) * part
                    }
                    _ => value(a),
                };
                (at_begin, begin)
            }
        };
        let span = last.at.since(from).max(least).as_nanos() as f64;
        if span == 0.0 {
            return f64::from(last.in_flight);
        }
        (value(&last) - base) / span
    }
}

#[cfg(test)]
mod tests;
