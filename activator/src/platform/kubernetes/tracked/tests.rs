//! What is reported of an app, and when.

use std::net::SocketAddr;

use super::*;
use crate::platform::contract::{Reached, SpecReplicas};
use crate::platform::kubernetes::state::object::Name;
use crate::platform::kubernetes::state::{Check, Pending, Standing, Try};

const TIMEOUT: Duration = Duration::from_secs(60);

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn check() -> Check {
    let address = "10.88.0.1:8080".parse().unwrap();
    Check { after: Duration::ZERO, timeout: Duration::from_secs(1), address, try_: Try::TcpSocket }
}

fn candidate(n: u8, standing: Standing) -> Candidate {
    let address = SocketAddr::from(([10, 88, 0, n], 8080));
    Candidate {
        identity: Identity { uid: format!("uid-{n}").into(), address },
        protocol: Default::default(),
        ready: standing == Standing::Ready,
        standing,
        incarnation: 0,
        pod: Some(Arc::new(Name::new("default", format!("pod-{n}")))),
        removal: Removal::AsTold,
    }
}

fn view(replicas: u32, candidates: Vec<Candidate>) -> View {
    View {
        spec: Some(SpecReplicas { replicas, version: 1, writer: None }),
        pods: candidates.iter().map(|candidate| u32::from(candidate.removal != Removal::Never)).sum(),
        candidates,
        counted: true,
        ..View::default()
    }
}

/// One that knows what was reported last.
#[derive(Default)]
struct Reported {
    tracked: Tracked,
    last: Observation,
}

impl Reported {
    fn update(&mut self, view: View, now: Timestamp) -> Update {
        let mut update = self.tracked.update(view, TIMEOUT, now);
        for check in &update.check {
            let checking = Checking { checks: check.checks.clone(), last: Arc::default(), task: None };
            self.tracked.checking(&check.identity, checking);
        }
        if let Some(observation) = &mut update.observation {
            self.last = observation.clone();
        }
        update
    }

    fn names(&self) -> Vec<&str> {
        self.last.endpoints.iter().map(|endpoint| endpoint.name()).collect()
    }
}

#[test]
fn the_first_report_comes_even_if_nothing_is_known() {
    let mut app = Reported::default();
    let first = app.update(View::default(), at(0));
    assert!(first.observation.is_some_and(|observation| observation.spec.is_none() && observation.starting == 0));
    assert!(app.update(View::default(), at(1)).observation.is_none());
}

#[test]
fn an_endpoint_stays_the_same_one_while_its_pod_does() {
    let mut app = Reported::default();
    app.update(view(1, vec![candidate(1, Standing::Ready)]), at(0));
    let first = app.last.endpoints[0].clone();
    assert!(app.update(view(1, vec![candidate(1, Standing::Ready)]), at(1)).observation.is_none());
    app.update(view(1, vec![candidate(1, Standing::Wait)]), at(2));
    assert_eq!((app.last.endpoints.len(), app.last.starting), (0, 1));
    app.update(view(1, vec![candidate(1, Standing::Ready)]), at(3));
    assert!(Arc::ptr_eq(&app.last.endpoints[0], &first));
    app.update(view(1, vec![]), at(4));
    app.update(view(1, vec![candidate(1, Standing::Ready)]), at(5));
    assert!(!Arc::ptr_eq(&app.last.endpoints[0], &first), "it was gone");
}

