use super::*;

const US: u64 = 1;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn listed(names: &[(&str, bool)]) -> Vec<Listed> {
    names.iter().map(|(name, ready)| Listed { name: (*name).into(), ready: *ready }).collect()
}

fn message(from: &str, run: u64, number: u64, scope: Scope) -> Message {
    Message { from: from.into(), run, number, leads: None, term: 0, fence: 0, knows: vec![US], scope, apps: Vec::new() }
}

fn whole(from: &str, run: u64, number: u64) -> Message {
    message(from, run, number, Scope::Whole)
}

#[test]
fn nothing_is_known_until_it_is_known_who_there_is() {
    let mut members = Members::new(US);
    assert!(!members.all_known(at(0)));
    members.list(listed(&[]), at(0));
    assert!(members.all_known(at(0)), "there is nobody else");
}

#[test]
fn whoever_is_listed_has_to_have_told_all() {
    let mut members = Members::new(US);
    members.list(listed(&[("b", true), ("c", false)]), at(0));
    assert_eq!(members.known(at(0)), Known { listed: true, heard: 0, lost: 2 });
    members.hear(&whole("b", 2, 1), at(0));
    members.hear(&message("c", 3, 1, Scope::Changes), at(0));
    assert!(!members.all_known(at(0)), "c has told a part");
    members.hear(&whole("c", 3, 2), at(1));
    assert!(members.all_known(at(1)));
    assert_eq!(members.everybody(at(1)), Some(vec![("b".into(), 2), ("c".into(), 3)]));
}

#[test]
fn who_is_silent_is_lost_until_it_speaks_again() {
    let mut members = Members::new(US);
    members.list(listed(&[("b", true)]), at(0));
    members.hear(&whole("b", 2, 1), at(0));
    assert!(members.all_known(at(2_999)));
    assert!(!members.all_known(at(3_000)));
    assert_eq!(members.everybody(at(3_000)), None);
    members.hear(&message("b", 2, 2, Scope::Changes), at(9_000));
    assert!(members.all_known(at(9_000)), "what it told before is still so but for that");
}

#[test]
fn a_ready_gateway_that_nobody_hears_is_waited_for_for_ever() {
    let mut members = Members::new(US);
    members.list(listed(&[("b", true)]), at(0));
    members.hear(&whole("b", 2, 1), at(0));
    assert_eq!(members.expire(at(3_600_000)), Vec::<Arc<str>>::new());
    assert!(!members.all_known(at(3_600_000)));
}

#[test]
fn one_that_is_neither_ready_nor_heard_is_dead_after_a_minute() {
    let mut members = Members::new(US);
    members.list(listed(&[("b", true)]), at(0));
    members.hear(&whole("b", 2, 1), at(0));
    members.list(listed(&[("b", false)]), at(10_000));
    assert!(members.expire(at(69_999)).is_empty());
    assert_eq!(members.expire(at(70_000)), ["b".into()]);
    assert!(members.expire(at(70_001)).is_empty(), "told once");
    assert!(members.all_known(at(70_001)));
    // It was cut off, that is all.
    members.hear(&message("b", 2, 2, Scope::Changes), at(80_000));
    assert!(!members.all_known(at(80_000)), "all of it has to be told again");
    members.hear(&whole("b", 2, 3), at(80_001));
    assert!(members.all_known(at(80_001)));
}

#[test]
fn one_that_is_not_ready_but_heard_is_alive() {
    let mut members = Members::new(US);
    members.list(listed(&[("b", false)]), at(0));
    for second in 0..200 {
        members.hear(&whole("b", 2, second + 1), at(second * 1_000));
        assert!(members.expire(at(second * 1_000)).is_empty());
    }
    assert!(members.all_known(at(199_000)));
}

#[test]
fn one_that_is_not_listed_any_more_goes_when_it_is_silent() {
    let mut members = Members::new(US);
    members.list(listed(&[("b", true)]), at(0));
    members.hear(&whole("b", 2, 1), at(0));
    members.list(listed(&[]), at(100));
    assert!(members.expire(at(2_999)).is_empty());
    assert_eq!(members.expire(at(3_000)), ["b".into()]);
    assert!(members.all_known(at(3_000)));
}

#[test]
fn one_that_is_heard_before_it_is_listed_counts() {
    let mut members = Members::new(US);
    members.list(listed(&[]), at(0));
    members.hear(&message("b", 2, 1, Scope::Changes), at(0));
    assert!(!members.all_known(at(0)));
    members.hear(&whole("b", 2, 2), at(1));
    assert!(members.all_known(at(1)));
}

#[test]
fn late_and_doubled_messages_are_ignored() {
    let mut members = Members::new(US);
    assert_eq!(members.hear(&whole("b", 2, 5), at(0)), Taken::Yes);
    for number in [4, 5] {
        assert_eq!(members.hear(&whole("b", 2, number), at(1)), Taken::Ignored);
    }
    assert_eq!(members.hear(&whole("b", 7, 1), at(2)), Taken::NewRun);
    assert_eq!(members.hear(&whole("b", 2, 6), at(3)), Taken::Ignored, "of the run before");
    assert_eq!(members.hear(&whole("a", US, 1), at(3)), Taken::Ignored, "our own");
}

