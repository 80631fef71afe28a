use super::*;
use crate::clock::Timestamp;

fn told(name: &str) -> Arc<Endpoint> {
    crate::testing::endpoint(name)
}

fn like(removal: Removal) -> Arc<Endpoint> {
    let name = format!("{removal:?}");
    Arc::new(Endpoint::new(name, ([127, 0, 0, 1], 1).into()).removed(removal))
}

fn ranked(ranks: impl IntoIterator<Item = u32>) -> Vec<Arc<Endpoint>> {
    ranks.into_iter().map(|rank| like(Removal::Ranked(rank))).collect()
}

/// With a request at it, and closed.
fn busy(endpoint: Arc<Endpoint>) -> Arc<Endpoint> {
    assert!(endpoint.try_acquire(1, Timestamp::ZERO));
    endpoint.close();
    endpoint
}

fn names(endpoints: &[Arc<Endpoint>]) -> Vec<&str> {
    endpoints.iter().map(|endpoint| endpoint.name()).collect()
}

/// Nothing is at it.
fn idle(endpoint: &Endpoint) -> bool {
    endpoint.in_flight() == 0
}

#[test]
fn those_with_the_least_in_flight_are_chosen_after_what_is_not_usable() {
    let busy = told("busy");
    assert!(busy.try_acquire(1, Timestamp::ZERO));
    let all = vec![told("a"), busy, told("b")];
    for (spec, wanted, expected) in
        [(3, 1, &["a", "b"][..]), (3, 2, &["b"]), (4, 2, &["b"]), (5, 3, &[]), (3, 0, &["a", "b"])]
    {
        let mut rotation = all.clone();
        let victims = choose(&mut rotation, &[], spec, wanted, 1);
        assert_eq!(names(&victims), expected, "{spec} to {wanted}");
        assert_eq!(rotation.len() + victims.len(), 3);
    }
}

#[test]
fn what_goes_by_rank_is_chosen_by_rank() {
    for (ranks, wanted, expected) in [
        (&[0, 1, 2][..], 1, &["Ranked(1)", "Ranked(2)"][..]),
        (&[2, 0, 1], 2, &["Ranked(2)"]),
        // The highest one is not usable, and goes all the same.
        (&[0, 1], 2, &[]),
        (&[0, 2], 1, &["Ranked(2)"]),
        (&[1, 2], 0, &["Ranked(2)"]),
    ] {
        let mut rotation = ranked(ranks.iter().copied());
        assert_eq!(names(&choose(&mut rotation, &[], 3, wanted, 1)), expected, "{ranks:?} to {wanted}");
    }
    let mut rotation = ranked([0, 1, 2]);
    assert!(choose(&mut rotation, &[], 3, 3, 1).is_empty());
}

#[test]
fn nothing_goes_by_rank_before_all_of_higher_rank_are_empty() {
    let last_is_busy = || {
        let [one, two] = ranked([1, 2]).try_into().expect("two");
        vec![one, busy(two)]
    };
    let mut retiring = last_is_busy();
    let (replicas, victims) = go_now(&ranked([0]), &mut retiring, 3, 1, idle);
    assert_eq!((replicas, victims.len(), retiring.len()), (3, 0, 2));

    // The one in between is what is busy now.
    let mut retiring = vec![busy(like(Removal::Ranked(1))), like(Removal::Ranked(2))];
    let (replicas, victims) = go_now(&ranked([0]), &mut retiring, 3, 1, idle);
    assert_eq!((replicas, names(&victims), names(&retiring)), (2, vec!["Ranked(2)"], vec!["Ranked(1)"]));

    let mut retiring = ranked([1, 2]);
    let (replicas, victims) = go_now(&ranked([0]), &mut retiring, 3, 1, idle);
    assert_eq!((replicas, victims.len(), retiring.len()), (1, 2, 0));
}

#[test]
fn those_that_are_in_use_keep_their_number_where_nobody_chooses_by_rank() {
    let mut retiring = vec![busy(told("a")), told("b")];
    let (replicas, victims) = go_now(&[told("c")], &mut retiring, 4, 1, idle);
    assert_eq!((replicas, names(&victims), names(&retiring)), (2, vec!["b"], vec!["a"]), "one was not usable");
}

#[test]
fn what_is_none_of_the_target_s_neither_goes_nor_counts() {
    let beside = || like(Removal::Never);
    let mut rotation = vec![told("a"), beside(), told("b"), beside()];
    let victims = choose(&mut rotation, &[], 2, 1, 1);
    assert_eq!((victims.len(), rotation.len()), (1, 3));
    assert!(victims.iter().all(|victim| victim.removal() == Removal::AsTold));
    let mut retiring = victims;
    let (replicas, victims) = go_now(&rotation, &mut retiring, 2, 1, idle);
    assert_eq!((replicas, victims.len()), (1, 1));
    assert!(choose(&mut vec![beside(), told("a")], &[], 2, 0, 1).is_empty(), "the last one of its own");

    // All were to sleep, and then somebody came.
    let mut retiring = vec![beside(), told("a"), told("b"), beside()];
    let back = take_back(&mut retiring, 2, 1);
    assert_eq!((back.len(), names(&retiring)), (3, vec!["a"]));

    // None came.
    let mut retiring = vec![beside(), told("a")];
    let (replicas, victims) = go_now(&[], &mut retiring, 1, 0, idle);
    assert_eq!((replicas, victims.len(), retiring.len()), (0, 2, 0), "none is used while all sleep");
}

#[test]
fn what_is_to_go_by_rank_comes_back_by_rank() {
    let mut retiring = ranked([1, 2, 3]);
    assert_eq!(names(&take_back(&mut retiring, 4, 3)), ["Ranked(1)", "Ranked(2)"]);
    assert_eq!(names(&retiring), ["Ranked(3)"]);
    assert!(take_back(&mut retiring, 4, 0).is_empty(), "all are to sleep");
}
