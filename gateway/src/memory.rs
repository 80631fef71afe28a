//! Gives memory back to the system after many have been held. The C library keeps what was freed for the next time, which
//! may never come.

use activator::HoldBudget;

/// Held requests that make a look worth it: below this, what could be given back is a few megabytes.
const MANY: usize = 1000;

/// How many requests have been held at most since memory was last given back.
#[derive(Debug, Default)]
pub struct HighWater(usize);

// === impl HighWater ===

impl HighWater {
    /// Looks at what is held now; true once, when most of what was held is held no more.
    pub fn has_ebbed(&mut self, budget: &HoldBudget) -> bool {
        let held = budget.requests();
        self.0 = self.0.max(budget.take_peak());
        let ebbed = self.0 >= MANY && held < self.0 / 10;
        if ebbed {
            self.0 = held;
        }
        ebbed
    }
}

/// Returns free memory to the system. Takes milliseconds, and other threads' allocations wait for parts of it.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code)]
    // SAFETY: malloc_trim may be called at any time from any thread; it touches only what is free.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_given_back_while_few_were_held() {
        let budget = HoldBudget::new(10, 10);
        assert!(!HighWater::default().has_ebbed(&budget));
    }

    #[test]
    fn it_is_given_back_once_after_many_have_gone() {
        let budget = HoldBudget::new(10, 10);
        let mut water = HighWater(MANY);
        assert!(water.has_ebbed(&budget));
        assert!(!water.has_ebbed(&budget));
    }
}
