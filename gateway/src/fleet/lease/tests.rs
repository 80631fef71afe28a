use super::*;

/// So many milliseconds after the gateway's own clock was made.
fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn record(holder: &str, term: u64, version: u64) -> Record {
    let holder = (!holder.is_empty()).then(|| holder.into());
    Record { holder, term, version: version.to_string() }
}

fn hold(version: u64, term: u64, new: bool) -> Next {
    Next::Write(Write::Hold { version: version.to_string(), term, new })
}

fn mine(term: u64, until: u64) -> Lead {
    Lead::Mine { term, until: at(until) }
}

fn other(name: &str) -> Lead {
    Lead::Other(name.into())
}

/// One that stands, and has seen this at `millis`.
fn standing(seen: Option<Record>, millis: u64) -> Election {
    let mut election = Election::new("me_1".into());
    election.play(Part::Stands);
    election.see(seen, at(millis));
    election
}

/// One that leads by a write that was sent at zero.
fn leading() -> Election {
    let mut election = standing(Some(record("", 4, 10)), 0);
    assert_eq!(election.next(at(0)), hold(10, 5, true));
    election.done(at(0), Outcome::Done(record("me_1", 5, 11)), at(20));
    election
}

#[test]
fn nothing_is_done_before_the_lease_was_read_and_before_it_stands() {
    let mut election = Election::new("me_1".into());
    election.play(Part::Stands);
    assert_eq!((election.next(at(9_000)), election.lead(at(9_000))), (Next::Wait(None), Lead::Nobody));

    let mut election = Election::new("me_1".into());
    election.see(Some(record("", 4, 10)), at(0));
    assert_eq!(election.next(at(9_000)), Next::Wait(None));
    election.play(Part::Stands);
    assert_eq!(election.next(at(9_000)), hold(10, 5, true));
}

#[test]
fn where_there_is_none_it_is_made_after_whoever_led_by_one_knows_that_he_does_not() {
    let mut election = standing(None, 1_000);
    assert_eq!(election.next(at(1_000)), Next::Wait(Some(at(5_000))));
    assert_eq!(election.next(at(5_000)), Next::Write(Write::Make { term: 1 }));
    election.done(at(5_000), Outcome::Done(record("me_1", 1, 1)), at(5_010));
    assert_eq!(election.lead(at(5_010)), mine(1, 8_000));
}

#[test]
fn one_that_was_made_for_nobody_is_taken_at_once() {
    let election = standing(Some(record("", 0, 7)), 1_000);
    assert_eq!(election.next(at(1_000)), hold(7, 1, true));
}

#[test]
fn one_that_was_made_anew_for_nobody_waits_for_whoever_led_by_the_one_before() {
    let mut election = standing(Some(record("b_7", 4, 10)), 0);
    election.see(None, at(1_000));
    election.see(Some(record("", 0, 12)), at(1_500));
    assert_eq!(election.next(at(1_500)), Next::Wait(Some(at(5_000))));
    assert_eq!(election.next(at(5_000)), hold(12, 5, true));
    // Its end was not seen.
    let mut election = standing(Some(record("b_7", 4, 10)), 0);
    election.see(Some(record("", 0, 12)), at(1_500));
    assert_eq!(election.next(at(1_500)), Next::Wait(Some(at(5_500))));
}

#[test]
fn its_holder_writes_it_each_second_and_leads_for_three_from_when_it_sent_the_last_write() {
    let mut election = leading();
    assert_eq!(election.lead(at(20)), mine(5, 3_000));
    assert_eq!(election.next(at(20)), Next::Wait(Some(at(1_000))));
    assert_eq!(election.next(at(1_000)), hold(11, 5, false));
    // The answer came late: it counts from the question.
    election.done(at(1_000), Outcome::Done(record("me_1", 5, 12)), at(2_900));
    assert_eq!(election.lead(at(2_900)), mine(5, 4_000));
    assert_eq!(election.next(at(2_900)), hold(12, 5, false));
    assert_eq!(election.lead(at(4_000)), Lead::Nobody);
}

