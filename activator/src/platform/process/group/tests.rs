use super::*;

#[test]
fn a_process_counts_for_its_group_while_it_is_alive() {
    let group = Pid::from_raw(70).expect("a number");
    for (stat, counts) in [
        ("71 (sleep) S 1 70 12 0 -1", true),
        ("71 (a) S 1 9 b) R 1 70 12 0 -1", true),
        ("70 (sh) Z 1 70 12 0 -1", false),
        ("71 (sleep) S 70 71 70 0 -1", false),
        ("71 (sleep", false),
        ("", false),
    ] {
        assert_eq!(is_alive_in(group, stat), counts, "{stat}");
    }
}
