use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Holder, Ledger, Present, Sender, version};
use crate::clock::Timestamp;
use crate::fleet::message::{Grants, Share, Shares};

const TERM: u64 = 7;

/// The one that leads, and what the others tell it.
struct Desk {
    ledger: Ledger,
    present: Vec<Present>,
    counter: u64,
    now: Timestamp,
    /// What each has said last of each.
    has: HashMap<(String, String), u32>,
}

/// A gateway of that name that was there before, in run 1.
fn present(name: &str) -> Present {
    Present { name: name.into(), run: Some(1), had_none: false, may_get: true }
}

impl Desk {
    fn new(names: &[&str]) -> Self {
        let now = Timestamp::from_millis(100_000);
        let present = names.iter().map(|name| present(name)).collect();
        Self { ledger: Ledger::new(TERM, now), present, counter: 0, now, has: HashMap::new() }
    }

    /// With nothing at endpoint `e` at any of them.
    fn with_nothing(names: &[&str]) -> Self {
        let mut desk = Self::new(names);
        names.iter().for_each(|name| desk.told(name, 0, &[("e", 0, 0)], 0));
        desk
    }

    fn one(&mut self, name: &str) -> &mut Present {
        self.present.iter_mut().find(|one| &*one.name == name).expect("it is present")
    }

    /// It has so many slots, and in use, of each, as of change `counter`.
    fn told(&mut self, name: &str, counter: u64, each: &[(&str, u32, u32)], waiting: u32) {
        self.told_as_of(name, version(TERM, counter), each, waiting);
    }

    fn told_as_of(&mut self, name: &str, as_of: u64, each: &[(&str, u32, u32)], waiting: u32) {
        let share = |(endpoint, slots, in_use): &(&str, u32, u32)| Share {
            endpoint: (*endpoint).into(),
            slots: *slots,
            in_use: *in_use,
            usable: true,
        };
        let shares = Shares { as_of, each: each.iter().map(share).collect() };
        for (endpoint, slots, _) in each {
            self.has.insert((name.into(), (*endpoint).into()), *slots);
        }
        let run = self.one(name).run.expect("it was heard of");
        self.ledger.hear(&Arc::from(name), Sender { run, fence: 0 }, &shares, waiting, self.now);
    }

    fn share_out(&mut self, limit: u32) -> bool {
        self.now = self.now + Duration::from_millis(50);
        let changed = self.ledger.share_out(limit, &self.present, version(TERM, self.counter + 1), self.now);
        self.counter += u64::from(changed);
        changed
    }

    /// A second later, or the next time that slots may change hands.
    fn share_out_later(&mut self, limit: u32) -> bool {
        self.now = self.now + Duration::from_secs(1);
        self.share_out(limit)
    }

    /// What it is to have: what it has as long as it is given nothing else.
    fn given(&self, name: &str, endpoint: &str) -> u32 {
        let Some(grants) = self.ledger.grants(name) else {
            return self.has.get(&(name.into(), endpoint.into())).copied().unwrap_or(0);
        };
        let given = grants.slots.iter().find(|(one, _)| **one == *endpoint);
        given.map_or(0, |(_, slots)| *slots)
    }
}

#[test]
fn what_nobody_needs_is_spread_evenly() {
    let mut desk = Desk::with_nothing(&["a", "b", "c"]);
    assert!(desk.share_out(10));
    let mut given = ["a", "b", "c"].map(|name| desk.given(name, "e"));
    given.sort();
    assert_eq!(given, [3, 3, 4]);
    assert!(!desk.share_out(10), "there is nothing more");
}

#[test]
fn one_slot_of_each_of_many_endpoints_is_spread_over_the_endpoints() {
    let mut desk = Desk::new(&["a", "b"]);
    let each = ["e", "f", "g", "h"].map(|endpoint| (endpoint, 0, 0));
    ["a", "b"].iter().for_each(|name| desk.told(name, 0, &each, 0));
    desk.share_out(1);
    for name in ["a", "b"] {
        let given: u32 = ["e", "f", "g", "h"].iter().map(|endpoint| desk.given(name, endpoint)).sum();
        assert_eq!(given, 2, "{name}");
    }
}

#[test]
fn whoever_waits_gets_what_nobody_has_first() {
    let mut desk = Desk::new(&["a", "b"]);
    desk.told("a", 0, &[("e", 0, 0)], 0);
    desk.told("b", 0, &[("e", 0, 0)], 3);
    desk.share_out(3);
    assert_eq!((desk.given("a", "e"), desk.given("b", "e")), (0, 3));
}