#[test]
fn an_endpoint_is_usable_once_its_checks_have_passed() {
    let mut app = Reported::default();
    let tried = || candidate(1, Standing::Check(vec![check()]));
    let update = app.update(view(1, vec![tried()]), at(7));
    let identity = tried().identity;
    let to_check = ToCheck { identity: identity.clone(), incarnation: 0, checks: vec![check()], since: at(7) };
    assert_eq!(update.check, [to_check]);
    assert_eq!(app.last.starting, 1);
    assert!(app.update(view(1, vec![tried()]), at(8)).check.is_empty(), "they are under way");

    app.tracked.passed(&identity, 1);
    app.update(view(1, vec![tried()]), at(9));
    assert!(app.last.endpoints.is_empty(), "those of another incarnation");
    app.tracked.passed(&identity, 0);
    app.update(view(1, vec![tried()]), at(10));
    assert_eq!((app.names(), app.last.starting), (vec!["uid-1"], 0));
    let endpoint = app.last.endpoints[0].clone();
    assert!(endpoint.is_early());
    app.update(view(1, vec![Candidate { ready: true, ..tried() }]), at(10));
    assert!(!endpoint.is_early(), "Kubernetes says so too");

    app.update(view(1, vec![Candidate { incarnation: 1, ..tried() }]), at(11));
    assert!(app.last.endpoints.is_empty(), "its container was started again");
}

#[test]
fn what_kubernetes_has_taken_back_does_not_come_back_by_an_old_check() {
    let mut app = Reported::default();
    let tried = || candidate(1, Standing::Check(vec![check()]));
    app.update(view(1, vec![tried()]), at(0));
    app.tracked.passed(&tried().identity, 0);
    app.update(view(1, vec![candidate(1, Standing::Wait)]), at(1));
    let update = app.update(view(1, vec![tried()]), at(2));
    assert_eq!((app.last.endpoints.len(), update.check.len()), (0, 1));
}

#[test]
fn checks_that_have_changed_are_made_anew_with_their_delay_going_on() {
    let mut app = Reported::default();
    app.update(view(1, vec![candidate(1, Standing::Check(vec![check(), check()]))]), at(5));
    let update = app.update(view(1, vec![candidate(1, Standing::Check(vec![check()]))]), at(9));
    assert_eq!((update.check[0].checks.len(), update.check[0].since), (1, at(5)));
}

#[test]
fn replicas_on_their_way_are_those_asked_for_and_not_there() {
    let mut app = Reported::default();
    let mut starting = |view: View| {
        app.update(view, at(0));
        app.last.starting
    };
    assert_eq!(starting(view(3, vec![])), 3);
    assert_eq!(starting(view(3, vec![candidate(1, Standing::Ready)])), 2);
    assert_eq!(starting(view(1, vec![candidate(1, Standing::Ready), candidate(2, Standing::Wait)])), 1, "a rollout");
    assert_eq!(starting(view(0, vec![candidate(2, Standing::Wait)])), 0, "on its way out");
    assert_eq!(starting(View { failing: 1, pods: 2, ..view(2, vec![]) }), 1);
    assert_eq!(starting(View { refused: true, ..view(2, vec![]) }), 0);
    assert_eq!(starting(View { hopeless: true, ..view(2, vec![candidate(2, Standing::Wait)]) }), 0);
    let virtual_ip = View { counted: false, ..view(3, vec![candidate(1, Standing::Ready)]) };
    assert_eq!(starting(virtual_ip), 0, "one address for all of them");
    assert_eq!(starting(View { counted: false, ..view(3, vec![]) }), 3);
}

#[test]
fn a_pod_that_never_becomes_usable_is_a_failure() {
    let mut app = Reported::default();
    let tried = || candidate(1, Standing::Check(vec![check()]));
    let update = app.update(view(1, vec![tried()]), at(1_000));
    assert_eq!(update.again, Some(at(61_000)));
    *app.tracked.candidates[&tried().identity].checking.as_ref().unwrap().last.lock() =
        Some("cannot connect".to_owned());
    app.update(view(1, vec![tried()]), at(60_999));
    assert_eq!((app.last.failure.is_none(), app.last.starting), (true, 1));
    app.update(view(1, vec![tried()]), at(61_000));
    let cause = FailureCause::NeverReady { after: TIMEOUT, last: "cannot connect".to_owned() };
    assert_eq!((&app.last.failure.as_ref().unwrap().cause, app.last.starting), (&cause, 0));

    app.tracked.passed(&tried().identity, 0);
    app.update(view(1, vec![tried()]), at(62_000));
    assert_eq!((app.last.failure.is_none(), app.last.endpoints.len()), (true, 1), "better late");
}

