use activator::app::AppState;
use activator::resource::READY;

use super::super::Accepted;
use super::super::testing::*;
use super::*;
use crate::testing::heap;

/// A book with one app, declared at second 0.
struct World {
    book: Book,
    id: AppId,
    /// The status that was written last.
    written: Option<Box<Before>>,
}

impl World {
    fn new(accepted: Accepted) -> Self {
        let mut book = Book::default();
        let id = id("hello");
        book.declare(id.clone(), Some(declared(accepted)), secs(0));
        Self { book, id, written: None }
    }

    /// One that was told at second 1 that it sleeps.
    fn told() -> Self {
        let mut world = Self::new(Accepted::InForce);
        let job = world.look(Some(&asleep()), secs(1)).expect("its first status");
        world.done(job, Written::Yes, secs(1));
        world.quiet(&asleep(), secs(2));
        world
    }

    /// Has news at `now`, and looks if it is due.
    fn look(&mut self, known: Option<&Known>, now: Timestamp) -> Option<Job> {
        let id = self.id.clone();
        self.book.schedule(&id, now);
        self.due(known, now)
    }

    /// Looks if it is due.
    fn due(&mut self, known: Option<&Known>, now: Timestamp) -> Option<Job> {
        let (id, _) = self.book.take_due(now)?;
        self.book.look(&id, known, at(now))
    }

    fn done(&mut self, job: Job, written: Written, now: Timestamp) {
        let status = job.status.as_ref().map(|_| written.clone());
        if let (Some(told), Written::Yes) = (&job.status, &written) {
            let status = told.status.clone();
            self.written = Some(Before::of(&Told { status, wake: None, decision: None }).into());
        }
        let event = job.event.as_ref().map(|_| written);
        self.book.done(Done { job, status, event }, now);
    }

    /// Looks once more, after which nothing is due any more.
    fn quiet(&mut self, known: &Known, now: Timestamp) {
        assert_eq!(self.due(Some(known), now), None);
        assert_eq!(self.book.next(), None, "nothing is due any more");
    }
}

fn state(job: &Job) -> Option<&str> {
    job.status.as_ref()?.status.state.as_deref()
}

