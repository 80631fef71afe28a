//! What `crate::sync` offers, made of loom's primitives.

pub(crate) use std::sync::atomic::Ordering;

pub(crate) use loom::sync::Mutex;
use loom::sync::MutexGuard;
use loom::sync::atomic::{self, fence};

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

/// Loom takes SeqCst accesses for AcqRel ones but knows SeqCst fences, so each such access gets one on either side. That is a
/// little more than SeqCst promises: one access of a side made weaker is not noticed, both are.
fn ordered<T>(ordering: Ordering, access: impl FnOnce() -> T) -> T {
    let is_total = ordering == Ordering::SeqCst;
    if is_total {
        fence(Ordering::SeqCst);
    }
    let seen = access();
    if is_total {
        fence(Ordering::SeqCst);
    }
    seen
}

macro_rules! atomic {
    ($name:ident, $number:ty, [$($operation:ident),*]) => {
        #[derive(Debug)]
        pub(crate) struct $name(atomic::$name);

        #[allow(dead_code)]
        impl $name {
            pub(crate) fn new(value: $number) -> Self {
                Self(atomic::$name::new(value))
            }

            pub(crate) fn load(&self, order: Ordering) -> $number {
                ordered(order, || self.0.load(order))
            }

            $(pub(crate) fn $operation(&self, operand: $number, order: Ordering) -> $number {
                ordered(order, || self.0.$operation(operand, order))
            })*

            pub(crate) fn compare_exchange(
                &self,
                current: $number,
                new: $number,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$number, $number> {
                ordered(success, || self.0.compare_exchange(current, new, success, failure))
            }

            pub(crate) fn compare_exchange_weak(
                &self,
                current: $number,
                new: $number,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$number, $number> {
                self.compare_exchange(current, new, success, failure)
            }
        }
    };
}

atomic!(AtomicBool, bool, [swap]);
atomic!(AtomicU32, u32, [swap, fetch_add, fetch_sub, fetch_or, fetch_and]);
atomic!(AtomicU64, u64, [swap, fetch_max, fetch_sub, fetch_or, fetch_and]);
atomic!(AtomicUsize, usize, [fetch_add, fetch_sub]);
