use std::collections::HashMap;
use std::time::Duration;

use super::*;
use crate::testing::endpoint;

const NOW: Timestamp = Timestamp::ZERO;
const ANY: u32 = crate::admission::slots::UNLIMITED;

fn endpoints(count: usize) -> Vec<Arc<Endpoint>> {
    (0..count).map(|n| endpoint(&format!("pod-{n}"))).collect()
}

/// Where a client's next request goes, which is over at once.
fn led(endpoints: &[Arc<Endpoint>], affinity: Affinity) -> String {
    let picked = pick_for(endpoints, ANY, NOW, affinity).expect("one");
    picked.release();
    picked.name().to_owned()
}

fn client(number: u32) -> Affinity {
    Affinity::of(&number.to_be_bytes())
}

#[test]
fn a_client_is_led_to_the_same_endpoint_by_every_gateway() {
    let (here, mut there) = (endpoints(5), endpoints(5));
    there.reverse();
    for number in 0..100 {
        assert_eq!(led(&here, client(number)), led(&there, client(number)));
    }
}

#[test]
fn clients_are_spread_and_only_those_move_that_have_to() {
    let all = endpoints(5);
    let before: HashMap<u32, String> = (0..5_000).map(|number| (number, led(&all, client(number)))).collect();
    for endpoint in &all {
        let share = before.values().filter(|name| *name == endpoint.name()).count();
        assert!((850..1150).contains(&share), "{} has {share} of 5,000", endpoint.name());
    }
    // One goes: those that were there go elsewhere, and nobody else.
    for (number, name) in &before {
        let now = led(&all[1..], client(*number));
        assert!(now == *name || *name == all[0].name(), "{number} was at {name} and is at {now}");
    }
}

#[test]
fn never_past_the_limit() {
    let all = endpoints(3);
    for affinity in [client(1), Affinity::Token(all[1].token())] {
        let mut names: Vec<_> = (0..3).map(|_| pick_for(&all, 1, NOW, affinity).expect("a free slot").name()).collect();
        assert!(pick_for(&all, 1, NOW, affinity).is_none());
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 3, "{affinity:?}");
        for endpoint in &all {
            endpoint.release();
        }
    }
}

#[test]
fn a_token_leads_to_its_endpoint_while_that_may_be_used() {
    let all = endpoints(3);
    let token = Affinity::Token(all[2].token());
    assert_eq!([led(&all, token), led(&all, token)], ["pod-2", "pod-2"]);
    all[2].suspect(NOW + Duration::from_secs(1));
    assert_ne!(led(&all, token), "pod-2");
    all[2].trust();
    all[2].close();
    assert_ne!(led(&all, token), "pod-2");
    assert_ne!(led(&all[..2], token), "pod-2", "it is gone");
    assert_eq!(led(&all[..1], Affinity::Token(7)), "pod-0", "nobody's");
}

#[test]
fn the_hash_is_for_ever() {
    // Gateways of different versions have to agree, and cookies outlive them.
    assert_eq!((hash(b""), hash(b"pod-0")), (0xf52a_15e9_a9b5_e89b, 0xa5b0_5cd3_5bda_2283));
}