fn millis(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

#[test]
fn what_has_not_changed_is_not_written_again() {
    let mut world = World::told();
    for second in 3..100 {
        assert_eq!(world.look(Some(&asleep()), secs(second)), None);
        assert_eq!(world.book.next(), None);
    }
}

#[test]
fn what_the_object_says_already_is_not_written() {
    let first = World::told();
    let written = first.written;
    assert!(written.is_some());
    let mut book = Book::default();
    book.declare(id("hello"), Some(Declaration { written, ..declared(Accepted::InForce) }), secs(500));
    let mut world = World { book, id: id("hello"), written: None };
    world.quiet(&asleep(), secs(501));
}

#[test]
fn what_matters_is_written_at_once_but_once_a_second() {
    let mut world = World::told();
    let job = world.look(Some(&waking()), millis(5_000)).expect("a write");
    assert_eq!(state(&job), Some("waking"));
    // It is awake before that is written, and asleep again before it may be.
    assert_eq!(world.look(Some(&awake(1)), millis(5_100)), None);
    world.done(job, Written::Yes, millis(5_200));
    assert_eq!(world.book.next(), Some(millis(6_000)));
    assert_eq!(world.look(Some(&awake(2)), millis(5_900)), None);
    let job = world.due(Some(&awake(3)), millis(6_000)).expect("a write");
    assert_eq!(job.status.as_ref().and_then(|it| it.status.replicas), Some(3));
    world.done(job, Written::Yes, millis(6_100));
    world.quiet(&awake(3), millis(7_000));
}

#[test]
fn what_only_moves_is_written_every_ten_seconds() {
    let mut world = World::told();
    let job = world.look(Some(&awake(1)), secs(20)).expect("a write");
    world.done(job, Written::Yes, secs(20));
    let moved = |in_flight| Known { in_flight, ..awake(1) };
    assert_eq!(world.due(Some(&moved(2)), secs(21)), None);
    assert_eq!(world.book.next(), Some(secs(30)));
    assert_eq!(world.look(Some(&moved(3)), secs(25)), None);
    let job = world.due(Some(&moved(4)), secs(30)).expect("a write");
    assert_eq!(job.status.as_ref().and_then(|it| it.status.in_flight), Some(4));
    world.done(job, Written::Yes, secs(30));
    world.quiet(&moved(4), secs(31));
}

#[test]
fn nothing_is_told_of_an_app_before_something_is_known_of_it() {
    let mut world = World::new(Accepted::InForce);
    let unknown = Known { replicas: None, findings: Default::default(), ..asleep() };
    assert_eq!(world.due(None, secs(0)), None);
    assert_eq!(world.look(Some(&unknown), secs(1)), None);
    assert_eq!(world.book.next(), Some(secs(5)), "but not for ever");
    let job = world.due(Some(&unknown), secs(5)).expect("a write");
    assert_eq!(job.status.expect("a status").status.conditions[2].status, "Unknown");

    let mut world = World::new(Accepted::InForce);
    assert_eq!(world.due(None, secs(0)), None);
    let job = world.look(Some(&asleep()), secs(1)).expect("a write");
    assert_eq!(state(&job), Some("asleep"));
}

#[test]
fn a_refusal_is_told_at_once() {
    let mut world = World::new(Accepted::Refused { problems: vec!["no".into()], last_good: false });
    let job = world.due(None, secs(0)).expect("a write");
    assert_eq!(job.status.expect("a status").status.conditions[0].reason, "Invalid");
}

#[test]
fn a_declaration_that_is_said_again_is_nothing_new() {
    let mut world = World::told();
    // As it comes back after each write of its status.
    let written = world.written.clone();
    world.book.declare(id("hello"), Some(Declaration { written, ..declared(Accepted::InForce) }), secs(3));
    assert_eq!(world.book.next(), None);
    let newer = Declaration { generation: Some(4), ..declared(Accepted::InForce) };
    world.book.declare(id("hello"), Some(newer), secs(4));
    let job = world.due(Some(&asleep()), secs(4)).expect("a write");
    assert_eq!(job.status.expect("a status").status.observed_generation, Some(4));
}

#[test]
fn one_that_is_declared_anew_under_the_same_name_begins_anew() {
    let mut world = World::told();
    let job = world.look(Some(&awake(1)), secs(20)).expect("a write");
    let other = Declaration { uid: "u2".into(), ..declared(Accepted::InForce) };
    world.book.declare(id("hello"), Some(other), secs(20));
    world.done(job, Written::Yes, secs(20));
    let job = world.due(Some(&asleep()), secs(21)).expect("a write");
    let status = job.status.expect("a status").status;
    assert_eq!((&*job.uid, status.state.as_deref()), ("u2", Some("asleep")));
    let ready = status.conditions.iter().find(|it| it.type_ == READY).expect("a condition");
    assert_eq!(ready.last_transition_time, wall(21).at(secs(21)));
}

#[test]
fn writes_that_fail_are_put_off_longer_each_time() {
    let mut world = World::told();
    let mut now = secs(100);
    for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
        let job = world.look(Some(&waking()), now).expect("a write");
        world.done(job, Written::NotNow, now);
        now = now + Duration::from_secs(pause);
        assert_eq!(world.book.next(), Some(now));
    }
    let job = world.due(Some(&waking()), now).expect("a write");
    world.done(job, Written::Yes, now);
    world.quiet(&waking(), now + LEAST);
}

