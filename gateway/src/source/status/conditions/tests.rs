use activator::platform::NotAccepted;
use activator::platform::kubernetes::EarlyOff;

use super::super::testing::*;
use super::*;

fn told(known: &Known, accepted: Accepted) -> Vec<String> {
    lines(&conditions(Some(known), &declared(accepted), &Since::default(), wall(100)))
}

fn of(known: &Known) -> Vec<String> {
    told(known, Accepted::InForce)
}

const IN_FORCE: &str = "Accepted True InForce: the settings are in force";
const FOUND: &str = "TargetFound True Found: Deployment default/hello and Service default/hello are there";

#[test]
fn what_sleeps_or_runs_is_ready() {
    assert_eq!(of(&asleep()), [IN_FORCE, FOUND, "Ready True Asleep: no replica runs; a request wakes it"]);
    assert_eq!(of(&waking()), [IN_FORCE, FOUND, "Ready True Waking: replicas are on their way"]);
    assert_eq!(of(&awake(2)), [IN_FORCE, FOUND, "Ready True Awake: replicas take requests"]);
}

#[test]
fn an_app_that_names_an_authority_is_told_how_that_is() {
    let said = |problem: Option<&str>, is_usable| {
        let standing = Standing { problem: problem.map(str::to_owned), is_usable };
        let declaration = Declaration { authority: Some(Box::new(standing)), ..declared(Accepted::InForce) };
        lines(&conditions(Some(&asleep()), &declaration, &Since::default(), wall(100))).pop().unwrap()
    };
    assert_eq!(
        said(None, true),
        "AuthorityReady True InUse: the app is known by the certificates that target.tls names"
    );
    let why = Some("ConfigMap a/b does not exist");
    assert_eq!(said(why, false), "AuthorityReady False NotUsable: ConfigMap a/b does not exist");
    assert_eq!(
        said(why, true),
        "AuthorityReady False NotUsable: ConfigMap a/b does not exist; in use is what was there before"
    );
}

#[test]
fn an_app_that_names_a_certificate_is_told_how_that_is() {
    let said = |certified: Certified| {
        let declaration = Declaration { certificate: Some(Box::new(certified)), ..declared(Accepted::InForce) };
        lines(&conditions(Some(&asleep()), &declaration, &Since::default(), wall(100))).pop().unwrap()
    };
    let (why, until) = ("Secret a/b does not exist".to_owned(), "2030-01-01T00:00:00Z".to_owned());
    assert_eq!(
        said(Certified::InUse { until: until.clone() }),
        "CertificateReady True InUse: the certificate is in use and valid until 2030-01-01T00:00:00Z"
    );
    assert_eq!(
        said(Certified::NotUsable { why: why.clone(), until: None }),
        "CertificateReady False NotUsable: Secret a/b does not exist"
    );
    assert_eq!(
        said(Certified::NotUsable { why, until: Some(until) }),
        "CertificateReady False NotUsable: Secret a/b does not exist; in use is one that is valid until 2030-01-01T00:00:00Z"
    );
}

#[test]
fn all_are_about_the_generation_that_is_declared() {
    let all = conditions(Some(&asleep()), &declared(Accepted::InForce), &Since::default(), wall(100));
    assert!(all.iter().all(|it| it.observed_generation == Some(3)));
}

#[test]
fn settings_that_are_refused_are_told_each_with_its_field() {
    let problems = vec!["spec.hold: is no object".to_owned(), "spec.target: is missing".to_owned()];
    let refused = |last_good| Accepted::Refused { problems: problems.clone(), last_good };
    let never = lines(&conditions(None, &declared(refused(false)), &Since::default(), wall(1)));
    assert_eq!(
        never,
        [
            "Accepted False Invalid: spec.hold: is no object; spec.target: is missing",
            "TargetFound Unknown NotAccepted: nothing is looked for before the settings are accepted",
            "Ready False NotAccepted: the settings are not accepted",
        ]
    );
    let once = told(&asleep(), refused(true));
    assert_eq!(
        once[0],
        "Accepted False Invalid: spec.hold: is no object; spec.target: is missing; the last settings that were right stay in force"
    );
    assert_eq!(once[1..], [FOUND, "Ready True Asleep: no replica runs; a request wakes it"]);
}