#[test]
fn a_pod_that_never_gets_an_address_is_a_failure() {
    let mut app = Reported::default();
    let pending = |uid: &str| Pending { uid: uid.into(), why: "it has no IP yet".to_owned() };
    let waiting = |uid: &str| View { pods: 1, pending: vec![pending(uid)], ..view(1, vec![]) };
    app.update(waiting("a"), at(0));
    app.update(waiting("b"), at(59_000));
    app.update(waiting("b"), at(60_000));
    assert!(app.last.failure.is_none(), "another pod");
    let update = app.update(waiting("b"), at(119_000));
    assert!(matches!(&app.last.failure.as_ref().unwrap().cause, FailureCause::NeverReady { .. }));
    assert_eq!((app.last.starting, update.again), (0, Some(at(124_000))), "told again in 5 s, then more seldom");
}

#[test]
fn a_container_that_cannot_be_started_is_a_failure_if_that_lasts() {
    let mut app = Reported::default();
    let cause = || FailureCause::Container { container: "app".to_owned(), reason: "RunContainerError".to_owned() };
    let troubled =
        |uid: &str| View { pods: 1, troubled: vec![Troubled { uid: uid.into(), cause: cause() }], ..view(1, vec![]) };
    assert_eq!(app.update(troubled("a"), at(0)).again, Some(at(1_000)));
    assert_eq!((app.last.failure.is_none(), app.last.starting), (true, 1));
    app.update(view(1, vec![candidate(1, Standing::Wait)]), at(900));
    app.update(troubled("a"), at(1_000));
    app.update(troubled("a"), at(1_999));
    assert_eq!((app.last.failure.is_none(), app.last.starting), (true, 1), "it had gone on in between");
    app.update(troubled("b"), at(2_000));
    assert_eq!((app.last.failure.is_none(), app.last.starting), (true, 1), "another pod");
    app.update(troubled("b"), at(3_000));
    assert_eq!((&app.last.failure.as_ref().unwrap().cause, app.last.starting), (&cause(), 0));
    app.update(view(1, vec![candidate(1, Standing::Ready)]), at(3_001));
    assert_eq!((app.last.failure.is_none(), app.last.endpoints.len()), (true, 1));
}

#[test]
fn no_pod_at_all_is_a_failure_in_the_end() {
    let mut app = Reported::default();
    app.update(view(0, vec![]), at(0));
    assert_eq!(app.update(view(2, vec![]), at(5)).again, Some(at(60_005)));
    app.update(view(2, vec![]), at(60_005));
    let last = "there is no pod of it that its Service chooses".to_owned();
    let cause = FailureCause::NeverReady { after: TIMEOUT, last };
    assert_eq!((&app.last.failure.as_ref().unwrap().cause, app.last.starting), (&cause, 0));
    app.update(view(2, vec![candidate(1, Standing::Wait)]), at(60_006));
    assert_eq!((app.last.failure.is_none(), app.last.starting), (true, 2));
}

#[test]
fn what_an_order_takes_away_is_used_no_more() {
    let mut app = Reported::default();
    let pods = || vec![candidate(1, Standing::Ready), candidate(2, Standing::Ready)];
    app.update(view(2, pods()), at(0));
    let victim = app.last.endpoints[0].clone();
    app.tracked.ordered(1, std::slice::from_ref(&victim), false, at(10));
    app.update(view(1, pods()), at(10));
    assert_eq!((app.names(), app.last.starting), (vec!["uid-2"], 0));
    app.update(view(1, pods()), at(60_000));
    assert_eq!(app.names(), ["uid-2"], "one of them is still to go");
    app.update(view(1, vec![candidate(2, Standing::Ready)]), at(60_001));
    assert_eq!(app.names(), ["uid-2"]);
}