#[test]
fn a_slot_is_given_on_only_when_its_holder_has_said_that_it_gave_it_back() {
    let mut desk = Desk::new(&["a", "b"]);
    desk.told("a", 0, &[("e", 2, 0)], 0);
    desk.told("b", 0, &[("e", 0, 0)], 1);
    assert!(desk.share_out(2));
    assert_eq!((desk.given("a", "e"), desk.given("b", "e")), (1, 0));
    desk.told("a", 0, &[("e", 2, 0)], 0);
    assert!(!desk.share_out(2), "that was on its way before");
    // Both are in use by now.
    desk.told("a", 1, &[("e", 1, 2)], 0);
    assert!(!desk.share_out(2));
    desk.told("a", 1, &[("e", 1, 1)], 0);
    assert!(desk.share_out(2));
    assert_eq!((desk.given("a", "e"), desk.given("b", "e")), (1, 1));
}

#[test]
fn what_was_given_counts_until_something_later_is_said() {
    let mut desk = Desk::with_nothing(&["a", "b"]);
    desk.told("a", 0, &[("e", 0, 0)], 4);
    desk.share_out(4);
    assert_eq!(desk.given("a", "e"), 4);
    // Said before it got them.
    desk.told("a", 0, &[("e", 0, 0)], 0);
    desk.told("b", 0, &[("e", 0, 0)], 4);
    desk.share_out(4);
    assert_eq!(desk.given("b", "e"), 0, "it may have them by now");
    desk.told("a", desk.counter, &[("e", desk.given("a", "e"), 0)], 0);
    desk.share_out(4);
    assert!(desk.given("b", "e") > 0 && desk.given("a", "e") + desk.given("b", "e") <= 4);
}

#[test]
fn nothing_is_given_that_one_may_have_who_has_not_said_so_in_this_term() {
    let mut desk = Desk::new(&["a", "b", "c"]);
    desk.told("a", 0, &[("e", 2, 0)], 0);
    desk.told("b", 0, &[("e", 0, 0)], 5);
    // This it has said before it knew of the term: it may still be given more.
    desk.told_as_of("c", version(TERM - 1, 900), &[("e", 1, 1)], 0);
    desk.share_out(5);
    assert_eq!(desk.given("b", "e"), 0);
    // What the others have they may pass on.
    desk.told("a", desk.counter, &[("e", 0, 0)], 0);
    desk.share_out(5);
    assert_eq!(desk.given("b", "e"), 2);
    desk.told("c", 0, &[("e", 1, 1)], 0);
    desk.share_out(5);
    assert_eq!(desk.given("b", "e"), 4);
}

#[test]
fn an_endpoint_that_appears_later_is_shared_out_though_one_has_not_said_a_word() {
    let mut desk = Desk::new(&["a", "c"]);
    desk.told("a", 0, &[("e", 1, 0)], 0);
    desk.now = desk.now + Duration::from_secs(10);
    desk.told("a", 0, &[("e", 1, 0), ("f", 0, 0)], 0);
    desk.share_out(5);
    assert_eq!((desk.given("a", "e"), desk.given("a", "f")), (1, 5));
}

#[test]
fn one_that_is_gone_has_nothing_any_more() {
    let mut desk = Desk::new(&["a", "b"]);
    desk.told("a", 0, &[("e", 3, 3)], 0);
    desk.told("b", 0, &[("e", 0, 0)], 3);
    desk.share_out(3);
    assert_eq!(desk.given("b", "e"), 0);
    desk.present.retain(|one| &*one.name == "b");
    desk.share_out(3);
    assert_eq!(desk.given("b", "e"), 3);
}

#[test]
fn a_new_run_has_nothing_of_the_one_before() {
    let mut desk = Desk::new(&["a", "b"]);
    desk.told("a", 0, &[("e", 3, 3)], 0);
    desk.told("b", 0, &[("e", 0, 0)], 3);
    *desk.one("a") = Present { run: Some(2), had_none: true, ..present("a") };
    desk.share_out(3);
    assert_eq!(desk.given("b", "e"), 3);
}

#[test]
fn nobody_gets_more_whom_the_next_one_to_lead_may_not_know_of() {
    let mut desk = Desk::new(&["a", "b"]);
    desk.one("b").may_get = false;
    desk.told("a", 0, &[("e", 0, 0)], 0);
    desk.told("b", 0, &[("e", 0, 0)], 3);
    desk.share_out(3);
    assert_eq!(desk.given("b", "e"), 0);
}

#[test]
fn where_one_knows_of_no_limit_nothing_is_given() {
    let mut desk = Desk::with_nothing(&["a", "b"]);
    desk.ledger.hear_unlimited(&"b".into(), 1, desk.now);
    desk.told("a", 0, &[("e", 0, 0)], 3);
    assert!(!desk.share_out(3));
}

