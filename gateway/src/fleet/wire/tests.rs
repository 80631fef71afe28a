use prost::Message as _;

use super::*;

fn going(endpoint: &str, number: u64) -> Going {
    Going { endpoint: endpoint.into(), number }
}

fn news(idle: Option<Duration>) -> AppNews {
    AppNews {
        app: AppId::new("default", "hello"),
        counts: Counts { in_flight: 1, held: 2, peak: 3, arrivals: 4, request_micros: 5, idle },
        early: 6,
        going: vec![going("a", 7), going("*", u64::MAX)],
        empty: vec![going("b", 8)],
        ordered: Some(Ordered { replicas: 13, version: u64::MAX }),
        shares: Some(Shares {
            as_of: u64::MAX,
            each: vec![Share { endpoint: "a".into(), slots: 9, in_use: 10, usable: true }],
        }),
        grants: Some(Grants { run: u64::MAX, fence: 3, version: 11, slots: vec![("b".into(), 12)] }),
    }
}

fn message(scope: Scope, leads: Option<u64>) -> Message {
    let apps = vec![news(None), news(Some(Duration::ZERO)), news(Some(Duration::from_micros(9)))];
    Message {
        from: "gateway-1".into(),
        run: u64::MAX,
        number: 10,
        leads,
        term: 6,
        fence: 2,
        knows: vec![1, u64::MAX],
        scope,
        apps,
    }
}

/// Over the network.
fn sent(message: &wire::Message) -> wire::Message {
    wire::Message::decode(message.encode_to_vec().as_slice()).expect("readable")
}

#[test]
fn nothing_is_lost_on_the_way() {
    for scope in [Scope::Whole, Scope::Changes, Scope::Farewell] {
        for leads in [None, Some(0), Some(5)] {
            let message = message(scope, leads);
            assert_eq!(decode(sent(&encode(message.clone()))), Ok(message));
        }
    }
}

#[test]
fn what_is_not_understood_is_refused_and_not_taken_for_nothing() {
    let good = encode(message(Scope::Whole, None));
    let bad = |change: &dyn Fn(&mut wire::Message)| {
        let mut message = good.clone();
        change(&mut message);
        decode(sent(&message)).expect_err("refused")
    };
    assert_eq!(bad(&|it| it.from.clear()), Malformed::From);
    assert_eq!(bad(&|it| it.from = "x".repeat(254)), Malformed::From);
    assert_eq!(bad(&|it| it.scope = 0), Malformed::Scope);
    assert_eq!(bad(&|it| it.scope = 77), Malformed::Scope);
    assert_eq!(bad(&|it| it.apps[0].name.clear()), Malformed::Name);
    assert_eq!(bad(&|it| it.apps[0].namespace.clear()), Malformed::Name);
    assert_eq!(bad(&|it| it.apps[1].going[0].endpoint.clear()), Malformed::Name);
    assert_eq!(bad(&|it| it.apps[1].empty[0].endpoint.clear()), Malformed::Name);
    assert_eq!(bad(&|it| it.apps[1].shares.as_mut().unwrap().each[0].endpoint.clear()), Malformed::Name);
    assert_eq!(bad(&|it| it.apps[1].grants.as_mut().unwrap().slots[0].endpoint.clear()), Malformed::Name);
}

#[test]
fn an_app_takes_about_a_hundred_bytes() {
    let app = AppNews {
        going: Vec::new(),
        empty: Vec::new(),
        shares: None,
        grants: None,
        ordered: None,
        ..news(Some(Duration::from_secs(3600)))
    };
    let app = AppNews { app: AppId::new("some-namespace", "some-name-of-an-app"), ..app };
    assert!(encode_app(app).encoded_len() < 100);
}
