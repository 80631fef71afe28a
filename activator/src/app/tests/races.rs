//! Two threads at what only one of them may win, again and again.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::runtime::Runtime;

use super::*;

const ROUNDS: usize = 2_000;

/// Runs both at almost the same time and returns when both are done.
fn at_once<A: Send, B: Send>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    let start = AtomicU32::new(0);
    let meet = |jitter| {
        start.fetch_add(1, Ordering::SeqCst);
        while start.load(Ordering::SeqCst) < 2 {
            std::thread::yield_now();
        }
        (0..jitter).for_each(|_| std::hint::spin_loop());
    };
    let jitter = [fastrand::u32(..200), fastrand::u32(..200)];
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            meet(jitter[1]);
            b()
        });
        meet(jitter[0]);
        (a(), other.join().unwrap())
    })
}

#[test]
fn an_endpoint_that_goes_stays_closed_though_the_app_was_about_to_sleep() {
    let world = World::new(Clock::manual());
    for _ in 0..ROUNDS {
        let app = world.app("a", limited(1));
        let (going, busy) = (endpoint("going"), endpoint("busy"));
        app.endpoint_ready(going.clone());
        app.endpoint_ready(busy.clone());
        assert!(busy.try_acquire(1, Timestamp::ZERO));
        at_once(|| (0..10).for_each(|_| assert!(!app.try_sleep())), || app.endpoint_gone(&going));
        assert!(going.is_closed(), "opened again: it could be sent a request, and would never count as drained");
    }
}

fn poll_once<F: Future>(future: Pin<&mut F>, runtime: &Runtime) -> Poll<F::Output> {
    let _entered = runtime.enter();
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// A held request that joins the line just when `turn_away` sends all away who wait there.
fn turned_away(turn_away: impl Fn(&Arc<App>) + Sync) {
    let (runtime, world) = (runtime(), World::new(Clock::running()));
    for round in 0..ROUNDS {
        let app = world.app("a", limited(1));
        let mut held = pin!(app.enter().hold(1));
        let (mut answer, ()) = at_once(|| poll_once(held.as_mut(), &runtime), || turn_away(&app));
        if answer.is_pending() {
            answer = poll_once(held.as_mut(), &runtime);
        }
        assert!(matches!(answer, Poll::Ready(Err(_))), "round {round}: it waits though nobody will come");
    }
}

#[test]
fn nobody_waits_at_a_closed_app() {
    turned_away(|app| app.close(Refusal::Stopping));
}

#[test]
fn nobody_waits_for_a_start_that_has_failed() {
    turned_away(|app| app.start_failed(failure(secs(60))));
}

#[test]
fn a_request_that_comes_while_the_app_falls_asleep_is_admitted_or_asks_for_a_wake() {
    let (runtime, mut world) = (runtime(), World::new(Clock::manual()));
    for _ in 0..ROUNDS {
        let app = world.app("a", limited(1));
        let only = endpoint("only");
        app.endpoint_ready(only.clone());
        let (asleep, admitted) = at_once(
            || app.try_sleep(),
            || match app.enter().try_admit(Timestamp::ZERO) {
                Ok(permit) => Some(permit),
                Err(ticket) => match poll_once(pin!(ticket.hold(1)), &runtime) {
                    Poll::Ready(answer) => Some(answer.unwrap()),
                    Poll::Pending => None,
                },
            },
        );
        assert_eq!(asleep, only.is_closed());
        assert!(!asleep || admitted.is_none(), "asleep with a request inside");
        assert!(admitted.is_some() || world.take_pokes() == 1, "it waits and nobody knows");
        world.take_pokes();
    }
}