#[test]
fn a_pod_that_was_to_go_is_back_if_it_is_known_to_stay() {
    let mut app = Reported::default();
    let pods = || vec![candidate(1, Standing::Ready)];
    app.update(view(1, pods()), at(0));
    app.tracked.ordered(0, &[], false, at(10));
    app.update(view(0, pods()), at(10));
    assert_eq!((app.last.endpoints.len(), app.last.starting), (0, 0));
    app.tracked.ordered(1, &[], false, at(500));
    let update = app.update(view(1, pods()), at(500));
    assert_eq!((app.last.endpoints.len(), app.last.starting, update.again), (0, 1, Some(at(1_500))));
    let update = app.update(view(1, pods()), at(1_500));
    assert_eq!((app.last.endpoints.len(), app.last.starting), (0, 1), "word that it is gone may be late");
    let [shows] = update.check.try_into().expect("it has to show that it is there");
    assert_eq!(shows.checks, [check()]);
    app.tracked.passed(&shows.identity, shows.incarnation);
    app.update(view(1, pods()), at(1_510));
    assert_eq!((app.last.endpoints.len(), app.last.starting), (1, 0));
    assert!(app.update(view(1, pods()), at(1_511)).check.is_empty(), "once is enough");
}

#[test]
fn what_has_a_fixed_address_is_back_after_each_sleep() {
    let mut app = Reported::default();
    let at_fixed = |n| {
        let ready = candidate(n, Standing::Ready);
        Candidate { identity: Identity { uid: "".into(), ..ready.identity }, pod: None, ..ready }
    };
    let written = |replicas| View { counted: false, ..view(replicas, vec![at_fixed(1), at_fixed(2)]) };
    app.update(written(1), at(0));
    assert_eq!(app.last.endpoints.len(), 2, "more than are asked for");
    for slept in [1_000, 10_000] {
        app.tracked.ordered(0, &[], false, at(slept));
        app.update(written(0), at(slept));
        app.update(written(0), at(slept + 2_000));
        assert_eq!(app.last.endpoints.len(), 0);
        app.tracked.ordered(1, &[], false, at(slept + 3_000));
        app.update(written(1), at(slept + 3_000));
        let update = app.update(written(1), at(slept + 5_000));
        assert_eq!(update.check.len(), 2, "they have to show that they are there");
        update.check.iter().for_each(|check| app.tracked.passed(&check.identity, check.incarnation));
        app.update(written(1), at(slept + 5_001));
        assert_eq!((app.last.endpoints.len(), app.last.starting), (2, 0));
    }
}

#[test]
fn what_is_none_of_the_target_s_serves_while_the_target_is_awake() {
    let mut app = Reported::default();
    let pods = || {
        let beside = |n| Candidate { removal: Removal::Never, ..candidate(n, Standing::Ready) };
        vec![candidate(1, Standing::Ready), beside(2), beside(3), beside(4)]
    };
    app.update(view(1, pods()), at(0));
    assert_eq!((app.last.endpoints.len(), app.last.starting), (4, 0));
    let before = app.last.endpoints.clone();
    app.tracked.ordered(0, &before, false, at(1_000));
    app.update(view(0, pods()), at(1_000));
    assert_eq!((app.last.endpoints.len(), app.last.starting), (0, 0));
    app.update(view(0, pods()), at(9_000));
    assert_eq!(app.last.endpoints.len(), 0, "they are there, but nobody wakes it");

    app.tracked.ordered(1, &[], false, at(10_000));
    let update = app.update(view(1, pods()), at(10_000));
    assert_eq!(
        (app.names(), app.last.starting),
        (vec!["uid-2", "uid-3", "uid-4"], 1),
        "at once, but its own is to come"
    );
    assert!(before[1..].iter().zip(&app.last.endpoints).all(|(a, b)| Arc::ptr_eq(a, b)));
    assert_eq!(update.again, Some(at(11_000)));
    let update = app.update(view(1, pods()), at(11_000));
    let [shows] = update.check.try_into().expect("only its own one was to go");
    app.tracked.passed(&shows.identity, shows.incarnation);
    app.update(view(1, pods()), at(11_001));
    assert_eq!((app.last.endpoints.len(), app.last.starting), (4, 0));
}