#[test]
fn one_that_is_not_found_is_tried_again_after_a_minute_unless_it_is_removed() {
    let mut world = World::told();
    let job = world.look(Some(&awake(1)), secs(20)).expect("a write");
    assert!(!job.again);
    world.done(job, Written::Gone, secs(20));
    assert_eq!(world.look(Some(&awake(2)), secs(30)), None);
    assert_eq!(world.book.next(), Some(secs(80)));
    let job = world.due(Some(&awake(2)), secs(80)).expect("a write");
    assert!(job.again, "which is worth a word");
    world.done(job, Written::Gone, secs(80));
    assert_eq!(world.book.next(), Some(secs(140)));
    world.book.declare(id("hello"), None, secs(90));
    assert_eq!(world.book.next(), None);
}

#[test]
fn one_that_is_declared_anew_while_it_was_not_found_keeps_what_there_is_to_tell() {
    let mut world = World::told();
    let job = world.look(Some(&awake(1)), secs(20)).expect("a write");
    world.done(job, Written::Gone, secs(20));
    world.book.declare(id("hello"), Some(declared(Accepted::InForce)), secs(40));
    let job = world.due(Some(&awake(2)), secs(80)).expect("a write");
    assert_eq!(job.status.as_ref().and_then(|it| it.status.replicas), Some(2));
    world.done(job, Written::Yes, secs(80));
    world.quiet(&awake(2), secs(81));
}

#[test]
fn who_may_not_write_a_status_tries_with_one_app_of_the_namespace() {
    let mut book = Book::default();
    let apps: Vec<_> = (0..100).map(|n| AppId::new("closed", format!("app-{n:02}"))).collect();
    for id in &apps {
        book.declare(id.clone(), Some(declared(Accepted::InForce)), secs(0));
    }
    let due = |book: &mut Book, now: Timestamp| {
        let mut jobs = Vec::new();
        while let Some((id, _)) = book.take_due(now) {
            jobs.extend(book.look(&id, Some(&asleep()), at(now)));
        }
        jobs
    };
    let answer = |book: &mut Book, jobs: Vec<Job>, written: Written, now: Timestamp| {
        for job in jobs {
            book.done(Done { job, status: Some(written.clone()), event: None }, now);
        }
    };
    // All that are under way when the first one is refused.
    let jobs = due(&mut book, secs(0));
    assert_eq!(jobs.len(), 100);
    answer(&mut book, jobs, Written::Forbidden, secs(0));
    let (mut now, mut tries) = (secs(0), 0);
    while let Some(next) = book.next().filter(|next| *next < secs(600)) {
        now = next;
        let jobs = due(&mut book, now);
        assert!(jobs.len() <= 1, "{} at {now:?}", jobs.len());
        tries += jobs.len();
        answer(&mut book, jobs, Written::Forbidden, now);
    }
    assert!((10..20).contains(&tries), "{tries} tries in ten minutes");

    // It may again: all is told, soon.
    let until = now + Duration::from_secs(75);
    let mut told = 0;
    while let Some(next) = book.next().filter(|next| *next < until) {
        let jobs = due(&mut book, next);
        told += jobs.len();
        answer(&mut book, jobs, Written::Yes, next);
    }
    assert_eq!(told, 100);
}

#[test]
fn what_may_not_be_written_in_one_namespace_may_be_in_another() {
    let mut world = World::new(Accepted::InForce);
    let job = world.look(Some(&asleep()), secs(1)).expect("a write");
    world.done(job, Written::Forbidden, secs(1));
    let mut other = World { book: world.book, id: AppId::new("open", "hello"), written: None };
    other.book.declare(other.id.clone(), Some(declared(Accepted::InForce)), secs(1));
    let job = other.look(Some(&asleep()), secs(1)).expect("a write");
    assert_eq!(&*job.app.namespace, "open");
}

