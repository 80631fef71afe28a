//! What keeps an app from starting, as one failure for as long as it is the same one.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::failure::{FailureCause, StartFailure};

/// How long until another try is worth it at first; doubled while the cause stays the same.
const SHORTEST: Duration = Duration::from_secs(5);
/// How long at most.
const LONGEST: Duration = Duration::from_secs(60);
/// A cause that was gone for longer is a new one.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// What keeps an app from starting.
#[derive(Debug, Default)]
pub(super) struct Failing {
    now: Option<Arc<StartFailure>>,
    /// The last one, and since when it is told like this, or gone.
    last: Option<(Arc<StartFailure>, Timestamp)>,
}

// === impl Failing ===

impl Failing {
    /// It is `cause` now. Returns the failure to report: the same one as before if nothing is new about it.
    pub(super) fn update(
        &mut self,
        cause: Option<FailureCause>,
        output: Vec<String>,
        now: Timestamp,
    ) -> Option<Arc<StartFailure>> {
        let Some(cause) = cause else {
            if let (Some(_), Some((_, since))) = (self.now.take(), &mut self.last) {
                *since = now;
            }
            return None;
        };
        let retry_after = match (&self.now, &self.last) {
            (Some(failure), Some((_, since))) if is_same(&failure.cause, &cause) => {
                let grown = (failure.retry_after * 2).min(LONGEST);
                if grown == failure.retry_after || now.since(*since) < failure.retry_after {
                    return self.now.clone();
                }
                grown
            }
            (None, Some((last, since))) if is_same(&last.cause, &cause) && now.since(*since) < FORGOTTEN => {
                (last.retry_after * 2).min(LONGEST)
            }
            _ => SHORTEST,
        };
        let failure = Arc::new(StartFailure { cause, output, retry_after });
        self.last = Some((failure.clone(), now));
        self.now = Some(failure);
        self.now.clone()
    }

    /// When the failure will be another one although nothing has changed, as it has lasted for so long.
    pub(super) fn next(&self) -> Option<Timestamp> {
        let (failure, since) = self.now.as_ref().and(self.last.as_ref())?;
        (failure.retry_after < LONGEST).then(|| *since + failure.retry_after)
    }
}

/// Whether it is the same thing that is the matter, whatever the words for it are this time.
fn is_same(a: &FailureCause, b: &FailureCause) -> bool {
    use FailureCause::{CrashLoop, ImagePull, NeverReady, Unschedulable};
    match (a, b) {
        (NeverReady { .. }, NeverReady { .. }) | (Unschedulable { .. }, Unschedulable { .. }) => true,
        (ImagePull { container: a, .. }, ImagePull { container: b, .. })
        | (CrashLoop { container: a, .. }, CrashLoop { container: b, .. }) => a == b,
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pull(reason: &str) -> Option<FailureCause> {
        Some(FailureCause::ImagePull { container: "app".to_owned(), reason: reason.to_owned() })
    }

    fn seconds(failure: &Option<Arc<StartFailure>>) -> u64 {
        failure.as_ref().unwrap().retry_after.as_secs()
    }

    #[test]
    fn stays_the_same_failure_while_its_cause_stays() {
        let mut failing = Failing::default();
        let first = failing.update(pull("ErrImagePull"), Vec::new(), Timestamp::ZERO);
        let second = failing.update(pull("ImagePullBackOff"), Vec::new(), Timestamp::from_millis(4_999));
        assert!(Arc::ptr_eq(&first.unwrap(), &second.unwrap()));
        assert_eq!(failing.next(), Some(Timestamp::from_millis(5_000)));
    }

    #[test]
    fn waits_longer_the_longer_it_lasts() {
        let mut failing = Failing::default();
        let mut at = Timestamp::ZERO;
        let mut waits = Vec::new();
        loop {
            waits.push(seconds(&failing.update(pull("ErrImagePull"), Vec::new(), at)));
            match failing.next() {
                Some(next) => at = next,
                None => break,
            }
        }
        assert_eq!(waits, [5, 10, 20, 40, 60]);
    }

    #[test]
    fn remembers_a_cause_that_comes_back() {
        let mut failing = Failing::default();
        failing.update(pull("ErrImagePull"), Vec::new(), Timestamp::ZERO);
        assert_eq!(failing.update(None, Vec::new(), Timestamp::from_millis(10)), None);
        assert_eq!(failing.next(), None);
        let again = failing.update(pull("ErrImagePull"), Vec::new(), Timestamp::from_millis(20));
        assert_eq!(seconds(&again), 10);
        failing.update(None, Vec::new(), Timestamp::from_millis(30));
        let much_later = failing.update(pull("ErrImagePull"), Vec::new(), Timestamp::from_millis(600_031));
        assert_eq!(seconds(&much_later), 5);
    }

    #[test]
    fn another_cause_is_another_failure() {
        let mut failing = Failing::default();
        failing.update(pull("ErrImagePull"), Vec::new(), Timestamp::ZERO);
        let cause = FailureCause::TargetMissing { target: "Deployment default/hello".to_owned() };
        let other = failing.update(Some(cause.clone()), Vec::new(), Timestamp::ZERO).unwrap();
        assert_eq!((&other.cause, other.retry_after), (&cause, SHORTEST));
    }
}
