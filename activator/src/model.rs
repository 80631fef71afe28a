//! Every interleaving of the five files where atomics meet, run by loom: the very same sources, compiled a second time
//! against loom's primitives.

mod sync;

#[path = "admission/slots.rs"]
#[allow(dead_code, clippy::duplicate_mod)]
mod slots;

#[path = "admission/filling.rs"]
#[allow(dead_code, clippy::duplicate_mod)]
mod filling;

#[path = "hold/line.rs"]
#[allow(dead_code, clippy::duplicate_mod)]
mod line;

#[path = "app/poked.rs"]
#[allow(dead_code, clippy::duplicate_mod)]
mod poked;

#[path = "admission/suspicion.rs"]
#[allow(dead_code, clippy::duplicate_mod)]
mod suspicion;

use loom::sync::{Arc, Mutex};
use loom::thread;

use crate::clock::Timestamp;
use filling::{FIRST, Filling};
use line::{Line, Place};
use poked::Poked;
use slots::{Released, Slots, UNLIMITED};
use suspicion::Suspicion;
use sync::{AtomicUsize, Ordering, lock};

const LIMIT: u32 = 1;

/// One app with one endpoint, as small as it gets: what `App` and `Slot` do with slots and line, without tokio.
struct Gate {
    limit: u32,
    now: Timestamp,
    slots: Slots,
    filling: Filling,
    line: Line<Waiter>,
}

