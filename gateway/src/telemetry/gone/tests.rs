use std::collections::BTreeSet;
use std::time::Duration;

use activator::clock::Timestamp;

use super::{Gone, KEPT};

fn apps(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn an_app_is_forgotten_when_it_has_been_gone_for_the_whole_time() {
    let mut gone = Gone::default();
    let (start, almost) = (Timestamp::from_millis(5), KEPT - Duration::from_millis(1));
    assert_eq!(gone.look(apps(&["a"]), start), apps(&[]));
    assert_eq!(gone.look(apps(&["a", "b"]), start + almost), apps(&[]));
    assert_eq!(gone.look(apps(&["a", "b"]), start + KEPT), apps(&["a"]));
    // Nothing is left of it, so it is not named.
    assert_eq!(gone.look(apps(&["b"]), start + KEPT), apps(&[]));
    assert_eq!(gone.look(apps(&["b"]), start + almost + KEPT), apps(&["b"]));
}

#[test]
fn an_app_that_comes_back_is_as_new() {
    let mut gone = Gone::default();
    gone.look(apps(&["a"]), Timestamp::ZERO);
    gone.look(apps(&[]), Timestamp::ZERO + KEPT / 2);
    assert_eq!(gone.look(apps(&["a"]), Timestamp::ZERO + KEPT), apps(&[]));
    assert_eq!(gone.look(apps(&["a"]), Timestamp::ZERO + KEPT * 2), apps(&["a"]));
}
