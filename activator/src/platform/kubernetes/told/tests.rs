use std::sync::Arc;

use super::super::state::object::{Labels, Name, Scheduled};
use super::*;

fn pod(uid: &str, cost: Option<i32>) -> Pod {
    Pod {
        name: Arc::new(Name::new("default", uid)),
        uid: uid.into(),
        labels: Labels::default(),
        owner: None,
        ip: None,
        deleting: false,
        finished: false,
        scheduled: Scheduled::Yes,
        ready: true,
        gated: false,
        deletion_cost: cost,
        containers: Box::default(),
        init_containers: Box::default(),
    }
}

const GOES: Option<Option<i32>> = Some(Some(CHEAPEST));
const STAYS: Option<Option<i32>> = Some(None);

#[test]
fn what_the_watch_has_told_need_not_be_said() {
    let mut told = Told::default();
    for seen in [None, Some(5)] {
        assert_eq!(told.change(&pod("a", seen), false), None);
    }
    assert_eq!(told.change(&pod("a", Some(CHEAPEST)), true), None);
    assert_eq!(told.change(&pod("a", Some(CHEAPEST)), false), STAYS, "of an order that was not carried out");
}

#[test]
fn what_was_said_counts_before_the_watch_tells_it() {
    let mut told = Told::default();
    assert_eq!(told.change(&pod("a", None), true), GOES);
    assert_eq!(told.change(&pod("a", None), true), None, "once is enough");
    assert_eq!(told.change(&pod("a", None), false), STAYS);
    assert_eq!(told.change(&pod("a", Some(CHEAPEST)), false), None);
    assert_eq!(told.change(&pod("a", Some(CHEAPEST)), true), GOES);
    // Once it has told that, what somebody else says since is seen.
    assert_eq!(told.change(&pod("a", Some(CHEAPEST)), true), None);
    assert_eq!(told.change(&pod("a", Some(7)), true), GOES);
}

#[test]
fn what_may_not_have_been_heard_is_said_again() {
    let mut told = Told::default();
    assert_eq!(told.change(&pod("a", None), true), GOES);
    told.doubt();
    assert_eq!(told.change(&pod("a", None), false), STAYS);
    told.doubt();
    assert_eq!(told.change(&pod("a", Some(CHEAPEST)), true), GOES);
    told.keep([pod("b", None)].iter());
    assert_eq!(told.change(&pod("a", None), false), None, "another pod, of the same name at most");
}