#[test]
fn many_problems_are_bounded_in_number_and_in_length() {
    let problems: Vec<_> = (0..30).map(|n| format!("{n}: {}", "x".repeat(1000))).collect();
    let message = accepted(&Accepted::Refused { problems: problems[..12].to_vec(), last_good: false }).message;
    assert!(message.ends_with("; and 2 more"), "{message}");
    let all = conditions(None, &declared(Accepted::Refused { problems, last_good: false }), &Since::default(), wall(1));
    assert_eq!(all[0].message.len(), LONGEST);
}

#[test]
fn the_younger_of_two_says_whose_its_routes_are() {
    let taken =
        vec!["host `a.example` with path `/` is routed already by app `default/old`, which is older".to_owned()];
    let part = told(&asleep(), Accepted::InPart { taken: taken.clone() });
    assert_eq!(
        part[0],
        "Accepted True RoutesTakenInPart: the settings are in force, but for some routes: host `a.example` with path `/` is \
         routed already by app `default/old`, which is older"
    );
    assert_eq!(part[2], "Ready True Asleep: no replica runs; a request wakes it");
    let whole = Accepted::RoutesTaken { taken };
    let whole = lines(&conditions(None, &declared(whole), &Since::default(), wall(1)));
    assert_eq!(
        whole[0],
        "Accepted False RoutesTaken: host `a.example` with path `/` is routed already by app `default/old`, which is older"
    );
    assert_eq!(
        whole[1],
        "TargetFound Unknown RoutesTaken: nothing is looked for as long as other apps have all its routes"
    );
    assert_eq!(
        whole[2],
        "Ready False RoutesTaken: other apps have all its routes, so that no request comes here, and nothing scales it: \
         pods that run stay"
    );
}

#[test]
fn whose_target_another_app_has_is_told_who_that_is() {
    let taken = "Deployment default/hello is the target of app `default/old` already, which is older";
    let accepted = Accepted::TargetTaken { taken: taken.into() };
    assert_eq!(
        lines(&conditions(None, &declared(accepted), &Since::default(), wall(1))),
        [
            &format!("Accepted False TargetTaken: {taken}"),
            "TargetFound Unknown TargetTaken: nothing is looked for as long as another app has its target",
            "Ready False TargetTaken: another app has its target",
        ]
    );
}

#[test]
fn a_missing_target_or_service_is_named() {
    let mut known = asleep();
    known.findings.target = Found::No(Box::new(missing()));
    assert_eq!(
        of(&known)[1..],
        [
            "TargetFound False TargetMissing: Deployment default/hello does not exist",
            "Ready False TargetMissing: Deployment default/hello does not exist",
        ]
    );
    let mut known = asleep();
    let cause = FailureCause::ServiceMissing { service: "default/hello".into() };
    known.findings.service = Found::No(Box::new(cause));
    assert_eq!(of(&known)[1], "TargetFound False ServiceMissing: its Service default/hello does not exist");
}

#[test]
fn what_is_not_known_is_not_said_to_be_missing() {
    let mut known = Known { replicas: None, ..asleep() };
    known.findings = Default::default();
    assert_eq!(
        of(&known)[1..],
        [
            "TargetFound Unknown NotSeenYet: Deployment default/hello and Service default/hello are still looked for",
            "Ready Unknown NotSeenYet: it is not known yet how many replicas there are",
        ]
    );
    let none = lines(&conditions(None, &declared(Accepted::InForce), &Since::default(), wall(1)));
    assert_eq!(
        none[1..],
        [
            "TargetFound Unknown NotSeenYet: nothing is known of it yet",
            "Ready Unknown NotSeenYet: nothing is known of it yet",
        ]
    );
}

#[test]
fn what_the_gateway_may_not_look_at_is_named() {
    let cause =
        FailureCause::Forbidden { verb: "list".into(), resource: "deployments.apps".into(), namespace: "shop".into() };
    let mut known = failing(cause, secs(90));
    known.findings = Default::default();
    let words = "the gateway may not list deployments.apps in namespace shop; grant it that (RBAC)";
    assert_eq!(of(&known)[1], format!("TargetFound Unknown Forbidden: {words}"));
    assert_eq!(of(&known)[2], format!("Ready False Forbidden: the app cannot be started: {words}"));
}

