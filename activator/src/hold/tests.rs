use super::*;
use crate::platform::FailureCause;

#[test]
fn the_budget_bounds_requests_and_gives_them_back() {
    let budget = HoldBudget::new(2, 1_000);
    let [one, other] = [HoldShare::new(budget.clone()), HoldShare::new(budget.clone())];
    let first = one.reserve(10).unwrap();
    let second = other.reserve(20).unwrap();
    assert!(matches!(one.reserve(0), Err(Refusal::GatewayFull)));
    assert_eq!((budget.requests(), budget.bytes()), (2, 30), "a refused one leaves no trace");
    drop(first);
    let third = one.reserve(970).unwrap();
    assert_eq!((budget.requests(), budget.bytes()), (2, 990));
    drop((second, third));
    assert_eq!((budget.requests(), budget.bytes()), (0, 0));
}

#[test]
fn the_budget_bounds_bytes() {
    let budget = HoldBudget::new(10, 100);
    let share = HoldShare::new(budget.clone());
    let all = share.reserve(100).unwrap();
    assert!(matches!(share.reserve(1), Err(Refusal::GatewayFull)));
    drop(all);
    assert!(matches!(share.reserve(101), Err(Refusal::GatewayFull)));
    assert_eq!((budget.requests(), budget.bytes()), (0, 0));
}

#[test]
fn a_budget_in_many_hands_is_whole_again_in_the_end() {
    let budget = HoldBudget::new(3, 300);
    let workers: Vec<_> = (0..4)
        .map(|seed| {
            let share = HoldShare::new(budget.clone());
            std::thread::spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                for _ in 0..20_000 {
                    let _ = share.reserve(random.usize(..200));
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    assert_eq!((budget.requests(), budget.bytes()), (0, 0));
    assert!(HoldShare::new(budget.clone()).reserve(300).is_ok(), "there is room for as much as ever");
}

#[test]
fn no_app_takes_what_others_may_need() {
    let fill = |share: &HoldShare, bytes| {
        let held = std::iter::from_fn(|| share.reserve(bytes).ok().map(std::mem::forget)).count();
        (held, share.reserve(bytes).expect_err("full").label())
    };
    for (budget, bytes) in [(HoldBudget::new(12, 1_000), 1), (HoldBudget::new(1_000, 120), 10)] {
        let shares: Vec<_> = (0..5).map(|_| HoldShare::new(budget.clone())).collect();
        let filled: Vec<_> = shares.iter().map(|share| fill(share, bytes)).collect();
        // Half of it, half of what is left, and so on.
        let full = "share_full";
        assert_eq!(filled, [(6, full), (3, full), (2, full), (1, "gateway_full"), (0, "gateway_full")]);
    }
}

#[test]
fn a_line_is_first_in_first_out_and_bounded() {
    let line = line::Line::new();
    let places: Vec<_> = (0..3).map(|n| line.join(n, 3).unwrap()).collect();
    assert_eq!(line.join(3, 3), Err(3));
    assert!(line.leave(places[1]));
    assert!(!line.leave(places[1]), "left already");
    assert!(line.join(4, 3).is_ok(), "there is room again");
    assert_eq!(line.serve(|_| None::<()>), None);
    assert_eq!(line.serve(|_| Some("slot")), Some((0, "slot")));
    assert!(!line.leave(places[0]), "served already");
    assert_eq!((line.len(), line.dismiss(), line.len()), (2, vec![2, 4], 0));
    assert_eq!(line.serve(|_| -> Option<()> { panic!("nobody waits: nothing may be taken") }), None);
}

#[test]
fn a_refusal_says_why() {
    let failure = StartFailure {
        cause: FailureCause::Exited { how: "exit code 1".to_owned() },
        output: Vec::new(),
        retry_after: Duration::from_secs(1),
    };
    let deadline = |state| Refusal::Deadline { held: Duration::from_millis(1_500), state };
    for (refusal, label, words) in [
        (
            Refusal::LineFull { limit: 7 },
            "line_full",
            "7 requests are already waiting for this app, which is its limit",
        ),
        (Refusal::GatewayFull, "gateway_full", "the gateway holds as many requests as it may"),
        (Refusal::ShareFull, "share_full", "the app has its share of all the requests that the gateway may hold"),
        (
            deadline(WaitState::Starting),
            "hold_deadline",
            "no replica could take the request within 1500 ms; the app is still starting",
        ),
        (
            deadline(WaitState::Busy),
            "hold_deadline",
            "no replica could take the request within 1500 ms; all its replicas are at their limit",
        ),
        (
            Refusal::CannotStart(Arc::new(failure)),
            "exited",
            "the app cannot be started: it ended with exit code 1 before it was ready",
        ),
        (Refusal::Stopping, "stopping", "the gateway is shutting down"),
        (Refusal::Removed, "removed", "the app was removed from the configuration"),
    ] {
        assert_eq!((refusal.label(), refusal.to_string().as_str()), (label, words));
    }
}