#[test]
fn one_slot_goes_from_hand_to_hand() {
    let mut desk = Desk::new(&["a", "b"]);
    desk.told("a", 0, &[("e", 1, 1)], 9);
    desk.told("b", 0, &[("e", 0, 0)], 1);
    desk.share_out(1);
    let mut has_it = ("a", "b");
    for _ in 0..4 {
        assert!(desk.share_out_later(1), "{has_it:?}");
        assert_eq!(desk.given(has_it.0, "e"), 0);
        desk.told(has_it.0, desk.counter, &[("e", 0, 1)], 9);
        assert!(!desk.share_out(1), "it is still in use");
        desk.told(has_it.0, desk.counter, &[("e", 0, 0)], 9);
        assert!(desk.share_out(1));
        assert_eq!(desk.given(has_it.1, "e"), 1);
        desk.told(has_it.1, desk.counter, &[("e", 1, 1)], 9);
        assert!(!desk.share_out(1), "it has it for a while");
        has_it = (has_it.1, has_it.0);
    }
}

#[test]
fn slots_in_use_move_towards_what_each_has_in_flight() {
    let mut desk = Desk::new(&["a", "b"]);
    desk.told("a", 0, &[("e", 9, 9)], 0);
    desk.told("b", 0, &[("e", 1, 1)], 9);
    desk.share_out_later(10);
    // Nine of nineteen, and ten.
    assert_eq!((desk.given("a", "e"), desk.given("b", "e")), (5, 1));
    desk.told("a", desk.counter, &[("e", 5, 5)], 4);
    desk.share_out(10);
    assert_eq!((desk.given("a", "e"), desk.given("b", "e")), (5, 5));
}

#[test]
fn where_one_has_all_that_is_free_it_is_spread_anew_from_time_to_time() {
    let mut desk = Desk::new(&["a", "b"]);
    desk.told("a", 0, &[("e", 10, 2)], 0);
    desk.told("b", 0, &[("e", 0, 0)], 0);
    desk.share_out_later(10);
    desk.told("a", desk.counter, &[("e", desk.given("a", "e"), 2)], 0);
    desk.share_out(10);
    assert_eq!((desk.given("a", "e"), desk.given("b", "e")), (6, 4));
    desk.told("b", desk.counter, &[("e", 4, 1)], 0);
    assert!(!desk.share_out_later(10), "what is nearly even is left as it is");
}

#[test]
fn a_lower_limit_takes_what_is_free_first() {
    let mut desk = Desk::new(&["a", "b"]);
    desk.told("a", 0, &[("e", 5, 0)], 0);
    desk.told("b", 0, &[("e", 5, 5)], 0);
    desk.share_out(6);
    assert_eq!((desk.given("a", "e"), desk.given("b", "e")), (1, 5));
    desk.told("a", desk.counter, &[("e", 1, 0)], 0);
    desk.share_out(4);
    assert!(desk.given("a", "e") + desk.given("b", "e") <= 4);
}

#[test]
fn what_one_would_not_use_goes_to_others() {
    let mut desk = Desk::new(&["a", "b"]);
    let share = Share { endpoint: "e".into(), slots: 3, in_use: 0, usable: false };
    let shares = Shares { as_of: version(TERM, 0), each: vec![share] };
    desk.ledger.hear(&"a".into(), Sender { run: 1, fence: 0 }, &shares, 3, desk.now);
    desk.told("b", 0, &[("e", 0, 0)], 3);
    desk.share_out(3);
    assert_eq!(desk.given("a", "e"), 0);
}

#[test]
fn a_holder_carries_out_each_change_once_and_none_that_is_older() {
    let mut holder = Holder::new(TERM, 0);
    assert!(!holder.takes(version(TERM - 1, 1_000_000), 0), "of an earlier term");
    assert!(holder.takes(version(TERM, 2), 0));
    assert!(!holder.takes(version(TERM, 2), 0) && !holder.takes(version(TERM, 1), 0));
    holder.catch_up(TERM + 1, 0);
    assert!(!holder.takes(version(TERM, 3), 0), "another one leads");
    assert!(holder.takes(version(TERM + 1, 1), 0));
}

#[test]
fn a_holder_that_has_given_all_back_takes_nothing_that_was_on_its_way() {
    let mut holder = Holder::new(TERM, 0);
    holder.catch_up(TERM, 1);
    assert!(!holder.takes(version(TERM, 5), 0));
    assert!(holder.takes(version(TERM, 6), 1));
}

#[test]
fn one_that_has_given_all_back_is_given_anew() {
    let mut desk = Desk::with_nothing(&["a"]);
    desk.share_out(3);
    let first = desk.ledger.grants("a").expect("some are given");
    assert_eq!(first, Grants { run: 1, fence: 0, version: version(TERM, 1), slots: vec![("e".into(), 3)] });
    let share = Share { endpoint: "e".into(), slots: 0, in_use: 1, usable: true };
    let shares = Shares { as_of: version(TERM, 1), each: vec![share] };
    desk.ledger.hear(&"a".into(), Sender { run: 1, fence: 1 }, &shares, 0, desk.now);
    desk.share_out(3);
    let second = desk.ledger.grants("a").expect("some are given again");
    assert_eq!((second.fence, second.slots), (1, vec![("e".into(), 3)]));
}