#[test]
fn who_cannot_reach_the_api_server_leads_no_longer_and_goes_on_trying() {
    let mut election = leading();
    election.done(at(1_000), Outcome::NotNow, at(2_800));
    assert_eq!(election.next(at(2_800)), Next::Wait(Some(at(3_050))));
    assert_eq!((election.lead(at(2_999)), election.lead(at(3_000))), (mine(5, 3_000), Lead::Nobody));
    // Nobody has had it in between: it is the same term.
    assert_eq!(election.next(at(60_000)), hold(11, 5, false));
    election.done(at(60_000), Outcome::Done(record("me_1", 5, 12)), at(60_010));
    assert_eq!(election.lead(at(60_010)), mine(5, 63_000));
}

#[test]
fn a_write_without_an_answer_that_has_had_its_effect_does_no_harm() {
    let mut election = leading();
    election.done(at(1_000), Outcome::NotNow, at(2_000));
    // The watch tells of it; to lead it takes a write that was answered.
    election.see(Some(record("me_1", 5, 12)), at(2_100));
    assert_eq!(election.lead(at(2_100)), mine(5, 3_000));
    assert_eq!(election.next(at(2_250)), hold(12, 5, false));
}

#[test]
fn another_takes_over_once_it_has_not_changed_for_four_seconds() {
    let mut election = standing(Some(record("b_7", 4, 10)), 500);
    assert_eq!(election.lead(at(500)), other("b"));
    assert_eq!(election.next(at(500)), Next::Wait(Some(at(4_500))));
    election.see(Some(record("b_7", 4, 11)), at(4_499));
    assert_eq!(election.next(at(4_500)), Next::Wait(Some(at(8_499))));
    // The same again is no change, and what is older neither.
    election.see(Some(record("b_7", 4, 11)), at(6_000));
    election.see(Some(record("c_7", 3, 9)), at(6_000));
    assert_eq!((election.next(at(8_499)), election.lead(at(8_499))), (hold(11, 5, true), Lead::Nobody));
    election.done(at(8_499), Outcome::Done(record("me_1", 5, 12)), at(8_510));
    assert_eq!(election.lead(at(8_510)), mine(5, 11_499));
}

#[test]
fn of_two_who_take_over_one_does() {
    let mut election = standing(Some(record("b_7", 4, 10)), 0);
    assert_eq!(election.next(at(4_000)), hold(10, 5, true));
    election.done(at(4_000), Outcome::Other(Some(record("c_8", 5, 11))), at(4_010));
    assert_eq!(election.lead(at(4_010)), other("c"));
    assert_eq!(election.next(at(4_010)), Next::Wait(Some(at(8_010))));
}

#[test]
fn who_is_replaced_leads_no_longer() {
    let mut election = leading();
    election.see(Some(record("b_7", 6, 12)), at(500));
    assert_eq!(election.lead(at(500)), other("b"));
    assert_eq!(election.next(at(1_000)), Next::Wait(Some(at(4_500))));
}

#[test]
fn a_run_that_comes_back_is_another_one() {
    let election = standing(Some(record("me_0", 4, 10)), 0);
    assert_eq!((election.next(at(0)), election.lead(at(0))), (Next::Wait(Some(at(4_000))), other("me")));
}

#[test]
fn who_goes_gives_it_back_and_another_takes_it_at_once() {
    let mut election = leading();
    election.play(Part::Leaves);
    assert_eq!(election.lead(at(500)), Lead::Nobody);
    assert_eq!(election.next(at(500)), Next::Write(Write::Release { version: "11".into(), term: 5 }));
    election.done(at(500), Outcome::Done(record("", 5, 12)), at(510));
    assert_eq!((election.next(at(9_000)), election.lead(at(510))), (Next::Wait(None), Lead::Nobody));

    let follower = standing(Some(record("", 5, 12)), 600);
    assert_eq!(follower.next(at(600)), hold(12, 6, true));
}

#[test]
fn who_goes_takes_nothing_over() {
    let mut election = standing(Some(record("b_7", 4, 10)), 0);
    election.play(Part::Leaves);
    assert_eq!(election.next(at(60_000)), Next::Wait(None));
    election.see(None, at(60_000));
    assert_eq!(election.next(at(90_000)), Next::Wait(None));
}