#[test]
fn what_is_none_of_the_target_s_is_no_sign_of_it() {
    let mut app = Reported::default();
    let never = |standing| vec![Candidate { removal: Removal::Never, ..candidate(2, standing) }];
    app.update(view(1, never(Standing::Ready)), at(0));
    assert_eq!((app.last.endpoints.len(), app.last.starting), (1, 1));
    app.update(view(1, never(Standing::Wait)), at(59_999));
    assert!(app.last.failure.is_none());
    app.update(view(1, never(Standing::Ready)), at(60_000));
    let cause = &app.last.failure.as_ref().expect("its own one has never come").cause;
    assert!(matches!(cause, FailureCause::NeverReady { last, .. } if last.contains("no pod of it")), "{cause}");

    // While all sleep, nothing is tried.
    let mut app = Reported::default();
    let update = app.update(view(0, never(Standing::Check(vec![check()]))), at(0));
    assert_eq!((update.check.len(), app.last.endpoints.len()), (0, 0));
    app.update(view(1, never(Standing::Check(vec![check()]))), at(1));
    let [tried] = app.tracked.candidates.values().collect::<Vec<_>>().try_into().unwrap();
    assert!(tried.checking.is_some());
    app.update(view(0, never(Standing::Check(vec![check()]))), at(2));
    assert!(app.tracked.candidates.values().all(|known| known.checking.is_none()));
}

#[test]
fn an_order_in_doubt_for_none_leaves_nothing_in_use() {
    let mut app = Reported::default();
    let pods =
        || vec![candidate(1, Standing::Ready), Candidate { removal: Removal::Never, ..candidate(2, Standing::Ready) }];
    app.update(view(1, pods()), at(0));
    app.tracked.ordered(0, &app.last.endpoints, true, at(0));
    app.update(view(1, pods()), at(9_999));
    assert_eq!(app.last.endpoints.len(), 0);
    assert_eq!(app.update(view(1, pods()), at(10_999)).check.len(), 2);
}

#[test]
fn what_goes_by_rank_is_used_no_more_by_rank() {
    let mut app = Reported::default();
    let pods = |last| {
        let rank = |n: u8, standing| Candidate { removal: Removal::Ranked(n.into()), ..candidate(n, standing) };
        vec![rank(0, Standing::Wait), rank(1, Standing::Ready), rank(2, Standing::Ready), rank(3, last)]
    };
    app.update(view(4, pods(Standing::Wait)), at(0));
    app.tracked.ordered(2, &app.last.endpoints[1..], false, at(10));
    app.update(view(2, pods(Standing::Ready)), at(10));
    assert_eq!((app.names(), app.last.starting), (vec!["uid-1"], 1), "that of the first one");
}

#[test]
fn what_is_not_used_yet_may_be_what_an_order_for_fewer_takes() {
    let pods = |second| vec![candidate(1, Standing::Ready), candidate(2, second)];
    for (ordered, used) in [(1, &["uid-1"][..]), (3, &["uid-1", "uid-2"])] {
        let mut app = Reported::default();
        app.update(view(2, pods(Standing::Wait)), at(0));
        app.tracked.ordered(ordered, &[], false, at(10));
        app.update(view(ordered, pods(Standing::Ready)), at(20));
        assert_eq!(app.names(), used, "{ordered} were ordered");
    }
}