#[test]
fn events_that_may_not_be_written_are_given_up_all_at_once() {
    let mut world = World::told();
    let failed = failing(crash(), secs(20));
    let known =
        Known { other_writer: Some(written_by(Some("me"), 1, secs(20), secs(20))), state: AppState::Waking, ..failed };
    let job = world.look(Some(&known), secs(20)).expect("a write");
    world.book.done(Done { job, status: Some(Written::Yes), event: Some(Written::Forbidden) }, secs(20));
    let job = world.due(Some(&known), secs(21)).expect("one is tried again after a second");
    world.book.done(Done { job, status: None, event: Some(Written::Forbidden) }, secs(21));
    let more = written_by(Some("you"), 2, secs(22), secs(22));
    let more = Known { other_writer: Some(more), state: AppState::Awake, ..known };
    let job = world.look(Some(&more), secs(22)).expect("the status is told all the same");
    assert!(job.status.is_some() && job.event.is_none());
    assert!(world.book.entries[&world.id].events.as_ref().is_none_or(|events| !events.any()));
}

#[test]
fn one_that_is_removed_is_forgotten() {
    let mut world = World::told();
    let job = world.look(Some(&awake(1)), secs(20)).expect("a write");
    world.book.declare(id("hello"), None, secs(20));
    world.done(job, Written::Yes, secs(20));
    assert_eq!((world.book.entries.len(), world.book.due.len()), (0, 0));

    let mut world = World::told();
    let id = world.id.clone();
    world.book.schedule(&id, secs(10));
    world.book.declare(id, None, secs(5));
    assert_eq!((world.book.entries.len(), world.book.due.len()), (0, 0));
}

#[test]
fn one_that_was_never_declared_is_swept_away_with_its_app() {
    let mut book = Book::default();
    book.entries.insert(id("stray"), Box::default());
    book.schedule(&id("stray"), secs(1));
    book.sweep();
    assert_eq!((book.entries.len(), book.due.len()), (0, 0));
}

#[test]
fn events_go_one_a_second_with_what_status_there_is() {
    let mut world = World::told();
    let failed = failing(crash(), secs(20));
    let known =
        Known { other_writer: Some(written_by(Some("me"), 1, secs(20), secs(20))), state: AppState::Waking, ..failed };
    let job = world.look(Some(&known), secs(20)).expect("a write");
    assert!(job.status.is_some());
    assert_eq!(job.event.as_ref().map(|it| &*it.waiting.event.reason), Some("CrashLoop"));
    world.done(job, Written::Yes, secs(20));
    let job = world.due(Some(&known), secs(21)).expect("an event");
    assert!(job.status.is_none());
    assert_eq!(job.event.as_ref().map(|it| &*it.waiting.event.reason), Some("OtherWriter"));
    world.done(job, Written::Yes, secs(21));
    assert_eq!(world.due(Some(&known), secs(22)), None);
}

#[test]
fn an_event_that_cannot_be_told_now_is_told_later_and_one_that_is_refused_is_given_up() {
    let mut world = World::told();
    let known = failing(crash(), secs(20));
    let job = world.look(Some(&known), secs(20)).expect("a write");
    world.book.done(Done { job, status: Some(Written::Yes), event: Some(Written::NotNow) }, secs(20));
    let job = world.due(Some(&known), secs(21)).expect("it is tried again");
    assert!(job.status.is_none() && job.event.is_some());
    world.book.done(Done { job, status: None, event: Some(Written::Refused) }, secs(21));
    assert_eq!(world.due(Some(&known), secs(22)), None);
    assert_eq!(world.book.next(), Some(secs(30)), "when it may be tried again");
}

#[test]
fn apps_are_due_in_the_order_of_time() {
    let mut book = Book::default();
    for (name, second) in [("b", 2), ("a", 3), ("c", 1)] {
        book.declare(id(name), Some(declared(Accepted::InForce)), secs(second));
    }
    let due = std::iter::from_fn(|| book.take_due(secs(2))).map(|(id, _)| id.name.to_string());
    assert_eq!(due.collect::<Vec<_>>(), ["c", "b"]);
    assert_eq!(book.next(), Some(secs(3)));
}