#[test]
fn who_says_farewell_is_gone_at_once_and_stays_so() {
    let mut members = Members::new(US);
    members.list(listed(&[("b", false)]), at(0));
    members.hear(&whole("b", 2, 1), at(0));
    assert_eq!(members.hear(&message("b", 2, 2, Scope::Farewell), at(1)), Taken::Over);
    assert!(members.all_known(at(60_000)), "it is still listed, and waited for no more");
    assert_eq!(members.hear(&whole("b", 2, 1), at(61_000)), Taken::Ignored);
    assert_eq!(members.hear(&whole("b", 3, 1), at(62_000)), Taken::Yes);
    assert_eq!(members.known(at(62_000)).heard, 1);
}

/// The cluster may say of one that has ended what it has not heard yet.
#[test]
fn one_that_has_said_farewell_is_not_brought_back_by_an_old_list() {
    let mut members = Members::new(US);
    members.list(listed(&[("b", true)]), at(0));
    members.hear(&whole("b", 2, 1), at(0));
    members.hear(&message("b", 2, 2, Scope::Farewell), at(1_000));
    members.list(listed(&[("b", true), ("c", false)]), at(1_001));
    members.hear(&whole("c", 3, 1), at(1_002));
    assert!(members.all_known(at(1_002)), "what is said of b is old");
    assert_eq!(members.expire(at(1_003)), Vec::<Arc<str>>::new());
    // Another run of it is called ready by then, and nobody hears it.
    members.hear(&whole("c", 3, 2), at(11_000));
    assert_eq!(members.known(at(11_000)), Known { listed: true, heard: 1, lost: 1 });
}

#[test]
fn one_that_is_called_ready_anew_after_its_farewell_is_waited_for() {
    let mut members = Members::new(US);
    members.list(listed(&[("b", true)]), at(0));
    members.hear(&whole("b", 2, 1), at(0));
    members.hear(&message("b", 2, 2, Scope::Farewell), at(1_000));
    members.list(listed(&[("b", false)]), at(1_001));
    assert!(members.all_known(at(1_001)));
    members.list(listed(&[("b", true)]), at(3_000));
    assert_eq!(members.known(at(3_000)).lost, 1);
}

#[test]
fn each_is_named_with_how_it_stands_and_each_change_is_told_once() {
    let mut members = Members::new(US);
    members.list(listed(&[("b", true), ("c", true), ("d", false)]), at(0));
    members.hear(&whole("b", 2, 1), at(1_000));
    members.hear(&message("d", 4, 1, Scope::Farewell), at(1_000));
    let stands = |members: &Members, now| {
        let each = members.each(at(now)).into_iter();
        each.map(|one| (one.name.to_string(), one.standing, one.silent_for.map(|time| time.as_secs())))
            .collect::<Vec<_>>()
    };
    let expected = [("b", Standing::Heard, Some(1)), ("c", Standing::Lost, None), ("d", Standing::Gone, None)];
    assert_eq!(stands(&members, 2_000), expected.map(|(name, standing, silent)| (name.to_owned(), standing, silent)));
    assert_eq!(members.take_changes(at(2_000)), (vec![], vec![]), "c has its time");
    let named = |(lost, back): (Vec<Other>, Vec<Arc<str>>)| {
        (lost.into_iter().map(|one| one.name.to_string()).collect::<Vec<_>>(), back)
    };
    assert_eq!(named(members.take_changes(at(4_000))), (vec!["b".to_owned()], vec![]));
    assert_eq!(named(members.take_changes(at(10_000))), (vec!["c".to_owned()], vec![]));
    members.hear(&whole("b", 2, 2), at(11_000));
    assert_eq!(named(members.take_changes(at(11_000))), (vec![], vec!["b".into()]));
    assert_eq!(members.take_changes(at(11_001)), (vec![], vec![]));
}

#[test]
fn who_joins_has_told_all_and_heard_all() {
    let mut members = Members::new(US);
    members.list(listed(&[("b", true)]), at(0));
    members.hear(&Message { knows: vec![99], ..whole("b", 2, 1) }, at(0));
    assert!(!members.all_know_each_other(at(0)), "it knows others, but not us");
    assert_eq!(members.runs_known(), [2]);
    members.hear(&Message { knows: vec![99, US], ..whole("b", 2, 2) }, at(1));
    assert!(members.all_know_each_other(at(1)));
}

#[test]
fn there_is_a_bound_on_who_is_heard_without_being_listed() {
    let mut members = Members::new(US);
    for number in 0..MOST as u64 {
        assert_eq!(members.hear(&whole(&format!("stranger-{number}"), 100 + number, 1), at(0)), Taken::Yes);
    }
    assert_eq!(members.hear(&whole("one-more", 7, 1), at(0)), Taken::Ignored);
    members.list(listed(&[("one-more", true)]), at(0));
    assert_eq!(members.hear(&whole("one-more", 7, 1), at(0)), Taken::Yes);
}
