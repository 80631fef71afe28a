//! How much memory a test keeps.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts for each thread what it has taken and not given back, as glibc's malloc rounds it up.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    static KEPT: Cell<isize> = const { Cell::new(0) };
}

/// What this thread keeps, in bytes, since some moment.
pub(crate) fn kept() -> isize {
    KEPT.get()
}

fn count(layout: Layout, sign: isize) {
    let rounded = (layout.size() + 8).next_multiple_of(16).max(32);
    // A thread that ends has nothing to count any more.
    let _ = KEPT.try_with(|kept| kept.set(kept.get() + sign * rounded as isize));
}

// SAFETY: all of it is done by the system's allocator.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout, 1);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout, -1);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}