#[test]
fn what_is_remembered_of_a_sleeping_app_takes_little_memory() {
    const APPS: usize = 7000;
    let ids: Vec<_> = (0..APPS).map(|number| id(&format!("app-{number}"))).collect();
    let declarations: Vec<_> = ids.iter().map(|_| declared(Accepted::InForce)).collect();
    let before = heap::kept();
    let mut world = World { book: Book::default(), id: id("hello"), written: None };
    for (id, declaration) in ids.iter().zip(declarations) {
        world.book.declare(id.clone(), Some(declaration), secs(0));
    }
    for second in [1, 2] {
        while let Some((id, _)) = world.book.take_due(secs(second)) {
            if let Some(job) = world.book.look(&id, Some(&asleep()), at(secs(second))) {
                world.book.done(Done { job, status: Some(Written::Yes), event: None }, secs(second));
            }
        }
    }
    assert_eq!(world.book.next(), None, "all of it is told");
    let each = (heap::kept() - before) / APPS as isize;
    // The tables of 7,000 are full.
    assert!(each <= 400, "{each} bytes for each app");
}

// === several gateways ===

/// The status of `known`, as another gateway has written it.
fn written_elsewhere(known: &Known, now: Timestamp) -> Before {
    let told = tell(Some(known), Says::Everything, &declared(Accepted::InForce), &Before::default(), at(now));
    Before::of(&Told { status: told.status, wake: None, decision: None })
}

#[test]
fn where_another_gateway_decides_only_its_own_wakes_are_told() {
    let mut world = World::told();
    world.book.decides(false, secs(2));
    let failing = failing(missing(), secs(3));
    for known in [&waking(), &awake(1), &failing, &asleep()] {
        assert_eq!(world.look(Some(known), secs(4)), None);
        assert_eq!(world.book.next(), None, "not later either");
    }

    let mine = Known { wake: woken(secs(5), Some(secs(6))), ..awake(1) };
    let job = world.look(Some(&mine), secs(6)).expect("its own wake");
    let event = job.event.as_ref().map(|it| it.waiting.event.reason.as_str());
    assert_eq!((job.part, event), (Part::Wake, Some("Woken")));
    assert!(job.status.as_ref().is_some_and(|told| told.status.last_wake.is_some()));
    world.done(job, Written::Yes, secs(6));
    world.quiet(&mine, secs(7));
    assert_eq!(world.look(Some(&Known { in_flight: 9, ..mine }), secs(30)), None);
}

#[test]
fn who_begins_to_decide_writes_what_differs_and_leaves_alone_when_it_was_woken_last() {
    let mut world = World::told();
    world.book.decides(false, secs(2));
    let other = written_elsewhere(&Known { decision: decided(secs(8), 2, "theirs"), ..awake(2) }, secs(10));
    world.book.written_by_another(&world.id.clone(), other);

    // As it was told: there is nothing to do. What was decided here before was not in force.
    let known = Known { decision: decided(secs(9), 1, "ours"), ..awake(2) };
    world.book.decides(true, secs(20));
    assert_eq!(world.book.next(), Some(secs(20)), "all are looked at");
    world.quiet(&known, secs(20));

    let job = world.look(Some(&Known { replicas: Some(3), ..known.clone() }), secs(31)).expect("a write");
    assert_eq!(job.part, Part::NotWake);
    let decision =
        |job: &Job| job.status.as_ref().and_then(|told| told.status.last_decision.clone()).expect("one").reason;
    assert_eq!(decision(&job), "theirs");
    world.done(job, Written::Yes, secs(31));

    let known = Known { decision: decided(secs(40), 4, "ours"), wake: woken(secs(39), None), ..awake(4) };
    let job = world.look(Some(&known), secs(40)).expect("a write");
    assert_eq!((job.part, decision(&job).as_str()), (Part::Whole, "ours"), "and its own wake");
}

#[test]
fn what_this_gateway_has_written_is_not_taken_for_anothers_word() {
    let mut world = World::told();
    world.book.decides(true, secs(2));
    world.quiet(&asleep(), secs(2));
    let late = written_elsewhere(&awake(1), secs(1));
    world.book.written_by_another(&world.id.clone(), late);
    assert_eq!(world.look(Some(&asleep()), secs(20)), None);
}