/// Stands for the oneshot channel: a slot that is sent to nobody comes back.
#[derive(Clone)]
struct Waiter(Arc<Mutex<Mail>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mail {
    Waiting,
    Served,
    Gone,
}

impl Gate {
    fn new() -> Arc<Self> {
        Self::with_limit(LIMIT, Timestamp::ZERO)
    }

    fn with_limit(limit: u32, now: Timestamp) -> Arc<Self> {
        Arc::new(Self { limit, now, slots: Slots::new(), filling: Filling::new(), line: Line::new() })
    }

    /// Has come into rotation at zero, and has `inside` since.
    fn filling(limit: u32, now: Timestamp, inside: u32) -> Arc<Self> {
        let gate = Self::with_limit(limit, now);
        gate.filling.begin(Timestamp::ZERO);
        gate.slots.fill();
        (0..inside).for_each(|_| assert!(gate.slots.try_acquire(UNLIMITED, || Some(inside))));
        gate
    }

    fn with_one_in() -> Arc<Self> {
        let gate = Self::new();
        assert!(gate.try_acquire());
        gate
    }

    /// `App::serve_line`.
    fn serve_line(&self) {
        while !self.line.is_empty() {
            let Some((waiter, ())) = self.line.serve(|_| self.try_acquire().then_some(())) else { return };
            if !waiter.send() {
                self.release();
            }
        }
    }

    /// `Endpoint::try_acquire`.
    fn try_acquire(&self) -> bool {
        self.slots.try_acquire(self.limit, || self.filling.allowed(self.now))
    }

    /// `Slot::drop`.
    fn release(&self) {
        if self.slots.release() == Released::Filling {
            self.filling.answered();
        }
        self.serve_line();
    }

    /// `App::wait_in_line`, up to where it would sleep.
    fn join(&self) -> (Waiter, Place) {
        let waiter = Waiter(Arc::new(Mutex::new(Mail::Waiting)));
        let place = self.line.join(waiter.clone(), 10).unwrap_or_else(|_| panic!("the line is not full"));
        self.serve_line();
        (waiter, place)
    }

    /// What dropping the future of `App::wait_in_line` does.
    fn hang_up(&self, waiter: &Waiter, place: Place) {
        self.line.leave(place);
        if waiter.close() == Mail::Served {
            self.release();
        }
    }
}

impl Waiter {
    fn send(&self) -> bool {
        let mut mail = lock(&self.0);
        let waits = *mail == Mail::Waiting;
        if waits {
            *mail = Mail::Served;
        }
        waits
    }

    fn close(&self) -> Mail {
        std::mem::replace(&mut *lock(&self.0), Mail::Gone)
    }

    fn is_served(&self) -> bool {
        *lock(&self.0) == Mail::Served
    }
}

#[test]
fn a_waiter_that_joins_while_the_slot_comes_back_is_served() {
    loom::model(|| {
        let gate = Gate::with_one_in();
        let other = gate.clone();
        let releases = thread::spawn(move || other.release());
        let (waiter, _) = gate.join();
        releases.join().unwrap();
        assert!(waiter.is_served(), "the slot came free and nobody told the waiter");
        assert_eq!((gate.slots.in_use(), gate.line.len()), (1, 0));
    });
}

#[test]
fn one_of_two_waiters_is_served_and_the_other_one_after_it() {
    loom::model(|| {
        let gate = Gate::with_one_in();
        let other = gate.clone();
        let joins = thread::spawn(move || other.join().0);
        gate.release();
        let first = joins.join().unwrap();
        assert!(first.is_served());
        let (second, _) = gate.join();
        assert!(!second.is_served(), "the limit is one");
        gate.release();
        assert!(second.is_served());
        assert_eq!((gate.slots.in_use(), gate.line.len()), (1, 0));
    });
}

#[test]
fn an_answer_of_one_that_is_being_filled_serves_two_who_wait() {
    loom::model(|| {
        let gate = Gate::filling(UNLIMITED, Timestamp::ZERO, FIRST);
        let (first, _) = gate.join();
        assert!(!first.is_served(), "it has all it may have");
        let other = gate.clone();
        let releases = thread::spawn(move || other.release());
        let (second, _) = gate.join();
        releases.join().unwrap();
        assert!(first.is_served() && second.is_served(), "one slot is back, and one more may be taken");
        assert_eq!((gate.slots.in_use(), gate.line.len()), (FIRST + 1, 0));
    });
}

#[test]
fn whoever_joins_just_when_it_is_filled_is_served() {
    loom::model(|| {
        let gate = Gate::filling(2, Timestamp::from_millis(60_000), 0);
        let other = gate.clone();
        let acquires = thread::spawn(move || other.try_acquire());
        let (waiter, _) = gate.join();
        assert!(acquires.join().unwrap() && waiter.is_served());
        assert!(!gate.slots.is_filling() && !gate.try_acquire(), "from now on its limit holds, and nothing else");
        assert_eq!(gate.slots.in_use(), 2);
    });
}

#[test]
fn two_are_never_in_where_one_may_be() {
    loom::model(|| {
        let gate = Gate::new();
        let other = gate.clone();
        let acquires = thread::spawn(move || other.try_acquire());
        let here = gate.try_acquire();
        let there = acquires.join().unwrap();
        assert!(here ^ there, "exactly one of two gets the only slot");
        assert_eq!(gate.slots.in_use(), 1);
    });
}

#[test]
fn nobody_gets_in_by_a_share_that_was_lowered() {
    loom::model(|| {
        let slots = Arc::new(Slots::new());
        slots.set_share(1);
        let other = slots.clone();
        let acquires = thread::spawn(move || other.try_acquire(UNLIMITED, || None));
        slots.set_share(0);
        // What is seen now is what is told, and given to another gateway but for what is in use.
        let (share, in_use) = slots.share_and_in_use();
        let admitted = acquires.join().unwrap();
        assert_eq!((share, in_use), (0, u32::from(admitted)), "it got in after it was told that nobody is");
        assert!(!slots.try_acquire(UNLIMITED, || None));
        assert_eq!(slots.share_and_in_use(), (share, in_use));
    });
}

#[test]
fn whoever_joins_while_the_share_is_raised_is_served() {
    loom::model(|| {
        let gate = Gate::with_limit(UNLIMITED, Timestamp::ZERO);
        gate.slots.set_share(0);
        let other = gate.clone();
        let raises = thread::spawn(move || {
            other.slots.set_share(1);
            other.serve_line();
        });
        let (waiter, _) = gate.join();
        raises.join().unwrap();
        assert!(waiter.is_served(), "the slot is there and nobody told the waiter");
        assert_eq!((gate.slots.in_use(), gate.line.len()), (1, 0));
    });
}

#[test]
fn a_share_lowered_while_a_slot_comes_back_is_lowered() {
    loom::model(|| {
        let slots = Arc::new(Slots::new());
        slots.set_share(2);
        assert!(slots.try_acquire(UNLIMITED, || None) && slots.try_acquire(UNLIMITED, || None));
        let other = slots.clone();
        let releases = thread::spawn(move || other.release());
        slots.set_share(1);
        releases.join().unwrap();
        assert_eq!(slots.share_and_in_use(), (1, 1));
        assert!(!slots.try_acquire(UNLIMITED, || None));
    });
}

#[test]
fn going_to_sleep_and_a_request_exclude_each_other() {
    loom::model(|| {
        let gate = Gate::new();
        let other = gate.clone();
        let acquires = thread::spawn(move || other.try_acquire());
        let closed = gate.slots.close_if_idle();
        let admitted = acquires.join().unwrap();
        assert!(closed ^ admitted, "exactly one of the two wins");
        assert_eq!((gate.slots.is_closed(), gate.slots.in_use()), (closed, u32::from(admitted)));
    });
}

#[test]
fn a_request_that_met_a_closed_endpoint_is_served_when_it_opens_again() {
    loom::model(|| {
        let gate = Gate::new();
        let other = gate.clone();
        let joins = thread::spawn(move || other.join().0);
        // `App::try_sleep`, with another endpoint that is busy.
        if gate.slots.close_if_idle() {
            gate.slots.reopen();
        }
        gate.serve_line();
        assert!(joins.join().unwrap().is_served());
    });
}

#[test]
fn exactly_one_learns_that_a_closed_endpoint_is_empty() {
    loom::model(|| {
        let gate = Gate::new();
        assert!(gate.slots.try_acquire(2, || None) && gate.slots.try_acquire(2, || None));
        let (one, two) = (gate.clone(), gate.clone());
        let one = thread::spawn(move || one.slots.release());
        let two = thread::spawn(move || two.slots.release());
        // Whoever closes looks itself if nobody is in any more, so that counts as told.
        let told_by_close = gate.slots.close() == 0;
        let told = [one.join().unwrap(), two.join().unwrap()].iter().filter(|r| **r == Released::Drained).count();
        assert_eq!(told + usize::from(told_by_close), 1);
    });
}

#[test]
fn a_slot_sent_to_a_waiter_that_hangs_up_is_not_lost() {
    loom::model(|| {
        let gate = Gate::with_one_in();
        let (leaving, place) = gate.join();
        let (patient, _) = gate.join();
        let other = gate.clone();
        let hangs_up = thread::spawn(move || other.hang_up(&leaving, place));
        gate.release();
        hangs_up.join().unwrap();
        assert!(patient.is_served(), "the slot of the one that left belongs to the next in line");
        assert_eq!((gate.slots.in_use(), gate.line.len()), (1, 0));
    });
}

#[test]
fn a_slot_sent_to_the_only_waiter_that_hangs_up_is_free_again() {
    loom::model(|| {
        let gate = Gate::with_one_in();
        let (leaving, place) = gate.join();
        let other = gate.clone();
        let hangs_up = thread::spawn(move || other.hang_up(&leaving, place));
        gate.release();
        hangs_up.join().unwrap();
        assert_eq!((gate.slots.in_use(), gate.line.len()), (0, 0));
    });
}

#[test]
fn a_request_is_seen_by_the_decision_it_asked_for_or_by_the_next() {
    loom::model(|| {
        // The count, as `Load` has it; whether the app is in the queue; how often it was put there.
        let app = Arc::new((AtomicUsize::new(0), Poked::new(), AtomicUsize::new(0)));
        let poke = |app: &(AtomicUsize, Poked, AtomicUsize)| {
            app.0.fetch_add(1, Ordering::Relaxed);
            if app.1.set() {
                app.2.fetch_add(1, Ordering::AcqRel);
            }
        };
        poke(&app);
        let other = app.clone();
        let arrives = thread::spawn(move || poke(&other));
        // `Scaler::poked`.
        assert!(app.1.take());
        let seen = app.0.load(Ordering::Acquire);
        arrives.join().unwrap();
        let is_queued_again = app.2.load(Ordering::Acquire) == 2;
        assert!(seen == 2 || is_queued_again, "it waits and nobody knows");
    });
}

#[test]
fn a_suspicion_is_watched_to_its_end_by_one() {
    loom::model(|| {
        let (soon, later) = (Timestamp::from_millis(1), Timestamp::from_millis(2));
        let suspicion = Arc::new(Suspicion::new());
        assert!(suspicion.extend(soon));
        let other = suspicion.clone();
        let fails_again = thread::spawn(move || other.extend(later));
        // `Endpoint::still_suspect`, by whoever watches since the first time.
        let first_stops = suspicion.left(soon).is_none() && suspicion.unwatch(soon);
        let another_watches = fails_again.join().unwrap();
        assert_eq!(first_stops, another_watches, "not nobody, and not two");
    });
}
