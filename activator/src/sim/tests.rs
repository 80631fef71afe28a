//! Sweeps of seeds.

use super::cluster::Kind;
use super::promises::Tally;
use super::world;

/// Rounds in a world.
const ROUNDS: u32 = 25;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Plays worlds from `seed` on until they have had so many races.
#[track_caller]
fn sweep(seed: u64, races: u64, change: impl Fn(&mut Kind)) -> Tally {
    let mut all = Tally::default();
    let mut seed = seed;
    let mut broken = Vec::new();
    let most_broken = number("ZEROGATE_SIM_BROKEN").unwrap_or(1) as usize;
    while all.races < races {
        match world::run_with(seed, ROUNDS, &change) {
            Ok(outcome) => all += outcome.tally,
            Err(how) => {
                println!("{how}");
                broken.push(how.seed);
            }
        }
        assert!(broken.len() < most_broken, "promises were broken with the seeds {broken:?}");
        seed += 1;
        if seed.is_multiple_of(500) {
            println!("{} races, up to seed {seed}", all.races);
        }
    }
    assert!(broken.is_empty(), "promises were broken with the seeds {broken:?}");
    println!("seeds up to {seed}: {all:#?}");
    all
}

#[test]
fn no_request_is_lost_to_a_scaling_race() {
    if let Some(seed) = number("ZEROGATE_SIM_SEED") {
        let outcome = world::run_with(seed, ROUNDS, |kind| kind.told = true);
        println!("{outcome:?}");
        assert!(outcome.is_ok());
        return;
    }
    let races = number("ZEROGATE_SIM_RACES").unwrap_or(1_000);
    let all = sweep(number("ZEROGATE_SIM_FROM").unwrap_or(0), races, |_| {});
    assert!(all.answered > all.races, "{all:?}");
}

#[test]
fn nor_where_others_have_pods_behind_the_same_service() {
    let races = number("ZEROGATE_SIM_RACES").unwrap_or(100);
    let all = sweep(number("ZEROGATE_SIM_FROM").unwrap_or(0), races, |kind| kind.others = 2);
    assert!(all.answered > all.races, "{all:?}");
}

#[test]
fn nor_with_several_gateways() {
    let races = number("ZEROGATE_SIM_RACES").unwrap_or(300);
    let several = |kind: &mut Kind| kind.gateways = 3;
    if let Some(seed) = number("ZEROGATE_SIM_FLEET_SEED") {
        let outcome = world::run_with(seed, ROUNDS, |kind| {
            several(kind);
            kind.told = true;
        });
        println!("{outcome:?}");
        assert!(outcome.is_ok());
        return;
    }
    let all = sweep(number("ZEROGATE_SIM_FROM").unwrap_or(0), races, several);
    assert!(all.answered > all.races, "{all:?}");
}

#[test]
fn nor_does_a_pod_get_more_than_its_limit_from_several_gateways_together() {
    let races = number("ZEROGATE_SIM_RACES").unwrap_or(100);
    let several = |kind: &mut Kind| {
        kind.gateways = 3;
        kind.concurrency_limit = Some(kind.concurrency_limit.unwrap_or(1));
    };
    let all = sweep(number("ZEROGATE_SIM_FROM").unwrap_or(10_000), races, several);
    assert!(all.answered > all.races, "{all:?}");
}

#[test]
fn what_happened_once_can_be_had_again() {
    for seed in [3, 4] {
        match (world::run(seed, ROUNDS), world::run(seed, ROUNDS)) {
            (Ok(first), Ok(second)) => assert_eq!(first, second),
            (first, second) => panic!("{first:?}\n{second:?}"),
        }
    }
}