#[test]
fn what_was_chosen_to_go_does_not_come_into_use_while_the_order_is_on_its_way() {
    let pods = |second| vec![candidate(1, Standing::Ready), candidate(2, second)];
    let chosen = |replicas: u32| {
        let mut app = Reported::default();
        app.update(view(2, pods(Standing::Wait)), at(0));
        app.tracked.choosing(replicas, at(10));
        app.update(view(2, pods(Standing::Ready)), at(20));
        app
    };
    assert_eq!(chosen(2).names(), ["uid-1", "uid-2"], "all stay");
    let mut app = chosen(1);
    assert_eq!((app.names(), app.last.starting), (vec!["uid-1"], 1));
    app.tracked.not_ordered();
    app.update(view(2, pods(Standing::Ready)), at(30));
    assert_eq!(app.names(), ["uid-1", "uid-2"]);
    // What is in use when it is chosen stays in use until the order takes it.
    app.tracked.choosing(1, at(40));
    app.update(view(2, pods(Standing::Ready)), at(50));
    assert_eq!(app.names(), ["uid-1", "uid-2"]);
    // Where nobody says what became of it, it is over some time.
    let mut app = chosen(1);
    assert_eq!(app.update(view(2, pods(Standing::Ready)), at(10_009)).again, Some(at(10_010)));
    assert_eq!(app.names(), ["uid-1"]);
    app.update(view(2, pods(Standing::Ready)), at(10_010));
    assert_eq!(app.names(), ["uid-1", "uid-2"]);
}

#[test]
fn where_nobody_knows_of_an_order_it_takes_longer() {
    let mut app = Reported::default();
    let pods = || vec![candidate(1, Standing::Ready)];
    app.update(view(1, pods()), at(0));
    app.tracked.ordered(0, &[], true, at(0));
    app.update(view(1, pods()), at(0));
    app.update(view(1, pods()), at(9_999));
    assert_eq!(app.last.endpoints.len(), 0);
    assert_eq!(app.update(view(1, pods()), at(10_000)).check.len(), 1);
}

#[test]
fn orders_in_doubt_one_after_the_other_keep_nothing_out_for_longer() {
    let mut app = Reported::default();
    let pods = || vec![candidate(1, Standing::Ready), candidate(2, Standing::Ready)];
    app.update(view(2, pods()), at(0));
    app.tracked.ordered(0, &[], true, at(0));
    for second in 0..=10 {
        if second > 0 && second % 4 == 0 {
            app.tracked.ordered(1, &[], true, at(second * 1_000));
        }
        let update = app.update(view(2, pods()), at(second * 1_000));
        assert_eq!(app.last.endpoints.len(), 0, "at {second} s");
        update.check.iter().for_each(|check| app.tracked.passed(&check.identity, check.incarnation));
    }
    app.update(view(2, pods()), at(11_000));
    assert_eq!(app.last.endpoints.len(), 2);
    // One that is accepted leaves no doubt.
    app.tracked.ordered(0, &[], true, at(12_000));
    app.tracked.ordered(0, &[], false, at(12_500));
    app.update(view(2, pods()), at(12_500));
    assert_eq!(app.update(view(2, pods()), at(13_499)).check.len(), 0);
    assert_eq!(app.update(view(2, pods()), at(13_500)).check.len(), 2);
}

#[test]
fn what_a_container_printed_comes_with_the_failure() {
    let mut app = Reported::default();
    let crash = |restarts| Crash { pod: Arc::new(Name::new("default", "a")), container: "app".into(), restarts };
    let crashing = |restarts| View {
        pods: 1,
        failing: 1,
        failure: Some(FailureCause::CrashLoop { container: "app".to_owned(), how: "exit code 1".to_owned() }),
        crash: Some(crash(restarts)),
        ..view(1, vec![])
    };
    let update = app.update(crashing(2), at(0));
    assert_eq!(update.read_output, Some(crash(2)));
    assert_eq!((app.last.failure.is_none(), app.last.starting), (true, 1), "it is not known yet what it says");
    assert_eq!(app.update(crashing(2), at(1)).read_output, None, "it is being found out");
    app.tracked.output_read(&crash(1), vec!["old".to_owned()]);
    app.tracked.output_read(&crash(2), vec!["no such table".to_owned()]);
    app.update(crashing(2), at(2));
    let failure = app.last.failure.clone().unwrap();
    assert_eq!((&failure.output[..], app.last.starting), (&["no such table".to_owned()][..], 0));
    app.update(View { reached: Reached { scheduled: true, ..Reached::default() }, ..crashing(2) }, at(3));
    assert!(Arc::ptr_eq(&failure, app.last.failure.as_ref().unwrap()), "the same failure");
}