#[test]
fn a_failed_start_is_told_with_what_the_app_printed_until_one_succeeds() {
    let mut known = failing(crash(), secs(90));
    let failure = known.failure.as_mut().expect("it failed");
    std::sync::Arc::make_mut(&mut failure.failure).output = vec!["line 1".into(), "line 2".into()];
    let words = "Ready False CrashLoop: the app cannot be started: its container `app` keeps ending, the last time with exit \
                 code 3; it printed last: line 1 | line 2";
    assert_eq!(of(&known)[2], words);
    known.state = AppState::Waking;
    assert_eq!(of(&known)[2], words);
    known.state = AppState::Asleep;
    assert_eq!(of(&known)[2], words);
    known.state = AppState::Awake;
    assert_eq!(of(&known)[2], "Ready True Awake: replicas take requests");
}

#[test]
fn what_was_missing_and_is_found_is_ready_again() {
    let known = Known { state: AppState::Asleep, ..failing(missing(), secs(90)) };
    assert_eq!(of(&known)[2], "Ready True Asleep: no replica runs; a request wakes it");
}

#[test]
fn a_scale_call_that_fails_is_told_while_it_is_tried_again() {
    let cause = FailureCause::ApiServer { why: "500 InternalError".into() };
    let refused = Some(NotAccepted { cause, in_doubt: true, passing: true, retry_after: None });
    let known = Known { refused: refused.clone(), ..waking() };
    assert_eq!(
        of(&known)[2],
        "Ready True Waking: replicas are on their way; the last scale call failed: the Kubernetes API server does not do it: \
         500 InternalError"
    );
    assert_eq!(of(&Known { refused, ..asleep() })[2], "Ready True Asleep: no replica runs; a request wakes it");
}

#[test]
fn pods_that_are_not_tried_early_are_told_with_the_reason() {
    let mut known = awake(1);
    known.findings.early = Early::Off(EarlyOff::Distrusted);
    assert_eq!(
        of(&known)[1],
        format!(
            "{FOUND}; pods wait until Kubernetes calls them ready: it failed right after an early try, so for 10 minutes it is \
             not tried"
        )
    );
    known.findings.early = Early::On;
    assert_eq!(of(&known)[1], FOUND);
}

#[test]
fn another_writer_is_named_for_ten_minutes() {
    let by = |name, replicas, at, until| Known {
        other_writer: Some(written_by(name, replicas, secs(at), secs(until))),
        ..awake(3)
    };
    assert_eq!(
        of(&by(Some("kubectl-scale"), 3, 90, 90))[2],
        "Ready True Awake: replicas take requests; another writer, `kubectl-scale`, has set 3 replicas"
    );
    assert_eq!(
        of(&by(None, 1, 90, 690))[2],
        "Ready True Awake: replicas take requests; another writer has set 1 replica, again and again; what it writes stands for \
         now"
    );
    let late = conditions(Some(&by(None, 1, 90, 690)), &declared(Accepted::InForce), &Since::default(), wall(690));
    assert_eq!(late[2].message, "replicas take requests");
}

#[test]
fn a_transition_is_a_change_of_status_alone() {
    let declaration = declared(Accepted::InForce);
    let first = conditions(Some(&asleep()), &declaration, &Since::default(), wall(100));
    let then = conditions(Some(&awake(1)), &declaration, &Since::of(&first), wall(200));
    let since = |all: &[Condition]| all.iter().map(|it| it.last_transition_time.0.to_string()).collect::<Vec<_>>();
    assert_eq!(since(&first), ["2026-01-01T00:01:40Z"; 3]);
    assert_eq!((since(&then), &*then[2].reason), (since(&first), "Awake"));
    let failed = conditions(Some(&failing(crash(), secs(290))), &declaration, &Since::of(&then), wall(300));
    assert_eq!(since(&failed), ["2026-01-01T00:01:40Z", "2026-01-01T00:01:40Z", "2026-01-01T00:05:00Z"]);
}
