//! Sweeps of seeds.

use super::promises::Tally;
use super::world;

/// Rounds in a world.
const ROUNDS: u32 = 25;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Plays worlds from `seed` on until they have had so many races.
#[track_caller]
fn sweep(seed: u64, races: u64) -> Tally {
    let mut all = Tally::default();
    let mut seed = seed;
    while all.races < races {
        match world::run(seed, ROUNDS) {
            Ok(outcome) => all += outcome.tally,
            Err(broken) => panic!("{broken}"),
        }
        seed += 1;
    }
    println!("{seed} worlds: {all:?}");
    all
}

#[test]
fn no_request_is_lost_to_a_scaling_race() {
    if let Some(seed) = number("ZEROGATE_SIM_SEED") {
        sweep(seed, 1);
        return;
    }
    let races = number("ZEROGATE_SIM_RACES").unwrap_or(2_000);
    let all = sweep(number("ZEROGATE_SIM_FROM").unwrap_or(0), races);
    assert!(all.answered > all.races, "{all:?}");
}

#[test]
fn what_happened_once_can_be_had_again() {
    for seed in [3, 4] {
        let (first, second) = (world::run(seed, ROUNDS), world::run(seed, ROUNDS));
        match (first, second) {
            (Ok(first), Ok(second)) => assert_eq!(first, second),
            (first, second) => panic!("{first:?}\n{second:?}"),
        }
    }
}
