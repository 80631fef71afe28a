use super::*;

#[test]
fn a_process_is_known_by_its_line_whatever_its_name() {
    let stat = |pid, name: &str, is_alive, used| {
        let (name, parent, group) = (name.into(), 1, 70);
        Stat { pid, name, is_alive, parent, group, used }
    };
    for (line, expected) in [
        ("71 (sleep) S 1 70 12 0 -1", Some(stat(71, "sleep", true, 0))),
        ("71 (a) S 1 9 (b) R 1 70 12 0 -1", Some(stat(71, "a) S 1 9 (b", true, 0))),
        ("70 (sh) Z 1 70 12 0 -1", Some(stat(70, "sh", false, 0))),
        ("71 (x) S 1 70 12 0 -1 4194304 1 2 3 4 50 7 8 9 20 0", Some(stat(71, "x", true, 57))),
        ("71 (sleep", None),
        ("", None),
    ] {
        assert_eq!(Stat::parse(line), expected, "{line}");
    }
}

#[test]
fn this_process_is_one_of_all() {
    let here = Stat::of(rustix::process::getpid().as_raw_pid()).expect("it is there");
    assert!(here.is_alive);
    assert!(Stat::of_all().any(|process| process.pid == here.pid && process.name == here.name));
}