#[test]
fn terms_grow_though_the_lease_is_deleted() {
    let mut election = leading();
    election.see(None, at(100));
    assert_eq!(election.lead(at(100)), Lead::Nobody);
    assert_eq!(election.next(at(4_100)), Next::Write(Write::Make { term: 6 }));
    // Somebody else has made one, without knowing.
    election.done(at(4_100), Outcome::Other(Some(record("b_7", 1, 20))), at(4_110));
    assert_eq!(election.next(at(8_110)), hold(20, 6, true));
}

#[test]
fn a_cluster_that_was_set_back_is_believed() {
    let mut election = leading();
    election.forget();
    assert_eq!((election.next(at(100)), election.lead(at(100))), (Next::Wait(None), Lead::Nobody));
    election.see(Some(record("b_7", 3, 5)), at(200));
    assert_eq!(election.lead(at(200)), other("b"));
}

#[test]
fn what_is_refused_for_good_is_tried_now_and_then() {
    let mut election = standing(Some(record("", 0, 10)), 0);
    election.done(at(0), Outcome::Refused, at(10));
    assert_eq!(election.next(at(10)), Next::Wait(Some(at(5_010))));
}

/// Two gateways, an API server that answers late or not at all, watches that lag, and clocks of which one is ahead.
#[test]
fn never_do_two_lead_at_the_same_moment() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut api = record("", 0, 1);
        let mut gateways: Vec<_> = (0..3)
            .map(|n| {
                let mut election = Election::new(format!("g{n}_{n}").into());
                election.play(Part::Stands);
                // What is on its way to it by the watch, and its write with when that was sent and is answered.
                (election, Vec::<(u64, Record)>::from([(0, api.clone())]), None::<(u64, u64, Write)>)
            })
            .collect();
        let (mut led, mut broken) = (0, 0);
        let ahead = [0, 7_000_000, 123_000];
        for now in (0..60_000u64).step_by(10) {
            if now % 5_000 == 0 {
                broken = if random.bool() { random.usize(0..4) } else { 9 };
            }
            let mut leaders = 0;
            for n in 0..gateways.len() {
                let own = at(now + ahead[n]);
                let (election, coming, call) = &mut gateways[n];
                coming.retain(|(due, record)| {
                    let come = *due <= now && broken != n;
                    if come {
                        election.see(Some(record.clone()), own);
                    }
                    !come
                });
                let mut written = None;
                if let Some((sent, _, write)) = call.take_if(|(_, due, _)| *due <= now) {
                    let sent = at(sent + ahead[n]);
                    let (version, holder, term) = match &write {
                        Write::Hold { version, term, .. } => (version, format!("g{n}_{n}"), *term),
                        write => panic!("{write:?}"),
                    };
                    // Lost on the way there, or on the way back.
                    let (arrives, answered) =
                        if broken == n { (random.bool(), false) } else { (true, random.u8(..) > 20) };
                    let accepted = arrives && *version == api.version;
                    if accepted {
                        let version = api.version.parse::<u64>().unwrap() + 1;
                        api = Record { holder: Some(holder.into()), term, version: version.to_string() };
                        written = Some(api.clone());
                    }
                    let outcome = match (answered, accepted) {
                        (false, _) => Outcome::NotNow,
                        (true, true) => Outcome::Done(api.clone()),
                        (true, false) => Outcome::Other(Some(api.clone())),
                    };
                    election.done(sent, outcome, own);
                }
                if call.is_none()
                    && let Next::Write(write) = election.next(own)
                {
                    *call = Some((now, now + random.u64(0..2_000), write));
                }
                leaders += usize::from(matches!(election.lead(own), Lead::Mine { until, .. } if own < until));
                if let Some(written) = written {
                    for (_, coming, _) in &mut gateways {
                        coming.push((now + random.u64(0..3_000), written.clone()));
                        coming.sort_by_key(|(due, record)| (*due, record.version.parse::<u64>().unwrap()));
                    }
                }
            }
            assert!(leaders <= 1, "seed {seed}, {now} ms: {leaders} lead");
            led += leaders;
        }
        assert!(led > 1_000, "seed {seed}: somebody leads most of the time");
    }
}