#[test]
fn a_distrusted_app_is_one_for_a_time() {
    let mut tracked = Tracked::default();
    assert_eq!(tracked.distrusted(at(0)), None);
    tracked.distrust(at(600));
    assert_eq!(tracked.distrusted(at(599)), Some(at(600)));
    assert_eq!(tracked.distrusted(at(600)), None);
}

#[test]
fn one_that_is_used_early_is_marked_and_comes_back_when_it_is_ready_though_it_had_failed() {
    let mut app = Reported::default();
    let tried = || candidate(1, Standing::Check(vec![check()]));
    let ready = || candidate(1, Standing::Ready);
    app.update(view(1, vec![tried()]), at(0));
    app.tracked.passed(&tried().identity, 0);
    app.update(view(1, vec![tried()]), at(1));
    let endpoint = app.last.endpoints[0].clone();
    assert!(endpoint.is_early());
    assert!(app.update(view(1, vec![ready()]), at(2)).observation.is_none());
    assert!(!endpoint.is_early());

    // It fails, and is called ready before anybody has heard of that.
    app.update(view(1, vec![tried()]), at(3));
    assert!(endpoint.fail_early());
    app.update(view(1, vec![tried()]), at(4));
    assert!(endpoint.has_failed_early(), "not forgotten by being seen again");
    assert!(app.update(view(1, vec![ready()]), at(5)).observation.is_some(), "who has put it aside is told");
    assert!(!endpoint.is_early());

    // It fails, and has to wait.
    app.update(view(1, vec![tried()]), at(6));
    assert!(endpoint.fail_early());
    app.update(view(1, vec![candidate(1, Standing::Wait)]), at(7));
    assert!(app.last.endpoints.is_empty() && !endpoint.has_failed_early());
    app.update(view(1, vec![tried()]), at(8));
    app.tracked.passed(&tried().identity, 0);
    app.update(view(1, vec![tried()]), at(9));
    assert!(
        Arc::ptr_eq(&app.last.endpoints[0], &endpoint) && endpoint.is_early(),
        "after a while it may be early again"
    );
}

#[test]
fn what_nobody_has_heard_of_when_all_were_to_go_goes_too() {
    let mut app = Reported::default();
    app.update(view(1, vec![candidate(1, Standing::Ready)]), at(0));
    app.tracked.ordered(0, &[], false, at(1));
    let two = || vec![candidate(1, Standing::Ready), candidate(2, Standing::Ready)];
    app.update(view(0, two()), at(2));
    app.update(view(0, vec![candidate(2, Standing::Ready)]), at(5_000));
    assert_eq!(app.names(), [""; 0]);
    // It stays after all.
    app.update(view(1, vec![candidate(2, Standing::Ready)]), at(6_000));
    assert_eq!(app.names(), [""; 0]);
    app.update(view(1, vec![candidate(2, Standing::Ready)]), at(7_000));
    app.tracked.passed(&candidate(2, Standing::Ready).identity, 0);
    app.update(view(1, vec![candidate(2, Standing::Ready)]), at(7_001));
    assert_eq!(app.names(), ["uid-2"]);
}

#[test]
fn what_had_no_address_yet_when_it_was_to_go_is_not_used_once_it_has_one() {
    let mut app = Reported::default();
    let pending = vec![Pending { uid: "uid-2".into(), why: String::new() }];
    let one = || vec![candidate(1, Standing::Ready)];
    app.update(View { pods: 2, pending: pending.clone(), ..view(2, one()) }, at(0));
    app.tracked.ordered(1, &[], false, at(1));
    app.update(View { pods: 2, pending, ..view(1, one()) }, at(2));
    let two = || vec![candidate(1, Standing::Ready), candidate(2, Standing::Ready)];
    app.update(view(1, two()), at(5_000));
    assert_eq!(app.names(), ["uid-1"]);
    // One that comes later is another matter.
    app.update(view(2, vec![candidate(1, Standing::Ready), candidate(3, Standing::Ready)]), at(5_001));
    assert_eq!(app.names(), ["uid-1", "uid-3"]);
}
